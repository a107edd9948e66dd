import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerJson, ScriptedUpstream } from '@sallyport/testkit';
import { chatEngine } from './chat-engine.ts';
import { startServing, until } from './serving.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';

describe('traces of a running installation', () => {
  it("go from the client through to the upstream and to the collector, with no text and nobody's name", async () => {
    await using engine = await chatEngine();
    await using collector = await ScriptedUpstream.start({ behaviour: answerJson({}) });
    await using serving = await startServing(`upstreams:
  - { name: engine, kind: vllm, url: "${engine.url}" }
models:
  - { name: chat, upstream: engine }
telemetry:
  otlp: { url: "${collector.url}", metrics: true, interval: 1s }
  traces: { sample: 0 }
`);
    const answer = await fetch(`${serving.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${serving.key}`,
        'content-type': 'application/json',
        traceparent: `00-${TRACE}-${PARENT}-01`,
        tracestate: 'rojo=1',
      },
      body: JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'quetzal' }], stream: true }),
    });
    await answer.text();
    const sent = (path: string): string[] =>
      collector.requests.filter((request) => request.target === path).map((request) => request.bodySoFar.toString());
    assert.notEqual(await until(async () => sent('/v1/traces').length > 0, 10_000), null);
    const [body = ''] = sent('/v1/traces');
    const { resourceSpans } = JSON.parse(body) as {
      resourceSpans: { scopeSpans: { spans: { traceId: string; spanId: string; parentSpanId: string }[] }[] }[];
    };
    const [server, client] = resourceSpans[0]?.scopeSpans[0]?.spans ?? [];
    assert.deepEqual([server?.traceId, server?.parentSpanId, client?.parentSpanId], [TRACE, PARENT, server?.spanId]);
    const asked = engine.requests.find((request) => request.target === '/v1/chat/completions');
    assert.equal(asked?.headers['traceparent'], `00-${TRACE}-${client?.spanId}-01`);
    assert.equal(asked?.headers['tracestate'], 'rojo=1');
    assert.notEqual(await until(async () => sent('/v1/metrics').some((text) => text.includes('gen_ai.client.token.usage')), 10_000), null);
    const listed = await serving.sallyport.run(['keys', 'list', '--json']);
    const principals = [...listed.stdout.matchAll(/"principal":"([^"]+)"/g)].map(([, name = '']) => name);
    assert.ok(principals.length > 0);
    for (const secret of ['quetzal', serving.key, ...principals])
      for (const text of [...sent('/v1/traces'), ...sent('/v1/metrics')]) assert.ok(!text.includes(secret), secret);
    const text = await (await fetch(`${serving.controlUrl}/metrics`, { headers: { accept: 'application/openmetrics-text' } })).text();
    assert.ok(text.includes(`# {trace_id="${TRACE}"}`), 'the exemplar leads to the trace');
  });
});
