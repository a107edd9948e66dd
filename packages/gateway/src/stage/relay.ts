import { Fault, type Finding, type TextEdit, type Usage } from '@sallyport/core';
import {
  type Allowed,
  applyEdits,
  type Exchange,
  type Placeholders,
  type TextContext,
  type TextWindow,
  type WindowStep,
} from '@sallyport/guard';
import type { ReplyEvent, ReplyText } from '@sallyport/wire';
import type { GuardPolicy } from '../guard-book.ts';
import type { ShadowWindow } from '../shadow.ts';
import type { FindingSink } from './inspect.ts';
import { ReplyFacts } from './reply-facts.ts';

/** Bytes of events that may wait behind one that is not decided: one choice in the middle of a match holds all others back. */
const MAX_HELD_BYTES = 16 * 1024 * 1024;
/** Texts one streamed reply may have. */
const MAX_CHANNELS = 4096;

/** A text of the reply that grows event by event, and how far it is decided. Offsets are UTF-16 units of the whole text. */
interface Channel {
  readonly window: TextWindow;
  readonly shadow: ShadowWindow | null;
  length: number;
  released: number;
  edits: TextEdit[];
}

/** A text of a held event: where in its channel it lies, or its own edits where it was judged whole. */
interface HeldText {
  readonly text: ReplyText;
  readonly channel: Channel | null;
  readonly start: number;
  readonly end: number;
  readonly edits: readonly TextEdit[];
}

interface HeldEvent {
  readonly event: ReplyEvent;
  readonly texts: readonly HeldText[];
}

/**
 * Stands in a reply stream: events go in as the upstream sends them and come out, in order, once no later text can change what the
 * guard says of them. What was redacted is re-framed, what was not leaves byte for byte. `blocked` is set when the reply must end here:
 * what may still be shown of it has come out, and nothing more will.
 */
export class Relay {
  usage: Usage | null = null;
  readonly facts: ReplyFacts = new ReplyFacts();
  blocked: Fault | null = null;
  /** True once the upstream itself reported an error or sent what cannot be read. */
  broken: Fault | null = null;
  readonly #guarding: GuardPolicy;
  readonly #publicModel: string;
  readonly #exchange: Exchange;
  readonly #placeholders: Placeholders;
  readonly #sink: FindingSink;
  readonly #allowed: Allowed | null;
  readonly #channels = new Map<string, Channel>();
  /** Bytes of text by channel: a whole text that repeats its deltas is no further one. */
  readonly #textBytes = new Map<string, number>();
  #held: HeldEvent[] = [];
  #heldBytes = 0;
  #redacted = false;

  constructor(
    guarding: GuardPolicy,
    publicModel: string,
    exchange: Exchange,
    placeholders: Placeholders,
    sink: FindingSink,
    allowed: Allowed | null,
  ) {
    this.#guarding = guarding;
    this.#publicModel = publicModel;
    this.#exchange = exchange;
    this.#placeholders = placeholders;
    // What repeats a prompt of ours in another form has to go from the first event on.
    this.#redacted = exchange.prompt !== null;
    this.#sink = sink;
    this.#allowed = allowed;
  }

  /** Bytes (UTF-8) of generated text so far, whether or not it was shown. */
  get textBytes(): number {
    let sum = 0;
    for (const bytes of this.#textBytes.values()) sum += bytes;
    return sum;
  }

  /** Takes events, returns the bytes that may leave now. */
  push(events: readonly ReplyEvent[]): Buffer[] {
    const out: Buffer[] = [];
    for (const event of events) {
      if (this.blocked !== null || this.broken !== null) break;
      if (event.kind === 'malformed' || event.kind === 'error') {
        // Neither is passed on: an upstream's error text may name hosts, paths or prompts.
        this.broken = new Fault('upstream_error', 'The model server broke off its answer.', { detail: `stream event: ${event.kind}` });
        this.#closeAll();
      } else this.#accept(event);
      this.#release(out);
    }
    return out;
  }

  /** The stream is over: every text is complete. */
  end(): Buffer[] {
    const out: Buffer[] = [];
    this.#closeAll();
    this.#release(out);
    return out;
  }

  /** A reply that ended without a word is judged as the empty text it is: what a contract asks for is not there. */
  judgeSilence(): void {
    if (this.facts.isSilent) this.#judge({ index: 0, channel: 'silence', kind: 'text', mode: 'whole', text: '' });
  }

  #accept(event: ReplyEvent): void {
    this.#heldBytes += event.raw.length;
    // A whole reply is one event, which waits for nothing; its size has a bound of its own.
    if ((this.#heldBytes > MAX_HELD_BYTES && this.#held.length > 0) || this.#textBytes.size > MAX_CHANNELS) {
      this.broken = new Fault('upstream_error', 'The model server sent an answer that could not be read.', {
        detail: 'too much undecided',
      });
      this.#closeAll();
      return;
    }
    if (event.usage !== null) this.usage = mergeUsage(this.usage, event.usage);
    this.facts.take(event);
    this.#held.push({ event, texts: event.texts.length === 0 ? [] : event.texts.map((text) => this.#judge(text)) });
    // Whether a tool is called, which its words are judged by, is known at its end.
    if (this.#guarding.isRequested !== true) for (const name of event.closes) this.#close(name);
  }

  #count({ channel, mode, text }: ReplyText): void {
    const known = this.#textBytes.get(channel) ?? 0;
    const bytes = Buffer.byteLength(text);
    this.#textBytes.set(channel, mode === 'delta' ? known + bytes : Math.max(known, bytes));
  }

  #judge(text: ReplyText): HeldText {
    this.#count(text);
    if (text.mode === 'whole') {
      const context = this.#context(text);
      this.#guarding.shadow?.inspect(text.text, context, this.#sink);
      const verdict = this.#guarding.guard.inspect(text.text, context);
      if (verdict.effect === 'pass') return { text, channel: null, start: 0, end: 0, edits: [] };
      this.#judged(verdict.effect, verdict.findings);
      return { text, channel: null, start: 0, end: 0, edits: verdict.effect === 'redact' ? verdict.edits : [] };
    }
    const channel = this.#channel(text);
    const start = channel.length;
    channel.length += text.text.length;
    channel.shadow?.push(text.text);
    this.#advance(channel, channel.window.push(text.text));
    return { text, channel, start, end: channel.length, edits: [] };
  }

  #channel(text: ReplyText): Channel {
    let channel = this.#channels.get(text.channel);
    if (channel === undefined) {
      const context = this.#context(text);
      const window = this.#guarding.guard.open(context);
      const shadow = this.#guarding.shadow?.open(context, this.#sink) ?? null;
      channel = { window, shadow, length: 0, released: 0, edits: [] };
      this.#channels.set(text.channel, channel);
    }
    return channel;
  }

  #context({ kind }: ReplyText): TextContext {
    const context: TextContext = {
      stage: 'output',
      provenance: 'assistant',
      kind,
      exchange: this.#exchange,
      placeholders: this.#placeholders,
    };
    if (this.#allowed === null && this.#guarding.isRequested !== true) return context;
    return {
      ...context,
      ...(this.#allowed === null ? {} : { allowed: this.#allowed }),
      ...(this.#guarding.isRequested === true ? { callsTools: () => this.facts.callsTools } : {}),
    };
  }

  #close(name: string): void {
    const channel = this.#channels.get(name);
    if (channel !== undefined) this.#finish(name, channel);
  }

  #closeAll(): void {
    for (const [name, channel] of this.#channels) this.#finish(name, channel);
  }

  /** Held events keep their reference to a finished channel; a later delta of that name would open a new one. */
  #finish(name: string, channel: Channel): void {
    this.#channels.delete(name);
    channel.shadow?.end();
    if (this.blocked === null) this.#advance(channel, channel.window.end());
  }

  #advance(channel: Channel, step: WindowStep): void {
    channel.released = step.released;
    if (step.edits.length > 0) channel.edits.push(...step.edits);
    if (step.effect !== 'pass') this.#judged(step.effect, step.findings);
  }

  #judged(effect: WindowStep['effect'], findings: readonly Finding[]): void {
    if (findings.length > 0) this.#sink.found(findings, effect);
    const blocks = effect === 'block' || (effect === 'unavailable' && this.#guarding.settings.onUnavailable === 'block');
    if (!blocks || this.#guarding.settings.mode === 'observe' || this.blocked !== null) return;
    this.blocked = new Fault('content_blocked', 'The reply was blocked by a content policy.');
  }

  #release(out: Buffer[]): void {
    if (this.#guarding.settings.mode === 'observe') {
      for (const held of this.#held) out.push(this.#original(held.event));
      this.#held = [];
      this.#heldBytes = 0;
      return;
    }
    let sent = 0;
    for (const held of this.#held) {
      if (this.blocked !== null && held.texts.some((text) => text.channel === null)) break;
      const complete = held.texts.every((text) => text.channel === null || text.end <= text.channel.released);
      if (complete) {
        out.push(this.#rewrite(held));
        forgetEdits(held);
        this.#heldBytes -= held.event.raw.length;
        sent += 1;
        continue;
      }
      // Of the event in which a blocked text begins, what lies before the match may be shown: the same text for every way of cutting it.
      if (this.blocked !== null && held.texts.some((text) => text.channel !== null && text.channel.released > text.start))
        out.push(this.#rewrite(held));
      break;
    }
    if (this.blocked !== null) this.#held = [];
    else if (sent > 0) this.#held = this.#held.slice(sent);
  }

  #original(event: ReplyEvent): Buffer {
    // After a redaction later events must not bring the text back in another form (Ollama's `context` is the reply as token ids).
    if (this.#redacted) return event.rewrite(NOTHING, event.model === null ? null : this.#publicModel);
    return event.model === null || event.model === this.#publicModel ? event.raw : event.rewrite(NOTHING, this.#publicModel);
  }

  #rewrite(held: HeldEvent): Buffer {
    let replaced: Map<number, string> | null = null;
    for (const text of held.texts) {
      const shown = text.channel === null ? applyEdits(text.text.text, text.edits) : clip(text, text.channel);
      if (shown === text.text.text) continue;
      replaced ??= new Map();
      replaced.set(text.text.index, shown);
    }
    if (replaced === null) return this.#original(held.event);
    this.#redacted = true;
    return held.event.rewrite(replaced, held.event.model === null ? null : this.#publicModel);
  }
}

const NOTHING: ReadonlyMap<number, string> = new Map();

/**
 * The part of a delta that may be shown, with the channel's edits made. An edit that reaches over several deltas puts its replacement
 * where it starts and removes the rest.
 */
function clip(held: HeldText, channel: Channel): string {
  const end = Math.min(held.end, channel.released);
  if (end <= held.start) return '';
  const inside: TextEdit[] = [];
  for (const edit of channel.edits) {
    if (edit.end <= held.start || edit.start >= end) continue;
    const text = edit.start >= held.start ? edit.text : '';
    inside.push({ start: Math.max(edit.start, held.start) - held.start, end: Math.min(edit.end, end) - held.start, text });
  }
  return applyEdits(held.text.text.slice(0, end - held.start), inside);
}

/** Edits that lie wholly in what was sent are done with; without this a long reply would search all of them at every event. */
function forgetEdits(held: HeldEvent): void {
  for (const { channel, end } of held.texts) {
    if (channel !== null && channel.edits.length > 0) channel.edits = channel.edits.filter((edit) => edit.end > end);
  }
}

/** Some dialects report input and output tokens in different events, and cumulative counts in several: the largest of each is the truth. */
function mergeUsage(known: Usage | null, next: Usage): Usage {
  if (known === null) return next;
  return {
    input: Math.max(known.input, next.input),
    output: Math.max(known.output, next.output),
    cached: Math.max(known.cached, next.cached),
    exact: known.exact && next.exact,
  };
}
