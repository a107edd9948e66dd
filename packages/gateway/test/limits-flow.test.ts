import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { LimitRule } from '@sallyport/core';
import { answerJson, chatReply, chatStream, ScriptedUpstream, stream } from '@sallyport/testkit';
import { DIALECTS } from './dialects.ts';
import { chatBody, type Harness, post, route, startHarness, upstream } from './harness.ts';

const CHAT = '/v1/chat/completions';
let name = 0;

/** A rule with a name of its own, so that no test finds another's counts. */
function rule(quantity: LimitRule['quantity'], amount: number, change: Partial<LimitRule> = {}): LimitRule {
  name += 1;
  return { name: `flow-${name}`, per: 'key', quantity, amount, window: 60_000, models: null, ...change };
}

describe('limits while a reply flows, and where it goes', () => {
  let engine: ScriptedUpstream;
  let other: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    engine = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'chat')) });
    other = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('Hi', 'spare')) });
    harness = await startHarness({
      upstreams: [
        upstream(engine.url),
        upstream(engine.url, { name: 'ollama', kind: 'ollama' }),
        upstream('http://127.0.0.1:1', { name: 'nowhere' }),
        upstream(other.url, { name: 'other' }),
      ],
      routes: [
        route('chat'),
        route('llama', { upstream: 'ollama' }),
        route('frail', { upstream: 'nowhere', fallback: ['spare'] }),
        route('spare', { upstream: 'other', price: { input: 100, output: 100, cached: 100 } }),
      ],
    });
  });
  beforeEach(() => harness.publish({ limits: [] }));
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
  });

  const remaining = async (body: string): Promise<number> => {
    const answer = await post(harness, CHAT, body);
    await answer.arrayBuffer();
    return Number(answer.headers.get('x-ratelimit-remaining-tokens'));
  };
  /** A stream of 4000 tokens by length, in events of 40, without figures of its own. */
  const LONG = Array.from({ length: 100 }, () => 'x'.repeat(160));
  const uncounted = (events: Buffer[]): Buffer[] => events.filter((event) => !event.includes('"usage"'));

  for (const dialect of DIALECTS) {
    it(`cuts a stream that has used all there is, with an error and no end (${dialect.name})`, async () => {
      const limit = rule('output-tokens', 2_000);
      harness.publish({ limits: [limit] });
      engine.once(stream(uncounted(dialect.events(LONG)), { contentType: dialect.streamType }));
      const answer = await post(harness, dialect.path, dialect.body(true));
      const text = await answer.text();
      assert.equal(answer.status, 200);
      assert.ok(text.includes('rate_limit_exceeded') || text.includes('is used up'), text.slice(-300));
      assert.ok(!text.includes(dialect.endMarker));
      const shown = (text.match(/x{160}/g) ?? []).length * 40;
      assert.ok(shown >= 2_000 && shown <= 2_080, `${shown} tokens were shown`);
      const entry = harness.entries.at(-1);
      assert.deepEqual([entry?.outcome, entry?.fault, entry?.detail['reason']], ['cut', 'rate_limit_exceeded', limit.name]);
    });
  }

  it('lets a stream finish where the rule says so, and counts all of it', async () => {
    harness.publish({ limits: [rule('output-tokens', 2_000, { overrun: 'finish' })] });
    engine.once(stream(uncounted(chatStream(LONG, 'chat'))));
    assert.match(await (await post(harness, CHAT, chatBody({ stream: true }))).text(), /\[DONE\]/);
    assert.equal(harness.entries.at(-1)?.usage?.output, 4_000);
    assert.equal((await post(harness, CHAT, chatBody({ max_tokens: 1 }))).status, 429);
  });

  it('extends the reservation of a stream while there is room, and gives back what was not used', async () => {
    harness.publish({ limits: [rule('output-tokens', 100_000)] });
    engine.once(stream(uncounted(chatStream(LONG, 'chat'))));
    assert.match(await (await post(harness, CHAT, chatBody({ stream: true }))).text(), /\[DONE\]/);
    assert.equal(await remaining(chatBody({ max_tokens: 1 })), 100_000 - 4_000 - 1);
  });

  it('charges a fallback to the limits of its own model and upstream, and refuses it where they have no room', async () => {
    const perUpstream = rule('requests', 1, { per: 'upstream' });
    harness.publish({ limits: [perUpstream] });
    assert.equal((await post(harness, CHAT, chatBody({ model: 'spare' }))).status, 200);
    const asked = other.requests.length;
    const refused = await post(harness, CHAT, chatBody({ model: 'frail' }));
    // The first place is away, the second has no room: the client hears of the first.
    assert.equal(refused.status, 503);
    assert.equal(other.requests.length, asked);
    harness.publish({ limits: [rule('requests', 1, { per: 'model', models: ['spare'] })] });
    assert.equal((await post(harness, CHAT, chatBody({ model: 'frail' }))).status, 200);
    assert.equal((await post(harness, CHAT, chatBody({ model: 'spare' }))).status, 429);
  });

  it('holds to what a model costs', async () => {
    // 5 input and 2 output tokens at 100 a million are 700 millionths.
    harness.publish({ limits: [rule('spend', 100_000, { window: 0, calendar: { unit: 'month', zone: 'Europe/Berlin' } })] });
    assert.equal((await post(harness, CHAT, chatBody({ model: 'spare', max_tokens: 900 }))).status, 200);
    assert.equal((await post(harness, CHAT, chatBody({ model: 'chat', max_tokens: 100_000 }))).status, 200, 'has no price');
    const refused = await post(harness, CHAT, chatBody({ model: 'spare', max_tokens: 980 }));
    assert.deepEqual([refused.status, refused.headers.get('x-should-retry')], [429, 'false']);
    assert.equal((await post(harness, CHAT, chatBody({ model: 'spare', max_tokens: 960 }))).status, 200);
  });

  it('counts sessions by the name the client gives, cut to a bounded length', async () => {
    harness.publish({ limits: [rule('requests', 1, { per: 'session' })] });
    const ask = async (session?: string): Promise<number> =>
      (await post(harness, CHAT, chatBody(), session === undefined ? {} : { 'x-session-id': session })).status;
    assert.deepEqual([await ask('one'), await ask('two'), await ask('one'), await ask(), await ask()], [200, 200, 429, 200, 429]);
    assert.deepEqual([await ask(`${'s'.repeat(128)}1`), await ask(`${'s'.repeat(128)}2`)], [200, 429]);
  });

  it('does not take an image for its bytes', async () => {
    harness.publish({ limits: [rule('input-tokens', 5_000)] });
    const url = `data:image/png;base64,${'A'.repeat(200_000)}`;
    const content = [
      { type: 'text', text: 'What is this?' },
      { type: 'image_url', image_url: { url } },
    ];
    assert.equal((await post(harness, CHAT, chatBody({ messages: [{ role: 'user', content }] }))).status, 200);
  });

  it('learns from the figures of an upstream what a request will be', async () => {
    harness.publish({ limits: [rule('input-tokens', 1_000_000)] });
    const body = chatBody({ messages: [{ role: 'user', content: 'word '.repeat(400) }] });
    const reserved = (): number => {
      const entry = harness.entries.at(-1);
      return entry?.usage?.input ?? 0;
    };
    // Of a reply that never comes only the estimate is known: a refusal of the upstream charges just that.
    const estimate = async (): Promise<number> => {
      engine.once(answerJson({ error: { message: 'no' } }, 400));
      await (await post(harness, CHAT, body)).arrayBuffer();
      return reserved();
    };
    const before = await estimate();
    assert.equal(before, Math.ceil(Buffer.byteLength(body) / 3.5));
    const reply = { ...chatReply('Hi', 'chat'), usage: { prompt_tokens: 410, completion_tokens: 2, total_tokens: 412 } };
    for (let i = 0; i < 80; i += 1) {
      engine.once(answerJson(reply));
      await (await post(harness, CHAT, body)).arrayBuffer();
    }
    const after = await estimate();
    assert.ok(after >= 410 && after <= 500, `${after} from ${before}`);
  });
});
