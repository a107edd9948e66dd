import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { silentLogger, type TracedExchange } from '@sallyport/core';
import { Egress, NO_EGRESS_SETTINGS } from '@sallyport/egress';
import { FakeClock } from '@sallyport/testkit';
import { exchangeFacts } from '@sallyport/testkit/entry';
import { decodePublished } from '@sallyport/testkit/otlp';
import fc from 'fast-check';
import { Counter, Histogram } from '../src/metrics/instrument.ts';
import { checkTracestate, formatTraceparent, parseTraceparent } from '../src/traces/context.ts';
import { OtlpExporter } from '../src/traces/otlp.ts';
import type { OtlpSpan } from '../src/traces/spans.ts';
import { SamplingTracer, type TracerOptions } from '../src/traces/tracer.ts';
import { serveCollector } from './text-server.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const CLIENT = `00-${TRACE}-${PARENT}-01`;
const SECRET = 'alice@example.com';

const FACTS = exchangeFacts({
  id: '4tlxHtm2aj_H3dSp',
  principal: { id: SECRET, kind: 'person', tenant: 'secret-tenant', credential: 'api-key:k_1' },
  model: { name: 'chat', upstream: 'engine', artifact: null },
  usage: { input: 12, output: 100, cached: 4, exact: true },
  latency: { overhead: 1.5, ttft: 120.5, total: 822.125 },
  digest: { prompt: 'a'.repeat(64), reply: 'b'.repeat(64) },
});
const EXCHANGE: TracedExchange = { facts: FACTS, status: 200, provider: 'vllm', streamed: true, askedAfter: 1.25 };

function tracer(change: Partial<TracerOptions> = {}): { tracer: SamplingTracer; spans: OtlpSpan[] } {
  const spans: OtlpSpan[] = [];
  const keep = (more: readonly OtlpSpan[]): boolean => spans.push(...more) > 0;
  return {
    tracer: new SamplingTracer({
      sample: 1,
      followClient: true,
      identity: false,
      clock: new FakeClock(1_767_225_600_000),
      keep,
      ...change,
    }),
    spans,
  };
}

function attribute(span: OtlpSpan | undefined, key: string): unknown {
  const value = span?.attributes.find((one) => one.key === key)?.value;
  return value === undefined ? undefined : Object.values(value)[0];
}

describe('W3C trace context', () => {
  it('takes what has the specified form, of later versions too', () => {
    assert.deepEqual(parseTraceparent(CLIENT), { traceId: TRACE, parentId: PARENT, sampled: true });
    assert.equal(parseTraceparent(`00-${TRACE}-${PARENT}-00`)?.sampled, false);
    assert.equal(parseTraceparent(`cc-${TRACE}-${PARENT}-01-what-the-future-will-be-like`)?.traceId, TRACE);
  });

  it('takes nothing else', () => {
    for (const header of [
      undefined,
      '',
      `ff-${TRACE}-${PARENT}-01`,
      `00-${TRACE}-${PARENT}-01-more`,
      `00-${'0'.repeat(32)}-${PARENT}-01`,
      `00-${TRACE}-${'0'.repeat(16)}-01`,
      CLIENT.toUpperCase(),
      `${CLIENT}, ${CLIENT}`,
      ` ${CLIENT}`,
      `00-${TRACE}-${PARENT}-0g`,
      `cc-${TRACE}-${PARENT}-01-${'x'.repeat(300)}`,
      `cc-${TRACE}-${PARENT}-01-a\r\nx: y`,
    ])
      assert.equal(parseTraceparent(header), null, header);
  });

  it('reads back what it writes, and never throws', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const context = parseTraceparent(text);
        if (context !== null) assert.deepEqual(parseTraceparent(formatTraceparent(context)), context);
        checkTracestate(text);
      }),
    );
  });

  it('passes a tracestate on whole or not at all', () => {
    assert.equal(checkTracestate('rojo=00f067aa0ba902b7, congo=t61rcWkgMzE'), 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE');
    for (const state of [
      '',
      ',',
      'a',
      'A=1',
      'a=1,a=2',
      'a=b=c',
      'a=\u0001',
      `a=${'x'.repeat(600)}`,
      Array.from({ length: 33 }, (_, n) => `k${n}=1`).join(','),
    ])
      assert.equal(checkTracestate(state), null, state);
  });
});

describe('following exchanges', () => {
  it("goes on with a known client's trace: the upstream's parent is our call of it", () => {
    const { tracer: own, spans } = tracer({ sample: 0 });
    const trace = own.begin(CLIENT, 'rojo=1', true);
    assert.ok(trace !== null);
    const [, traceparent = '', , state] = trace.headers;
    own.end(trace, EXCHANGE);
    const [server, client] = spans;
    assert.equal(traceparent, `00-${TRACE}-${client?.spanId}-01`);
    assert.equal(state, 'rojo=1');
    assert.deepEqual([server?.traceId, server?.parentSpanId, client?.parentSpanId], [TRACE, PARENT, server?.spanId]);
  });

  it('lets no stranger decide what is kept, nor a client where that is not wanted; the headers go on as they were', () => {
    for (const [change, known] of [
      [{ sample: 0 }, false],
      [{ sample: 0, followClient: false }, true],
    ] as const) {
      const { tracer: own, spans } = tracer(change);
      const trace = own.begin(CLIENT, undefined, known);
      assert.deepEqual(trace?.headers, ['traceparent', CLIENT]);
      assert.equal(trace?.sampled, false);
      own.end(trace, EXCHANGE);
      assert.deepEqual(spans, []);
    }
  });

  it('samples the share it was told, the same traces as others that sample by their ids', () => {
    const { tracer: own } = tracer({ sample: 0.25 });
    let begun = 0;
    for (let n = 0; n < 4_000; n += 1) if (own.begin(undefined, undefined, true) !== null) begun += 1;
    assert.ok(begun > 800 && begun < 1_200, String(begun));
    const low = `00-${'f'.repeat(19)}${'0'.repeat(13)}-${PARENT}-01`;
    const high = `00-${'0'.repeat(18)}1${'f'.repeat(13)}-${PARENT}-01`;
    assert.equal(own.begin(low, undefined, false)?.sampled, true);
    assert.equal(own.begin(high, undefined, false)?.sampled, false);
    assert.equal(tracer({ sample: 0 }).tracer.begin(undefined, undefined, true), null);
  });

  it('gives spans the names of the GenAI conventions', () => {
    const { tracer: own, spans } = tracer();
    const trace = own.begin(undefined, undefined, true);
    assert.ok(trace !== null);
    own.end(trace, EXCHANGE);
    const [server, client] = spans;
    assert.equal(server?.kind, 2);
    assert.equal(client?.kind, 3);
    assert.equal(client?.name, 'chat chat');
    assert.deepEqual(
      [
        'gen_ai.operation.name',
        'gen_ai.provider.name',
        'gen_ai.request.model',
        'gen_ai.usage.input_tokens',
        'gen_ai.usage.output_tokens',
      ].map((key) => attribute(client, key)),
      ['chat', 'vllm', 'chat', '12', '100'],
    );
    assert.equal(BigInt(client?.endTimeUnixNano ?? 0) - BigInt(client?.startTimeUnixNano ?? 0), 820_875_000n);
    assert.equal(BigInt(server?.endTimeUnixNano ?? 0) - BigInt(server?.startTimeUnixNano ?? 0), 822_125_000n);
  });

  it('names nobody unless it is told to, and never an address, key or digest then', () => {
    const told = (identity: boolean): string => {
      const { tracer: own, spans } = tracer({ identity });
      const trace = own.begin(undefined, undefined, true);
      assert.ok(trace !== null);
      own.end(trace, EXCHANGE);
      return JSON.stringify(spans);
    };
    for (const secret of [SECRET, 'secret-tenant', 'k_1', '192.0.2.7', 'aaaa', 'bbbb']) assert.ok(!told(false).includes(secret), secret);
    assert.ok(told(true).includes(SECRET));
    for (const secret of ['k_1', '192.0.2.7', 'aaaa']) assert.ok(!told(true).includes(secret), secret);
  });
});

describe('delivery by OTLP', () => {
  async function exporter(url: string, change: object = {}): Promise<{ otlp: OtlpExporter; egress: Egress }> {
    const egress = new Egress({ settings: NO_EGRESS_SETTINGS, resolveSecret: () => '', logger: silentLogger });
    egress.name('telemetry', [{ url, private: true }]);
    const settings = {
      url,
      protocol: 'http/json' as const,
      authorization: null,
      version: '1',
      instance: 'i',
      metrics: null,
      interval: 3_600_000,
      egress,
      clock: new FakeClock(1_000),
      logger: silentLogger,
    };
    return { otlp: new OtlpExporter({ ...settings, ...change }), egress };
  }
  const span: OtlpSpan = {
    traceId: TRACE,
    spanId: PARENT,
    name: 'n',
    kind: 2,
    startTimeUnixNano: '1',
    endTimeUnixNano: '2',
    attributes: [],
    status: {},
  };
  const counted = (otlp: OtlpExporter): unknown => otlp.families()[0]?.series.map(({ value }) => value);

  it('sends spans as OTLP/JSON with the credential, and again while the receiver is away', async () => {
    await using collector = await serveCollector([503, 429, 200]);
    const { otlp, egress } = await exporter(collector.url, { authorization: 'Bearer x' });
    otlp.keep([span]);
    await otlp.flush();
    assert.deepEqual(
      collector.requests.map(({ path, headers }) => [path, headers['authorization'], headers['content-type']]),
      Array.from({ length: 3 }, () => ['/v1/traces', 'Bearer x', 'application/json']),
    );
    const body = JSON.parse(String(collector.requests[2]?.body)) as { resourceSpans: { scopeSpans: { spans: OtlpSpan[] }[] }[] };
    assert.deepEqual(body.resourceSpans[0]?.scopeSpans[0]?.spans, [span]);
    assert.deepEqual(counted(otlp), [1, 0]);
    await otlp[Symbol.asyncDispose]();
    await egress[Symbol.asyncDispose]();
  });

  it('sends spans and metrics as protobuf, which the published definitions read back', async () => {
    await using collector = await serveCollector([200]);
    const counter = new Counter('sallyport_requests', 'Exchanges.', ['model']);
    counter.of('chat').value = 2;
    const { otlp, egress } = await exporter(collector.url, { protocol: 'http/protobuf', metrics: async () => [counter.collect()] });
    const { tracer: own, spans } = tracer();
    const trace = own.begin(CLIENT, undefined, true);
    assert.ok(trace !== null);
    own.end(trace, EXCHANGE);
    otlp.keep(spans);
    await otlp.flush();
    await otlp.sendMetrics();
    const [traced, measured] = collector.requests;
    assert.equal(traced?.headers['content-type'], 'application/x-protobuf');
    const { resourceSpans } = decodePublished('traces', traced?.body ?? Buffer.alloc(0)) as {
      resourceSpans: { scopeSpans: { spans: unknown }[] }[];
    };
    assert.deepEqual(resourceSpans[0]?.scopeSpans[0]?.spans, JSON.parse(JSON.stringify(spans)));
    const { resourceMetrics } = decodePublished('metrics', measured?.body ?? Buffer.alloc(0)) as {
      resourceMetrics: { scopeMetrics: { metrics: { name: string; sum: { dataPoints: { asDouble: number }[] } }[] }[] }[];
    };
    const [metric] = resourceMetrics[0]?.scopeMetrics[0]?.metrics ?? [];
    assert.deepEqual([metric?.name, metric?.sum.dataPoints[0]?.asDouble], ['sallyport_requests', 2]);
    await otlp[Symbol.asyncDispose]();
    await egress[Symbol.asyncDispose]();
  });

  it('does not keep a process that stops waiting for a receiver that is away, nor have it end half stopped', async () => {
    await using collector = await serveCollector(Array.from({ length: 20 }, () => 503));
    // A process, since what waits in it alone must neither hold it nor be dropped with what is to be closed after it.
    const child = spawn(process.execPath, [fileURLToPath(new URL('./otlp-child.ts', import.meta.url)), collector.url], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const [status] = await once(child, 'close');
    assert.deepEqual([status, said], [0, 'closed']);
    assert.equal(collector.requests.length, 2);
  });

  it('does not repeat what is refused, follows no redirect, and bounds what waits', async () => {
    await using collector = await serveCollector([400]);
    const { otlp, egress } = await exporter(collector.url);
    otlp.keep([span]);
    await otlp.flush();
    assert.equal(collector.requests.length, 1);
    assert.deepEqual(counted(otlp), [0, 1]);
    assert.equal(otlp.keep(Array.from({ length: 8_192 }, () => span)), true);
    assert.equal(otlp.keep([span]), false);
    await otlp[Symbol.asyncDispose]();
    await egress[Symbol.asyncDispose]();
  });

  it('sends metrics under their OpenTelemetry names', async () => {
    await using collector = await serveCollector([200]);
    const histogram = new Histogram('gen_ai_client_token_usage', 'Tokens.', ['gen_ai_token_type'], [1, 4]);
    histogram.of('input').observe(3);
    const counter = new Counter('sallyport_requests', 'Exchanges.', ['model']);
    counter.of('chat').value = 2;
    const { otlp, egress } = await exporter(collector.url, { metrics: async () => [histogram.collect(), counter.collect()] });
    await otlp.sendMetrics();
    const [request] = collector.requests;
    assert.equal(request?.path, '/v1/metrics');
    const body = JSON.parse(String(request?.body)) as { resourceMetrics: { scopeMetrics: { metrics: unknown[] }[] }[] };
    const at = { startTimeUnixNano: '1000000000', timeUnixNano: '1000000000' };
    assert.deepEqual(body.resourceMetrics[0]?.scopeMetrics[0]?.metrics, [
      {
        name: 'gen_ai.client.token.usage',
        description: 'Tokens.',
        unit: '{token}',
        histogram: {
          dataPoints: [
            {
              attributes: [{ key: 'gen_ai.token.type', value: { stringValue: 'input' } }],
              ...at,
              count: '1',
              sum: 3,
              bucketCounts: ['0', '1', '0'],
              explicitBounds: [1, 4],
            },
          ],
          aggregationTemporality: 2,
        },
      },
      {
        name: 'sallyport_requests',
        description: 'Exchanges.',
        unit: '',
        sum: {
          dataPoints: [{ attributes: [{ key: 'model', value: { stringValue: 'chat' } }], ...at, asDouble: 2 }],
          aggregationTemporality: 2,
          isMonotonic: true,
        },
      },
    ]);
    await otlp[Symbol.asyncDispose]();
    await egress[Symbol.asyncDispose]();
  });
});
