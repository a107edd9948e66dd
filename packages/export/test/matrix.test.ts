import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ExporterSettings } from '@sallyport/core';
import { Launched } from '@sallyport/testkit';
import { Authority } from '@sallyport/testkit/certificates';
import { KafkaStandIn, TOPIC } from '@sallyport/testkit/kafka';
import { type Fault, FaultProxy } from './fault-proxy.ts';
import { elasticsearch, gelfHttp, otlp, type Receiver, StandIn, s3, splunk, verifyS3, verifyWebhook, webhook } from './stand-in.ts';
import { gelfTcp, relp, syslog } from './stream-stand-in.ts';
import { assertDelivered, Bench, SECRETS, type ServerCertificate, until } from './support.ts';

/*
 * Every kind of destination meets every kind of failure of a connection, all destinations at once. What only some receivers can say (an
 * item of a batch, a status) is in the other tests.
 */

/** A receiver behind a way that fails, and how it is exported to. */
interface Lane extends AsyncDisposable {
  readonly name: string;
  readonly proxy: FaultProxy;
  readonly settings: Partial<ExporterSettings>;
  /** Hashes in the order they came. */
  received(): readonly string[];
  /** Numbers of the attempts they came with, where the protocol has a place for that. */
  attempts?(): readonly number[];
}

type Started = Pick<Lane, 'received' | 'attempts'> & AsyncDisposable & { readonly port: number };

interface Kind {
  readonly name: string;
  readonly start: (tls: ServerCertificate | null, way: () => number) => Promise<Started>;
  readonly scheme: 'http' | 'tcp';
  readonly settings: Partial<ExporterSettings>;
}

const overHttp = (name: string, receiver: () => Receiver & { attempts?: number[] }, settings: Partial<ExporterSettings>): Kind => ({
  name,
  scheme: 'http',
  settings,
  start: async (tls) => {
    const { api, received, attempts } = receiver();
    const standIn = await StandIn.start(api, tls);
    const ended = { port: standIn.port, [Symbol.asyncDispose]: () => standIn[Symbol.asyncDispose]() };
    return { ...ended, received: () => received, ...(attempts === undefined ? {} : { attempts: () => attempts }) };
  },
});

const overTcp = (name: string, listen: typeof syslog, settings: Partial<ExporterSettings>): Kind => ({
  name,
  scheme: 'tcp',
  settings,
  start: async (tls) => {
    const received: string[] = [];
    return { ...(await listen(received, tls)), received: () => received };
  },
});

const KINDS: readonly Kind[] = [
  overHttp('splunk', () => splunk(1), { kind: 'splunk', token: 'env:TOKEN' }),
  overHttp('elasticsearch', () => elasticsearch(), { kind: 'elasticsearch', format: 'ecs' }),
  overHttp('otlp', () => otlp(), { kind: 'otlp', format: 'ocsf' }),
  overHttp('webhook', () => webhook(verifyWebhook), { kind: 'webhook', token: 'env:SECRET' }),
  overHttp('s3', () => s3(verifyS3), { kind: 's3', target: 'audit', username: 'env:USER', password: 'env:PASSWORD' }),
  overHttp('gelf-http', () => gelfHttp(), { kind: 'gelf' }),
  overTcp('gelf-tcp', gelfTcp, { kind: 'gelf' }),
  overTcp('syslog', syslog, { kind: 'syslog' }),
  overTcp('cef', syslog, { kind: 'syslog', format: 'cef' }),
  overTcp('relp', (received, tls) => relp(received, undefined, tls), { kind: 'relp' }),
  {
    name: 'kafka',
    scheme: 'tcp',
    settings: { kind: 'kafka', target: TOPIC },
    start: async (tls, way) => {
      const cluster = await KafkaStandIn.start({
        advertise: () => ({ host: '127.0.0.1', port: way() }),
        ...(tls === null ? {} : { tls: { cert: tls.cert, key: tls.key } }),
      });
      return {
        port: cluster.ports[0] ?? 0,
        received: () => cluster.received,
        attempts: () => cluster.records.map(({ headers }) => Number(headers['sallyport.attempt'])),
        [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
      };
    },
  },
];

const BATCH = 20;
const SCHEMES = { http: { plain: 'http', secure: 'https' }, tcp: { plain: 'tcp', secure: 'tls' } } as const;

async function startLane({ name, start, scheme, settings }: Kind, tls: ServerCertificate | null): Promise<Lane> {
  let port = 0;
  const proxy = await FaultProxy.start(() => port);
  const peer = await start(tls, () => proxy.port);
  port = peer.port;
  const { attempts } = peer;
  return {
    name,
    proxy,
    received: peer.received,
    ...(attempts === undefined ? {} : { attempts }),
    settings: {
      ...settings,
      name,
      url: `${SCHEMES[scheme][tls === null ? 'plain' : 'secure']}://127.0.0.1:${proxy.port}`,
      // Splunk's acknowledgement is asked for every 250 ms.
      timeout: 1500,
      batch: { events: BATCH, bytes: 1 << 20, wait: 0 },
      ...(tls === null ? {} : { tls: { ca: 'file:matrix-ca', cert: null, key: null, serverName: null } }),
    },
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]();
      await peer[Symbol.asyncDispose]();
    },
  };
}

/** All kinds at once, each with a way of its own. */
async function startLanes(stack: AsyncDisposableStack, tls: ServerCertificate | null = null): Promise<Lane[]> {
  return Promise.all(KINDS.map(async (kind) => stack.use(await startLane(kind, tls))));
}

async function allDelivered(bench: Bench, lanes: readonly Lane[]): Promise<void> {
  const sent = await bench.hashes();
  for (const lane of lanes) {
    await until(() => new Set(lane.received()).size >= sent.length, `${lane.name} has all of ${sent.length}`);
    assertDelivered(sent, lane.received(), BATCH);
    const attempts = lane.attempts?.() ?? [];
    const seen = new Set<string>();
    for (const [i, hash] of lane.received().entries()) {
      if (seen.has(hash) && lane.attempts !== undefined) assert.ok((attempts[i] ?? 0) > 1, `${lane.name}: what came again is marked`);
      seen.add(hash);
    }
  }
}

describe('every entry arrives at every destination, none out of order, again only within one batch and marked', () => {
  for (const [fault, what] of [
    ['outage', 'the peer is away'],
    ['cut', 'a connection breaks in the middle of a batch'],
    ['unheard', 'the answer to a batch is lost with the connection'],
    ['silent', 'the peer takes a batch and never answers'],
  ] as const satisfies readonly (readonly [Fault, string])[]) {
    test(what, async () => {
      await using stack = new AsyncDisposableStack();
      const bench = stack.use(await Bench.create());
      const lanes = await startLanes(stack);
      for (const { proxy } of lanes) proxy.faults.push(fault, fault);
      await bench.append(50, (i) => ({ id: `r${i}` }));
      const exporters = stack.use(Bench.exportersOf(bench.directory, ...lanes.map(({ settings }) => settings)));
      exporters.start();
      await until(() => lanes.every(({ proxy }) => proxy.faults.length === 0), 'every fault has happened');
      await allDelivered(bench, lanes);
      assert.deepEqual(
        exporters.status().filter(({ dead }) => dead > 0),
        [],
      );
      if (fault === 'unheard' || fault === 'silent') {
        // The fault did what it is there for. Elasticsearch and, within an attempt, Kafka store a copy once.
        const once = lanes.filter(({ received }) => new Set(received()).size === received().length).map(({ name }) => name);
        assert.deepEqual(once, fault === 'silent' ? ['elasticsearch'] : ['elasticsearch', 'kafka']);
      }
    });
  }

  test('the exporting process is killed while all of them are under way', async () => {
    await using stack = new AsyncDisposableStack();
    const bench = stack.use(await Bench.create());
    const lanes = await startLanes(stack);
    const settings = lanes.map((lane) => lane.settings);
    const child = fileURLToPath(new URL('export-child.ts', import.meta.url));
    for (let round = 0; round < 2; round++) {
      await bench.append(70, (i) => ({ id: `r${round}-${i}` }));
      const before = lanes.map(({ received }) => received().length);
      // What is with the peers when the process ends, it has not heard of.
      for (const { proxy } of lanes) proxy.faults.push('silent');
      await using exporting = await Launched.launch(process.execPath, [child, bench.directory, JSON.stringify(settings)]);
      await until(() => lanes.every(({ received }, i) => received().length > (before[i] ?? 0)), `round ${round}: all get something`);
      await exporting.stop('SIGKILL');
    }
    const exporters = stack.use(Bench.exportersOf(bench.directory, ...settings));
    exporters.start();
    await allDelivered(bench, lanes);
  });

  test('a certificate of somebody else: nothing is sent, and all of it once that is put right', async () => {
    const [authority, other] = [await Authority.create(), await Authority.create('Other')];
    SECRETS['file:matrix-ca'] = other.cert;
    await using stack = new AsyncDisposableStack();
    const bench = stack.use(await Bench.create());
    const lanes = await startLanes(stack, await authority.issueServer());
    await bench.append(30, (i) => ({ id: `r${i}` }));
    const exporters = stack.use(Bench.exportersOf(bench.directory, ...lanes.map((lane) => lane.settings)));
    exporters.start();
    const refused = (): number => exporters.status().filter(({ failure }) => /CERT|SIGNATURE|ISSUER/.test(failure?.reason ?? '')).length;
    await until(() => refused() === lanes.length, 'every certificate is refused');
    assert.deepEqual(
      lanes.filter(({ received }) => received().length > 0).map(({ name }) => name),
      [],
    );
    SECRETS['file:matrix-ca'] = authority.cert;
    await allDelivered(bench, lanes);
  });
});
