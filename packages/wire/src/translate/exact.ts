import type { JsonDocument, JsonEdit, JsonObject, JsonValue } from '../json/document.ts';

/** ECMAScript's JSON.parse source text access (2025), which the library's types do not have yet. */
const { rawJSON }: JSON & { readonly rawJSON?: (text: string) => JsonObject } = JSON;
interface Source {
  readonly source?: string;
}

/** A number of this many digits may be more than a double holds. */
const LONG_NUMBER = /\d{16}/;

/**
 * Parses checked JSON so that writing it again gives the same numbers: integers beyond 2^53 (ids in tool arguments, mostly) are kept as
 * raw JSON, which `JSON.stringify` writes as it is. Throws `SyntaxError`.
 */
export function parseExact(text: string): JsonValue {
  if (!LONG_NUMBER.test(text)) {
    const value: JsonValue = JSON.parse(text);
    return value;
  }
  const value: JsonValue = JSON.parse(text, (_name: string, member: JsonValue, context?: Source) =>
    typeof member === 'number' && Number.isInteger(member) && !Number.isSafeInteger(member) && context?.source !== undefined
      ? (rawJSON?.(context.source) ?? member)
      : member,
  );
  return value;
}

/** The JSON object that `text` is, or null. An empty text counts as an object without members: so servers write a call without arguments. */
export function parseObject(text: string): JsonObject | null {
  if (text.trim() === '') return {};
  let value: JsonValue;
  try {
    value = parseExact(text);
  } catch {
    return null; // not JSON: the model wrote it, and the caller says what becomes of it
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
}

/** A request with the edits made, read for translation. */
export function readExact(document: JsonDocument, edits: readonly JsonEdit[]): JsonObject {
  const value = parseExact(document.edit(edits).toString('utf8'));
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : document.value;
}
