import { Fault, type Usage } from '@sallyport/core';
import type { JsonObject, JsonValue } from '../json/document.ts';
import { readJson } from '../reply/event.ts';
import { readEmbeddings } from '../reply/openai-chat.ts';
import { Session } from '../reply/reading.ts';
import { isObject } from '../reply/rules.ts';
import { defined, Members } from './members.ts';
import type { ReplyContext, ReplyTranslator, RequestContext, Translation } from './translation.ts';
import { unreadable } from './turn.ts';

/** Ollama's embeddings as OpenAI's. `truncate` and the options of Ollama's runner are ignored (docs/translation.md). */

function embedRequest(value: JsonObject, { model }: RequestContext): JsonObject {
  const body = new Members(value).ignore('model', 'truncate', 'keep_alive', 'options');
  const request = defined({ model, input: body.take('input'), dimensions: body.number('dimensions'), encoding_format: 'float' });
  body.done();
  return request;
}

function embeddingsRequest(value: JsonObject, { model }: RequestContext): JsonObject {
  const body = new Members(value).ignore('model', 'keep_alive', 'options');
  const input = body.string('prompt') ?? '';
  if (input === '') body.refuse('prompt', "must not be empty: this model's server loads its models itself");
  body.done();
  return { model, input, encoding_format: 'float' };
}

/** A reply that is never streamed: only `whole` is of use. */
class VectorTranslator implements ReplyTranslator {
  readonly fault: Fault | null = null;
  usage: Usage | null = null;
  readonly #expected: number;
  readonly #write: (vectors: readonly JsonValue[], usage: Usage | null) => object;

  constructor(expected: number, write: (vectors: readonly JsonValue[], usage: Usage | null) => object) {
    this.#expected = expected;
    this.#write = write;
  }

  push(): Buffer[] {
    throw unreadable('stream where a whole reply was asked for');
  }

  end(): Buffer[] {
    throw unreadable('stream where a whole reply was asked for');
  }

  whole(body: Buffer): Buffer {
    let root: JsonObject = {};
    const payload = readJson(body, true, new Session(), false, (reading, value) => {
      root = value;
      readEmbeddings(reading, value);
    });
    if (payload === null) throw unreadable('reply');
    if (payload.kind === 'error') throw new Fault('upstream_error', 'The model server broke off its answer.', { detail: 'error' });
    this.usage = payload.reading.usage;
    return Buffer.from(JSON.stringify(this.#write(vectorsOf(root, this.#expected), this.usage)));
  }
}

/** One vector for each input, in the order of the inputs. */
function vectorsOf(root: JsonObject, expected: number): JsonValue[] {
  const data = root['data'];
  if (!Array.isArray(data) || data.length !== expected) throw unreadable('number of embeddings');
  const vectors: JsonValue[] = new Array(expected).fill(null);
  for (const [position, item] of data.entries()) {
    const index = isObject(item) ? (item['index'] ?? position) : -1;
    const vector = isObject(item) ? item['embedding'] : null;
    if (typeof index !== 'number' || vectors[index] !== null) throw unreadable('index of an embedding');
    if (!Array.isArray(vector) || !vector.every((value) => typeof value === 'number')) throw unreadable('embedding is no list of numbers');
    vectors[index] = vector;
  }
  return vectors;
}

function inputs(request: JsonObject): number {
  const input = request['input'];
  return Array.isArray(input) ? input.length : 1;
}

/** Ollama normalises the vectors of `embed`; OpenAI's servers do so by default, and theirs are passed on as they are. */
export const EMBED: Translation = Object.freeze({
  from: 'ollama.embed',
  to: 'openai.embeddings',
  streamType: null,
  request: (value: JsonObject, context: RequestContext) => Buffer.from(JSON.stringify(embedRequest(value, context))),
  openReply: ({ model, request }: ReplyContext) =>
    new VectorTranslator(inputs(request), (embeddings, usage) => ({
      model,
      embeddings,
      total_duration: 0,
      load_duration: 0,
      prompt_eval_count: usage?.input ?? 0,
    })),
});

export const EMBEDDINGS: Translation = Object.freeze({
  from: 'ollama.embeddings',
  to: 'openai.embeddings',
  streamType: null,
  request: (value: JsonObject, context: RequestContext) => Buffer.from(JSON.stringify(embeddingsRequest(value, context))),
  openReply: () => new VectorTranslator(1, ([embedding]) => ({ embedding })),
});
