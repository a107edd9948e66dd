import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { GuardSettings, ReplyContract } from '@sallyport/core';
import { answerJson, ollamaStream, ScriptedUpstream, stream } from '@sallyport/testkit';
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

    it(`${dialect.name}: is not there where it has no word, in streams and whole; a call of a tool is no word and needs none`, async () => {
      const flagged: ReplyContract = { ...NONE, onBreach: 'flag' };
      for (const [contract, mode] of [
        [{ schema: SCHEMA }, 'hold'],
        [{ minLength: 1 }, 'transform'],
      ] as const) {
        use(contract, mode);
        assert.equal((await whole('')).status, 400);
        assert.deepEqual(harness.entries.at(-1)?.verdicts[0]?.detector, 'contract');
        const { status, body } = await streamed([]);
        assert.ok(status === 400 || dialect.errorOf(body) === 'content_blocked', body);
        assert.equal(body.includes(dialect.endMarker), false);
        // Without its end it is broken, and no breach.
        engine.once(stream(dialect.events([]).slice(0, -1), { contentType: dialect.streamType }));
        const cut = await (await post(harness, dialect.path, dialect.body(true))).text();
        assert.equal(cut.includes('content_blocked'), false, cut);
        use({ ...flagged, ...contract }, mode);
        assert.equal((await whole('')).status, 200);
        assert.deepEqual(harness.entries.at(-1)?.verdicts[0]?.detector, 'contract');
        use(contract, mode);
        for (const [kind, events] of Object.entries(dialect.others)) {
          engine.once(stream(events(['{"a":', '1}']), { contentType: dialect.streamType }));
          const answer = await (await post(harness, dialect.path, dialect.body(true))).text();
          assert.equal(answer.includes('content_blocked'), !kind.startsWith('arguments'), `${kind}: ${answer}`);
        }
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

  for (const dialect of GUARDED) {
    it(`${dialect.name}: is the JSON its request asks for, where replies are held to that, in every mode`, async () => {
      const wanted = (streaming: boolean, schema: object | null = SCHEMA): string =>
        JSON.stringify(asking(JSON.parse(dialect.body(streaming)), dialect.path, schema));
      const ask = async (
        text: string,
        streaming: boolean,
        body = wanted(streaming),
      ): Promise<{ status: number; body: string; text: string }> => {
        engine.once(streaming ? stream(dialect.events([...text]), { contentType: dialect.streamType }) : answerJson(dialect.reply(text)));
        const answer = await post(harness, dialect.path, body);
        const got = await answer.text();
        return {
          status: answer.status,
          body: got,
          text: answer.status !== 200 ? '' : streaming ? dialect.textOf(got) : dialect.wholeText(got),
        };
      };
      for (const mode of ['transform', 'hold', 'observe'] as const) {
        use({ requested: true }, mode);
        for (const streaming of [false, true]) {
          const wrapped = `Sure: ${JSON_TEXT}`;
          assert.equal((await ask(wrapped, streaming)).text, mode === 'observe' ? wrapped : JSON_TEXT, `${mode} ${streaming}`);
          assert.equal((await ask(JSON_TEXT, streaming)).text, JSON_TEXT);
          for (const bad of ['I cannot say.', '{"town":"Oslo"}']) {
            const { status, body } = await ask(bad, streaming);
            assert.equal(status, mode === 'observe' ? 200 : 400, body);
            if (mode !== 'observe') assert.doesNotMatch(body, /cannot say|town/);
            assert.deepEqual(
              harness.entries.at(-1)?.verdicts.map(({ detector }) => detector),
              ['contract'],
            );
          }
          // Who asks for nothing gets what there is.
          assert.equal((await ask('I cannot say.', streaming, dialect.body(streaming))).text, 'I cannot say.');
        }
      }
      use({ requested: true, onBreach: 'flag' }, 'transform');
      assert.equal((await ask('I cannot say.', true)).text, 'I cannot say.');
      use({}, 'transform');
      assert.equal((await ask('I cannot say.', true)).text, 'I cannot say.');
      use({ requested: true }, 'transform');
      const before = engine.requests.length;
      const refused = await post(harness, dialect.path, wanted(false, { patternProperties: { a: {} } }));
      assert.equal(refused.status, 400);
      assert.match(await refused.text(), /cannot be checked. At schema.patternProperties/);
      assert.equal(engine.requests.length, before);
      for (const [mode, onBreach] of [
        ['observe', 'refuse'],
        ['transform', 'flag'],
      ] as const) {
        use({ requested: true, onBreach }, mode);
        assert.equal((await ask('I cannot say.', false, wanted(false, { patternProperties: { a: {} } }))).text, 'I cannot say.');
        const verdicts = harness.entries.at(-1)?.verdicts.map(({ category, action }) => [category, action]);
        assert.deepEqual(verdicts, [['uncheckable', 'flag']]);
      }
    });
  }

  it('is no answer yet where it calls a tool: what is said beside that need not be the JSON that is asked for', async () => {
    const call = { index: 0, id: 'call_1', type: 'function', function: { name: 'send', arguments: '{"a":1}' } };
    const chat = asking({ model: 'chat', messages: [{ role: 'user', content: 'Hello' }] }, '/v1/chat/completions', SCHEMA);
    const chunk = (delta: object, finish_reason: string | null = null): Buffer =>
      Buffer.from(
        `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'chat', choices: [{ index: 0, delta, finish_reason }] })}\n\n`,
      );
    const messages = asking({ model: 'chat', max_tokens: 9, messages: [{ role: 'user', content: 'Hello' }] }, '/v1/messages', SCHEMA);
    const event = (data: { type: string }): Buffer => Buffer.from(`event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`);
    const usage = { input_tokens: 1, output_tokens: 1 };
    const message = { id: 'm', type: 'message', role: 'assistant', model: 'chat', stop_sequence: null, usage };
    const ask = async (path: string, body: object): Promise<string> => {
      const answer = await post(harness, path, JSON.stringify(body));
      return `${answer.status} ${await answer.text()}`;
    };
    for (const mode of ['transform', 'observe'] as const) {
      use({ requested: true }, mode);
      for (const content of ['\n\n', 'Let me see.']) {
        const choice = { index: 0, message: { role: 'assistant', content, tool_calls: [call] }, finish_reason: 'tool_calls' };
        engine.once(answerJson({ id: 'c', object: 'chat.completion', created: 1, model: 'chat', choices: [choice] }));
        assert.match(await ask('/v1/chat/completions', chat), /^200 .*"send"/);
        engine.once(
          stream(
            [
              chunk({ role: 'assistant', content }),
              chunk({ tool_calls: [call] }),
              chunk({}, 'tool_calls'),
              Buffer.from('data: [DONE]\n\n'),
            ],
            { contentType: 'text/event-stream' },
          ),
        );
        assert.match(await ask('/v1/chat/completions', { ...chat, stream: true }), /^200 [\s\S]*"send"[\s\S]*\[DONE\]/);
        const tool = { type: 'tool_use', id: 't1', name: 'send', input: {} };
        engine.once(answerJson({ ...message, content: [{ type: 'text', text: content }, tool], stop_reason: 'tool_use' }));
        assert.match(await ask('/v1/messages', messages), /^200 .*"send"/);
        engine.once(
          stream(
            [
              { type: 'message_start', message: { ...message, content: [], stop_reason: null } },
              { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
              { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: content } },
              { type: 'content_block_stop', index: 0 },
              { type: 'content_block_start', index: 1, content_block: tool },
              { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{}' } },
              { type: 'content_block_stop', index: 1 },
              { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage },
              { type: 'message_stop' },
            ].map(event),
            { contentType: 'text/event-stream' },
          ),
        );
        assert.match(await ask('/v1/messages', { ...messages, stream: true }), /^200 [\s\S]*"send"[\s\S]*message_stop/);
        assert.deepEqual(harness.entries.at(-1)?.verdicts, []);
      }
    }
  });

  it('keeps an end marker back that has no line end', async () => {
    use({ minLength: 1 }, 'transform');
    const events = ollamaStream('chat', [], 'llama');
    const bytes = Buffer.concat(events).toString().trimEnd();
    engine.once(stream([Buffer.from(bytes)], { contentType: 'application/x-ndjson' }));
    const body = JSON.stringify({ model: 'llama', messages: [{ role: 'user', content: 'Hello' }], stream: true });
    const answer = await (await post(harness, '/api/chat', body)).text();
    assert.doesNotMatch(answer, /"done":true/);
    assert.match(answer, /blocked/);
  });

  it('is the words, not the probabilities of other words beside them', async () => {
    use({ schema: SCHEMA }, 'hold');
    const other = { token: 'Bergen', logprob: -2, bytes: null };
    const logprobs = { content: [{ token: JSON_TEXT, logprob: -0.1, bytes: null, top_logprobs: [other] }] };
    const choice = { index: 0, message: { role: 'assistant', content: JSON_TEXT }, logprobs, finish_reason: 'stop' };
    engine.once(answerJson({ id: 'c', object: 'chat.completion', created: 1, model: 'chat', choices: [choice] }));
    const body = { model: 'chat', messages: [{ role: 'user', content: 'Hello' }], logprobs: true, top_logprobs: 1 };
    const answer = await post(harness, '/v1/chat/completions', JSON.stringify(body));
    assert.equal(answer.status, 200, await answer.clone().text());
    assert.equal(harness.entries.at(-1)?.verdicts.length, 0);
  });

  it('is not asked for where an endpoint answers without words', async () => {
    use({ schema: SCHEMA }, 'hold');
    engine.once(answerJson({ input_tokens: 3 }));
    const counted = await post(
      harness,
      '/v1/messages/count_tokens',
      JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hello' }] }),
    );
    assert.equal(counted.status, 200, await counted.clone().text());
    engine.once(
      answerJson({
        object: 'list',
        model: 'chat',
        data: [{ object: 'embedding', index: 0, embedding: [0.5] }],
        usage: { prompt_tokens: 1, total_tokens: 1 },
      }),
    );
    assert.equal((await post(harness, '/v1/embeddings', JSON.stringify({ model: 'chat', input: 'Hello' }))).status, 200);
  });
});

/** The request with what it asks of its reply, in the way of its dialect. */
function asking(body: object, path: string, schema: object | null): object {
  if (path === '/v1/responses') return { ...body, text: { format: { type: 'json_schema', name: 'city', schema } } };
  if (path === '/v1/messages') return { ...body, output_config: { format: { type: 'json_schema', schema } } };
  if (path === '/api/chat') return { ...body, format: schema };
  return { ...body, response_format: { type: 'json_schema', json_schema: { name: 'city', schema } } };
}
