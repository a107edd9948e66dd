import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { describe, test } from 'node:test';
import * as kafka from '@platformatic/kafka';
import type { ExporterSettings } from '@sallyport/core';
import { ExporterFiles } from '@sallyport/export';
import { Authority } from '@sallyport/testkit/certificates';
import { type KafkaOptions, KafkaStandIn, TOPIC } from '@sallyport/testkit/kafka';
import { KafkaBroker } from '../src/destination/kafka-broker.ts';
import { assertDelivered, Bench, listen, SECRETS, until } from './support.ts';

function settings(cluster: KafkaStandIn, change: Partial<ExporterSettings> = {}): Partial<ExporterSettings> {
  const [first, ...others] = cluster.ports.map((port) => `127.0.0.1:${port}`);
  return { kind: 'kafka', target: TOPIC, url: `tcp://${first}`, brokers: others, timeout: 15_000, ...change };
}

describe('every entry arrives, in order', () => {
  const CASES: readonly { readonly name: string; readonly options: KafkaOptions; readonly versions: readonly string[] }[] = [
    { name: 'a broker of today', options: {}, versions: ['0 v9', '3 v9', '18 v3', '22 v3'] },
    { name: 'a broker with old versions', options: { most: { 0: 7, 3: 7, 22: 1 } }, versions: ['0 v7', '3 v7', '18 v3', '22 v1'] },
  ];
  for (const { name, options, versions } of CASES) {
    test(`${name}: through lost requests and answers, without a duplicate`, async () => {
      await using bench = await Bench.create();
      await using cluster = await KafkaStandIn.start({ ...options, brokers: 2 });
      // Within an attempt a batch keeps its numbers: what was appended already is not appended again.
      cluster.troubles.push('lost', 'answer-lost', { code: 7, appended: true }, 'moved');
      await bench.append(70, (i) => ({ id: `r${i}`, detail: { text: `é | " ${i}` } }));
      await using exporters = bench.exporters(settings(cluster));
      exporters.start();
      const sent = await bench.hashes();
      await until(() => cluster.received.length >= sent.length && exporters.status()[0]?.lag === 0, 'all delivered');
      assert.deepEqual(cluster.received, sent);
      assert.deepEqual([...cluster.versions].sort(), [...versions].sort());
      assert.equal(exporters.status()[0]?.dead, 0);
      const [record] = cluster.records;
      assert.deepEqual([record?.key, record?.headers['sallyport.seq'], record?.headers['sallyport.attempt']], ['serve', '0', '1']);
      assert.equal(JSON.parse(record?.value ?? '').hash, sent[0]);
      // What is written while it runs follows, over the connection that is open.
      const { connections } = cluster;
      await bench.append(5);
      await until(() => cluster.received.length === sent.length + 5, 'five more');
      assert.deepEqual(cluster.received, await bench.hashes());
      assert.equal(cluster.connections, connections);
    });
  }

  test('an outage longer than an attempt: duplicates are of one batch, and marked', async () => {
    await using bench = await Bench.create();
    await using cluster = await KafkaStandIn.start();
    // The first attempt appends the batch and never hears of it.
    cluster.troubles.push(...Array.from({ length: 6 }, () => 'answer-lost' as const));
    await bench.append(30);
    await using exporters = bench.exporters(settings(cluster, { timeout: 400 }));
    exporters.start();
    const sent = await bench.hashes();
    await until(() => new Set(cluster.received).size === sent.length && exporters.status()[0]?.lag === 0, 'all delivered');
    assertDelivered(sent, cluster.received, 20);
    const seen = new Set<string>();
    for (const { headers } of cluster.records) {
      const id = headers['sallyport.id'] ?? '';
      assert.ok(!seen.has(id) || Number(headers['sallyport.attempt']) > 1, 'a duplicate is marked');
      seen.add(id);
    }
  });

  for (const compression of ['gzip', 'zstd'] as const) {
    test(`compressed with ${compression}, for a broker of today and an old one, in batches that may be refused`, async () => {
      for (const most of [{}, { 0: 7, 3: 7, 22: 1 }]) {
        await using bench = await Bench.create();
        await using cluster = await KafkaStandIn.start({ most, names: false });
        cluster.troubles.push('answer-lost');
        await bench.append(50, (i) => ({ id: i === 13 ? 'poison' : `r${i}`, detail: { text: `é | " ${i}` } }));
        await using exporters = bench.exporters(settings(cluster, { compression }));
        exporters.start();
        await until(() => exporters.status()[0]?.delivered === 50, 'all but one');
        assert.deepEqual(
          cluster.received,
          (await bench.hashes()).filter((_, i) => i !== 14),
        );
        assert.deepEqual([...cluster.compressions], [compression]);
      }
    });
  }

  test('a broker that has forgotten the producer', async () => {
    await using bench = await Bench.create();
    await using cluster = await KafkaStandIn.start();
    await bench.append(10);
    await using exporters = bench.exporters(settings(cluster));
    exporters.start();
    await until(() => exporters.status()[0]?.delivered === 11, 'the first');
    cluster.forgetProducers();
    await bench.append(10);
    await until(() => exporters.status()[0]?.delivered === 21, 'the second');
    assert.deepEqual(cluster.received, await bench.hashes());
  });

  test('several logs and partitions: each log in one of them, in order', async () => {
    await using bench = await Bench.create();
    await using cluster = await KafkaStandIn.start({ brokers: 3, partitions: 5 });
    const others = [await bench.open('worker-1'), await bench.open('worker-2'), await bench.open('w3')];
    await bench.append(20);
    for (const log of others) await log.close();
    cluster.troubles.push({ code: 19 }, 'answer-lost', 'moved');
    await using exporters = bench.exporters(settings(cluster));
    exporters.start();
    const sent = await bench.hashes();
    await until(() => cluster.received.length >= sent.length && exporters.status()[0]?.lag === 0, 'all delivered');
    assert.equal(new Set(cluster.received).size, sent.length);
    const partitionOf = new Map<string, number>();
    for (const [partition, records] of cluster.logs.entries()) {
      const last = new Map<string, number>();
      for (const { key, headers } of records) {
        assert.equal(partitionOf.get(key) ?? partition, partition, `${key} is in one partition`);
        partitionOf.set(key, partition);
        const seq = Number(headers['sallyport.seq']);
        assert.ok(seq > (last.get(key) ?? -1), `${key} ${seq} is in order`);
        last.set(key, seq);
      }
    }
    assert.ok(new Set(partitionOf.values()).size > 1, 'the logs are spread');
  });
});

describe('what the broker will never take', () => {
  for (const names of [true, false]) {
    test(names ? 'named in the answer' : 'found by halving', async () => {
      await using bench = await Bench.create();
      await using cluster = await KafkaStandIn.start({ names });
      await bench.append(50, (i) => ({ id: i === 13 || i === 17 || i === 37 ? 'poison' : `r${i}` }));
      await using exporters = bench.exporters(settings(cluster));
      exporters.start();
      await until(() => exporters.status()[0]?.delivered === 48, 'all but three');
      const letters = await new ExporterFiles(bench.directory, 'siem').deadLetters();
      assert.deepEqual(
        letters.map(({ from, until: end, reason }) => [from, end, reason]),
        [14, 18, 38].map((seq) => [seq, seq + 1, 'Kafka INVALID_RECORD']),
      );
      const sent = await bench.hashes();
      assert.deepEqual(
        cluster.received,
        sent.filter((_, i) => ![14, 18, 38].includes(i)),
      );
    });
  }

  test('a batch above the limit is sent in parts; an entry above it is a dead letter', async () => {
    await using bench = await Bench.create();
    await using cluster = await KafkaStandIn.start({ maxBatchBytes: 6000 });
    const long = Object.fromEntries(Array.from({ length: 16 }, (_, k) => [`k${k}`, 'x'.repeat(1000)]));
    await bench.append(30, (i) => (i === 11 ? { detail: long } : {}));
    await using exporters = bench.exporters(settings(cluster));
    exporters.start();
    await until(() => exporters.status()[0]?.delivered === 30, 'all but one');
    assert.deepEqual(
      (await new ExporterFiles(bench.directory, 'siem').deadLetters()).map(({ from, reason }) => [from, reason]),
      [[12, 'Kafka MESSAGE_TOO_LARGE']],
    );
  });
});

describe('who may be talked to, and how', () => {
  for (const [mechanism, sasl] of [
    ['PLAIN', 'plain'],
    ['SCRAM-SHA-256', 'scram-sha-256'],
    ['SCRAM-SHA-512', 'scram-sha-512'],
  ] as const) {
    test(`mutual TLS and ${mechanism}; nothing is sent with a wrong authority or a wrong password`, async () => {
      const [authority, other] = [await Authority.create(), await Authority.create('Other')];
      const [server, client] = [await authority.issueServer(), await authority.issueClient()];
      await using bench = await Bench.create();
      await using cluster = await KafkaStandIn.start({
        tls: { cert: server.cert, key: server.key, ca: authority.cert },
        user: { mechanism, name: 'audit-writer', password: 'correct horse' },
      });
      await bench.append(3);
      Object.assign(SECRETS, { 'file:kca': other.cert, 'file:kcert': client.cert, 'file:kkey': client.key });
      Object.assign(SECRETS, { 'env:KUSER': 'audit-writer', 'env:KPASSWORD': 'wrong' });
      const [port] = cluster.ports;
      await using exporters = bench.exporters({
        ...settings(cluster),
        url: `tls://127.0.0.1:${port}`,
        tls: { ca: 'file:kca', cert: 'file:kcert', key: 'file:kkey', serverName: null },
        username: 'env:KUSER',
        password: 'env:KPASSWORD',
        sasl,
      });
      exporters.start();
      const failure = (): string => exporters.status()[0]?.failure?.reason ?? '';
      await until(() => /SELF_SIGNED|UNABLE_TO/.test(failure()), 'the authority is refused');
      assert.equal(cluster.versions.size, 0);
      SECRETS['file:kca'] = authority.cert;
      await until(() => failure() === 'Kafka SASL_AUTHENTICATION_FAILED', 'the password is refused');
      assert.equal(cluster.requests, 0);
      SECRETS['env:KPASSWORD'] = 'correct horse';
      await until(() => cluster.received.length === 4, 'all delivered once both are right');
    });
  }

  test('a mechanism that the broker does not have', async () => {
    await using bench = await Bench.create();
    await using cluster = await KafkaStandIn.start({ user: { mechanism: 'SCRAM-SHA-512', name: 'a', password: 'b' } });
    await bench.append(1);
    await using exporters = bench.exporters(settings(cluster, { username: 'env:USER', password: 'env:PASSWORD', sasl: 'plain' }));
    exporters.start();
    await until(() => exporters.status()[0]?.failure?.reason === 'Kafka UNSUPPORTED_SASL_MECHANISM', 'it is refused');
  });

  test('a cluster that leads elsewhere is not followed', async () => {
    await using bench = await Bench.create();
    let led = 0;
    await using trap = await listen(() => void led++);
    await using cluster = await KafkaStandIn.start({ advertise: () => ({ host: '127.0.0.1', port: trap.port }) });
    await bench.append(1);
    await using exporters = bench.exporters(settings(cluster));
    exporters.start();
    await until(
      () => exporters.status()[0]?.failure?.reason === 'the cluster leads to a broker that is not configured (brokers)',
      'it is refused',
    );
    assert.equal(led, 0);
  });

  test('a topic that is not there, and a broker that is too old, are said', async () => {
    await using bench = await Bench.create();
    await using cluster = await KafkaStandIn.start();
    await using old = await KafkaStandIn.start({ most: { 18: 2 } });
    await bench.append(1);
    for (const [where, reason] of [
      [settings(cluster, { target: 'elsewhere' }), 'Kafka UNKNOWN_TOPIC_OR_PARTITION'],
      [settings(old), 'Kafka UNSUPPORTED_VERSION'],
    ] as const) {
      await using exporters = bench.exporters(where);
      exporters.start();
      await until(() => exporters.status()[0]?.failure?.reason === reason, reason);
    }
  });

  for (const [name, answer] of [
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['a TLS alert', '\x15\x03\x03\x00\x02\x02\x46'],
    ['a length without end', '\x7f\xff\xff\xff'],
    ['a negative length', '\xff\xff\xff\xff\x00\x00'],
    ['another correlation', '\x00\x00\x00\x06\x00\x00\x00\x63\x00\x00'],
    ['an array of a billion', '\x00\x00\x00\x0b\x00\x00\x00\x01\x00\x00\xff\xff\xff\xff\x0f'],
    ['an answer that ends early', '\x00\x00\x00\x05\x00\x00\x00\x01\x00'],
  ] as const) {
    test(`a peer that answers ${name}`, async () => {
      await using bench = await Bench.create();
      await using peer = await listen((socket) => void socket.write(Buffer.from(answer, 'latin1')));
      await bench.append(1);
      await using exporters = bench.exporters({ kind: 'kafka', target: TOPIC, url: `tcp://127.0.0.1:${peer.port}`, timeout: 500 });
      exporters.start();
      await until(() => (exporters.status()[0]?.failure?.attempts ?? 0) >= 2, 'attempts fail');
      assert.equal(exporters.status()[0]?.delivered, 0);
    });
  }

  test('a peer that goes on sending while nothing is asked is left, with a bounded part of it in memory', async () => {
    await using peer = await listen((socket) => {
      socket.once('data', () => {
        // ApiVersions: no error, no API, no throttling.
        socket.write(Buffer.from('\0\0\0\x0c\0\0\0\x01\0\0\x01\0\0\0\0\0', 'latin1'));
        const flood = (): void => {
          while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
        };
        socket.on('drain', flood).on('error', () => undefined);
        flood();
      });
    });
    const socket = createConnection(peer.port, '127.0.0.1').on('error', () => undefined);
    const broker = await KafkaBroker.open(kafka, socket, null, AbortSignal.timeout(5_000));
    try {
      await until(() => broker.destroyed || socket.bytesRead > 16 << 20, 'it is left, or takes it all');
      assert.ok(broker.destroyed);
      assert.ok(socket.bytesRead < 4 << 20);
    } finally {
      broker.destroy();
    }
  });
});
