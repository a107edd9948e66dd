import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { answerJson, cutEvery, type Engine, engineMissing, ScriptedUpstream, startEngine, stream } from '@sallyport/testkit';
import { anthropicClient, ollamaClient, openaiClient } from '@sallyport/testkit/clients';
import { GUARD, type Harness, post, route, startHarness, upstream } from './harness.ts';

const missing = await engineMissing();

function target(harness: Harness, model = 'chat'): { baseUrl: string; key: string; model: string } {
  return { baseUrl: harness.url, key: harness.key, model };
}

for (const kind of ['tgi', 'openai'] as const) {
  describe(`real clients in front of a real ${kind} server that speaks only OpenAI's API`, { skip: missing ?? false }, () => {
    let engine: Engine;
    let harness: Harness;
    before(async () => {
      engine = await startEngine();
      harness = await startHarness({
        upstreams: [upstream(engine.url, { kind, timeouts: { connect: 2_000, firstByte: 20_000, idle: 20_000, total: 60_000 } })],
        routes: [route('chat', { target: 'tiny' })],
      });
    });
    after(async () => {
      await harness[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    });

    it('answers Anthropic messages, whole and streamed, with the same text', async () => {
      const client = anthropicClient(target(harness));
      const request = { model: 'chat', max_tokens: 8, system: 'Be brief.', messages: [{ role: 'user' as const, content: 'Hello 👋' }] };
      const whole = await client.messages.create(request);
      const [block] = whole.content;
      assert.ok(block?.type === 'text' && block.text.length > 0);
      assert.equal(whole.model, 'chat');
      assert.equal(whole.stop_reason, 'max_tokens');
      assert.equal(whole.usage.output_tokens, 8);
      const streamed = await client.messages.stream(request).finalMessage();
      assert.deepEqual(streamed.content, whole.content);
      assert.deepEqual([streamed.stop_reason, streamed.model], ['max_tokens', 'chat']);
      assert.deepEqual(streamed.usage, whole.usage);
      assert.deepEqual(harness.entries.at(-1)?.usage, { input: whole.usage.input_tokens, output: 8, cached: 0, exact: true });
    });

    it('answers Ollama chat and generate, whole and streamed, with the same text', async () => {
      const client = ollamaClient(target(harness));
      const messages = [{ role: 'user', content: 'Grüß Gott' }];
      const options = { num_predict: 8, temperature: 0 };
      const whole = await client.chat({ model: 'chat', messages, options });
      assert.ok(whole.message.content.length > 0);
      assert.deepEqual([whole.done_reason, whole.model, whole.eval_count], ['length', 'chat', 8]);
      let text = '';
      let lines = 0;
      for await (const part of await client.chat({ model: 'chat', messages, options, stream: true })) {
        text += part.message.content;
        lines += 1;
        if (part.done) assert.deepEqual([part.done_reason, part.eval_count], ['length', 8]);
      }
      assert.equal(text, whole.message.content);
      assert.ok(lines > 2);
      const generated = await client.generate({ model: 'chat', prompt: 'Grüß Gott', options });
      assert.equal(generated.response, text);
      let response = '';
      for await (const part of await client.generate({ model: 'chat', prompt: 'Grüß Gott', options, stream: true }))
        response += part.response;
      assert.equal(response, text);
    });

    it('answers Ollama embeddings where the server embeds, and refuses them where it does not', async () => {
      const client = ollamaClient(target(harness));
      const embedding = client.embed({ model: 'chat', input: ['one', 'two'] });
      if (kind === 'tgi') {
        await assert.rejects(embedding, { status_code: 400 });
        return;
      }
      const { embeddings, prompt_eval_count } = await embedding;
      assert.equal(embeddings.length, 2);
      assert.ok(prompt_eval_count > 0);
      const direct = await client.embeddings({ model: 'chat', prompt: 'two' });
      assert.deepEqual(direct.embedding, embeddings[1]);
    });

    it('answers OpenAI responses, whole and streamed, with the same text', async () => {
      const client = openaiClient(target(harness));
      const request = { model: 'chat', input: 'Hello 👋', instructions: 'Be brief.', max_output_tokens: 8, store: false };
      const whole = await client.responses.create(request);
      assert.ok(whole.output_text.length > 0);
      assert.deepEqual([whole.model, whole.status, whole.usage?.output_tokens], ['chat', 'incomplete', 8]);
      const streamed = await client.responses.stream(request).finalResponse();
      assert.equal(streamed.output_text, whole.output_text);
      assert.deepEqual([streamed.status, streamed.usage], ['incomplete', whole.usage]);
    });

    it('describes a model to Ollama clients by what is known of it', async () => {
      const { capabilities, details } = await ollamaClient(target(harness)).show({ model: 'chat' });
      assert.deepEqual([capabilities, details.family], [['completion'], '']);
    });
  });
}

describe('real clients in front of a real server that speaks only Anthropic’s API', { skip: missing ?? false }, () => {
  let engine: Engine;
  let harness: Harness;
  before(async () => {
    engine = await startEngine();
    harness = await startHarness({
      upstreams: [
        upstream(engine.url, { kind: 'anthropic', timeouts: { connect: 2_000, firstByte: 20_000, idle: 20_000, total: 60_000 } }),
      ],
      routes: [route('chat', { target: 'tiny' })],
    });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  it('answers chat completions, responses and Ollama with the same text', async () => {
    const openai = openaiClient(target(harness));
    const messages = [{ role: 'user' as const, content: 'Hello 👋' }];
    const whole = await openai.chat.completions.create({ model: 'chat', messages, max_tokens: 8 });
    const text = whole.choices[0]?.message.content ?? '';
    assert.ok(text.length > 0);
    assert.deepEqual([whole.model, whole.choices[0]?.finish_reason, whole.usage?.completion_tokens], ['chat', 'length', 8]);
    const chunks = openai.chat.completions.stream({ model: 'chat', messages, max_tokens: 8, stream_options: { include_usage: true } });
    assert.equal((await chunks.finalChatCompletion()).choices[0]?.message.content, text);
    assert.equal((await chunks.totalUsage()).completion_tokens, 8);
    const response = await openai.responses.create({ model: 'chat', input: 'Hello 👋', max_output_tokens: 8, store: false });
    assert.equal(response.output_text, text);
    const ollama = await ollamaClient(target(harness)).chat({ model: 'chat', messages, options: { num_predict: 8 } });
    assert.equal(ollama.message.content, text);
  });
});

const CREATED = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'org/secret-model' };
const delta = (value: object, finish_reason: string | null = null): Buffer =>
  Buffer.from(`data: ${JSON.stringify({ ...CREATED, choices: [{ index: 0, delta: value, finish_reason }] })}\n\n`);
const USAGE = Buffer.from(
  `data: ${JSON.stringify({ ...CREATED, choices: [], usage: { prompt_tokens: 20, completion_tokens: 9, total_tokens: 29 } })}\n\n`,
);
const DONE = Buffer.from('data: [DONE]\n\n');
const begin = (index: number, id: string, name: string): Buffer =>
  delta({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] });
const grow = (index: number, args: string): Buffer => delta({ tool_calls: [{ index, function: { arguments: args } }] });

/** Two calls side by side, with reasoning and text before them. */
const CALLS = [
  delta({ role: 'assistant', content: '' }),
  delta({ reasoning_content: 'Both at once.' }),
  delta({ content: 'Let me look.' }),
  begin(0, 'call_a', 'get_weather'),
  begin(1, 'call_b', 'now'),
  grow(0, '{"city":'),
  grow(1, '{"zone":"UTC"'),
  grow(0, '"Lima"}'),
  grow(1, '}'),
  delta({}, 'tool_calls'),
  USAGE,
  DONE,
];
const SCHEMA = { type: 'object' as const, properties: { city: { type: 'string' } } };

describe('a translated exchange', () => {
  let engine: ScriptedUpstream;
  let harness: Harness;
  before(async () => {
    engine = await ScriptedUpstream.start();
    harness = await startHarness({
      upstreams: [
        upstream(engine.url, { kind: 'tgi' }),
        upstream(engine.url, { name: 'closed', kind: 'openai', url: 'http://127.0.0.1:1' }),
        upstream(engine.url, { name: 'claude', kind: 'anthropic' }),
      ],
      routes: [
        route('chat', { target: 'org/secret-model' }),
        route('fails', { upstream: 'closed', target: 'x', fallback: ['chat'] }),
        route('claude', { upstream: 'claude', target: 'org/secret-model' }),
      ],
    });
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const sent = async (): Promise<Record<string, unknown>> => JSON.parse((await engine.requests.at(-1)?.body)?.toString() ?? '');

  it('carries parallel tool calls to Anthropic’s client and their results back', async () => {
    const client = anthropicClient(target(harness));
    const tools = [
      { name: 'get_weather', input_schema: SCHEMA },
      { name: 'now', input_schema: SCHEMA },
    ];
    const question = { role: 'user' as const, content: 'Weather in Lima?' };
    for (const size of [1, 50, 10_000]) {
      engine.once(stream(cutEvery(Buffer.concat(CALLS), size)));
      const message = await client.messages.stream({ model: 'chat', max_tokens: 50, messages: [question], tools }).finalMessage();
      assert.equal(message.stop_reason, 'tool_use');
      assert.deepEqual(message.content, [
        { type: 'thinking', thinking: 'Both at once.', signature: '' },
        { type: 'text', text: 'Let me look.' },
        { type: 'tool_use', id: 'call_a', name: 'get_weather', input: { city: 'Lima' } },
        { type: 'tool_use', id: 'call_b', name: 'now', input: { zone: 'UTC' } },
      ]);
      assert.deepEqual([message.usage.input_tokens, message.usage.output_tokens], [20, 9]);
      if (size !== 1) continue;
      engine.once(answerJson({ choices: [{ index: 0, message: { role: 'assistant', content: 'Mild.' }, finish_reason: 'stop' }] }));
      const results = {
        role: 'user' as const,
        content: ['call_a', 'call_b'].map((id) => ({ type: 'tool_result' as const, tool_use_id: id, content: 'ok' })),
      };
      const answer = await client.messages.create({
        model: 'chat',
        max_tokens: 50,
        messages: [question, { role: 'assistant', content: message.content }, results],
        tools,
      });
      assert.deepEqual(answer.content, [{ type: 'text', text: 'Mild.' }]);
      const { messages } = await sent();
      assert.deepEqual(messages, [
        question,
        {
          role: 'assistant',
          content: 'Let me look.',
          tool_calls: [
            { id: 'call_a', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Lima"}' } },
            { id: 'call_b', type: 'function', function: { name: 'now', arguments: '{"zone":"UTC"}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'call_a', content: 'ok' },
        { role: 'tool', tool_call_id: 'call_b', content: 'ok' },
      ]);
    }
  });

  it('carries tool calls to the clients of Ollama and of OpenAI’s responses', async () => {
    engine.once(stream(CALLS));
    const calls: unknown[] = [];
    const parts = await ollamaClient(target(harness)).chat({ model: 'chat', messages: [{ role: 'user', content: 'Hi' }], stream: true });
    for await (const part of parts)
      for (const call of part.message.tool_calls ?? []) calls.push([call.function.name, call.function.arguments]);
    assert.deepEqual(calls, [
      ['get_weather', { city: 'Lima' }],
      ['now', { zone: 'UTC' }],
    ]);
    engine.once(stream(CALLS));
    const client = openaiClient(target(harness));
    const response = await client.responses.stream({ model: 'chat', input: 'Hi', store: false }).finalResponse();
    assert.equal(response.output_text, 'Let me look.');
    assert.deepEqual(
      response.output.flatMap((item) => (item.type === 'function_call' ? [[item.call_id, item.name, item.arguments]] : [item.type])),
      ['reasoning', 'message', ['call_a', 'get_weather', '{"city":"Lima"}'], ['call_b', 'now', '{"zone":"UTC"}']],
    );
    assert.deepEqual(harness.entries.findLast(({ kind }) => kind === 'request')?.usage, { input: 20, output: 9, cached: 0, exact: true });
  });

  it('carries Anthropic’s tool calls to OpenAI’s client', async () => {
    const named = (data: { type: string; [member: string]: unknown }): Buffer =>
      Buffer.from(`event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`);
    const message = { id: 'm', type: 'message', role: 'assistant', model: 'org/secret-model', content: [], stop_reason: null };
    engine.once(
      stream([
        named({ type: 'message_start', message: { ...message, usage: { input_tokens: 5, output_tokens: 1 } } }),
        named({ type: 'content_block_start', index: 0, content_block: { type: 'tool_use', id: 'toolu_1', name: 'now', input: {} } }),
        named({ type: 'content_block_delta', index: 0, delta: { type: 'input_json_delta', partial_json: '{"zone":"UTC"}' } }),
        named({ type: 'content_block_stop', index: 0 }),
        named({ type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 7 } }),
        named({ type: 'message_stop' }),
      ]),
    );
    const client = openaiClient(target(harness, 'claude'));
    const tools = [{ type: 'function' as const, function: { name: 'now', parameters: SCHEMA } }];
    const completion = await client.chat.completions
      .stream({ model: 'claude', messages: [{ role: 'user', content: 'Hi' }], tools })
      .finalChatCompletion();
    const call = completion.choices[0]?.message.tool_calls?.[0];
    assert.ok(call?.type === 'function');
    assert.deepEqual([call.id, call.function.name, call.function.arguments], ['toolu_1', 'now', '{"zone":"UTC"}']);
    assert.equal(engine.requests.at(-1)?.target, '/v1/messages');
    assert.equal(engine.requests.at(-1)?.headers['anthropic-version'], '2023-06-01');
    assert.deepEqual(harness.entries.findLast(({ kind }) => kind === 'request')?.usage, { input: 5, output: 7, cached: 0, exact: true });
  });

  it('keeps the upstream’s name of the model inside and its own headers out', async () => {
    engine.once(stream([delta({ content: 'Hi' }, 'stop'), USAGE, DONE]));
    const text = await (
      await post(harness, '/api/chat', JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hi' }] }))
    ).text();
    assert.ok(!text.includes('secret-model'), text);
    const request = engine.requests.at(-1);
    assert.equal(request?.target, '/v1/chat/completions');
    assert.equal(request?.headers.accept, 'text/event-stream');
    const body = await sent();
    assert.deepEqual([body['model'], body['stream'], body['stream_options']], ['org/secret-model', true, { include_usage: true }]);
  });

  it('inspects requests and replies in front of the translation as anywhere', async () => {
    const deny = [
      { name: 'word', pattern: 'swordfish', ignoreCase: true, stages: ['input', 'output'] as const, action: 'redact' as const },
      { name: 'bad', pattern: 'forbidden', ignoreCase: true, stages: ['output'] as const, action: 'block' as const },
    ];
    await using guarded = await startHarness({
      upstreams: [upstream(engine.url, { kind: 'tgi' })],
      snapshot: { guard: { ...GUARD, input: [...GUARD.input, 'deny'], output: [...GUARD.output, 'deny'], deny } },
    });
    engine.once(stream([delta({ content: 'the sword' }), delta({ content: 'fish is' }), delta({ content: ' out' }, 'stop'), DONE]));
    const client = anthropicClient(target(guarded));
    const request = { model: 'chat', max_tokens: 5, messages: [{ role: 'user' as const, content: 'say swordfish' }] };
    const message = await client.messages.stream(request).finalMessage();
    const [block] = message.content;
    assert.ok(block?.type === 'text' && !/sword|fish/.test(block.text) && block.text.endsWith(' is out'), JSON.stringify(block));
    assert.doesNotMatch(JSON.stringify(await sent()), /swordfish/);
    // Arguments of a call that the translation holds back are inspected like any text.
    engine.once(stream([begin(0, 'a', 'now'), grow(0, '{"x":"forb'), grow(0, 'idden"}'), delta({}, 'tool_calls'), DONE]));
    const lines = await (
      await post(guarded, '/api/chat', JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hi' }] }))
    ).text();
    assert.doesNotMatch(lines, /forb/);
    assert.match(lines, /content_blocked/);
  });

  it('refuses by name what cannot be carried, in the client’s dialect', async () => {
    const raw = await post(harness, '/api/generate', JSON.stringify({ model: 'chat', prompt: 'Hi', suffix: 'there' }));
    assert.equal(raw.status, 400);
    assert.match(((await raw.json()) as { error: string }).error, /^suffix cannot be carried/);
    const text = await post(
      harness,
      '/v1/messages',
      JSON.stringify({ model: 'chat', max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }], inference_geo: 'eu' }),
    );
    assert.equal(text.status, 400);
    assert.match(((await text.json()) as { error: { message: string } }).error.message, /^inference_geo /);
    const rerank = await post(harness, '/v1/rerank', JSON.stringify({ model: 'chat', query: 'a', documents: ['b'] }));
    assert.equal(rerank.status, 400);
  });

  it('turns an answer that breaks off or cannot be read into a fault of its dialect, without the upstream’s words', async () => {
    const messages = JSON.stringify({ model: 'chat', max_tokens: 5, stream: true, messages: [{ role: 'user', content: 'Hi' }] });
    const error = Buffer.from('data: {"error":{"message":"CUDA out of memory on host-7"}}\n\n');
    for (const ending of [[error], [Buffer.from('data: {"choices":')], []]) {
      engine.once(stream([delta({ content: 'Hi' }), ...ending]));
      const text = await (await post(harness, '/v1/messages', messages)).text();
      assert.match(text, /event: error/);
      assert.doesNotMatch(text, /host-7|message_stop/);
      assert.equal(harness.entries.at(-1)?.outcome, 'cut');
      assert.equal(harness.entries.at(-1)?.usage?.exact, false);
    }
    engine.once(stream([delta({ content: 'Hi' })], { contentType: 'text/html' }));
    assert.equal((await post(harness, '/v1/messages', messages)).status, 502);
    engine.once(answerJson({ error: { message: 'host-7' } }, 429, { 'retry-after': '7' }));
    const busy = await post(harness, '/v1/messages', messages);
    assert.deepEqual([busy.status, busy.headers.get('retry-after')], [503, '7']);
    const whole = JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hi' }], stream: false });
    engine.once(answerJson({ choices: [] }));
    assert.equal((await post(harness, '/api/chat', whole)).status, 502);
  });

  it('asks the next destination where one does not answer', async () => {
    engine.once(answerJson({ choices: [{ index: 0, message: { content: 'Hi' }, finish_reason: 'stop' }] }));
    const answer = await post(
      harness,
      '/api/chat',
      JSON.stringify({ model: 'fails', messages: [{ role: 'user', content: 'Hi' }], stream: false }),
    );
    assert.equal(((await answer.json()) as { message: { content: string } }).message.content, 'Hi');
    // Nobody counted the tokens, so none are said to be exact.
    assert.equal(harness.entries.at(-1)?.usage?.exact, false);
  });

  it('ends the upstream’s call when the client leaves', async () => {
    engine.once(stream([delta({ content: 'Hi' }), delta({ content: ' there' }), delta({ content: ', you' })], { ending: 'hang' }));
    const leaving = new AbortController();
    const answer = await fetch(`${harness.url}/api/chat`, {
      method: 'POST',
      body: JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'Hi' }] }),
      headers: { authorization: `Bearer ${harness.key}`, 'content-type': 'application/json' },
      signal: leaving.signal,
    });
    assert.equal(answer.status, 200);
    await answer.body?.getReader().read();
    leaving.abort();
    assert.equal(typeof (await engine.requests.at(-1)?.left), 'number');
  });
});

describe('the demo model', () => {
  it('is described to Ollama clients as any model whose server has no description', async () => {
    await using harness = await startHarness({
      upstreams: [{ ...upstream('', { name: 'demo' }), kind: 'demo' }],
      routes: [route('demo', { upstream: 'demo' })],
    });
    const shown = await ollamaClient(target(harness, 'demo')).show({ model: 'demo' });
    assert.deepEqual(shown.capabilities, ['completion']);
    await assert.rejects(ollamaClient(target(harness, 'other')).show({ model: 'other' }), { status_code: 404 });
  });
});
