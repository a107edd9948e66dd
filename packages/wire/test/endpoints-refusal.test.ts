import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { contentFilterReply, ENDPOINTS, type EndpointId, REFUSAL } from '@sallyport/wire';
import { Ollama } from 'ollama';
import OpenAI from 'openai';

const CREATED = 1_800_000_000;

/** A transport that answers with the composed reply, so that the real client reads it. */
function answering(endpoint: EndpointId, stream: boolean): typeof fetch {
  const reply = contentFilterReply(endpoint, 'chat', stream, '01J', CREATED);
  assert.ok(reply);
  return async () => new Response(reply.body, { headers: { 'content-type': reply.contentType } });
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const events: T[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

describe('a blocked request answered as a turn is understood by', () => {
  const openai = (endpoint: EndpointId, stream: boolean): OpenAI =>
    new OpenAI({ apiKey: 'k', baseURL: 'http://127.0.0.1:1/v1', fetch: answering(endpoint, stream) });
  const messages = [{ role: 'user' as const, content: 'x' }];

  it('openai chat completions', async () => {
    const whole = await openai('openai.chat', false).chat.completions.create({ model: 'chat', messages });
    assert.equal(whole.choices[0]?.finish_reason, 'content_filter');
    assert.equal(whole.choices[0]?.message.content, REFUSAL);
    assert.deepEqual([whole.model, whole.created], ['chat', CREATED]);
    const chunks = await collect(await openai('openai.chat', true).chat.completions.create({ model: 'chat', messages, stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), REFUSAL);
    assert.equal(chunks.at(-1)?.choices[0]?.finish_reason, 'content_filter');
  });

  it('openai completions', async () => {
    const whole = await openai('openai.completions', false).completions.create({ model: 'chat', prompt: 'x' });
    assert.deepEqual([whole.choices[0]?.text, whole.choices[0]?.finish_reason], [REFUSAL, 'content_filter']);
    const chunks = await collect(await openai('openai.completions', true).completions.create({ model: 'chat', prompt: 'x', stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.text).join(''), REFUSAL);
    assert.equal(chunks.at(-1)?.choices[0]?.finish_reason, 'content_filter');
  });

  it('openai responses', async () => {
    const whole = await openai('openai.responses', false).responses.create({ model: 'chat', input: 'x' });
    assert.deepEqual([whole.output_text, whole.status, whole.incomplete_details?.reason], [REFUSAL, 'incomplete', 'content_filter']);
    const stream = openai('openai.responses', true).responses.stream({ model: 'chat', input: 'x' });
    const events = await collect(stream);
    assert.equal(
      events
        .filter((event) => event.type === 'response.output_text.delta')
        .map((event) => event.delta)
        .join(''),
      REFUSAL,
    );
    const last = events.at(-1);
    assert.ok(last?.type === 'response.incomplete');
    assert.equal(last.response.incomplete_details?.reason, 'content_filter');
  });

  it('anthropic messages', async () => {
    const anthropic = (stream: boolean): Anthropic =>
      new Anthropic({ apiKey: 'k', baseURL: 'http://127.0.0.1:1', fetch: answering('anthropic.messages', stream) });
    const request = { model: 'chat', max_tokens: 1, messages };
    const whole = await anthropic(false).messages.create(request);
    assert.equal(whole.stop_reason, 'refusal');
    assert.deepEqual(
      whole.content.map((block) => (block.type === 'text' ? block.text : block.type)),
      [REFUSAL],
    );
    const final = await anthropic(true).messages.stream(request).finalMessage();
    assert.equal(final.stop_reason, 'refusal');
    assert.deepEqual(
      final.content.map((block) => (block.type === 'text' ? block.text : block.type)),
      [REFUSAL],
    );
  });

  it('ollama', async () => {
    const ollama = (endpoint: EndpointId, stream: boolean): Ollama =>
      new Ollama({ host: 'http://127.0.0.1:1', fetch: answering(endpoint, stream) });
    const whole = await ollama('ollama.chat', false).chat({ model: 'chat', messages });
    assert.deepEqual([whole.message.content, whole.done_reason, whole.done], [REFUSAL, 'content_filter', true]);
    const lines = await collect(await ollama('ollama.chat', true).chat({ model: 'chat', messages, stream: true }));
    assert.equal(lines.map((line) => line.message.content).join(''), REFUSAL);
    assert.equal(lines.at(-1)?.done_reason, 'content_filter');
    const generated = await ollama('ollama.generate', false).generate({ model: 'chat', prompt: 'x' });
    assert.deepEqual([generated.response, generated.done_reason], [REFUSAL, 'content_filter']);
    const parts = await collect(await ollama('ollama.generate', true).generate({ model: 'chat', prompt: 'x', stream: true }));
    assert.equal(parts.map((part) => part.response).join(''), REFUSAL);
  });
});

it('endpoints that generate nothing have no such turn', () => {
  const generating = ['openai.chat', 'openai.completions', 'openai.responses', 'anthropic.messages', 'ollama.chat', 'ollama.generate'];
  for (const { id } of ENDPOINTS) assert.equal(contentFilterReply(id, 'm', false, 'i', 0) !== null, generating.includes(id), id);
});
