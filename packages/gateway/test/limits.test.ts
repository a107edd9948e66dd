import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { LimitRule } from '@sallyport/core';
import { answerJson, chatReply, eventually, hangBeforeHeaders, ScriptedUpstream } from '@sallyport/testkit';
import { DIALECTS } from './dialects.ts';
import { chatBody, type Harness, post, route, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';
let name = 0;

/** A rule with a name of its own, so that no test finds another's counts. */
function rule(quantity: LimitRule['quantity'], amount: number, change: Partial<LimitRule> = {}): LimitRule {
  name += 1;
  return { name: `rule-${name}`, per: 'key', quantity, amount, window: quantity === 'concurrency' ? 0 : 60_000, models: null, ...change };
}

describe('limits', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    harness = await startHarness({
      upstreams: [upstream(engine.url), upstream(engine.url, { name: 'ollama', kind: 'ollama' })],
      routes: [route('chat'), route('llama', { upstream: 'ollama' })],
    });
  });
  beforeEach(() => harness.publish({ limits: [] }));
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const ask = async (
    change: Record<string, unknown> = {},
    key = harness.key,
  ): Promise<{ status: number; headers: Headers; code: string | null }> => {
    const answer = await post(harness, CHAT, chatBody(change), { authorization: `Bearer ${key}` });
    const body = (await answer.json()) as { error?: { code: string } };
    return { status: answer.status, headers: answer.headers, code: body.error?.code ?? null };
  };

  it('says what is left, and refuses with the time to wait', async () => {
    harness.publish({ limits: [rule('requests', 2), rule('tokens', 10_000)] });
    const first = await ask({ max_tokens: 10 });
    assert.deepEqual(
      [first.status, first.headers.get('x-ratelimit-limit-requests'), first.headers.get('x-ratelimit-remaining-requests')],
      [200, '2', '1'],
    );
    assert.equal(first.headers.get('x-ratelimit-limit-tokens'), '10000');
    assert.match(first.headers.get('x-ratelimit-reset-tokens') ?? '', /^\d+(\.\d+)?s$/);
    assert.equal((await ask({ max_tokens: 10 })).status, 200);
    const refused = await ask({ max_tokens: 10 });
    assert.deepEqual([refused.status, refused.code], [429, 'rate_limit_exceeded']);
    const wait = Number(refused.headers.get('retry-after'));
    assert.ok(Number.isInteger(wait) && wait >= 1 && wait <= 65, String(wait));
    assert.equal(refused.headers.get('x-should-retry'), null);
    assert.equal(harness.entries.at(-1)?.outcome, 'refused');
    assert.equal((await ask({ max_tokens: 10 }, addKey())).status, 200, 'another key has its own');
  });

  const addKey = (): string => {
    const key = harness.addKey({});
    harness.publish({});
    return key;
  };

  it('tells a client that trying again is of no use where the request alone is too large', async () => {
    harness.publish({ limits: [rule('tokens', 500)] });
    const refused = await ask({ max_tokens: 5_000 });
    assert.deepEqual([refused.status, refused.code, refused.headers.get('x-should-retry')], [429, 'quota_exceeded', 'false']);
    assert.equal(refused.headers.get('retry-after'), null);
    assert.equal((await ask({ max_tokens: 100 })).status, 200);
  });

  it('gives back what was reserved and not used', async () => {
    harness.publish({ limits: [rule('output-tokens', 1_000)] });
    // Each reserves 800 and uses 2.
    for (let i = 0; i < 5; i += 1) assert.equal((await ask({ max_tokens: 800 })).status, 200);
    assert.equal((await ask({ max_tokens: 998 })).status, 429);
  });

  it('reserves for every choice, and nothing less for an output without a bound', async () => {
    harness.publish({ limits: [rule('output-tokens', 1_000)] });
    assert.equal((await ask({ max_tokens: 600, n: 2 })).code, 'quota_exceeded');
    for (const max_tokens of [-1, undefined]) assert.equal((await ask({ max_tokens })).status, 200);
    engine.once(hangBeforeHeaders());
    const leaving = new AbortController();
    const count = engine.requests.length;
    const running = fetch(`${harness.url}${CHAT}`, {
      method: 'POST',
      body: chatBody({ max_tokens: -1 }),
      headers: { authorization: `Bearer ${harness.key}`, 'content-type': 'application/json' },
      signal: leaving.signal,
    });
    await eventually('it runs', () => engine.requests.length > count);
    // While one without a bound runs there is no room for another bounded one of that size.
    assert.equal((await ask({ max_tokens: 900 })).status, 429);
    leaving.abort();
    await assert.rejects(running);
  });

  it('counts nothing for callers nobody knows and requests nobody forwards', async () => {
    harness.publish({ limits: [rule('requests', 1)] });
    assert.equal((await ask({}, 'sp_live_nonsense')).status, 401);
    assert.equal((await ask({ messages: 'no' })).status, 400);
    assert.equal((await ask({ model: 'nothing' })).status, 404);
    assert.equal((await ask()).status, 200);
    assert.equal((await ask()).status, 429);
  });

  it('forgets nothing at a new snapshot, and holds limits of a key beside those of everybody', async () => {
    const limits = [rule('requests', 2, { per: 'tenant' })];
    const own = [rule('requests', 1)];
    const key = harness.addKey({ limits: own });
    harness.publish({ limits });
    assert.equal((await ask({}, key)).status, 200);
    harness.publish({ limits });
    assert.equal((await ask({}, key)).status, 429);
    assert.equal((await ask()).status, 200);
    assert.equal((await ask()).status, 429);
  });

  it('limits how many run at once', async () => {
    harness.publish({ limits: [rule('concurrency', 1)] });
    engine.once(hangBeforeHeaders());
    const count = engine.requests.length;
    const leaving = new AbortController();
    const running = fetch(`${harness.url}${CHAT}`, {
      method: 'POST',
      body: chatBody(),
      headers: { authorization: `Bearer ${harness.key}`, 'content-type': 'application/json' },
      signal: leaving.signal,
    });
    await eventually('it runs', () => engine.requests.length > count);
    for (const dialect of DIALECTS) {
      const answer = await post(harness, dialect.path, dialect.body(true));
      assert.deepEqual([answer.status, dialect.codeOf(await answer.text())], [429, 'concurrency_exceeded']);
      assert.equal(answer.headers.get('retry-after'), '1');
    }
    leaving.abort();
    await assert.rejects(running);
    await eventually('its place is free', async () => (await ask()).status === 200);
  });
});
