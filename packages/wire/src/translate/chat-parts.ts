import type { JsonObject, JsonValue } from '../json/document.ts';
import type { JsonPath } from '../json/path.ts';
import { defined, refusal } from './members.ts';

/** Content parts of chat completions, as the other dialects' content becomes them. */

export function textPart(text: string): JsonObject {
  return { type: 'text', text };
}

export function imagePart(url: string, detail?: string): JsonObject {
  return { type: 'image_url', image_url: detail === undefined ? { url } : { url, detail } };
}

export function filePart(mediaType: string, data: string, name: string): JsonObject {
  return { type: 'file', file: { filename: name, file_data: `data:${mediaType};base64,${data}` } };
}

/** One text is written as a string, which every server takes; anything else as parts. */
export function contentOf(parts: readonly JsonObject[]): JsonValue {
  const [first] = parts;
  if (first === undefined) return '';
  if (parts.length === 1 && first['type'] === 'text') return first['text'] ?? '';
  return [...parts];
}

/**
 * Messages that answer one call: the texts as the tool's result and, as chat completions take no media there, the rest as a user's
 * message to follow all results.
 */
export function splitResult(parts: readonly JsonObject[]): { readonly result: JsonValue; readonly media: readonly JsonObject[] } {
  return {
    result: contentOf(parts.filter((part) => part['type'] === 'text')),
    media: parts.filter((part) => part['type'] !== 'text'),
  };
}

/** First characters of base64 by the magic number they encode: PNG, JPEG, GIF and WebP (RIFF). */
const IMAGE_TYPES: readonly (readonly [string, string])[] = [
  ['iVBORw0KGgo', 'image/png'],
  ['/9j/', 'image/jpeg'],
  ['R0lGOD', 'image/gif'],
  ['UklGR', 'image/webp'],
];

/** The data URL of an image given as bare base64, which says nothing of its type. Throws `Fault('invalid_request')` for other types. */
export function imageDataUrl(base64: string, path: JsonPath): string {
  const found = IMAGE_TYPES.find(([start]) => base64.startsWith(start));
  if (found === undefined) throw refusal(path, 'must be a PNG, JPEG, GIF or WebP image');
  return `data:${found[1]};base64,${base64}`;
}

const DATA_URL = /^data:([\w.+-]+\/[\w.+-]+)?(?:;[\w.+-]+=[^;,]{0,128})*;base64,/i;

/** Media type and payload of a base64 data URL (checked by the parser), or null for another URL. */
export function dataUrl(url: string): { readonly mediaType: string; readonly data: string } | null {
  const header = DATA_URL.exec(url.slice(0, 512));
  return header === null ? null : { mediaType: (header[1] ?? '').toLowerCase(), data: url.slice(header[0].length) };
}

/** A list of messages to which media and calls can be added the way chat completions want them. */
export class ChatMessages {
  readonly list: JsonObject[] = [];
  #media: JsonObject[] = [];

  add(message: JsonObject): void {
    if (message['role'] !== 'tool') this.flush();
    this.list.push(message);
  }

  /** A tool's result. Media wait until the last result of this row. */
  addResult(id: string, parts: readonly JsonObject[]): void {
    const { result, media } = splitResult(parts);
    this.add({ role: 'tool', tool_call_id: id, content: result });
    this.#media.push(...media);
  }

  /** Adds a call to the assistant's last message, or in a new one. */
  addCall(call: JsonObject, reasoning: string | undefined): void {
    const last = this.#media.length === 0 ? this.list.at(-1) : undefined;
    if (last?.['role'] !== 'assistant') {
      this.add(defined({ role: 'assistant', content: null, reasoning_content: reasoning, tool_calls: [call] }));
      return;
    }
    if (reasoning !== undefined) last['reasoning_content'] = reasoning;
    const calls = last['tool_calls'];
    last['tool_calls'] = Array.isArray(calls) ? [...calls, call] : [call];
  }

  /** To be called once after the last message. */
  flush(): void {
    if (this.#media.length > 0) this.list.push({ role: 'user', content: this.#media });
    this.#media = [];
  }
}

export function functionCall(id: string, name: string, args: string): JsonObject {
  return { id, type: 'function', function: { name, arguments: args } };
}
