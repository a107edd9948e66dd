import { createHash } from 'node:crypto';
import { Fault, type Route, type Usage } from '@sallyport/core';
import { type EncodedReply, encodeRanking, encodeReply, encodeTokenCount, encodeVectors } from '@sallyport/wire';
import type { Door } from '../door.ts';
import type { Cleared } from '../stage/facts.ts';
import type { UpstreamCall } from './call.ts';
import { StaticCall } from './static-call.ts';

/** Pause between the pieces of a streamed demo answer, milliseconds, so that a stream can be seen to stream. */
const PACE = 15;
/** Dimensions of a demo embedding. */
const DIMENSIONS = 64;
/** Bytes of a request that the demo counts as a token. */
const BYTES_PER_TOKEN = 4;
/** Characters of the question that are repeated. */
const QUOTED = 200;

/**
 * The built-in model for an installation without an inference server: it repeats the question, so that identity, limits, guards and
 * ledger can be tried end to end. It is no language model and says so; every reply's `model` field is the route's name (`demo`).
 */
export function answerDemo(cleared: Cleared, route: Route, door: Door): UpstreamCall {
  const stream = cleared.request?.stream ?? false;
  const { contentType, chunks } = encode(cleared, route.name, stream, door.clock.now());
  return new StaticCall(contentType, chunks, stream ? PACE : 0);
}

function encode(cleared: Cleared, model: string, stream: boolean, created: number): EncodedReply {
  const { endpoint, incoming, request } = cleared;
  const texts = shownTexts(cleared);
  const id = incoming.id.replace(/[^A-Za-z0-9]/g, '');
  const input = Math.ceil((request?.json.bytes.length ?? 0) / BYTES_PER_TOKEN);
  const usage = (output: number): Usage => ({ input, output, cached: 0, exact: true });
  switch (endpoint.id) {
    case 'openai.embeddings':
    case 'ollama.embed':
    case 'ollama.embeddings': {
      if (texts.length === 0) throw new Fault('invalid_request', 'The demo model embeds texts, not token ids.', { param: 'input' });
      const encoding = request?.json.value['encoding_format'] === 'base64' ? 'base64' : 'float';
      return encodeVectors(endpoint.id, { model, vectors: texts.map(embed), usage: usage(0), encoding });
    }
    case 'openai.rerank':
      return encodeRanking({ id, model, results: rank(texts, topOf(request?.json.value['top_n'])), usage: usage(0) });
    case 'anthropic.count-tokens':
      return encodeTokenCount(input);
    case 'openai.chat':
    case 'openai.completions':
    case 'openai.responses':
    case 'anthropic.messages':
    case 'ollama.chat':
    case 'ollama.generate': {
      const text = `This is Sallyport's built-in demo model; no inference server is connected. You said: ${texts.at(-1)?.slice(0, QUOTED) ?? '(nothing)'}`;
      const pieces = text.match(/\s*\S+/g) ?? [text];
      const options = request?.json.value['stream_options'];
      const includeUsage = typeof options === 'object' && options !== null && !Array.isArray(options) && options['include_usage'] === true;
      return encodeReply(
        endpoint.id,
        { id, model, created, text: pieces.join(''), usage: usage(pieces.length), includeUsage },
        stream,
        pieces,
      );
    }
    default:
      throw new Fault('invalid_request', 'The demo model does not offer this endpoint.', { param: 'model' });
  }
}

/** What the model is shown: the user's texts (for rerank: the query, then the documents), with the guard's edits made. */
function shownTexts({ request, edits }: Cleared): string[] {
  const changed = new Map(edits.map((edit) => [JSON.stringify(edit.path), edit.value]));
  return (request?.texts ?? [])
    .filter((text) => text.provenance === 'user' || text.provenance === 'untrusted')
    .map((text) => changed.get(JSON.stringify(text.path)) ?? text.text);
}

/** A unit vector that depends on the words of a text alone: equal texts are equal, texts that share words are near. */
function embed(text: string): number[] {
  const vector = new Array<number>(DIMENSIONS).fill(0);
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
    const digest = createHash('sha256').update(word).digest();
    const at = (digest[0] ?? 0) % DIMENSIONS;
    vector[at] = (vector[at] ?? 0) + ((digest[1] ?? 0) % 2 === 0 ? 1 : -1);
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

/** The documents by their cosine with the query, best first. */
function rank([query, ...documents]: readonly string[], top: number): { index: number; score: number; document: null }[] {
  const wanted = embed(query ?? '');
  const scored = documents.map((document, index) => ({
    index,
    score: embed(document).reduce((sum, value, at) => sum + value * (wanted[at] ?? 0), 0),
    document: null,
  }));
  return scored.sort((a, b) => b.score - a.score || a.index - b.index).slice(0, top);
}

function topOf(value: unknown): number {
  return typeof value === 'number' ? value : Number.POSITIVE_INFINITY;
}
