import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Config, defaultConfig } from '@sallyport/control';
import { reloadable } from '../src/process/reload.ts';
import { startServing, until } from './serving.ts';

const config = (change: Partial<Config> = {}): Config => ({ ...defaultConfig([], { home: '/nowhere' }), ...change });
const TLS: NonNullable<Config['tls']> = {
  cert: 'file:/a.crt',
  key: 'file:/a.key',
  clientCa: 'file:/ca.crt',
  minVersion: 'TLSv1.2',
  clientAuth: 'require',
};

describe('what a running process takes up', () => {
  it('is everything but what is fixed at the start, which is named and stays', () => {
    const running = config();
    const asked = config({
      listen: { gateway: { host: '127.0.0.1', port: 1 }, control: { host: '127.0.0.1', port: 2 } },
      storage: { url: 'sqlite:/elsewhere', password: null },
      audit: {
        directory: '/elsewhere',
        recordFirst: [],
        onUnavailable: 'refuse',
        retention: null,
        bodies: 'none',
        bodiesKey: null,
        exporters: [],
      },
      http: { ...running.http, maxHeaderBytes: 1_024, maxBodyBytes: 2_048, headersTimeout: 1_000, keepAliveTimeout: 1_000 },
    });
    const { config: taken, waiting } = reloadable(running, asked);
    assert.deepEqual(waiting, [
      'listen.gateway',
      'listen.control',
      'http.maxHeaderBytes',
      'http.timeouts.headers',
      'http.timeouts.keepAlive',
      'storage',
      'audit',
    ]);
    assert.deepEqual(taken, { ...running, http: { ...running.http, maxBodyBytes: 2_048 } });
    assert.deepEqual(reloadable(taken, running).waiting, []);
  });

  it('does not turn TLS on or off, nor ask others for client certificates', () => {
    assert.deepEqual(reloadable(config(), config({ tls: TLS })), { config: config(), waiting: ['tls'] });
    assert.deepEqual(reloadable(config({ tls: TLS }), config()), { config: config({ tls: TLS }), waiting: ['tls'] });
    const renewed = { ...TLS, cert: 'file:/b.crt', clientCa: 'file:/b-ca.crt' };
    assert.deepEqual(reloadable(config({ tls: TLS }), config({ tls: renewed })), { config: config({ tls: renewed }), waiting: [] });
    const open = { ...renewed, clientCa: null, clientAuth: 'none' as const };
    assert.deepEqual(reloadable(config({ tls: TLS }), config({ tls: open })), {
      config: config({ tls: { ...renewed, clientCa: TLS.clientCa } }),
      waiting: ['tls.clientAuth'],
    });
  });
});

describe('SIGHUP', () => {
  const yaml = (models: string, rest: string): string =>
    `upstreams: [ { name: demo, kind: demo } ]\nmodels: [ ${models.replace(/\w+/g, '{ name: $&, upstream: demo }')} ]\n${rest}`;

  it('leaves in the ledger which settings were warned of', async () => {
    await using serving = await startServing(yaml('one', 'http: { trustedProxies: ["0.0.0.0/0"] }\nguards: { mode: observe }\n'));
    const said = await serving.sallyport.run(['audit', 'query', '--kind', 'system', '--json']);
    const settings = said.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { action: string; detail?: { settings?: string } })
      .flatMap(({ action, detail }) => (detail?.settings === undefined ? [] : [[action, detail.settings]]));
    assert.deepEqual(settings, [
      ['guards.weaker-than-balanced', 'guards.mode'],
      ['configuration.warnings', 'http.trustedProxies[0]'],
    ]);
  });

  it('takes up all of a configuration or nothing of it, and names what needs a restart', async () => {
    await using serving = await startServing(yaml('one', ''));
    const models = async (): Promise<string[]> => {
      const answer = await fetch(`${serving.gatewayUrl}/v1/models`, { headers: { authorization: `Bearer ${serving.key}` } });
      return ((await answer.json()) as { data: { id: string }[] }).data.map(({ id }) => id);
    };
    serving.configure(yaml('two', 'tls: { cert: "file:/nowhere.crt", key: "file:/nowhere.key" }\nhttp: { maxHeaderBytes: 4096 }\n'));
    serving.process().signal('SIGHUP');
    await serving.process().waitFor(/configuration\.needs-restart.*tls, http\.maxHeaderBytes/);
    assert.notEqual(await until(async () => (await models()).join() === 'two', 5_000), null);
    serving.configure(
      `upstreams: [ { name: demo, kind: demo }, { name: gone, kind: vllm, url: "http://127.0.0.1:9", credential: "env:NO_SUCH_NAME" } ]\n` +
        `models: [ { name: three, upstream: demo } ]\n`,
    );
    serving.process().signal('SIGHUP');
    await serving.process().waitFor(/configuration\.refused.*NO_SUCH_NAME/);
    assert.deepEqual(await models(), ['two']);
  });

  it('is in the ledger with what the configuration was and is, also where it was refused', async () => {
    await using serving = await startServing(yaml('one', ''));
    const recorded = async (): Promise<{ action: string; outcome: string; detail: Record<string, string> }[]> =>
      (await serving.sallyport.run(['audit', 'export', '--kind', 'system'])).stdout
        .split('\n')
        .filter((line) => /"action":"(process.start|configuration.reload)"/.test(line))
        .map((line) => JSON.parse(line));
    serving.configure(yaml('two', ''));
    serving.process().signal('SIGHUP');
    await serving.process().waitFor(/configuration\.reloaded/);
    serving.configure('models: [ { name: 7 } ]\n');
    serving.process().signal('SIGHUP');
    await serving.process().waitFor(/configuration\.refused/);
    serving.configure(yaml('one', ''));
    await serving.process().stop();
    const [start, changed, refused] = await recorded();
    const one = start?.detail['configuration'];
    assert.match(one ?? '', /^[0-9a-f]{64}$/);
    assert.equal(changed?.detail['before'], one);
    assert.notEqual(changed?.detail['after'], one);
    assert.deepEqual([refused?.outcome, refused?.detail['before']], ['refused', changed?.detail['after']]);
    await serving.restart();
    assert.equal((await recorded()).at(-1)?.detail['configuration'], one, 'the same configuration has the same digest');
  });
});
