import type { Usage } from '@sallyport/core';
import type { EndpointId } from '../endpoint.ts';
import { encodeResponse, encodeResponseEvents } from './encode-responses.ts';

/**
 * A reply that Sallyport gives itself: the built-in model's, or an assistant turn in the place of what a guard stopped. Each endpoint
 * takes what it needs of it.
 */
export interface EncodableReply {
  /** Letters, digits and dashes; each dialect puts its own prefix before it. */
  readonly id: string;
  readonly model: string;
  /** Epoch seconds. */
  readonly created: number;
  readonly text: string;
  readonly usage: Usage;
  /** Whether a chat or completions stream ends with a usage chunk: the client's `stream_options.include_usage`. */
  readonly includeUsage?: boolean;
  /** Why the text ends; `stop` unless given. */
  readonly finish?: FinishReason;
  /** Embeddings, one for each input. */
  readonly vectors?: readonly (readonly number[])[];
  /** OpenAI's `encoding_format` for them; `float` unless given. Base64 is of little-endian 32-bit floats. */
  readonly encoding?: 'float' | 'base64';
  /** Rerank: the score of each document, in the order of the request. */
  readonly scores?: readonly number[];
  /** Rerank: the documents, where the client asked to have them back. */
  readonly documents?: readonly string[];
}

export type FinishReason = 'stop' | 'length' | 'content_filter';

export interface EncodedReply {
  readonly contentType: 'application/json' | 'text/event-stream' | 'application/x-ndjson';
  /** One buffer for a whole reply; for a stream, events in order, each to be sent on its own. */
  readonly chunks: readonly Buffer[];
}

interface StreamEncoder {
  readonly type: EncodedReply['contentType'];
  /** The frames of a stream, each ready to be sent. */
  events(reply: EncodableReply, pieces: readonly string[]): string[];
}

interface Encoder {
  whole(reply: EncodableReply): object;
  readonly stream?: StreamEncoder;
}

/**
 * Encodes a reply in the dialect of `endpoint`. `pieces`, joined, are the text; an endpoint that does not stream ignores them and
 * `stream`. Throws `TypeError` for an endpoint that no model answers.
 */
export function encodeReply(endpoint: EndpointId, reply: EncodableReply, stream: boolean, pieces: readonly string[]): EncodedReply {
  const encoder = ENCODERS[endpoint];
  if (encoder === undefined) throw new TypeError(`${endpoint} is not answered by a model`);
  if (!stream || encoder.stream === undefined) {
    return { contentType: 'application/json', chunks: [Buffer.from(JSON.stringify(encoder.whole(reply)))] };
  }
  return { contentType: encoder.stream.type, chunks: encoder.stream.events(reply, pieces).map((event) => Buffer.from(event)) };
}

function sse(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

function namedSse(data: { readonly type: string }): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
}

function openAiUsage({ input, output, cached }: Usage): object {
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cached },
  };
}

/** Chat completions and completions differ in their names and in where the text stands. */
function completionEncoder(names: {
  readonly prefix: string;
  readonly object: string;
  readonly chunk: string;
  readonly whole: (text: string) => object;
  readonly opening: object | null;
  readonly piece: (text: string) => object;
  readonly closing: object;
}): Encoder {
  const envelope = (reply: EncodableReply, object: string): object => ({
    id: `${names.prefix}-${reply.id}`,
    object,
    created: reply.created,
    model: reply.model,
  });
  const choice = (part: object, finish: FinishReason | null): object => ({ index: 0, ...part, logprobs: null, finish_reason: finish });
  const events: StreamEncoder['events'] = (reply, pieces) => {
    const usage = reply.includeUsage === true ? { usage: null } : {};
    const chunk = (part: object, finish: FinishReason | null): string =>
      sse({ ...envelope(reply, names.chunk), choices: [choice(part, finish)], ...usage });
    return [
      ...(names.opening === null ? [] : [chunk(names.opening, null)]),
      ...pieces.map((piece) => chunk(names.piece(piece), null)),
      chunk(names.closing, reply.finish ?? 'stop'),
      ...(reply.includeUsage === true ? [sse({ ...envelope(reply, names.chunk), choices: [], usage: openAiUsage(reply.usage) })] : []),
      'data: [DONE]\n\n',
    ];
  };
  return {
    whole: (reply) => ({
      ...envelope(reply, names.object),
      choices: [choice(names.whole(reply.text), reply.finish ?? 'stop')],
      usage: openAiUsage(reply.usage),
    }),
    stream: { type: 'text/event-stream', events },
  };
}

const chat = completionEncoder({
  prefix: 'chatcmpl',
  object: 'chat.completion',
  chunk: 'chat.completion.chunk',
  whole: (text) => ({ message: { role: 'assistant', content: text, refusal: null } }),
  opening: { delta: { role: 'assistant', content: '' } },
  piece: (text) => ({ delta: { content: text } }),
  closing: { delta: {} },
});

const completions = completionEncoder({
  prefix: 'cmpl',
  object: 'text_completion',
  chunk: 'text_completion',
  whole: (text) => ({ text }),
  opening: null,
  piece: (text) => ({ text }),
  closing: { text: '' },
});

const responses: Encoder = {
  whole: encodeResponse,
  stream: { type: 'text/event-stream', events: (reply, pieces) => encodeResponseEvents(reply, pieces).map(namedSse) },
};

const ANTHROPIC_STOP: Readonly<Record<FinishReason, string>> = { stop: 'end_turn', length: 'max_tokens', content_filter: 'refusal' };

function message(reply: EncodableReply, content: readonly object[], stop: string | null, output: number): object {
  return {
    id: `msg_${reply.id}`,
    type: 'message',
    role: 'assistant',
    model: reply.model,
    content,
    stop_reason: stop,
    stop_sequence: null,
    usage: {
      input_tokens: reply.usage.input - reply.usage.cached,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: reply.usage.cached,
      output_tokens: output,
    },
  };
}

function messageEvents(reply: EncodableReply, pieces: readonly string[]): string[] {
  const stop_reason = ANTHROPIC_STOP[reply.finish ?? 'stop'];
  return [
    { type: 'message_start', message: message(reply, [], null, 0) },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    ...pieces.map((text) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })),
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: reply.usage.output } },
    { type: 'message_stop' },
  ].map(namedSse);
}

const messages: Encoder = {
  whole: (reply) => message(reply, [{ type: 'text', text: reply.text }], ANTHROPIC_STOP[reply.finish ?? 'stop'], reply.usage.output),
  stream: { type: 'text/event-stream', events: messageEvents },
};

/** Ollama's chat and generate differ in where the text stands. Durations are not measured here and said to be 0. */
function ollamaEncoder(place: (text: string) => object): Encoder {
  const line = (reply: EncodableReply, text: string): object => ({
    model: reply.model,
    created_at: new Date(reply.created * 1000).toISOString(),
    ...place(text),
  });
  const last = (reply: EncodableReply, text: string): object => ({
    ...line(reply, text),
    done: true,
    done_reason: reply.finish ?? 'stop',
    total_duration: 0,
    load_duration: 0,
    prompt_eval_count: reply.usage.input,
    prompt_eval_duration: 0,
    eval_count: reply.usage.output,
    eval_duration: 0,
  });
  const events: StreamEncoder['events'] = (reply, pieces) => [
    ...pieces.map((piece) => `${JSON.stringify({ ...line(reply, piece), done: false })}\n`),
    `${JSON.stringify(last(reply, ''))}\n`,
  ];
  return { whole: (reply) => last(reply, reply.text), stream: { type: 'application/x-ndjson', events } };
}

function embeddings(reply: EncodableReply): object {
  return {
    object: 'list',
    data: (reply.vectors ?? []).map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: reply.encoding === 'base64' ? floatBytes(vector).toString('base64') : vector,
    })),
    model: reply.model,
    usage: { prompt_tokens: reply.usage.input, total_tokens: reply.usage.input },
  };
}

function floatBytes(vector: readonly number[]): Buffer {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes;
}

function ranking(reply: EncodableReply): object {
  const results = (reply.scores ?? []).map((score, index) => ({
    index,
    ...(reply.documents === undefined ? {} : { document: { text: reply.documents[index] ?? '' } }),
    relevance_score: score,
  }));
  return {
    id: `rerank-${reply.id}`,
    model: reply.model,
    results: results.sort((a, b) => b.relevance_score - a.relevance_score),
    usage: { prompt_tokens: reply.usage.input, total_tokens: reply.usage.input },
  };
}

const ENCODERS: Partial<Readonly<Record<EndpointId, Encoder>>> = {
  'openai.chat': chat,
  'openai.completions': completions,
  'openai.responses': responses,
  'openai.embeddings': { whole: embeddings },
  'openai.rerank': { whole: ranking },
  'anthropic.messages': messages,
  'anthropic.count-tokens': { whole: (reply) => ({ input_tokens: reply.usage.input }) },
  'ollama.chat': ollamaEncoder((text) => ({ message: { role: 'assistant', content: text } })),
  'ollama.generate': ollamaEncoder((text) => ({ response: text })),
  'ollama.embed': {
    whole: ({ model, vectors, usage }) => ({
      model,
      embeddings: vectors ?? [],
      total_duration: 0,
      load_duration: 0,
      prompt_eval_count: usage.input,
    }),
  },
  'ollama.embeddings': { whole: ({ vectors }) => ({ embedding: vectors?.[0] ?? [] }) },
};
