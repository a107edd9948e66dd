import type { Usage } from '@sallyport/core';
import type { JsonObject, JsonValue } from '../json/document.ts';
import type { ReadObject } from '../reply/event.ts';
import { readCompletion } from '../reply/openai-chat.ts';
import { isObject } from '../reply/rules.ts';
import { count } from '../reply/usage.ts';
import type { TurnReader } from './reply.ts';
import { type Finish, type TurnEnd, type TurnEvent, unreadable } from './turn.ts';

/** Words for an end, by OpenAI, TGI (`eos_token`, `stop_sequence`), Mistral (`model_length`) and servers that take Anthropic's. */
const FINISHES: ReadonlyMap<string, Finish> = new Map([
  ['stop', 'stop'],
  ['eos_token', 'stop'],
  ['stop_sequence', 'stop'],
  ['end_turn', 'stop'],
  ['length', 'length'],
  ['max_tokens', 'length'],
  ['model_length', 'length'],
  ['tool_calls', 'calls'],
  ['function_call', 'calls'],
  ['content_filter', 'filter'],
]);

/** vLLM and SGLang end a request so that they gave up. */
const FAILURES: ReadonlySet<string> = new Set(['abort', 'error']);

const NANOSECONDS = 1_000_000;

/** Chat completions. One choice was asked for; a second cannot be told apart in the other dialects. */
export class ChatReader implements TurnReader {
  readonly validate: ReadObject = readCompletion;
  readonly validateWhole: ReadObject = readCompletion;
  readonly isNamed = false;
  usage: Usage | null = null;
  readonly #calls = new Map<number, { id: string; name: string; begun: boolean }>();
  #reasoningName: string | null = null;
  #finish: Finish | null = null;
  #stopSequence: string | null = null;
  #reasoningTokens = 0;
  #durations: TurnEnd['durations'] = null;

  read(root: JsonObject, usage: Usage | null, events: TurnEvent[]): void {
    this.#read(root, 'delta', usage, events);
  }

  readWhole(root: JsonObject, usage: Usage | null, events: TurnEvent[]): void {
    this.#read(root, 'message', usage, events);
    if (!Array.isArray(root['choices']) || root['choices'].length === 0) throw unreadable('reply without a choice');
    // What is whole has ended, whatever it says of why.
    this.#finish ??= 'stop';
  }

  end(): TurnEnd {
    const called = this.#calls.size > 0;
    for (const call of this.#calls.values()) if (!call.begun) throw unreadable('call without a name');
    if (this.#finish === null) throw unreadable('stream without a finish reason');
    return {
      // A call that the client forced ends with `stop` in some servers; what matters to clients is that there is one.
      finish: this.#finish === 'stop' && called ? 'calls' : this.#finish,
      stopSequence: this.#stopSequence,
      usage: this.usage,
      reasoningTokens: this.#reasoningTokens,
      durations: this.#durations,
    };
  }

  #read(root: JsonObject, member: 'delta' | 'message', usage: Usage | null, events: TurnEvent[]): void {
    if (usage !== null) this.usage = usage;
    const details = isObject(root['usage']) ? root['usage']['completion_tokens_details'] : null;
    if (isObject(details)) this.#reasoningTokens = count(details['reasoning_tokens']) ?? this.#reasoningTokens;
    if (isObject(root['timings'])) this.#durations = durations(root['timings']);
    const choices = root['choices'] ?? [];
    if (!Array.isArray(choices)) throw unreadable('choices are no list');
    for (const [position, choice] of choices.entries()) {
      if (!isObject(choice) || (choice['index'] ?? position) !== 0) throw unreadable('choice that was not asked for');
      const message = choice[member] ?? null;
      if (isObject(message)) this.#message(message, events);
      else if (message !== null || isObject(choice[member === 'delta' ? 'message' : 'delta']))
        throw unreadable(`choice without a ${member}`);
      this.#ending(choice);
    }
  }

  #message(message: JsonObject, events: TurnEvent[]): void {
    const before = events.length;
    this.#reasoning(message, events);
    content(message['content'], 'text', events);
    content(message['refusal'], 'refusal', events);
    this.#toolCalls(message['tool_calls'], events);
    for (const name of ['function_call', 'audio']) {
      if ((message[name] ?? null) !== null) throw unreadable(`${name} was not asked for`);
    }
    if (this.#finish !== null && events.slice(before).some((event) => event.kind === 'call' || event.text !== '')) {
      throw unreadable('text after its end');
    }
  }

  /** Each server has its own name for it, and some send it under two at once; the first name that comes is the one that is read. */
  #reasoning(message: JsonObject, events: TurnEvent[]): void {
    for (const name of ['reasoning_content', 'reasoning']) {
      const value = message[name] ?? '';
      if (value === '' || (this.#reasoningName ?? name) !== name) continue;
      this.#reasoningName = name;
      content(value, 'reasoning', events);
    }
  }

  #toolCalls(calls: JsonValue | undefined, events: TurnEvent[]): void {
    if (calls === undefined || calls === null) return;
    if (!Array.isArray(calls)) throw unreadable('tool calls are no list');
    for (const [position, item] of calls.entries()) {
      const definition = isObject(item) ? item['function'] : null;
      if (!isObject(item) || !isObject(definition)) throw unreadable('tool call without a function');
      const index = typeof item['index'] === 'number' ? item['index'] : position;
      const call = this.#call(index, stringOf(item['id']), stringOf(definition['name']));
      if (!call.begun && call.name !== '') {
        call.begun = true;
        events.push({ kind: 'call', call: index, id: call.id, name: call.name });
      }
      // llama.cpp and others give a whole object here at times.
      const written = definition['arguments'];
      const text = isObject(written) ? JSON.stringify(written) : stringOf(written);
      if (text === '') continue;
      if (!call.begun) throw unreadable('arguments before the name of their tool');
      events.push({ kind: 'arguments', call: index, text });
    }
  }

  /** Names and ids come once, or again and again; two that differ could be read as two calls or as one. */
  #call(index: number, id: string, name: string): { id: string; name: string; begun: boolean } {
    const known = this.#calls.get(index);
    if (known === undefined) {
      const call = { id, name, begun: false };
      this.#calls.set(index, call);
      return call;
    }
    if ((name !== '' && known.name !== '' && name !== known.name) || (id !== '' && known.id !== '' && id !== known.id)) {
      throw unreadable('two calls at one index');
    }
    known.name ||= name;
    if (!known.begun) known.id ||= id;
    return known;
  }

  #ending(choice: JsonObject): void {
    const reason = choice['finish_reason'];
    if (typeof reason !== 'string' || reason === '') return;
    if (FAILURES.has(reason)) throw unreadable('the server gave up');
    this.#finish = FINISHES.get(reason) ?? 'stop';
    // vLLM names the stop sequence (or the number of a stop token) here.
    if (typeof choice['stop_reason'] === 'string' && this.#finish === 'stop') this.#stopSequence = choice['stop_reason'];
  }
}

function stringOf(value: JsonValue | undefined): string {
  if (typeof value === 'string') return value;
  if (value === undefined || value === null) return '';
  throw unreadable('not a string');
}

/** A string, or parts that a client would join. */
function content(value: JsonValue | undefined, kind: 'text' | 'reasoning' | 'refusal', events: TurnEvent[]): void {
  if (value === undefined || value === null || value === '') return;
  if (typeof value === 'string') {
    events.push({ kind, text: value });
    return;
  }
  if (!Array.isArray(value)) throw unreadable('content is neither text nor parts');
  for (const part of value) {
    if (!isObject(part)) throw unreadable('part of content');
    if (part['type'] === 'refusal') content(part['refusal'], 'refusal', events);
    else if (part['type'] === 'thinking') content(part['thinking'], 'reasoning', events);
    else if (typeof part['text'] === 'string') content(part['text'], kind, events);
    else throw unreadable('part of content');
  }
}

/** llama.cpp's timings are in milliseconds. */
function durations(timings: JsonObject): TurnEnd['durations'] {
  const { prompt_ms: prompt, predicted_ms: output } = timings;
  const isTime = (value: JsonValue | undefined): value is number => typeof value === 'number' && value >= 0 && value < 1e9;
  return isTime(prompt) && isTime(output) ? { prompt: Math.round(prompt * NANOSECONDS), output: Math.round(output * NANOSECONDS) } : null;
}
