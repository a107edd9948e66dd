import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { defaultConfig } from '@sallyport/control';
import { chatStream, freePort, redisMissing, ScriptedUpstream, startRedis, stream, temporaryDirectory } from '@sallyport/testkit';
import { Authority } from '@sallyport/testkit/certificates';
import { summary } from '../src/process/welcome.ts';
import { Sallyport } from './command.ts';
import { startServing } from './serving.ts';

const noRedis = await redisMissing();
const DEMO = 'upstreams:\n  - { name: demo, kind: demo }\nmodels:\n  - { name: demo, upstream: demo, target: demo }\n';

/** What `serve` says where its port is another's: it ends, and with 2. */
async function serveOnTakenPort(sallyport: Sallyport, rest: string): ReturnType<Sallyport['run']> {
  const taken = createServer();
  await new Promise<void>((done) => taken.listen(0, '127.0.0.1', done));
  try {
    const address = taken.address();
    assert.ok(address !== null && typeof address === 'object');
    const listen = `listen: { gateway: "127.0.0.1:${address.port}", control: "127.0.0.1:${await freePort()}" }\n`;
    writeFileSync(sallyport.path('sallyport.yaml'), listen + rest);
    const failed = await sallyport.run(['serve']);
    assert.equal(failed.code, 2, failed.stderr);
    assert.match(failed.stderr, new RegExp(`EADDRINUSE.*127\\.0\\.0\\.1:${address.port}.*listen\\.gateway`));
    return failed;
  } finally {
    taken.close();
  }
}

describe('the first start', () => {
  it('has shown the keys it made even where a port is taken', async () => {
    await using home = await temporaryDirectory();
    const sallyport = new Sallyport(home.path);
    const failed = await serveOnTakenPort(sallyport, DEMO);
    const keys = failed.stderr.match(/sp_live_[0-9a-z]{12}_[0-9A-Za-z]{49}/g) ?? [];
    assert.equal(keys.length, 2);
    const listed = JSON.parse((await sallyport.run(['keys', 'list', '--json'])).stdout) as { id: string }[];
    assert.deepEqual(listed.map(({ id }) => id).sort(), keys.map((key) => key.split('_')[2] ?? '').sort());
    for (const { id } of listed)
      assert.match(failed.stderr, new RegExp(`npx sallyport keys rotate ${id} --overlap 0s`), 'a log is told of');
  });

  it('ends where a port is taken, also with a server that counts', { skip: noRedis ?? false, timeout: 60_000 }, async () => {
    await using redis = await startRedis();
    await using home = await temporaryDirectory();
    const sallyport = new Sallyport(home.path);
    await serveOnTakenPort(sallyport, `counters: { url: "${redis.url}" }\n${DEMO}`);
  });

  it('does not claim to have looked for servers that a configuration names', async () => {
    await using serving = await startServing(DEMO);
    assert.doesNotMatch(serving.process().stderr, /No inference server was found/);
  });

  it('prints https for both doors where it serves TLS', async () => {
    await using home = await temporaryDirectory();
    const sallyport = new Sallyport(home.path);
    const issued = await (await Authority.create()).issueServer({ names: ['127.0.0.1'] });
    writeFileSync(sallyport.path('cert.pem'), issued.cert, { mode: 0o600 });
    writeFileSync(sallyport.path('key.pem'), issued.key, { mode: 0o600 });
    writeFileSync(
      sallyport.path('sallyport.yaml'),
      `listen: { gateway: "127.0.0.1:${await freePort()}", control: "127.0.0.1:${await freePort()}" }
tls: { cert: "file:${sallyport.path('cert.pem')}", key: "file:${sallyport.path('key.pem')}" }
${DEMO}`,
    );
    await using running = await sallyport.start(['serve']);
    await running.waitFor(/Control {3}https:\/\/127/, 30_000);
    assert.match(running.stderr, /Gateway {3}https:\/\/127/);
    await running.stop();
  });

  it('names what of a certificate TLS cannot use, and says nothing of our insides', async () => {
    await using home = await temporaryDirectory();
    const sallyport = new Sallyport(home.path);
    const authority = await Authority.create();
    const [one, other] = [await authority.issueServer({ names: ['127.0.0.1'] }), await authority.issueServer({ names: ['127.0.0.1'] })];
    writeFileSync(sallyport.path('key.pem'), other.key, { mode: 0o600 });
    writeFileSync(
      sallyport.path('sallyport.yaml'),
      `listen: { gateway: "127.0.0.1:${await freePort()}", control: "127.0.0.1:${await freePort()}" }
tls: { cert: "file:${sallyport.path('cert.pem')}", key: "file:${sallyport.path('key.pem')}" }
${DEMO}`,
    );
    const sound = readFileSync(sallyport.path('sallyport.yaml'), 'utf8');
    const asking = sound.replace('tls: {', `tls: { clientCa: "file:${sallyport.path('ca.pem')}",`);
    writeFileSync(sallyport.path('ca.pem'), 'no authority\n');
    for (const [yaml, cert, message] of [
      [sound, 'garbage', /tls\.cert: expected a PEM certificate/],
      [sound, one.cert, /tls\.key: expected the private key of the certificate/],
      [asking, other.cert, /tls\.clientCa: expected PEM certificates/],
    ] as const) {
      writeFileSync(sallyport.path('sallyport.yaml'), yaml);
      writeFileSync(sallyport.path('cert.pem'), cert, { mode: 0o600 });
      const failed = await sallyport.run(['serve']);
      assert.equal(failed.code, 2);
      assert.match(failed.stderr, message);
      assert.doesNotMatch(failed.stderr, /\n {4}at /);
    }
  });

  it('says that none was found where it looked', () => {
    const config = defaultConfig([], { home: '.' });
    assert.match(summary(config, 'http://127.0.0.1:1', null, true), /No inference server was found/);
  });
});

describe('one Ctrl-C that arrives several times', () => {
  const ask = (url: string, key: string): Promise<Response> =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'chat', stream: true, messages: [{ role: 'user', content: 'Hello' }] }),
    });

  it('lets a running stream end; a later one ends the process at once', async () => {
    await using engine = await ScriptedUpstream.start({
      behaviour: stream(chatStream(['one', ' two', ' three', ' four'], 'chat'), { delayMs: 200 }),
    });
    await using serving = await startServing(
      `upstreams:\n  - { name: engine, kind: openai, url: "${engine.url}" }\nmodels:\n  - { name: chat, upstream: engine, target: chat }\n`,
    );
    const text = (await ask(serving.gatewayUrl, serving.key)).text();
    for (let times = 0; times < 3; times += 1) serving.process().signal(times === 1 ? 'SIGTERM' : 'SIGINT');
    assert.match(await text, /four.*\[DONE\]\n\n$/s);
    assert.deepEqual(await serving.process().exited, { code: 0, signal: null });

    await serving.restart();
    engine.behaviour = stream(
      chatStream(
        Array.from({ length: 100 }, () => 'more '),
        'chat',
      ),
      { delayMs: 200 },
    );
    const cut = await ask(serving.gatewayUrl, serving.key);
    const rest = cut.text().catch(() => 'cut');
    serving.process().signal('SIGINT');
    await serving.process().waitFor(/Stopping/);
    await sleep(700);
    serving.process().signal('SIGINT');
    assert.deepEqual(await serving.process().exited, { code: 130, signal: null });
    await rest;
  });
});
