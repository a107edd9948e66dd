import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { ExporterFiles } from '@sallyport/export';
import { logDirectory } from '@sallyport/ledger';
import { elasticsearch, StandIn, s3, splunk, webhook } from './stand-in.ts';
import { Bench, listen, until } from './support.ts';

describe('a wrong setting of the receiver loses nothing', () => {
  test('Splunk names an event where the index is wrong, and no event is to blame', async () => {
    await using bench = await Bench.create();
    const { api, received } = splunk();
    await using standIn = await StandIn.start(api);
    const wrong = { status: 400, body: JSON.stringify({ text: 'Incorrect index', code: 7, 'invalid-event-number': 0 }) };
    standIn.troubles.push(wrong, wrong, wrong);
    await bench.append(5);
    await using exporters = bench.exporters({ kind: 'splunk', token: 'env:TOKEN', target: 'nowhere', url: standIn.url });
    exporters.start();
    await until(() => received.length === 6, 'all once the index is there');
    assert.equal(exporters.status()[0]?.dead, 0);
  });

  test('Elasticsearch denies each item of a bulk: a privilege, a blocked index', async () => {
    await using bench = await Bench.create();
    let denied = true;
    const { api, documents } = elasticsearch(undefined, () => denied);
    await using standIn = await StandIn.start(api);
    await bench.append(5);
    await using exporters = bench.exporters({ kind: 'elasticsearch', format: 'ecs', url: standIn.url });
    exporters.start();
    await until(() => (exporters.status()[0]?.failure?.attempts ?? 0) >= 2, 'it is denied');
    assert.equal(exporters.status()[0]?.dead, 0);
    denied = false;
    await until(() => documents.size === 6, 'all once it is allowed');
  });

  for (const format of ['json', 'ocsf', 'cef'] as const) {
    test(`Elasticsearch: a data stream takes ${format}`, async () => {
      await using bench = await Bench.create();
      const { api, documents } = elasticsearch();
      await using standIn = await StandIn.start(api);
      await bench.append(2);
      await using exporters = bench.exporters({ kind: 'elasticsearch', format, url: standIn.url });
      exporters.start();
      await until(() => exporters.status()[0]?.lag === 0 && exporters.status()[0]?.delivered === 3, 'all taken');
      assert.equal(documents.size, 3);
    });
  }
});

test('RELP: a receiver that talks without being asked is hung up on', async () => {
  await using bench = await Bench.create();
  const sockets: Socket[] = [];
  await using peer = await listen((socket) => {
    sockets.push(socket);
    socket.on('data', (chunk) => {
      for (const [, transaction] of chunk.toString().matchAll(/^(\d+) (?:open|syslog) \d+ /gm))
        socket.write(`${transaction} rsp 6 200 OK\n`);
    });
  });
  await bench.append(3);
  await using exporters = bench.exporters({ kind: 'relp', url: `tcp://127.0.0.1:${peer.port}` });
  exporters.start();
  await until(() => exporters.status()[0]?.delivered === 4, 'the first batch');
  const [first] = sockets;
  assert.ok(first);
  const closed = once(first, 'close');
  first.on('end', () => first.end());
  first.write('9 rsp 6 200 OK\n'.repeat(1000));
  await closed;
  await bench.append(3);
  await until(() => exporters.status()[0]?.delivered === 7, 'the second batch, over a new connection');
});

test('a replay of what retention removed in part sends what is left', async () => {
  await using bench = await Bench.create({ segmentBytes: 5000 });
  for (let i = 0; i < 12; i++) await bench.append(100);
  await bench.ledger.retain(Date.now() + 1000);
  const names = await readdir(join(logDirectory(bench.directory, 'serve'), 'segments'));
  const first = Math.min(...names.map((name) => Number.parseInt(name, 10)));
  const all = first + (await bench.hashes()).length;
  assert.ok(first > 10 && all > first + 10);
  const files = new ExporterFiles(bench.directory, 'siem');
  const letter = { at: '', log: 'serve', reason: 'HTTP 422' };
  // One range ends among what is left, one among what is gone.
  await files.bury([
    { ...letter, from: 5, until: first + 10 },
    { ...letter, from: 1, until: 4 },
  ]);
  assert.equal(await files.replay(), true);
  const { api, received } = webhook(() => {});
  await using standIn = await StandIn.start(api);
  const batch = { events: all, bytes: 1 << 24, wait: 0 };
  await using exporters = bench.exporters({ kind: 'webhook', token: 'env:SECRET', url: standIn.url, start: 'newest', batch });
  exporters.start();
  await until(() => received.length === 10, 'what is left');
  while ((await files.replaying()).length > 0) await delay(5);
  assert.deepEqual(received, (await bench.hashes()).slice(0, 10));
  assert.deepEqual(
    (await files.deadLetters()).map(({ from, until: end, reason }) => [from, end, reason]),
    [
      [5, first, 'not in the ledger any more'],
      [1, 4, 'not in the ledger any more'],
    ],
  );
});

test('S3: two ledgers with the same bucket, prefix and names of logs keep each their objects', async () => {
  await using one = await Bench.create();
  await using two = await Bench.create();
  const { api, objects, received } = s3(() => {});
  await using standIn = await StandIn.start(api);
  const settings = { kind: 's3', target: 'audit', username: 'env:USER', password: 'env:PASSWORD', url: standIn.url } as const;
  for (const bench of [one, two]) {
    await bench.append(3);
    await using exporters = bench.exporters(settings);
    exporters.start();
    await until(() => exporters.status()[0]?.delivered === 4, 'all objects');
  }
  const kept = [...objects.values()].reduce((lines, body) => lines + gunzipSync(body).toString().trimEnd().split('\n').length, 0);
  assert.equal(kept, received.length);
});
