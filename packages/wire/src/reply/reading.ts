import type { Usage } from '@sallyport/core';
import type { ReplyText, ReplyTextKind } from './format.ts';
import { literals, type Place } from './splice.ts';

/** Deeper replies are refused: no dialect nests further, and readers recurse. */
const MAX_DEPTH = 64;
/** More pieces of text than any server sends in one event; bounds the memory a hostile one can claim. */
const MAX_TEXTS = 100_000;

/** What must be known of earlier events of a stream to read the next. A whole reply has one of its own. */
export class Session {
  /** The request was given instructions that the client may not see: what repeats the request must not pass. */
  readonly secret: boolean;
  /** A text of this reply was changed, or may not be seen, so nothing that repeats the original in another form may pass. */
  redacted: boolean;
  /** Usage so far, for dialects that report input and output in different events. */
  usage: Usage | null = null;
  /** Tool calls seen, for dialects that do not number them. */
  tools = 0;
  /** Output positions by item id, for servers that leave `output_index` out. */
  readonly items: Map<string, number> = new Map();

  constructor(secret: boolean = false) {
    this.secret = secret;
    this.redacted = secret;
  }
}

/** Where a text comes from: a value, a member's name, a summary of an echo (`key` is its position in `echoes`), or a line of the frame. */
export interface Spot {
  readonly target: 'value' | 'name' | 'echo' | 'line';
  readonly at: Place | null;
  readonly key: string | number;
}

/** A value that repeats texts in another form (log-probabilities, token ids) and is emptied when a text within `owner` changes. */
export interface Echo {
  readonly owner: Place | null;
  readonly at: Place | null;
  readonly key: string | number;
  readonly empty: '[]' | 'null';
}

/** What the rules gathered from one JSON event. Filled while the parsed value is walked, then read by the event. */
export class Reading {
  readonly json: string;
  readonly session: Session;
  readonly streamed: boolean;
  /** How texts are marked unless a rule knows better. */
  mode: 'delta' | 'whole';
  readonly texts: ReplyText[] = [];
  readonly spots: Spot[] = [];
  readonly echoes: Echo[] = [];
  /** Texts that are numbers of more digits than their parsed form keeps. */
  readonly inexact: number[] = [];
  /** Members that hold the upstream's name of the model. */
  readonly models: { readonly at: Place | null; readonly key: string; readonly name: string }[] = [];
  /** Members that hold an address of the upstream; emptied when the model is renamed. */
  readonly addresses: { readonly at: Place | null; readonly key: string }[] = [];
  /** Lines beside the payload that have words: no client reads them, and they may name hosts. Emptied when the model is renamed. */
  lines = 0;
  /** Channels, or beginnings of channels up to a `/`, that end with this event; an empty string ends all. */
  readonly closes: string[] = [];
  usage: Usage | null = null;
  /** Why the reply ended, where the event says so. */
  reason: string | null = null;
  isError = false;
  isMalformed = false;
  /** The event is the dialect's end marker and nothing else. */
  isDone = false;
  /** No event follows this one in the dialect. */
  isLast = false;
  /** Members of all objects that were walked: what `countMembers` must give. */
  members = 0;

  constructor(json: string, session: Session, streamed: boolean) {
    this.json = json;
    this.session = session;
    this.streamed = streamed;
    this.mode = streamed ? 'delta' : 'whole';
  }

  /** Adds a text. Empty ones are nothing to inspect. */
  add(
    channel: string,
    kind: ReplyTextKind,
    mode: 'delta' | 'whole',
    text: string,
    target: Spot['target'],
    at: Place | null,
    key: string | number,
  ): void {
    if (text === '') return;
    const index = this.texts.length;
    if (index >= MAX_TEXTS) {
      this.isMalformed = true;
      return;
    }
    this.texts.push({ index, channel, kind, mode, text });
    this.spots.push({ target, at, key });
  }

  /** Nothing in the event is to be inspected, changed or counted. */
  get isBare(): boolean {
    return this.texts.length + this.models.length + this.addresses.length + this.echoes.length === 0 && this.usage === null;
  }

  /** The place of a container, or null where the event is nested too deeply and must be refused. */
  enter(at: Place | null, key: string | number): Place | null {
    const depth = at === null ? 1 : at.depth + 1;
    if (depth >= MAX_DEPTH) {
      this.isMalformed = true;
      return null;
    }
    return { parent: at, key, depth };
  }

  /** To be called once everything was walked. */
  finish(): void {
    if (this.inexact.length === 0) return;
    const spots = this.inexact.flatMap((index) => this.spots[index] ?? []);
    const written = literals(this.json, spots);
    for (const [n, index] of this.inexact.entries()) {
      const piece = this.texts[index];
      if (piece !== undefined) this.texts[index] = { ...piece, text: written[n] ?? piece.text };
    }
  }
}
