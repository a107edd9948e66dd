import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import type { EndpointId } from '../src/endpoint.ts';
import type { JsonObject, JsonValue } from '../src/json/document.ts';
import { findTranslation } from '../src/translate/find.ts';
import type { ReplyContext, ReplyTranslator, RequestContext, Translation } from '../src/translate/translation.ts';
import { readStream } from './reply-fixtures.ts';

export const FOLDER: URL = new URL('./testdata/translate/', import.meta.url);

export type ClientId = 'openai.chat' | 'openai.responses' | 'anthropic.messages' | 'ollama.chat' | 'ollama.generate';
export const CLIENTS: readonly ClientId[] = ['openai.chat', 'openai.responses', 'anthropic.messages', 'ollama.chat', 'ollama.generate'];
const SERVERS: Readonly<Record<string, EndpointId>> = { chat: 'openai.chat', messages: 'anthropic.messages' };

export const REPLY: ReplyContext = {
  id: 'abc123',
  model: 'public',
  created: Date.UTC(2026, 10, 20, 10),
  request: { stream_options: { include_usage: true } },
};
export const REQUEST: RequestContext = { model: 'target', stream: false, extensions: new Set() };

/** Recorded streams of servers, by the folder that says which dialect they are in. */
export const STREAMS: readonly { readonly name: string; readonly to: EndpointId; readonly bytes: Buffer }[] = Object.entries(
  SERVERS,
).flatMap(([folder, to]) =>
  readdirSync(new URL(`${folder}/`, FOLDER))
    .filter((name) => name.endsWith('.sse'))
    .map((name) => ({ name: `${folder}/${name.slice(0, -4)}`, to, bytes: readFileSync(new URL(`${folder}/${name}`, FOLDER)) })),
);

export function translation(from: EndpointId, to: EndpointId): Translation {
  const found = findTranslation(from, (endpoint) => endpoint === to);
  assert.ok(found !== null, `${from} to ${to}`);
  return found;
}

/** The request as a server of `to` would get it. */
export function translated(from: EndpointId, to: EndpointId, request: JsonObject, context: Partial<RequestContext> = {}): JsonObject {
  const value: JsonObject = JSON.parse(
    translation(from, to)
      .request(request, { ...REQUEST, ...context })
      .toString(),
  );
  return value;
}

/** All that comes out of a translator, and the fault that ended it. */
export function drain(translator: ReplyTranslator, chunks: readonly Buffer[]): { readonly bytes: Buffer; readonly fault: unknown } {
  const out: Buffer[] = [];
  try {
    for (const chunk of chunks) out.push(...translator.push(chunk));
    out.push(...translator.end());
  } catch (error) {
    return { bytes: Buffer.concat(out), fault: error };
  }
  // A fault in the last call comes with the next.
  return { bytes: Buffer.concat(out), fault: translator.fault };
}

export function streamed(from: EndpointId, to: EndpointId, chunks: readonly Buffer[]): { readonly bytes: Buffer; readonly fault: unknown } {
  return drain(translation(from, to).openReply(REPLY), chunks);
}

/** A turn of the assistant as a client understands it. */
export interface Turn {
  text: string;
  reasoning: string;
  calls: { name: string; arguments: string }[];
  finish: string;
}

/** Reads a translated stream as a client does, and checks that the gateway's own reader finds it sound and finished. */
export function turnOf(from: ClientId, bytes: Buffer): Turn {
  const { events, finished } = readStream(from, [bytes]);
  assert.ok(finished, 'the stream has its end marker');
  assert.ok(!events.some(({ kind }) => kind === 'malformed' || kind === 'error'), 'every event can be read');
  const turn: Turn = { text: '', reasoning: '', calls: [], finish: '' };
  for (const frame of frames(bytes)) READERS[from](frame, turn);
  return turn;
}

export function frames(bytes: Buffer): JsonObject[] {
  return bytes
    .toString('utf8')
    .split('\n')
    .map((line) => (line.startsWith('data: ') ? line.slice(6) : line))
    .filter((line) => line.startsWith('{'))
    .map((line): JsonObject => JSON.parse(line));
}

/** The value at a path, or undefined. */
export function get(value: JsonValue | undefined, ...path: readonly (string | number)[]): JsonValue | undefined {
  let found = value;
  for (const step of path) {
    if (typeof found !== 'object' || found === null) return undefined;
    found = Array.isArray(found) ? found[Number(step)] : found[step];
  }
  return found;
}

function string(value: JsonValue | undefined, ...path: readonly (string | number)[]): string {
  const found = get(value, ...path);
  return typeof found === 'string' ? found : '';
}

function list(value: JsonValue | undefined, ...path: readonly (string | number)[]): JsonValue[] {
  const found = get(value, ...path);
  return Array.isArray(found) ? found : [];
}

function addCall(turn: Turn, index: JsonValue | undefined, name: string, args: string): void {
  const at = Number(index);
  const call = turn.calls[at] ?? { name: '', arguments: '' };
  turn.calls[at] = { name: call.name + name, arguments: call.arguments + args };
}

const READERS: Readonly<Record<ClientId, (frame: JsonObject, turn: Turn) => void>> = {
  'openai.chat': (frame, turn) => {
    const choice = get(frame, 'choices', 0);
    turn.text += string(choice, 'delta', 'content') + string(choice, 'delta', 'refusal');
    turn.reasoning += string(choice, 'delta', 'reasoning_content');
    for (const call of list(choice, 'delta', 'tool_calls')) {
      addCall(turn, get(call, 'index'), string(call, 'function', 'name'), string(call, 'function', 'arguments'));
    }
    turn.finish ||= string(choice, 'finish_reason');
  },
  'openai.responses': (frame, turn) => {
    const type = string(frame, 'type');
    const item = get(frame, 'item');
    if (type === 'response.output_text.delta' || type === 'response.refusal.delta') turn.text += string(frame, 'delta');
    if (type === 'response.reasoning_text.delta') turn.reasoning += string(frame, 'delta');
    if (type === 'response.output_item.done' && string(item, 'type') === 'function_call') {
      addCall(turn, turn.calls.length, string(item, 'name'), string(item, 'arguments'));
    }
    if (type === 'response.completed' || type === 'response.incomplete') {
      turn.finish = string(frame, 'response', 'incomplete_details', 'reason') || 'completed';
    }
  },
  'anthropic.messages': (frame, turn) => {
    const delta = get(frame, 'delta');
    const type = string(frame, 'type');
    if (type === 'content_block_start' && string(frame, 'content_block', 'type') === 'tool_use') {
      addCall(turn, turn.calls.length, string(frame, 'content_block', 'name'), '');
    }
    if (string(delta, 'type') === 'input_json_delta') addCall(turn, turn.calls.length - 1, '', string(delta, 'partial_json'));
    turn.text += string(delta, 'text');
    turn.reasoning += string(delta, 'thinking');
    if (type === 'message_delta') turn.finish = string(delta, 'stop_reason');
  },
  'ollama.chat': (frame, turn) => {
    turn.text += string(frame, 'message', 'content');
    turn.reasoning += string(frame, 'message', 'thinking');
    for (const call of list(frame, 'message', 'tool_calls')) {
      addCall(turn, turn.calls.length, string(call, 'function', 'name'), JSON.stringify(get(call, 'function', 'arguments')));
    }
    turn.finish = string(frame, 'done_reason');
  },
  'ollama.generate': (frame, turn) => {
    turn.text += string(frame, 'response');
    turn.reasoning += string(frame, 'thinking');
    for (const call of list(frame, 'tool_calls')) {
      addCall(turn, turn.calls.length, string(call, 'function', 'name'), JSON.stringify(get(call, 'function', 'arguments')));
    }
    turn.finish = string(frame, 'done_reason');
  },
};
