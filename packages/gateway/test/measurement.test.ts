import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ExchangeSample, silentMeter } from '@sallyport/core';
import { answerJson, chatReply, chatStream, FakeClock, ScriptedUpstream } from '@sallyport/testkit';
import { chatBody, post, route, startHarness, upstream } from './harness.ts';

describe('what is measured of an exchange', () => {
  it('leaves out of the overhead whatever the upstream takes, in the middle of a stream too', async () => {
    const clock = new FakeClock(Date.now());
    await using engine = await ScriptedUpstream.start();
    await using harness = await startHarness({ upstreams: [upstream(engine.url)], options: { clock } });
    const [first = Buffer.alloc(0), ...rest] = chatStream(['a', 'b'], 'chat');
    const firstSeen = Promise.withResolvers<void>();
    engine.once(async ({ request, response }) => {
      await request.body;
      clock.advance(3_000);
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(first);
      await firstSeen.promise;
      clock.advance(60_000);
      response.end(Buffer.concat(rest));
    });
    const answer = await post(harness, '/v1/chat/completions', chatBody({ stream: true }));
    assert.equal(Number(answer.headers.get('x-sallyport-overhead-ms')), 0);
    const reader = answer.body?.getReader();
    await reader?.read();
    firstSeen.resolve();
    while ((await reader?.read())?.done === false);
    const latency = harness.entries.at(-1)?.latency;
    assert.deepEqual(latency, { overhead: 0, ttft: 3_000, total: 63_000 });
  });

  it('leaves out the time an upstream takes to fail', async () => {
    const clock = new FakeClock(Date.now());
    await using engine = await ScriptedUpstream.start();
    await using harness = await startHarness({ upstreams: [upstream(engine.url, { retries: 1 })], options: { clock } });
    for (let tries = 0; tries < 2; tries += 1) {
      engine.once(async ({ request, socket }) => {
        await request.body;
        clock.advance(2_000);
        socket.destroy();
      });
    }
    const answer = await post(harness, '/v1/chat/completions', chatBody());
    assert.equal(answer.status, 503);
    assert.deepEqual(harness.entries.at(-1)?.latency, { overhead: 0, ttft: null, total: 4_000 });
  });

  it('labels metrics with the names of configured models only', async () => {
    const samples: ExchangeSample[] = [];
    await using engine = await ScriptedUpstream.start({ behaviour: answerJson({ status: 'success' }) });
    await using harness = await startHarness({
      upstreams: [upstream(engine.url, { kind: 'ollama' })],
      routes: [route('chat')],
      options: { meter: { ...silentMeter, exchange: (sample) => void samples.push(sample) } },
    });
    const manager = harness.addKey({ roles: ['model-manager'] });
    const pull = await post(harness, '/api/pull', JSON.stringify({ model: 'made-up-by-a-client', stream: false }), {
      authorization: `Bearer ${manager}`,
    });
    assert.equal(pull.status, 200);
    await pull.arrayBuffer();
    engine.once(answerJson(chatReply('Hi', 'chat')));
    await (await post(harness, '/v1/chat/completions', chatBody())).arrayBuffer();
    await (await post(harness, '/v1/chat/completions', chatBody({ model: 'unknown' }))).arrayBuffer();
    assert.deepEqual(
      samples.map(({ model }) => model),
      ['-', 'chat', '-'],
    );
    // The ledger is not the metrics: there the name belongs.
    assert.equal(harness.entries[0]?.model?.name, 'made-up-by-a-client');
  });
});
