import { Fault } from '@sallyport/core';
import type { EndpointId } from '../endpoint.ts';
import type { JsonDocument, JsonObject, JsonValue } from '../json/document.ts';
import { isObject } from './check.ts';

/** What stands between our instructions and those of the client. */
const GAP = '\n\n';

/** Whether requests of an endpoint are given a system prompt: those that have a model write. */
export function takesInstructions(endpoint: EndpointId): boolean {
  return endpoint in PLACES;
}

/**
 * The body with `text` before everything else the model is told: before the client's own system message where there is one (many chat
 * templates take no second), else as the first. Throws `Fault('invalid_request')` where the request leaves no place for it.
 */
export function instruct(endpoint: EndpointId, document: JsonDocument, text: string): Buffer {
  return PLACES[endpoint]?.(document, text) ?? document.bytes;
}

const PLACES: Partial<Readonly<Record<EndpointId, (document: JsonDocument, text: string) => Buffer>>> = {
  'openai.chat': inMessages,
  'ollama.chat': inMessages,
  'openai.responses': (document, text) => before(document, ['instructions'], text),
  'anthropic.messages': (document, text) => before(document, ['system'], text),
  'anthropic.count-tokens': (document, text) => before(document, ['system'], text),
  'ollama.generate': (document, text) => {
    if (document.value['raw'] === true) throw noPlace('raw');
    return before(document, ['system'], text);
  },
  'openai.completions': () => {
    throw noPlace('prompt');
  },
};

function noPlace(param: string): Fault {
  return new Fault('invalid_request', 'This model has instructions of its own, which this request cannot carry. Use a chat endpoint.', {
    param,
  });
}

function inMessages(document: JsonDocument, text: string): Buffer {
  const { messages } = document.value;
  const first = Array.isArray(messages) ? messages[0] : undefined;
  if (isObject(first) && (first['role'] === 'system' || first['role'] === 'developer') && first['content'] !== undefined) {
    return before(document, ['messages', 0, 'content'], text);
  }
  return insert(document, ['messages', 0], { role: 'system', content: text });
}

/** Puts `text` before a string, before the first of a list of parts, or in the place of nothing. */
function before(document: JsonDocument, path: readonly (string | number)[], text: string): Buffer {
  const there = valueAt(document.value, path);
  if (Array.isArray(there) && there.length > 0) return insert(document, [...path, 0], { type: 'text', text: `${text}${GAP}` });
  const value = typeof there === 'string' && there !== '' ? `${text}${GAP}${there}` : text;
  return document.edit([{ path, value }]);
}

/** Adds a value to a list before the one at `path`. */
function insert(document: JsonDocument, path: readonly (string | number)[], value: JsonObject): Buffer {
  const span = document.span(path);
  if (span === null) throw noPlace(String(path[0]));
  const [start] = span;
  return Buffer.concat([document.bytes.subarray(0, start), Buffer.from(`${JSON.stringify(value)},`), document.bytes.subarray(start)]);
}

function valueAt(value: JsonValue, path: readonly (string | number)[]): JsonValue | undefined {
  let at: JsonValue | undefined = value;
  for (const step of path) {
    if (Array.isArray(at)) at = typeof step === 'number' ? at[step] : undefined;
    else at = isObject(at) && Object.hasOwn(at, step) ? at[step] : undefined;
  }
  return at;
}
