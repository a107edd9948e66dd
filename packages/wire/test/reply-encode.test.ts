import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import type { EndpointId } from '../src/endpoint.ts';
import { composeModel, composeModels, composePs, composeTags, composeVersion } from '../src/reply/compose.ts';
import {
  type EncodableReply,
  type EncodedReply,
  encodeRanking,
  encodeReply,
  encodeTokenCount,
  encodeVectors,
} from '../src/reply/encode.ts';
import { channels, format, readStream } from './reply-fixtures.ts';

const CREATED = Date.UTC(2026, 10, 20, 10);
const PIECES = ['Hello', ' «wörld»', '\n"quoted" 😀'];
const REPLY: EncodableReply = {
  id: 'abc123',
  model: 'demo',
  created: CREATED,
  text: PIECES.join(''),
  usage: { input: 12, output: 5, cached: 4, exact: true },
  includeUsage: true,
};
const TEXT_ENDPOINTS = [
  'openai.chat',
  'openai.completions',
  'openai.responses',
  'anthropic.messages',
  'ollama.chat',
  'ollama.generate',
] as const;

/** Serves one encoded reply to whatever asks, and gives the base URL to `use`. */
async function serving(encoded: EncodedReply | string, use: (url: string) => Promise<void>): Promise<void> {
  const { contentType, chunks } =
    typeof encoded === 'string' ? { contentType: 'application/json', chunks: [Buffer.from(encoded)] } : encoded;
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': contentType });
    for (const chunk of chunks) response.write(chunk);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const openai = (url: string): OpenAI => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'key', maxRetries: 0 });
const anthropic = (url: string): Anthropic => new Anthropic({ baseURL: url, apiKey: 'key', maxRetries: 0 });
const ollama = (url: string): Ollama => new Ollama({ host: url });
const encode = (endpoint: EndpointId, stream: boolean, more: Partial<EncodableReply> = {}): EncodedReply =>
  encodeReply(endpoint, { ...REPLY, ...more }, stream, PIECES);

const messages = [{ role: 'user' as const, content: 'Hi' }];

test("OpenAI's client reads chat replies, whole and streamed", async () => {
  await serving(encode('openai.chat', false), async (url) => {
    const reply = await openai(url).chat.completions.create({ model: 'demo', messages });
    assert.equal(reply.choices[0]?.message.content, REPLY.text);
    assert.equal(reply.choices[0]?.finish_reason, 'stop');
    assert.equal(reply.usage?.prompt_tokens_details?.cached_tokens, 4);
    assert.equal(reply.created, CREATED / 1000);
  });
  await serving(encode('openai.chat', true), async (url) => {
    const stream = openai(url).chat.completions.stream({ model: 'demo', messages, stream_options: { include_usage: true } });
    const reply = await stream.finalChatCompletion();
    assert.equal(reply.choices[0]?.message.content, REPLY.text);
    assert.equal((await stream.totalUsage()).total_tokens, 17);
  });
  await serving(encode('openai.chat', true, { finish: 'content_filter' }), async (url) => {
    const stream = await openai(url).chat.completions.create({ model: 'demo', messages, stream: true });
    const reasons: (string | null | undefined)[] = [];
    for await (const chunk of stream) reasons.push(...chunk.choices.map((choice) => choice.finish_reason));
    assert.equal(reasons.at(-1), 'content_filter');
  });
});

test("OpenAI's client reads completions", async () => {
  await serving(encode('openai.completions', false, { finish: 'length' }), async (url) => {
    const reply = await openai(url).completions.create({ model: 'demo', prompt: 'Hi' });
    assert.deepEqual([reply.choices[0]?.text, reply.choices[0]?.finish_reason], [REPLY.text, 'length']);
  });
  await serving(encode('openai.completions', true), async (url) => {
    let text = '';
    for await (const chunk of await openai(url).completions.create({ model: 'demo', prompt: 'Hi', stream: true })) {
      text += chunk.choices[0]?.text ?? '';
    }
    assert.equal(text, REPLY.text);
  });
});

test("OpenAI's client reads responses and follows their events", async () => {
  await serving(encode('openai.responses', false), async (url) => {
    const reply = await openai(url).responses.create({ model: 'demo', input: 'Hi' });
    assert.deepEqual([reply.output_text, reply.status, reply.usage?.input_tokens], [REPLY.text, 'completed', 12]);
  });
  await serving(encode('openai.responses', true), async (url) => {
    const stream = openai(url).responses.stream({ model: 'demo', input: 'Hi' });
    const deltas: string[] = [];
    const sequence: number[] = [];
    stream.on('response.output_text.delta', (event) => deltas.push(event.delta));
    stream.on('event', (event) => sequence.push(event.sequence_number));
    const reply = await stream.finalResponse();
    assert.deepEqual(deltas, PIECES);
    assert.deepEqual(
      sequence,
      sequence.map((_, i) => i),
    );
    assert.deepEqual([reply.output_text, reply.status], [REPLY.text, 'completed']);
  });
  await serving(encode('openai.responses', false, { finish: 'content_filter' }), async (url) => {
    const reply = await openai(url).responses.create({ model: 'demo', input: 'Hi' });
    assert.deepEqual([reply.status, reply.incomplete_details?.reason], ['incomplete', 'content_filter']);
  });
});

test("Anthropic's client reads messages, whole and streamed, and token counts", async () => {
  await serving(encode('anthropic.messages', false), async (url) => {
    const reply = await anthropic(url).messages.create({ model: 'demo', max_tokens: 10, messages });
    assert.deepEqual(reply.content, [{ type: 'text', text: REPLY.text }]);
    assert.deepEqual([reply.stop_reason, reply.usage.input_tokens, reply.usage.cache_read_input_tokens], ['end_turn', 8, 4]);
  });
  await serving(encode('anthropic.messages', true, { finish: 'length' }), async (url) => {
    const stream = anthropic(url).messages.stream({ model: 'demo', max_tokens: 10, messages });
    const reply = await stream.finalMessage();
    assert.equal(await stream.finalText(), REPLY.text);
    assert.deepEqual([reply.stop_reason, reply.usage.output_tokens, reply.id], ['max_tokens', 5, 'msg_abc123']);
  });
  await serving(encodeTokenCount(14), async (url) => {
    assert.equal((await anthropic(url).messages.countTokens({ model: 'demo', messages })).input_tokens, 14);
  });
});

test("Ollama's client reads chat and generate, whole and streamed", async () => {
  await serving(encode('ollama.chat', false), async (url) => {
    const reply = await ollama(url).chat({ model: 'demo', messages });
    assert.deepEqual([reply.message.content, reply.done, reply.eval_count], [REPLY.text, true, 5]);
  });
  await serving(encode('ollama.chat', true), async (url) => {
    const texts: string[] = [];
    let reason = '';
    for await (const part of await ollama(url).chat({ model: 'demo', messages, stream: true })) {
      texts.push(part.message.content);
      if (part.done) reason = part.done_reason;
    }
    assert.deepEqual([texts, reason], [[...PIECES, ''], 'stop']);
  });
  await serving(encode('ollama.generate', false), async (url) => {
    assert.equal((await ollama(url).generate({ model: 'demo', prompt: 'Hi' })).response, REPLY.text);
  });
  await serving(encode('ollama.generate', true), async (url) => {
    let text = '';
    for await (const part of await ollama(url).generate({ model: 'demo', prompt: 'Hi', stream: true })) text += part.response ?? '';
    assert.equal(text, REPLY.text);
  });
});

test('clients read vectors, as numbers and as base64, and rankings', async () => {
  const vectors = {
    model: 'demo',
    vectors: [
      [0.25, -1],
      [0.5, 2],
    ],
    usage: REPLY.usage,
  };
  await serving(encodeVectors('openai.embeddings', { ...vectors, encoding: 'base64' }), async (url) => {
    const reply = await openai(url).embeddings.create({ model: 'demo', input: ['a', 'b'] });
    assert.deepEqual(
      reply.data.map(({ embedding }) => [...embedding]),
      vectors.vectors,
    );
  });
  await serving(encodeVectors('openai.embeddings', vectors), async (url) => {
    const reply = await openai(url).embeddings.create({ model: 'demo', input: ['a', 'b'], encoding_format: 'float' });
    assert.deepEqual(
      reply.data.map(({ embedding }) => embedding),
      vectors.vectors,
    );
  });
  await serving(encodeVectors('ollama.embed', vectors), async (url) => {
    assert.deepEqual((await ollama(url).embed({ model: 'demo', input: ['a', 'b'] })).embeddings, vectors.vectors);
  });
  await serving(encodeVectors('ollama.embeddings', vectors), async (url) => {
    assert.deepEqual((await ollama(url).embeddings({ model: 'demo', prompt: 'a' })).embedding, vectors.vectors[0]);
  });
  const ranking = encodeRanking({
    id: 'r',
    model: 'demo',
    results: [
      { index: 1, score: 0.9, document: 'second' },
      { index: 0, score: 0.1, document: null },
    ],
    usage: REPLY.usage,
  });
  assert.deepEqual(JSON.parse(Buffer.concat(ranking.chunks).toString()).results, [
    { index: 1, document: { text: 'second' }, relevance_score: 0.9 },
    { index: 0, relevance_score: 0.1 },
  ]);
});

test('clients read the lists of models, and see public names only', async () => {
  await serving(composeModels(['chat', 'chat-small'], CREATED / 1000), async (url) => {
    const names: string[] = [];
    for await (const model of openai(url).models.list()) names.push(model.id);
    assert.deepEqual(names, ['chat', 'chat-small']);
    const cards: string[] = [];
    for await (const card of anthropic(url).models.list()) cards.push(`${card.type} ${card.display_name} ${card.created_at}`);
    assert.deepEqual(cards, ['model chat 2026-11-20T10:00:00.000Z', 'model chat-small 2026-11-20T10:00:00.000Z']);
  });
  await serving(composeModels([], 0), async (url) => {
    for await (const model of openai(url).models.list()) assert.fail(model.id);
    for await (const model of anthropic(url).models.list()) assert.fail(model.id);
  });
  await serving(composeModel('chat', CREATED / 1000), async (url) => {
    assert.deepEqual((await openai(url).models.retrieve('chat')).created, CREATED / 1000);
  });
  await serving(composeTags(['chat'], CREATED), async (url) => {
    const [model] = (await ollama(url).list()).models;
    assert.deepEqual(
      [model?.name, model?.model, String(model?.modified_at), model?.digest.slice(0, 12)],
      ['chat', 'chat', '2026-11-20T10:00:00.000Z', '000000000000'],
    );
  });
  await serving(composePs(), async (url) => assert.deepEqual((await ollama(url).ps()).models, []));
  await serving(composeVersion('0.14.0'), async (url) => assert.equal((await ollama(url).version()).version, '0.14.0'));
});

test('what is encoded is read back by the readers of the same dialect', () => {
  for (const endpoint of TEXT_ENDPOINTS) {
    const { events, finished } = readStream(endpoint, encode(endpoint, true).chunks);
    const texts = Object.entries(channels(events)).filter(([channel]) => !channel.startsWith('extra'));
    assert.deepEqual(
      [...new Set(texts.flatMap(([, text]) => text.split(`|${REPLY.text}`)))].filter((text) => text !== ''),
      [REPLY.text],
    );
    assert.equal(finished, true);
    assert.equal(events.findLast((event) => event.usage !== null)?.usage?.output, 5);
    assert.ok(events.every((event) => event.kind === 'data' || event.kind === 'done'));
    const whole = format(endpoint).readWhole(Buffer.concat(encode(endpoint, false).chunks));
    assert.deepEqual(
      [whole.kind, whole.usage, whole.model],
      ['data', { ...REPLY.usage, cached: endpoint.startsWith('ollama') ? 0 : 4 }, 'demo'],
    );
  }
});

test('an endpoint is encoded only as what it answers with', () => {
  assert.throws(() => encode('openai.embeddings', false), TypeError);
  assert.throws(() => encodeVectors('openai.chat', { model: 'm', vectors: [], usage: REPLY.usage }), TypeError);
});

for (const [endpoint, use] of [
  ['openai.chat', async (url) => void (await openai(url).chat.completions.stream({ model: 'demo', messages }).finalChatCompletion())],
  ['openai.responses', async (url) => void (await openai(url).responses.stream({ model: 'demo', input: 'Hi' }).finalResponse())],
  [
    'anthropic.messages',
    async (url) => void (await anthropic(url).messages.stream({ model: 'demo', max_tokens: 9, messages }).finalMessage()),
  ],
  [
    'ollama.chat',
    async (url) => {
      for await (const _ of await ollama(url).chat({ model: 'demo', messages, stream: true }));
    },
  ],
] as const satisfies readonly (readonly [EndpointId, (url: string) => Promise<void>])[]) {
  test(`${endpoint}: a client sees that a stream was cut by an error event`, async () => {
    const { contentType, chunks } = encode(endpoint, true);
    const cut = format(endpoint).errorEvent({ message: 'The reply was blocked.', code: 'content_blocked', type: 'invalid_request_error' });
    await serving({ contentType, chunks: [...chunks.slice(0, 2), cut] }, async (url) => {
      await assert.rejects(use(url), /The reply was blocked\./);
    });
  });
}
