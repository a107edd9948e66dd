import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExporterSettings } from '@sallyport/core';
import { Authority } from '@sallyport/testkit/certificates';
import { type Input, missing, missingRelp, missingTls, type Parsed, Rsyslog } from './rsyslog.ts';
import { assertDelivered, Bench, exporterSettings, SECRETS } from './support.ts';

const SKIPS: Readonly<Record<Input, string | null>> = { tcp: missing, tls: missingTls, relp: missingRelp, relps: missingRelp };

function settingsFor(input: Input, rsyslog: Rsyslog): Partial<ExporterSettings> {
  const secure = input === 'tls' || input === 'relps';
  SECRETS['file:ca'] = rsyslog.authority.cert;
  SECRETS['file:cert'] = rsyslog.client.cert;
  SECRETS['file:key'] = rsyslog.client.key;
  return {
    kind: input.startsWith('relp') ? 'relp' : 'syslog',
    url: `${secure ? 'tls' : 'tcp'}://127.0.0.1:${rsyslog.port}`,
    tls: secure ? { ca: 'file:ca', cert: 'file:cert', key: 'file:key', serverName: null } : null,
  };
}

const idOf = (parsed: Parsed): string => /id="([0-9a-f]{64})"/.exec(parsed['structured-data'])?.[1] ?? '';

/** Waits until rsyslog has written `count` different entries. */
async function received(rsyslog: Rsyslog, count: number): Promise<Parsed[]> {
  for (let waited = 0; ; waited += 20) {
    const parsed = await rsyslog.parsed();
    if (new Set(parsed.map(idOf)).size >= count) return parsed;
    if (waited > 30_000) assert.fail(`rsyslog has ${parsed.length} messages of ${count}`);
    await delay(20);
  }
}

describe('a real rsyslog receives and parses', () => {
  for (const input of ['tcp', 'tls', 'relp', 'relps'] as const) {
    test(input, { skip: SKIPS[input] ?? false }, async () => {
      await using rsyslog = await Rsyslog.start(input);
      await using bench = await Bench.create();
      await bench.append(40, (i) => ({ id: `r${i}`, verdicts: [], detail: { text: `é "quoted" \\ ] ${'x'.repeat(i * 20)}` } }));
      await using exporters = bench.exporters(settingsFor(input, rsyslog));
      exporters.start();
      await received(rsyslog, (await bench.hashes()).length);

      // The receiver crashes while entries come in, and comes back.
      await rsyslog.kill();
      await bench.append(60);
      await delay(50);
      await rsyslog.resume();
      const sent = await bench.hashes();
      const parsed = await received(rsyslog, sent.length);
      assertDelivered(sent, parsed.map(idOf), exporterSettings({}).batch.events);
      for (const message of parsed.slice(1, 41)) {
        const entry = JSON.parse(message.msg);
        assert.equal(entry.hash, idOf(message));
        assert.equal(message.pri, '110');
        assert.equal(message['app-name'], 'sallyport');
        assert.equal(message.procid, 'serve');
        assert.equal(message.msgid, 'model.infer');
        assert.equal(Date.parse(message.timereported), Date.parse(entry.time));
      }
    });
  }

  test('CEF, with text beyond ASCII', { skip: missing ?? false }, async () => {
    await using rsyslog = await Rsyslog.start('tcp');
    await using bench = await Bench.create();
    await bench.append(3, () => ({ verdicts: [], resource: 'modèle=1|2' }));
    await using exporters = bench.exporters({ ...settingsFor('tcp', rsyslog), format: 'cef' });
    exporters.start();
    const parsed = await received(rsyslog, (await bench.hashes()).length);
    const request = parsed.find(({ msgid }) => msgid === 'model.infer') ?? assert.fail();
    assert.match(request.msg, /CEF:0\|Sallyport\|Sallyport\|0\.1\.0\|model\.infer\|request answered\|2\|rt=\d{13} /);
    assert.ok(request.msg.includes(' request=modèle\\=1|2 '));
  });
});

test('a receiver with a certificate of somebody else gets nothing', { skip: missingTls ?? false }, async () => {
  await using rsyslog = await Rsyslog.start('tls');
  await using bench = await Bench.create();
  await bench.append(3);
  const settings = settingsFor('tls', rsyslog);
  SECRETS['file:ca'] = (await Authority.create('Another')).cert;
  await using exporters = bench.exporters(settings);
  exporters.start();
  while ((exporters.status()[0]?.failure?.attempts ?? 0) < 3) await delay(5);
  assert.match(exporters.status()[0]?.failure?.reason ?? '', /CERT|SIGNATURE|ISSUER/);
  assert.deepEqual(await rsyslog.parsed(), []);
  // Put right, everything arrives: certificates are read again after a failure.
  SECRETS['file:ca'] = rsyslog.authority.cert;
  assertDelivered(await bench.hashes(), (await received(rsyslog, (await bench.hashes()).length)).map(idOf), 20);
});
