import { isUtf8 } from 'node:buffer';
import { Fault } from '@sallyport/core';
import type { RequestLimits } from '../endpoint.ts';
import type { JsonDocument, JsonEdit, JsonObject, JsonValue } from './document.ts';
import { locate } from './locate.ts';
import { formatPath } from './path.ts';
import { scanJson } from './scan.ts';
import { findSpans, spliceEdits } from './span.ts';

/**
 * Reads a request body (attacker's data) as one JSON object (RFC 8259, I-JSON's rules of RFC 7493 on duplicate names, surrogates and
 * numbers). Throws `Fault`: `request_too_large` where a limit on size is passed, `invalid_request` for everything else, naming the
 * field where there is one. Takes time linear in the body, however it is made.
 */
export function parseJson(bytes: Buffer, limits: RequestLimits): JsonDocument {
  if (bytes.length === 0) throw new Fault('invalid_request', 'The request body is empty; send a JSON object.');
  if (!isUtf8(bytes)) throw new Fault('invalid_request', 'The request body is not valid UTF-8.');
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    throw new Fault('invalid_request', 'The request body starts with a byte order mark; send plain UTF-8.');
  }
  const text = bytes.toString('utf8');
  const flaw = scanJson(text, limits);
  if (flaw !== null) {
    const path = locate(text, flaw.offset);
    const param = formatPath(flaw.key === null ? path : [...path, flaw.key]);
    const code = flaw.tooLarge ? 'request_too_large' : 'invalid_request';
    throw new Fault(code, `${param === '' ? 'The request body' : param} ${flaw.message}.`, param === '' ? {} : { param });
  }
  const value = parseText(text);
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new Fault('invalid_request', 'The request body must be a JSON object.');
  }
  return new CheckedDocument(bytes, value);
}

function parseText(text: string): JsonValue {
  try {
    const value: JsonValue = JSON.parse(text);
    return value;
  } catch (error) {
    // The engine's message quotes the text, so only its position is passed on.
    const position = error instanceof SyntaxError ? /at position (\d+)/.exec(error.message)?.[1] : undefined;
    const where = position === undefined ? '' : ` (near character ${position})`;
    throw new Fault('invalid_request', `The request body is not valid JSON${where}.`);
  }
}

class CheckedDocument implements JsonDocument {
  readonly bytes: Buffer;
  readonly value: JsonObject;

  constructor(bytes: Buffer, value: JsonObject) {
    this.bytes = bytes;
    this.value = value;
  }

  span(path: readonly (string | number)[]): readonly [number, number] | null {
    return findSpans(this.bytes, [path])[0] ?? null;
  }

  edit(edits: readonly JsonEdit[]): Buffer {
    return edits.length === 0 ? this.bytes : spliceEdits(this.bytes, edits);
  }
}
