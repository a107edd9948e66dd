import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import Anthropic from '@anthropic-ai/sdk';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { DEFAULT_REQUEST_LIMITS, findEndpoint, type ParsedRequest } from '@sallyport/wire';
import { generateText, jsonSchema, tool } from 'ai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';

let sent: ParsedRequest | null = null;

/** A transport that reads the request as the gateway would and answers with an error. */
const transport: typeof fetch = async (input, init) => {
  const request = new Request(input, init);
  const match = findEndpoint(request.method, new URL(request.url).pathname);
  assert.ok(match !== null && match !== 'method-not-allowed', `${request.method} ${request.url}`);
  assert.ok(match.endpoint.parse);
  sent = match.endpoint.parse(Buffer.from(await request.arrayBuffer()), DEFAULT_REQUEST_LIMITS);
  return Response.json({ error: { message: 'stop here' } }, { status: 418 });
};

/** What a client sends when `call` is made. */
async function requestOf(call: () => PromiseLike<unknown>): Promise<ParsedRequest> {
  sent = null;
  await assert.rejects(async () => call());
  const request: ParsedRequest | null = sent;
  assert.ok(request !== null, 'nothing was sent, or it was refused');
  return request;
}

const weather = {
  name: 'weather',
  description: 'Weather of a city',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string', description: 'Name of the city' } },
    required: ['city'],
    additionalProperties: false,
  },
} as const;
const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

describe('requests of real clients are accepted as they are', () => {
  const openai = new OpenAI({ apiKey: 'k', baseURL: 'http://127.0.0.1:1/v1', fetch: transport, maxRetries: 0 });

  it('openai: chat with tools, images and a schema', async () => {
    const request = await requestOf(() =>
      openai.chat.completions.create({
        model: 'm',
        stream: true,
        stream_options: { include_usage: true },
        messages: [
          { role: 'developer', content: 'brief' },
          {
            role: 'user',
            content: [
              { type: 'text', text: 'what is this' },
              { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}` } },
            ],
          },
          {
            role: 'assistant',
            content: null,
            tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Bonn"}' } }],
          },
          { role: 'tool', tool_call_id: 'call_1', content: 'rain' },
        ],
        tools: [{ type: 'function', function: { ...weather, strict: true } }],
        response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: weather.parameters, strict: true } },
        store: false,
        reasoning_effort: 'low',
      }),
    );
    assert.deepEqual([request.model, request.stream, request.restricted.length, request.references.length], ['m', true, 0, 1]);
    assert.ok(request.texts.some((text) => text.text === 'rain' && text.provenance === 'untrusted'));
    assert.ok(request.texts.some((text) => text.text === 'Name of the city' && text.provenance === 'definition'));
  });

  it('openai: responses, completions and embeddings', async () => {
    const response = await requestOf(() =>
      openai.responses.create({
        model: 'm',
        instructions: 'brief',
        input: [
          { role: 'user', content: 'hi' },
          { type: 'function_call', call_id: 'c', name: 'weather', arguments: '{}' },
          { type: 'function_call_output', call_id: 'c', output: 'rain' },
        ],
        tools: [{ type: 'function', ...weather, strict: true }],
        store: false,
      }),
    );
    assert.deepEqual(response.restricted, []);
    assert.deepEqual((await requestOf(() => openai.completions.create({ model: 'm', prompt: 'a' }))).restricted, []);
    assert.deepEqual((await requestOf(() => openai.embeddings.create({ model: 'm', input: ['a'] }))).restricted, []);
  });

  it('anthropic: messages with thinking, tools and documents', async () => {
    const anthropic = new Anthropic({ apiKey: 'k', baseURL: 'http://127.0.0.1:1', fetch: transport, maxRetries: 0 });
    const body: Anthropic.MessageCreateParamsNonStreaming = {
      model: 'm',
      max_tokens: 10,
      system: [{ type: 'text', text: 'brief', cache_control: { type: 'ephemeral' } }],
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: pixel } },
            { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'doc' } },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'hm', signature: 's' },
            { type: 'tool_use', id: 't', name: 'weather', input: { city: 'Bonn' } },
          ],
        },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't', content: [{ type: 'text', text: 'rain' }] }] },
      ],
      tools: [{ name: weather.name, description: weather.description, input_schema: { ...weather.parameters, required: ['city'] } }],
      tool_choice: { type: 'auto' },
    };
    const request = await requestOf(() => anthropic.messages.create(body));
    assert.deepEqual([request.model, request.bounds.maxOutputTokens, request.restricted.length], ['m', 10, 0]);
    const { max_tokens: _tokens, ...counted } = body;
    assert.deepEqual((await requestOf(() => anthropic.messages.countTokens(counted))).restricted, []);
  });

  it('ollama: chat, generate, embed and the verbs', async () => {
    const ollama = new Ollama({ host: 'http://127.0.0.1:1', fetch: transport });
    const chat = await requestOf(() =>
      ollama.chat({
        model: 'm',
        messages: [
          { role: 'user', content: 'hi', images: [pixel] },
          { role: 'assistant', content: '', tool_calls: [{ function: { name: 'weather', arguments: { city: 'Bonn' } } }] },
          { role: 'tool', content: 'rain', tool_name: 'weather' },
        ],
        tools: [{ type: 'function', function: { ...weather, parameters: { type: 'object', properties: { city: { type: 'string' } } } } }],
        options: { temperature: 0.1, num_predict: 3 },
        format: weather.parameters,
        think: false,
      }),
    );
    assert.deepEqual([chat.stream, chat.bounds.maxOutputTokens, chat.restricted.length], [false, 3, 0]);
    assert.equal((await requestOf(() => ollama.generate({ model: 'm', prompt: 'p', system: 's', stream: true }))).stream, true);
    assert.deepEqual((await requestOf(() => ollama.embed({ model: 'm', input: ['a'] }))).restricted, []);
    assert.equal((await requestOf(() => ollama.show({ model: 'm' }))).model, 'm');
    assert.equal((await requestOf(() => ollama.pull({ model: 'm' }))).model, 'm');
    assert.equal((await requestOf(() => ollama.delete({ model: 'm' }))).model, 'm');
    assert.deepEqual((await requestOf(() => ollama.copy({ source: 'a', destination: 'b' }))).otherModels, ['b']);
    assert.deepEqual((await requestOf(() => ollama.create({ model: 'n', from: 'a', system: 's' }))).otherModels, ['a']);
  });

  it('the ai package', async () => {
    const provider = createOpenAICompatible({ name: 'local', baseURL: 'http://127.0.0.1:1/v1', apiKey: 'k', fetch: transport });
    const request = await requestOf(() =>
      generateText({
        model: provider('m'),
        system: 'brief',
        prompt: 'hi',
        maxOutputTokens: 9,
        maxRetries: 0,
        tools: {
          weather: tool({
            description: weather.description,
            inputSchema: jsonSchema({ type: 'object', properties: { city: { type: 'string' } } }),
          }),
        },
      }),
    );
    assert.deepEqual([request.bounds.maxOutputTokens, request.restricted.length], [9, 0]);
  });

  it('langchain', async () => {
    const configuration = { baseURL: 'http://127.0.0.1:1/v1', fetch: transport };
    const chat = new ChatOpenAI({ model: 'm', apiKey: 'k', configuration, maxRetries: 0, maxTokens: 7 });
    const request = await requestOf(() => chat.bindTools([{ type: 'function', function: weather }]).invoke('hi'));
    assert.deepEqual([request.bounds.maxOutputTokens, request.restricted.length], [7, 0]);
    const embeddings = new OpenAIEmbeddings({ model: 'm', apiKey: 'k', configuration, maxRetries: 0 });
    assert.deepEqual((await requestOf(() => embeddings.embedDocuments(['a', 'b']))).restricted, []);
  });
});
