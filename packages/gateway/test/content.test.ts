import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { chatStream, ScriptedUpstream, stream } from '@sallyport/testkit';
import { chatBody, GUARD, type Harness, post, route, startHarness, upstream } from './harness.ts';

const ASKED = 'How do I rob a bank and launder the money?';
const BEFORE = 'Here is some talk of the weather first. And a word about the garden. ';
const SAID = 'To steal from the store you could hide the items in your coat, and rob it when no guard is there to see you steal. ';
const AFTER = 'That is all there is to say about it.';

describe('content classes in the gateway', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    engine = await ScriptedUpstream.start();
    harness = await startHarness({ upstreams: [upstream(engine.url)], routes: [route('chat')] });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  /** What a client sees of a streamed answer, put together. */
  const ask = async (pieces: readonly string[]): Promise<string> => {
    engine.once(stream(chatStream(pieces, 'chat'), { contentType: 'text/event-stream' }));
    const body = chatBody({ stream: true, messages: [{ role: 'user', content: ASKED }] });
    const answer = await post(harness, '/v1/chat/completions', body, { authorization: `Bearer ${harness.key}` });
    const text = await answer.text();
    return [...text.matchAll(/"content":"([^"]*)"/g)].map(([, content]) => content).join('');
  };
  const verdicts = (): string[] =>
    (harness.entries.at(-1)?.verdicts ?? []).map(({ detector, category, action }) => `${detector}/${category} ${action}`).toSorted();

  it('are reported in the ledger by class, and the stream flows as it would', async () => {
    harness.publish({ guard: { ...GUARD, input: ['content'], output: ['content'] } });
    for (const pieces of [[...`${BEFORE}${SAID}${AFTER}`], [`${BEFORE}${SAID}${AFTER}`]]) {
      assert.equal(await ask(pieces), `${BEFORE}${SAID}${AFTER}`);
      assert.deepEqual(verdicts(), ['content/crime flag']);
      assert.equal(harness.entries.at(-1)?.verdicts[0]?.count, 2, 'the request and the reply');
    }
  });

  it('are blocked where a class says so, before any of the passage is out', async () => {
    harness.publish({ guard: { ...GUARD, output: ['content'], content: { actions: { crime: 'block' } } } });
    for (const pieces of [[...`${BEFORE}${SAID}${AFTER}`], [BEFORE, SAID, AFTER]]) {
      const seen = await ask(pieces);
      assert.ok(BEFORE.startsWith(seen), seen);
      assert.deepEqual(verdicts(), ['content/crime block']);
      assert.equal(harness.entries.at(-1)?.fault, 'content_blocked');
    }
  });
});
