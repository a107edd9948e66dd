import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ExporterFiles } from '@sallyport/export';
import { logDirectory, readEntries } from '@sallyport/ledger';
import { Authority } from '@sallyport/testkit/certificates';
import { elasticsearch, gelfHttp, otlp, StandIn, splunk, webhook } from './stand-in.ts';
import { relp } from './stream-stand-in.ts';
import { assertDelivered, Bench, facts, listen, SECRETS, until } from './support.ts';

const anySignature = (): void => {};

describe('what a receiver will never take', () => {
  for (const [name, receiver, settings] of [
    ['elasticsearch: an item of a bulk', elasticsearch, { kind: 'elasticsearch', format: 'ecs' }],
    ['splunk: an event of a batch', splunk, { kind: 'splunk', token: 'env:TOKEN' }],
    ['webhook: a batch, found by halving it', () => webhook(anySignature), { kind: 'webhook', token: 'env:SECRET' }],
  ] as const) {
    test(name, async () => {
      await using bench = await Bench.create();
      const { api, received } = receiver();
      await using standIn = await StandIn.start(api);
      await bench.append(50, (i) => ({ id: i === 13 || i === 37 ? 'poison' : `r${i}` }));
      await using exporters = bench.exporters({ ...settings, url: standIn.url });
      exporters.start();
      const sent = await bench.hashes();
      await until(() => new Set(received).size === sent.length - 2 && exporters.status()[0]?.lag === 0, 'all but two');
      // `ledger.open` is entry 0.
      assert.deepEqual(
        (await new ExporterFiles(bench.directory, 'siem').deadLetters()).map(({ log, from, until: end }) => [log, from, end]),
        [
          ['serve', 14, 15],
          ['serve', 38, 39],
        ],
      );
      assert.equal(exporters.status()[0]?.dead, 2);
      assertDelivered(
        sent.filter((_, i) => i !== 14 && i !== 38),
        received,
        20,
      );
    });
  }

  test('dead letters are sent again when somebody asks, and what is refused again is listed again', async () => {
    await using bench = await Bench.create();
    const { api, received } = webhook(anySignature);
    let strict = true;
    await using standIn = await StandIn.start((request) =>
      strict && request.body.includes('"stubborn"') ? { status: 400 } : api(request),
    );
    await bench.append(5, (i) => ({ id: i === 1 ? 'poison' : i === 3 ? 'stubborn' : `r${i}` }));
    await using exporters = bench.exporters({ kind: 'webhook', token: 'env:SECRET', url: standIn.url });
    exporters.start();
    const files = new ExporterFiles(bench.directory, 'siem');
    await until(() => exporters.status()[0]?.dead === 2, 'two dead letters');
    strict = false;
    assert.equal(await files.replay(), true);
    const sent = await bench.hashes();
    await until(() => received.includes(sent[4] ?? ''), 'the stubborn entry');
    while ((await files.replaying()).length > 0) await delay(5);
    assert.deepEqual(
      (await files.deadLetters()).map(({ from }) => from),
      [2],
    );
  });

  test('a line of dead letters that a crash cut short takes no other with it', async () => {
    await using bench = await Bench.create();
    const files = new ExporterFiles(bench.directory, 'siem');
    const letter = { at: '2026-01-01T00:00:00.000Z', log: 'serve', from: 1, until: 2, reason: 'HTTP 400' };
    await files.bury([letter]);
    await appendFile(join(files.directory, 'dead.jsonl'), '{"at":"2026-01-');
    await files.bury([{ ...letter, from: 7, until: 9 }]);
    assert.deepEqual(await files.deadLetters(), [letter, { ...letter, from: 7, until: 9 }]);
  });

  test('OTLP: a partial success does not say which, so the batch is listed and nothing sent again', async () => {
    await using bench = await Bench.create();
    const { api } = otlp();
    await using standIn = await StandIn.start(api);
    standIn.troubles.push({ status: 200, body: JSON.stringify({ partialSuccess: { rejectedLogRecords: '2', errorMessage: 'text' } }) });
    await bench.append(4);
    await using exporters = bench.exporters({ kind: 'otlp', url: standIn.url });
    exporters.start();
    await until(() => exporters.status()[0]?.dead === 5, 'five dead letters');
    const [letter] = await new ExporterFiles(bench.directory, 'siem').deadLetters();
    assert.deepEqual([letter?.from, letter?.until, letter?.reason], [0, 5, 'partial success: 2 of 5 rejected']);
    assert.equal(standIn.requests, 1);
  });

  test('Elasticsearch: items of a full queue are put off and stored once', async () => {
    await using bench = await Bench.create();
    const busy = new Map<string, number>();
    const { api, documents } = elasticsearch((id) => {
      const seen = busy.get(id) ?? 0;
      busy.set(id, seen + 1);
      return seen < 2 && Number.parseInt(id[0] ?? '0', 16) < 8;
    });
    await using standIn = await StandIn.start(api);
    standIn.troubles.push('answer-lost');
    await bench.append(60);
    await using exporters = bench.exporters({ kind: 'elasticsearch', format: 'ecs', url: standIn.url });
    exporters.start();
    const sent = await bench.hashes();
    await until(() => documents.size === sent.length && exporters.status()[0]?.lag === 0, 'all documents');
    assert.equal(exporters.status()[0]?.dead, 0);
  });
});

describe('certificates', () => {
  test('a receiver of another authority gets nothing; mutual TLS is offered', async () => {
    const [authority, other] = [await Authority.create(), await Authority.create('Other')];
    const [server, client] = [await authority.issueServer(), await authority.issueClient()];
    await using bench = await Bench.create();
    const { api, received } = webhook(anySignature);
    await using standIn = await StandIn.start(api, { cert: server.cert, key: server.key, ca: authority.cert });
    await bench.append(3);
    Object.assign(SECRETS, { 'file:tca': other.cert, 'file:tcert': client.cert, 'file:tkey': client.key });
    const tls = { ca: 'file:tca', cert: 'file:tcert', key: 'file:tkey', serverName: null };
    await using exporters = bench.exporters({ kind: 'webhook', token: 'env:SECRET', url: standIn.url, tls });
    exporters.start();
    await until(() => (exporters.status()[0]?.failure?.attempts ?? 0) >= 2, 'attempts fail');
    assert.equal(standIn.requests, 0);
    // A certificate for another name is refused as well.
    SECRETS['file:tca'] = authority.cert;
    await until(() => received.length === 4, 'all delivered once the authority is right');
  });

  test('a certificate for another name is refused', async () => {
    const authority = await Authority.create();
    const server = await authority.issueServer({ names: ['elsewhere.example'] });
    await using bench = await Bench.create();
    const { api } = webhook(anySignature);
    await using standIn = await StandIn.start(api, server);
    SECRETS['file:nca'] = authority.cert;
    await using exporters = bench.exporters({
      kind: 'webhook',
      token: 'env:SECRET',
      url: standIn.url,
      tls: { ca: 'file:nca', cert: null, key: null, serverName: null },
    });
    exporters.start();
    await until(() => exporters.status()[0]?.failure?.reason === 'ERR_TLS_CERT_ALTNAME_INVALID', 'the name is refused');
    assert.equal(standIn.requests, 0);
  });
});

describe('receivers that misbehave', () => {
  test('one that never answers holds up nobody else, and costs a bounded wait', async () => {
    await using bench = await Bench.create();
    const { api, received } = gelfHttp();
    await using good = await StandIn.start(api);
    await using deaf = await listen(() => {});
    await bench.append(30);
    await using slow = bench.exporters({ name: 'slow', kind: 'syslog', url: `tcp://127.0.0.1:${deaf.port}`, timeout: 100 });
    slow.start();
    await until(() => slow.active, 'the first is active');
    await until(() => slow.status()[0]?.failure?.reason === 'no answer in time', 'it times out');
    await slow[Symbol.asyncDispose]();
    await using exporters = bench.exporters({ kind: 'gelf', url: good.url });
    exporters.start();
    await until(() => received.length === 31, 'the other has all');
  });

  test('RELP: answers in any order, cut in any place; a refusal is one dead letter', async () => {
    await using bench = await Bench.create();
    const received: string[] = [];
    const { close, port } = await relp(received, (index) => (index === 7 ? '500 no' : '200 OK'));
    await bench.append(30);
    await using exporters = bench.exporters({
      kind: 'relp',
      url: `tcp://127.0.0.1:${port}`,
      batch: { events: 100, bytes: 1 << 20, wait: 0 },
    });
    exporters.start();
    await until(() => exporters.status()[0]?.delivered === 30, 'all but one');
    assert.equal(exporters.status()[0]?.dead, 1);
    assertDelivered(await bench.hashes(), received, 100);
    await close();
  });

  for (const [name, answer] of [
    ['not RELP', 'HTTP/1.1 400 Bad Request\r\n\r\n'.repeat(4)],
    ['a length without end', '1 rsp 999999999 200 OK'],
    ['nothing but zeroes', '\0'.repeat(4096)],
    ['a refusal to open', '1 rsp 6 500 no\n'],
  ] as const) {
    test(`RELP: a peer that answers ${name}`, async () => {
      await using bench = await Bench.create();
      await using peer = await listen((socket) => void socket.write(answer));
      await using exporters = bench.exporters({ kind: 'relp', url: `tcp://127.0.0.1:${peer.port}`, timeout: 300 });
      await bench.append(1);
      exporters.start();
      await until(() => (exporters.status()[0]?.failure?.attempts ?? 0) >= 2, 'attempts fail');
      assert.equal(exporters.status()[0]?.delivered, 0);
    });
  }

  test('GELF over TCP, and over UDP in chunks', async () => {
    await using bench = await Bench.create();
    await bench.append(20, () => ({ detail: Object.fromEntries(Array.from({ length: 8 }, (_, k) => [`k${k}`, 'x'.repeat(900)])) }));
    const sent = await bench.hashes();
    const stream: string[] = [];
    await using peer = await listen((socket) => {
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString();
      });
      socket.on('end', () => {
        stream.push(
          ...text
            .split('\0')
            .slice(0, -1)
            .map((message) => JSON.parse(message)._event_id),
        );
        socket.end();
      });
    });
    await using tcp = bench.exporters({ name: 'tcp', kind: 'gelf', url: `tcp://127.0.0.1:${peer.port}`, format: 'ecs' });
    tcp.start();
    await until(() => new Set(stream).size === sent.length, 'all over TCP');
    assertDelivered(sent, stream, 20);
    await tcp[Symbol.asyncDispose]();

    const datagrams: string[] = [];
    const chunks = new Map<string, Buffer[]>();
    const udp = createSocket('udp4');
    udp.on('message', (bytes) => {
      if (bytes.readUInt16BE(0) !== 0x1e0f) return void datagrams.push(JSON.parse(bytes.toString())._event_id);
      const id = bytes.toString('hex', 2, 10);
      const parts = chunks.get(id) ?? [];
      chunks.set(id, parts);
      parts[bytes[10] ?? 0] = bytes.subarray(12);
      if (parts.filter(Boolean).length === bytes[11]) datagrams.push(JSON.parse(Buffer.concat(parts).toString())._event_id);
    });
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
    await using exporters = bench.exporters({
      name: 'udp',
      kind: 'gelf',
      url: `udp://127.0.0.1:${udp.address().port}`,
      format: 'ecs',
      batch: { events: 2, bytes: 1 << 20, wait: 0 },
    });
    exporters.start();
    await until(() => exporters.status()[0]?.lag === 0 && exporters.status()[0]?.delivered === sent.length, 'all over UDP');
    await until(() => datagrams.length === sent.length, 'all datagrams');
    udp.close();
  });
});

describe('the ledger as the spool', () => {
  test('several logs, rotation and compression meanwhile: merged by time, each in its order', async () => {
    await using bench = await Bench.create({ segmentBytes: 20_000 });
    const other = await bench.open('replica-2');
    const { api, received } = webhook(anySignature);
    await using standIn = await StandIn.start(api);
    await using exporters = bench.exporters({
      kind: 'webhook',
      token: 'env:SECRET',
      url: standIn.url,
      batch: { events: 64, bytes: 1 << 20, wait: 0 },
    });
    exporters.start();
    for (let round = 0; round < 8; round++) {
      await Promise.all([bench.append(100), ...Array.from({ length: 100 }, () => other.append(facts({ id: 'x' })))]);
      await other.checkpoint();
    }
    await other.close();
    const sent = await bench.hashes();
    await until(() => new Set(received).size === sent.length, 'all delivered');
    assert.ok((await readdir(join(logDirectory(bench.directory, 'serve'), 'segments'))).some((name) => name.endsWith('.zst')));
    assert.equal(received.length, sent.length);
    const order = new Map(received.map((hash, i) => [hash, i]));
    const logs = new Map<string, number>();
    for await (const { log, entry } of readEntries(bench.directory)) {
      const at = order.get(entry.hash) ?? -1;
      assert.ok(at > (logs.get(log) ?? -1), 'out of order within its log');
      logs.set(log, at);
    }
  });

  test('what retention removed before it was delivered is listed', async () => {
    await using bench = await Bench.create({ segmentBytes: 5000 });
    for (let i = 0; i < 12; i++) await bench.append(100);
    await bench.ledger.retain(Date.now() + 1000);
    const first = Math.min(
      ...(await readdir(join(logDirectory(bench.directory, 'serve'), 'segments'))).map((name) => Number.parseInt(name, 10)),
    );
    assert.ok(first > 0);
    const { api, received } = webhook(anySignature);
    await using standIn = await StandIn.start(api);
    await using exporters = bench.exporters({ kind: 'webhook', token: 'env:SECRET', url: standIn.url });
    exporters.start();
    const left = await bench.hashes();
    await until(() => received.length >= left.length, 'what is left');
    const [letter] = await new ExporterFiles(bench.directory, 'siem').deadLetters();
    assert.deepEqual([letter?.from, letter?.until], [0, first]);
  });

  test('a line somebody changed is listed, not sent, and holds up nothing', async () => {
    await using bench = await Bench.create();
    await bench.append(10);
    const path = join(logDirectory(bench.directory, 'serve'), 'segments', `${'0'.repeat(16)}.jsonl`);
    const lines = (await readFile(path, 'utf8')).split('\n');
    lines[4] = `${'x'.repeat((lines[4] ?? '').length)}`;
    await writeFile(path, lines.join('\n'));
    const { api, received } = webhook(anySignature);
    await using standIn = await StandIn.start(api);
    await using exporters = bench.exporters({ kind: 'webhook', token: 'env:SECRET', url: standIn.url });
    exporters.start();
    await until(() => received.length === 10, 'the others');
    assert.deepEqual(
      (await new ExporterFiles(bench.directory, 'siem').deadLetters()).map(({ from }) => from),
      [4],
    );
  });

  test('maxAge, start: newest, and a cursor that is damaged', async () => {
    await using bench = await Bench.create();
    await bench.append(10);
    const { api, received } = webhook(anySignature);
    await using standIn = await StandIn.start(api);
    const settings = { kind: 'webhook', token: 'env:SECRET', url: standIn.url } as const;
    await delay(50);
    const old = bench.exporters({ ...settings, name: 'old', maxAge: 1 });
    old.start();
    await until(() => old.status()[0]?.dead === 11, 'all too old');
    await old[Symbol.asyncDispose]();
    const fresh = bench.exporters({ ...settings, name: 'fresh', start: 'newest' });
    fresh.start();
    await until(() => fresh.active && fresh.status()[0]?.lag === 0, 'it has begun');
    await delay(50);
    await bench.append(2);
    await until(() => received.length === 2, 'only what is new');
    await fresh[Symbol.asyncDispose]();
    const files = new ExporterFiles(bench.directory, 'fresh');
    await writeFile(join(files.directory, 'cursor.json'), '{"next":');
    const damaged = bench.exporters({ ...settings, name: 'fresh' });
    damaged.start();
    await until(() => damaged.status()[0]?.failure?.reason.includes('is not a cursor') === true, 'the damage is told');
    await until(() => (damaged.status()[0]?.lagMilliseconds ?? 0) > 0, 'an alert on what waits goes off');
    await damaged[Symbol.asyncDispose]();
    assert.equal(received.length, 2, 'nothing is sent again without a cursor');
  });

  test('a second process stands by and takes over', async () => {
    await using bench = await Bench.create();
    const { api, received } = webhook(anySignature);
    await using standIn = await StandIn.start(api);
    const settings = { kind: 'webhook', token: 'env:SECRET', url: standIn.url } as const;
    const first = bench.exporters(settings);
    first.start();
    await until(() => first.active, 'the first exports');
    await using second = bench.exporters(settings);
    second.start();
    await bench.append(30);
    await until(() => received.length === 31, 'the first delivers');
    assert.equal(second.active, false);
    await first[Symbol.asyncDispose]();
    await bench.append(30);
    await until(() => second.active && received.length === 61, 'the second delivers');
    assertDelivered(await bench.hashes(), received, 1);
  });

  test('a disk that refuses the cursor stops delivery, and delivery goes on when it can', async () => {
    await using bench = await Bench.create();
    const { api, received } = webhook(anySignature);
    await using standIn = await StandIn.start(api);
    await bench.append(5);
    const files = new ExporterFiles(bench.directory, 'siem');
    // A file where the directory should be: root may write anywhere else.
    const place = dirname(files.directory);
    await mkdir(dirname(place), { recursive: true });
    await writeFile(place, '');
    await using exporters = bench.exporters({ kind: 'webhook', token: 'env:SECRET', url: standIn.url });
    exporters.start();
    await delay(100);
    assert.equal(received.length, 0);
    await rm(place);
    await until(() => received.length === 6, 'all delivered');
  });
});
