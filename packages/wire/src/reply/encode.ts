import type { Usage } from '@sallyport/core';
import type { EndpointId } from '../endpoint.ts';
import { encodeResponse, encodeResponseEvents } from './encode-responses.ts';

/** A text reply that Sallyport gives itself: the built-in model's, or an assistant turn in the place of what a guard stopped. */
export interface EncodableReply {
  /** Letters, digits and dashes; each dialect puts its own prefix before it. */
  readonly id: string;
  readonly model: string;
  /** Epoch milliseconds. */
  readonly created: number;
  readonly text: string;
  readonly usage: Usage;
  /** Whether a chat or completions stream ends with a usage chunk: the client's `stream_options.include_usage`. */
  readonly includeUsage?: boolean;
  /** Why the text ends; `stop` unless given. */
  readonly finish?: FinishReason;
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

interface TextEncoder {
  whole(reply: EncodableReply): object;
  readonly stream: StreamEncoder;
}

/** Encodes a text reply in the dialect of `endpoint`. `pieces`, joined, are the text. Throws `TypeError` for an endpoint that answers no text. */
export function encodeReply(endpoint: EndpointId, reply: EncodableReply, stream: boolean, pieces: readonly string[]): EncodedReply {
  const encoder = TEXT_ENCODERS[endpoint];
  if (encoder === undefined) throw new TypeError(`${endpoint} does not answer with a text`);
  if (!stream) return json(encoder.whole(reply));
  return { contentType: encoder.stream.type, chunks: encoder.stream.events(reply, pieces).map((event) => Buffer.from(event)) };
}

export interface EncodableVectors {
  readonly model: string;
  /** One for each input. */
  readonly vectors: readonly (readonly number[])[];
  readonly usage: Usage;
  /** OpenAI's `encoding_format`; `float` unless given. Base64 is of little-endian 32-bit floats. Ollama knows `float` only. */
  readonly encoding?: 'float' | 'base64';
}

/** Encodes embeddings for `openai.embeddings`, `ollama.embed` or `ollama.embeddings` (one vector). Throws `TypeError` for another endpoint. */
export function encodeVectors(endpoint: EndpointId, { model, vectors, usage, encoding }: EncodableVectors): EncodedReply {
  switch (endpoint) {
    case 'openai.embeddings':
      return json({
        object: 'list',
        data: vectors.map((vector, index) => ({
          object: 'embedding',
          index,
          embedding: encoding === 'base64' ? floatBytes(vector).toString('base64') : vector,
        })),
        model,
        usage: { prompt_tokens: usage.input, total_tokens: usage.input },
      });
    case 'ollama.embed':
      return json({ model, embeddings: vectors, total_duration: 0, load_duration: 0, prompt_eval_count: usage.input });
    case 'ollama.embeddings':
      return json({ embedding: vectors[0] ?? [] });
    default:
      throw new TypeError(`${endpoint} does not answer with vectors`);
  }
}

function floatBytes(vector: readonly number[]): Buffer {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes;
}

export interface EncodableRanking {
  readonly id: string;
  readonly model: string;
  /** Best first. `index` is the document's position in the request; `document` its text where the client asked to have it back. */
  readonly results: readonly { readonly index: number; readonly score: number; readonly document: string | null }[];
  readonly usage: Usage;
}

/** Encodes a ranking for `openai.rerank`. */
export function encodeRanking({ id, model, results, usage }: EncodableRanking): EncodedReply {
  return json({
    id: `rerank-${id}`,
    model,
    results: results.map(({ index, score, document }) => ({
      index,
      ...(document === null ? {} : { document: { text: document } }),
      relevance_score: score,
    })),
    usage: { prompt_tokens: usage.input, total_tokens: usage.input },
  });
}

/** Encodes a count for `anthropic.count-tokens`. */
export function encodeTokenCount(tokens: number): EncodedReply {
  return json({ input_tokens: tokens });
}

function json(body: object): EncodedReply {
  return { contentType: 'application/json', chunks: [Buffer.from(JSON.stringify(body))] };
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
}): TextEncoder {
  const envelope = (reply: EncodableReply, object: string): object => ({
    id: `${names.prefix}-${reply.id}`,
    object,
    created: Math.floor(reply.created / 1000),
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

const responses: TextEncoder = {
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

const messages: TextEncoder = {
  whole: (reply) => message(reply, [{ type: 'text', text: reply.text }], ANTHROPIC_STOP[reply.finish ?? 'stop'], reply.usage.output),
  stream: { type: 'text/event-stream', events: messageEvents },
};

/** Ollama's chat and generate differ in where the text stands. Durations are not measured here and said to be 0. */
function ollamaEncoder(place: (text: string) => object): TextEncoder {
  const line = (reply: EncodableReply, text: string): object => ({
    model: reply.model,
    created_at: new Date(reply.created).toISOString(),
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

const TEXT_ENCODERS: Partial<Readonly<Record<EndpointId, TextEncoder>>> = {
  'openai.chat': chat,
  'openai.completions': completions,
  'openai.responses': responses,
  'anthropic.messages': messages,
  'ollama.chat': ollamaEncoder((text) => ({ message: { role: 'assistant', content: text } })),
  'ollama.generate': ollamaEncoder((text) => ({ response: text })),
};
