import { createHash } from 'node:crypto';
import type { Route } from '@sallyport/core';
import { encodeReply } from '@sallyport/wire';
import type { Door } from '../door.ts';
import type { Cleared } from '../stage/facts.ts';
import type { UpstreamCall } from './call.ts';
import { StaticCall } from './static-call.ts';

/** Pause between the pieces of a streamed demo answer, milliseconds, so that a stream can be seen to stream. */
const PACE = 15;
/** Dimensions of a demo embedding. */
const DIMENSIONS = 64;
/** Characters of the question that are repeated. */
const QUOTED = 200;

/**
 * The built-in model for an installation without an inference server: it repeats the question, so that identity, limits, guards and
 * ledger can be tried end to end. It is no language model and says so; every reply's `model` field is the route's name (`demo`).
 */
export function answerDemo(cleared: Cleared, route: Route, door: Door): UpstreamCall {
  const { endpoint, request, incoming } = cleared;
  const stream = request?.stream ?? false;
  const texts = shownTexts(cleared);
  const text = `This is Sallyport's built-in demo model; no inference server is connected. You said: ${texts.at(-1)?.slice(0, QUOTED) ?? '(nothing)'}`;
  const pieces = text.match(/\S+\s*/g) ?? [text];
  const input = Math.ceil((request?.json.bytes.length ?? 0) / 4);
  const encoded = encodeReply(
    endpoint.id,
    {
      id: incoming.id,
      model: route.name,
      created: Math.floor(door.clock.now() / 1000),
      text,
      usage: { input, output: pieces.length, cached: 0, exact: true },
      includeUsage: true,
      vectors: texts.map(embed),
      scores: scores(texts),
    },
    stream,
    pieces,
  );
  return new StaticCall(encoded.contentType, encoded.chunks, stream ? PACE : 0);
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

/** Cosine of each document with the query, for rerank. */
function scores(texts: readonly string[]): number[] {
  const [query, ...documents] = texts.map(embed);
  return documents.map((document) => document.reduce((sum, value, at) => sum + value * (query?.[at] ?? 0), 0));
}
