import type { ParsedRequest, RequestBounds, RequestLimits } from '../endpoint.ts';
import type { JsonObject } from '../json/document.ts';
import { parseJson } from '../json/parse.ts';
import type { Check } from './check.ts';
import { Reading } from './reading.ts';

/** How one endpoint's body is read. */
export interface RequestFormat {
  readonly body: Check;
  /** Which field of a body that passed `body` names the model; `model` unless said otherwise. */
  modelField?(body: JsonObject): string;
  otherModels?(body: JsonObject): readonly string[];
  /** What an absent or null `stream` means. */
  readonly streams: boolean;
  bounds?(body: JsonObject): RequestBounds;
}

export type RequestParser = (body: Buffer, limits: RequestLimits) => ParsedRequest;

export function requestParser(format: RequestFormat): RequestParser {
  const { body: check, streams } = format;
  const bounds = format.bounds ?? nothingGenerated;
  return (bytes, limits) => {
    const json = parseJson(bytes, limits);
    const at = new Reading(limits);
    const body = json.value;
    check(body, at);
    const stream = body['stream'];
    const modelField = format.modelField?.(body) ?? 'model';
    return {
      json,
      model: stringField(body, modelField),
      modelPath: [modelField],
      ...(format.otherModels === undefined ? {} : { otherModels: format.otherModels(body) }),
      stream: typeof stream === 'boolean' ? stream : streams,
      texts: at.texts,
      references: at.references,
      restricted: at.restricted,
      bounds: bounds(body),
    };
  };
}

/** A field that a check has found to be a string, or '' where it is absent. */
export function stringField(body: JsonObject, name: string): string {
  const value = body[name];
  return typeof value === 'string' ? value : '';
}

function nothingGenerated(): RequestBounds {
  return { maxOutputTokens: null, choices: 1 };
}

/**
 * The largest of the caps a client gave: engines differ in which of them they heed. `override` names the one that llama.cpp prefers
 * to all of them; as other engines ignore it, it can only raise the cap. A negative cap means none.
 */
export function outputCap(body: JsonObject, names: readonly string[], override?: string): number | null {
  const caps = names.map((name) => body[name]).filter((cap) => typeof cap === 'number');
  if (caps.length === 0) return null;
  const extra = override === undefined ? undefined : body[override];
  if (typeof extra === 'number') caps.push(extra);
  return caps.some((cap) => cap < 0) ? null : Math.max(...caps);
}

/** The larger of the numbers at `names`, at least 1. */
export function choiceCount(body: JsonObject, names: readonly string[]): number {
  let count = 1;
  for (const name of names) {
    const value = body[name];
    if (typeof value === 'number' && value > count) count = value;
  }
  return count;
}
