import type { Usage } from '@sallyport/core';
import type { JsonObject, JsonValue } from '../json/document.ts';
import { readMessage, readMessageEvent } from '../reply/anthropic.ts';
import type { ReadObject } from '../reply/event.ts';
import { isObject } from '../reply/rules.ts';
import type { TurnReader } from './reply.ts';
import { type Finish, type TextKind, type TurnEnd, type TurnEvent, unreadable } from './turn.ts';

const FINISHES: ReadonlyMap<JsonValue, Finish> = new Map<JsonValue, Finish>([
  ['end_turn', 'stop'],
  ['stop_sequence', 'stop'],
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['tool_use', 'calls'],
  ['refusal', 'filter'],
]);

/** Blocks of text by type, with the member that holds it; what begins in a block goes on in deltas. */
const TEXTS: ReadonlyMap<JsonValue | undefined, { readonly kind: TextKind; readonly member: string }> = new Map([
  ['text', { kind: 'text', member: 'text' }],
  ['thinking', { kind: 'reasoning', member: 'thinking' }],
]);

/** Deltas that have no place in the other dialects, and no text of the answer: signatures and citations. */
const LEFT_OUT: ReadonlySet<JsonValue | undefined> = new Set(['signature_delta', 'citations_delta']);

/** Anthropic's Messages (docs.anthropic.com/en/api/messages-streaming). */
export class MessagesReader implements TurnReader {
  readonly validate: ReadObject = readMessageEvent;
  readonly validateWhole: ReadObject = readMessage;
  readonly isNamed = true;
  usage: Usage | null = null;
  readonly #blocks = new Map<JsonValue, { readonly type: JsonValue; readonly input: string; grown: boolean }>();
  #finish: Finish | null = null;
  #stopSequence: string | null = null;
  #stopped = false;

  read(root: JsonObject, usage: Usage | null, events: TurnEvent[]): void {
    // The usage at the start is of the input alone; one that never ends has not been counted.
    if (usage !== null && root['type'] === 'message_delta') this.usage = usage;
    const index = root['index'] ?? 0;
    switch (root['type']) {
      case 'content_block_start':
        this.#open(index, root['content_block'], events);
        break;
      case 'content_block_delta':
        this.#grow(index, root['delta'], events);
        break;
      case 'content_block_stop':
        this.#close(index, events);
        break;
      case 'message_delta':
        if (isObject(root['delta'])) this.#ending(root['delta']);
        break;
      case 'message_stop':
        this.#stopped = true;
        break;
      case 'message_start':
      case 'ping':
        break;
      default:
        throw unreadable('event of an unknown type');
    }
  }

  readWhole(root: JsonObject, usage: Usage | null, events: TurnEvent[]): void {
    const content = root['content'];
    if (!Array.isArray(content)) throw unreadable('message without content');
    this.usage = usage;
    for (const [index, block] of content.entries()) {
      this.#open(index, block, events);
      this.#close(index, events);
    }
    this.#ending(root);
    this.#finish ??= 'stop';
    this.#stopped = true;
  }

  end(): TurnEnd {
    if (this.#finish === null || !this.#stopped) throw unreadable('stream without a stop reason');
    return { finish: this.#finish, stopSequence: this.#stopSequence, usage: this.usage, reasoningTokens: 0, durations: null };
  }

  #open(index: JsonValue, block: JsonValue | undefined, events: TurnEvent[]): void {
    if (!isObject(block) || typeof index !== 'number' || this.#blocks.has(index)) throw unreadable('start of a block');
    const { type = null } = block;
    const isCall = type === 'tool_use';
    const input = isCall && isObject(block['input']) ? JSON.stringify(block['input']) : '{}';
    this.#blocks.set(index, { type, input, grown: false });
    const style = TEXTS.get(type);
    if (style !== undefined) {
      const text = block[style.member] ?? '';
      if (typeof text !== 'string') throw unreadable('text of a block');
      events.push({ kind: style.kind, text });
    } else if (isCall) {
      const { id, name } = block;
      if (typeof id !== 'string' || typeof name !== 'string' || name === '') throw unreadable('start of a call');
      events.push({ kind: 'call', call: index, id, name });
    } else if (type !== 'redacted_thinking') throw unreadable('block that was not asked for');
  }

  #grow(index: JsonValue, delta: JsonValue | undefined, events: TurnEvent[]): void {
    const block = this.#blocks.get(index);
    if (!isObject(delta) || block === undefined) throw unreadable('delta of no block');
    if (LEFT_OUT.has(delta['type'])) return;
    const style = TEXTS.get(block.type);
    const text = delta[style?.member ?? 'partial_json'];
    if (typeof text !== 'string' || (style === undefined && block.type !== 'tool_use'))
      throw unreadable('delta of another kind than its block');
    block.grown ||= text !== '';
    events.push(style === undefined ? { kind: 'arguments', call: Number(index), text } : { kind: style.kind, text });
  }

  /** A call without deltas had its input in its start. */
  #close(index: JsonValue, events: TurnEvent[]): void {
    const block = this.#blocks.get(index);
    if (block === undefined) throw unreadable('end of no block');
    if (block.type === 'tool_use' && !block.grown) events.push({ kind: 'arguments', call: Number(index), text: block.input });
  }

  #ending(end: JsonObject): void {
    const reason = end['stop_reason'] ?? null;
    if (reason === null) return;
    this.#finish = FINISHES.get(reason) ?? 'stop';
    if (typeof end['stop_sequence'] === 'string') this.#stopSequence = end['stop_sequence'];
  }
}
