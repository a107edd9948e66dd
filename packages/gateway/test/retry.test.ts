import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Upstream } from '@sallyport/core';
import {
  answerJson,
  type Behaviour,
  chatReply,
  chatStream,
  closeEarly,
  eventually,
  hangBeforeHeaders,
  overloaded,
  reset,
  ScriptedUpstream,
  stream,
  truncate,
} from '@sallyport/testkit';
import { chatBody, type Harness, post, route, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';

interface Pair extends AsyncDisposable {
  readonly first: ScriptedUpstream;
  readonly second: ScriptedUpstream;
  readonly harness: Harness;
  ask(body?: string, key?: string): Promise<{ status: number; text: string }>;
}

/** The model `chat` on one server with `backup` on another as its fallback. */
async function startPair(change: Partial<Upstream> = {}, probeInterval = 0): Promise<Pair> {
  const first = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('first', 'chat')) });
  const second = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('second', 'backup')) });
  const harness = await startHarness({
    upstreams: [
      upstream(first.url, { timeouts: { connect: 500, firstByte: 300, idle: 300, total: 2_000 }, ...change }),
      upstream(second.url, { name: 'spare', kind: change.kind ?? 'vllm' }),
    ],
    routes: [route('chat', { fallback: ['backup'] }), route('alone'), route('backup', { upstream: 'spare' })],
    options: { probeInterval },
  });
  return {
    first,
    second,
    harness,
    ask: async (body = chatBody(), key = harness.key) => {
      const answer = await post(harness, CHAT, body, { authorization: `Bearer ${key}` });
      return { status: answer.status, text: await answer.text() };
    },
    [Symbol.asyncDispose]: async () => {
      await harness[Symbol.asyncDispose]();
      await first.close();
      await second.close();
    },
  };
}

describe('retries', () => {
  it('asks again where no byte of an answer came, as often as configured', async () => {
    await using pair = await startPair({ retries: 2 });
    const alone = chatBody({ model: 'alone' });
    for (const broken of [reset, closeEarly]) {
      const before = pair.first.requests.length;
      pair.first.once(broken(), broken());
      assert.equal((await pair.ask(alone)).status, 200);
      assert.equal(pair.first.requests.length - before, 3);
      assert.equal(pair.harness.entries.at(-1)?.detail['attempts'], 3);
      const bodies = await Promise.all(pair.first.requests.slice(before).map(({ body }) => body));
      assert.ok(bodies.every((body) => body.equals(bodies[0] ?? Buffer.alloc(0))));
    }
    const before = pair.first.requests.length;
    pair.first.once(reset(), reset(), reset());
    assert.equal((await pair.ask(alone)).status, 503);
    assert.equal(pair.first.requests.length - before, 3);
  });

  it('never asks again once an answer began, timed out or was refused', async () => {
    await using pair = await startPair({ retries: 2 });
    const cases: [Behaviour, number][] = [
      [truncate(JSON.stringify(chatReply('half', 'alone'))), 503],
      [hangBeforeHeaders(), 504],
      [answerJson({}, 500), 502],
      [overloaded(503, '1'), 503],
      [answerJson({}, 400), 400],
    ];
    for (const [behaviour, status] of cases) {
      const before = pair.first.requests.length;
      pair.first.once(behaviour);
      assert.equal((await pair.ask(chatBody({ model: 'alone' }))).status, status);
      assert.equal(pair.first.requests.length - before, 1, String(status));
    }
    const [role = Buffer.alloc(0), text = Buffer.alloc(0)] = chatStream(['one'], 'alone');
    pair.first.once(stream([role, text, Buffer.from(': still here\n\n')], { delayMs: 5, ending: 'reset' }));
    const before = pair.first.requests.length;
    const streamed = await pair.ask(chatBody({ model: 'alone', stream: true }));
    assert.ok(streamed.text.includes('one') && streamed.text.includes('upstream_unavailable'), streamed.text);
    assert.equal(pair.first.requests.length - before, 1);
  });
});

describe('fallback', () => {
  it('asks the next model, under its own name, where the first cannot answer', async () => {
    await using pair = await startPair();
    for (const broken of [reset(), hangBeforeHeaders(), answerJson({}, 500), overloaded(503, '1'), overloaded(429, '1')]) {
      pair.first.once(broken);
      const answered = await pair.ask();
      assert.equal(answered.status, 200);
      assert.equal(JSON.parse(answered.text).model, 'backup');
      assert.match((await pair.second.requests.at(-1)?.body)?.toString() ?? '', /"model":"backup"/);
      assert.equal(pair.harness.entries.at(-1)?.model?.upstream, 'spare');
    }
  });

  it('tells a client of its own mistake instead of asking another', async () => {
    await using pair = await startPair();
    for (const [theirs, status] of [
      [400, 400],
      [404, 404],
      [413, 413],
    ] as const) {
      pair.first.once(answerJson({}, theirs));
      assert.equal((await pair.ask()).status, status);
    }
    assert.equal(pair.second.requests.length, 0);
  });

  it('does not switch in the middle of an answer', async () => {
    await using pair = await startPair();
    const [role = Buffer.alloc(0), text = Buffer.alloc(0)] = chatStream(['one'], 'chat');
    pair.first.once(stream([role, text, Buffer.from(': x\n\n')], { delayMs: 5, ending: 'reset' }));
    const streamed = await pair.ask(chatBody({ stream: true }));
    assert.ok(streamed.text.includes('one') && !streamed.text.includes('second'));
    assert.equal(pair.second.requests.length, 0);
  });

  it('gives nobody a model they may not ask for', async () => {
    await using pair = await startPair();
    const key = pair.harness.addKey({ models: ['chat'] });
    pair.harness.publish({});
    pair.first.once(reset());
    const refused = await pair.ask(chatBody(), key);
    assert.equal(refused.status, 503);
    assert.equal(pair.second.requests.length, 0);
  });

  it('reports the first failure where the fallback does not take the request either', async () => {
    await using pair = await startPair();
    pair.first.once(reset());
    pair.second.once(answerJson({}, 404));
    assert.deepEqual([(await pair.ask()).status, pair.second.requests.length], [503, 1]);
  });

  it('refuses a route whose server is not there', async () => {
    await using pair = await startPair();
    pair.harness.publish({ routes: new Map([['chat', route('chat', { upstream: 'nowhere' })]]) });
    assert.equal((await pair.ask()).status, 503);
    assert.ok(!pair.harness.log.some(({ event }) => event === 'exchange.defect'));
  });
});

describe('health', () => {
  const ready = async ({ harness }: Pair): Promise<{ status: string; degradedModels: number; http: number }> => {
    const answer = await fetch(`${harness.url}/health/ready`);
    return { ...((await answer.json()) as { status: string; degradedModels: number }), http: answer.status };
  };

  it('calls a model degraded after failures in a row, and healthy after one success', async () => {
    await using pair = await startPair();
    const states = (): (string | undefined)[] => pair.harness.gateway.health().upstreams.map(({ state }) => state);
    assert.deepEqual(states(), ['unknown', 'unknown']);
    for (const broken of [reset(), answerJson({}, 500), hangBeforeHeaders()]) {
      pair.first.once(broken);
      await pair.ask(chatBody({ model: 'alone' }));
    }
    assert.deepEqual(states(), ['degraded', 'unknown']);
    const degraded = await ready(pair);
    // `chat` has a server left; the gateway itself is fine and says so.
    assert.deepEqual([degraded.status, degraded.http, degraded.degradedModels], ['degraded', 200, 1]);
    assert.ok(!JSON.stringify(degraded).includes('engine'));
    await pair.ask(chatBody({ model: 'alone' }));
    assert.deepEqual(states(), ['healthy', 'unknown']);
    assert.equal((await ready(pair)).status, 'ready');
  });

  it('does not count a client that leaves, or its mistakes, against the upstream', async () => {
    await using pair = await startPair();
    for (let i = 0; i < 5; i += 1) {
      pair.first.once(i % 2 === 0 ? answerJson({}, 400) : hangBeforeHeaders());
      const leaving = AbortSignal.timeout(50);
      await fetch(`${pair.harness.url}${CHAT}`, {
        method: 'POST',
        body: chatBody({ model: 'alone' }),
        headers: { authorization: `Bearer ${pair.harness.key}`, 'content-type': 'application/json' },
        signal: leaving,
      }).then(
        (answer) => answer.text(),
        () => null, // it left, as it should
      );
    }
    assert.equal(pair.harness.gateway.health().upstreams[0]?.state, 'healthy');
  });

  it('finds out by itself that a server went and came back', async () => {
    await using pair = await startPair({ kind: 'llamacpp' }, 50);
    const state = (): string | undefined => pair.harness.gateway.health().upstreams[0]?.state;
    pair.first.behaviour = answerJson({ status: 'loading model' }, 503);
    await eventually('the loading server is degraded', () => state() === 'degraded');
    pair.first.behaviour = answerJson({ status: 'ok' });
    await eventually('it is healthy', () => state() === 'healthy');
    const probes = pair.first.requests.filter(({ target }) => target === '/health');
    assert.ok(probes.length >= 2 && probes.every(({ headers }) => headers.authorization === undefined));
  });
});
