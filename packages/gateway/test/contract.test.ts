import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { GuardSettings, ReplyContract } from '@sallyport/core';
import { answerJson, ScriptedUpstream, stream } from '@sallyport/testkit';
import { GUARDED } from './guarded.ts';
import { GUARD, type Harness, post, route, startHarness, upstream } from './harness.ts';

const NONE: ReplyContract = { schema: null, languages: [], minLength: 0, maxLength: null, repair: true, onBreach: 'refuse' };
const JSON_TEXT = '{"city":"Oslo"}';
const SCHEMA = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

describe('a reply under a contract', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    engine = await ScriptedUpstream.start();
    harness = await startHarness({
      upstreams: [upstream(engine.url), upstream(engine.url, { name: 'ollama', kind: 'ollama' })],
      routes: [route('chat'), route('llama', { upstream: 'ollama' })],
    });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const use = (contract: Partial<ReplyContract>, mode: GuardSettings['mode']): void =>
    harness.publish({ guard: { ...GUARD, mode, contract: { ...NONE, ...contract } } });

  for (const dialect of GUARDED) {
    const streamed = async (texts: readonly string[]): Promise<{ status: number; body: string }> => {
      engine.once(stream(dialect.events(texts), { contentType: dialect.streamType }));
      const answer = await post(harness, dialect.path, dialect.body(true));
      return { status: answer.status, body: await answer.text() };
    };
    const whole = async (text: string): Promise<{ status: number; body: string }> => {
      engine.once(answerJson(dialect.reply(text)));
      const answer = await post(harness, dialect.path, dialect.body(false));
      return { status: answer.status, body: await answer.text() };
    };

    it(`${dialect.name}: is JSON, taken out of what stands around it or refused, in streams and whole`, async () => {
      use({ schema: SCHEMA }, 'hold');
      const wrapped = `Sure:\n\`\`\`json\n${JSON_TEXT}\n\`\`\``;
      for (const texts of [[wrapped], [wrapped.slice(0, 14), wrapped.slice(14)], [...wrapped]]) {
        const answer = await streamed(texts);
        assert.equal(answer.status, 200);
        assert.equal(dialect.textOf(answer.body), JSON_TEXT);
      }
      assert.equal(dialect.wholeText((await whole(wrapped)).body), JSON_TEXT);
      for (const bad of ['I cannot say.', '{"town":"Oslo"}']) {
        const refused = await streamed([...bad]);
        assert.equal(refused.status, 400);
        assert.equal((await whole(bad)).status, 400);
        assert.doesNotMatch(refused.body, /cannot|town/);
        assert.equal(harness.entries.at(-1)?.verdicts[0]?.detector, 'contract');
      }
    });

    it(`${dialect.name}: is cut at its longest length while it streams`, async () => {
      use({ maxLength: 12 }, 'transform');
      const long = 'One two three four five six.';
      for (const texts of [[long], [...long], [long.slice(0, 12), long.slice(12)]]) {
        const answer = await streamed(texts);
        assert.equal(answer.status, 200);
        assert.equal(dialect.textOf(answer.body), long.slice(0, 12));
      }
      assert.equal(dialect.wholeText((await whole(long)).body), long.slice(0, 12));
      assert.equal(dialect.textOf((await streamed(['Short.'])).body), 'Short.');
    });
  }
});
