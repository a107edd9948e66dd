import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { CounterDesk, MemoryStore, RelayStore } from '@sallyport/access';
import { type LimitRule, systemClock } from '@sallyport/core';
import { answerJson, type Behaviour, chatReply, chatStream, messagesStream, ScriptedUpstream, stream } from '@sallyport/testkit';
import { chatBody, GUARD, type Harness, post, route, startHarness, upstream } from './harness.ts';

const AMOUNT = 100_000;
const limit = (quantity: LimitRule['quantity']): LimitRule => ({
  name: quantity,
  per: 'tenant',
  quantity,
  amount: AMOUNT,
  window: 3_600_000,
  models: null,
});

/** A chat stream without its usage event: what an engine sends where `include_usage` was not asked for. */
function uncounted(texts: readonly string[]): Buffer[] {
  return chatStream(texts, 'chat').filter((event) => !event.includes('"usage"'));
}

describe('what an exchange is charged', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  /** A tenant of its own for every test: limits count by tenant. */
  let key: string;
  let tests = 0;
  before(async () => {
    engine = await ScriptedUpstream.start();
    harness = await startHarness({
      upstreams: [
        upstream(engine.url),
        upstream('http://127.0.0.1:1', { name: 'nowhere' }),
        upstream(engine.url, { name: 'claude', kind: 'anthropic' }),
      ],
      routes: [route('chat'), route('away', { upstream: 'nowhere' }), route('claude', { upstream: 'claude' })],
      snapshot: { limits: [limit('tokens'), limit('requests')] },
    });
  });
  beforeEach(() => {
    tests += 1;
    key = harness.addKey({ tenant: `tenant-${tests}` });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const ask = (path: string, body: string): Promise<Response> => post(harness, path, body, { authorization: `Bearer ${key}` });

  /** Tokens counted against the tenant before the probe that tells; the probe itself reserves `cost`. */
  async function spent(): Promise<number> {
    const probe = chatBody({ max_tokens: 1 });
    engine.once(answerJson(chatReply('', 'chat')));
    const answer = await ask('/v1/chat/completions', probe);
    await answer.arrayBuffer();
    return AMOUNT - Number(answer.headers.get('x-ratelimit-remaining-tokens')) - inputOf(probe) - 1;
  }

  async function chargeOf(behaviour: Behaviour, change: Record<string, unknown> = {}): Promise<{ output: number; input: number }> {
    const body = chatBody(change);
    engine.once(behaviour);
    await (await ask('/v1/chat/completions', body)).arrayBuffer();
    const input = inputOf(body);
    return { input, output: (await spent()) - input };
  }

  it('counts the text of a stream whose engine reports no usage', async () => {
    const texts = Array.from({ length: 400 }, () => 'twenty characters ok');
    const { output } = await chargeOf(stream(uncounted(texts)), { stream: true });
    assert.equal(output, (400 * 20) / 4);
    const usage = harness.entries.at(-2)?.usage;
    assert.deepEqual([usage?.output, usage?.exact], [2000, false]);
  });

  it('takes the figures of an engine that counts', async () => {
    engine.once(stream(chatStream(['a long text that is not counted by its length'], 'chat')));
    await (await ask('/v1/chat/completions', chatBody({ stream: true }))).arrayBuffer();
    assert.equal(await spent(), 5 + 1);
  });

  it('charges a stream that is cut for what was seen of it', async () => {
    const { output } = await chargeOf(stream(uncounted(['x'.repeat(4000)]).slice(0, 2)), { stream: true });
    assert.equal(harness.entries.at(-2)?.outcome, 'cut');
    assert.equal(output, 1000);
  });

  it('does not take the first figure of a reply that broke off for its last', async () => {
    const events = messagesStream(['y'.repeat(4000)], 'claude');
    const text = events.findIndex((event) => event.includes('yyyy'));
    engine.once(stream(events.slice(0, text + 1)));
    const body = JSON.stringify({ model: 'claude', max_tokens: 5000, stream: true, messages: [{ role: 'user', content: 'Hi' }] });
    await (await ask('/v1/messages', body)).arrayBuffer();
    const { usage } = harness.entries.at(-1) ?? {};
    assert.deepEqual(usage, { input: 5, output: 1000, cached: 0, exact: false });
    assert.equal(await spent(), 1005);
  });

  it('charges a client that leaves in the middle of a stream for what was seen', async () => {
    engine.once(stream(uncounted(['z'.repeat(4000)]).slice(0, 2), { ending: 'hang' }));
    const leaving = new AbortController();
    const body = chatBody({ stream: true });
    const answer = await fetch(`${harness.url}/v1/chat/completions`, {
      method: 'POST',
      body,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      signal: leaving.signal,
    });
    const reader = answer.body?.getReader();
    for (let seen = 0; seen < 4000; ) seen += (await reader?.read())?.value?.length ?? 4000;
    const before = harness.entries.length;
    leaving.abort();
    while (harness.entries.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(harness.entries.at(-1)?.outcome, 'abandoned');
    assert.equal(await spent(), inputOf(body) + 1000);
  });

  it('keeps the reservation of a client that leaves before anything of the reply was seen', async () => {
    const leaving = new AbortController();
    engine.once(() => leaving.abort());
    const body = chatBody({ max_tokens: 700 });
    const before = harness.entries.length;
    const answer = fetch(`${harness.url}/v1/chat/completions`, {
      method: 'POST',
      body,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      signal: leaving.signal,
    });
    await assert.rejects(answer);
    while (harness.entries.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(await spent(), inputOf(body) + 700);
  });

  for (const status of [302, 400, 500, 503]) {
    it(`charges only the input where the engine answers ${status}`, async () => {
      const { output } = await chargeOf(answerJson({ error: { message: 'no' } }, status), { max_tokens: 5000 });
      assert.equal(output, 0);
    });
  }

  it('charges nothing where no engine could be asked', async () => {
    const answer = await ask('/v1/chat/completions', chatBody({ model: 'away', max_tokens: 5000 }));
    assert.equal(answer.status, 503);
    assert.equal(await spent(), 0);
  });

  it('tells a client that is refused how its limits stand', async () => {
    const answer = await ask('/v1/chat/completions', chatBody({ max_tokens: AMOUNT }));
    assert.equal(answer.status, 429);
    assert.equal(answer.headers.get('x-ratelimit-limit-tokens'), String(AMOUNT));
    assert.equal(answer.headers.get('x-ratelimit-remaining-tokens'), String(AMOUNT));
    await answer.arrayBuffer();
  });

  it('charges nothing for a request the guard blocks', async () => {
    harness.publish({ guard: { ...GUARD, maxTextLength: 10 } });
    const answer = await ask('/v1/chat/completions', chatBody({ max_tokens: 5000, messages: [{ role: 'user', content: 'a'.repeat(50) }] }));
    harness.publish({ guard: { ...GUARD, maxTextLength: 1_000_000 } });
    assert.equal(answer.status, 400);
    assert.equal(await spent(), 0);
  });
});

/** As `serve --workers` counts: what is told after a reservation was let go changes nothing any more. */
describe('what an exchange is charged by the process that counts for it', () => {
  it('is settled where the exchange is refused, and nothing stays open', async () => {
    const desk = new CounterDesk(new MemoryStore(systemClock), (_worker, answers) => relay.receive(structuredClone(answers)));
    const relay = new RelayStore((questions) => {
      const asked = structuredClone(questions);
      setImmediate(() => desk.serve(1, asked));
    }, systemClock);
    await using harness = await startHarness({
      upstreams: [upstream('http://127.0.0.1:1')],
      snapshot: { limits: [limit('tokens'), { ...limit('concurrency'), amount: 1 }] },
      options: { counters: relay },
    });
    const remaining: (string | null)[] = [];
    for (let i = 0; i < 3; i += 1) {
      const answer = await post(harness, '/v1/chat/completions', chatBody({ max_tokens: 5_000 }));
      await answer.arrayBuffer();
      assert.equal(answer.status, 503);
      remaining.push(answer.headers.get('x-ratelimit-remaining-tokens'));
      // The reservation is let go in the turn after the answer.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.notEqual(remaining[0], null);
    assert.equal(new Set(remaining).size, 1);
    assert.equal(desk.open, 0);
  });
});

/** As a request is reserved: on the high side. */
function inputOf(body: string): number {
  return Math.ceil(Buffer.byteLength(body) / 3.5);
}
