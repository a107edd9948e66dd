import type { Usage } from '@sallyport/core';

/** What kind of text a reply part is. Every kind is inspected, in a window of its own. */
export type ReplyTextKind = 'text' | 'reasoning' | 'refusal' | 'tool-name' | 'tool-arguments' | 'tool-result' | 'annotation' | 'transcript';

/**
 * One piece of model output in an event (or in a whole reply).
 * Pieces of one `channel` are parts of one growing text: `delta` appends, `whole` repeats or gives the full text at once.
 * `index` addresses the piece inside its event for `rewrite`.
 */
export interface ReplyText {
  readonly index: number;
  /** Stable name of the window, for instance `choice:0/text`, `choice:1/tool:0/arguments`, `output:2/content:0/text`. */
  readonly channel: string;
  readonly kind: ReplyTextKind;
  readonly mode: 'delta' | 'whole';
  readonly text: string;
}

/** One event of a reply stream. Concatenating `raw` of all events of a stream gives exactly the bytes that were pushed in. */
export interface ReplyEvent {
  readonly raw: Buffer;
  /** `data` carries payload; `done` ends the stream in its dialect; `comment` is keep-alive noise; `error` is the upstream's error; `malformed` could not be read. */
  readonly kind: 'data' | 'done' | 'comment' | 'error' | 'malformed';
  readonly texts: readonly ReplyText[];
  readonly usage: Usage | null;
  /** True where the event ends its channel(s): no later delta may follow for them. */
  readonly closes: readonly string[];
  /** The upstream's model name(s) in this event, to be replaced by the public one. */
  readonly model: string | null;
  /** The event's bytes with the texts at the given indexes replaced and, if `model` is given, the model name replaced. Framing and everything else stay byte for byte. */
  rewrite(texts: ReadonlyMap<number, string>, model: string | null): Buffer;
}

/** Splits a reply stream into events. Never loses, merges or reorders a byte; bounded by `maxEventBytes`, beyond which it throws `Fault('upstream_error')`. */
export interface ReplyStream {
  push(chunk: Buffer): ReplyEvent[];
  /** The upstream ended. Returns a last, unterminated event if bytes are left. */
  end(): ReplyEvent[];
  /** True once the dialect's end marker was seen. */
  readonly finished: boolean;
}

/** How an endpoint's reply is framed and read. */
export interface ReplyFormat {
  /** Media types accepted for a stream and for a whole reply; anything else from the upstream is an `upstream_error`. */
  readonly streamType: 'text/event-stream' | 'application/x-ndjson' | null;
  openStream(options: { readonly maxEventBytes: number }): ReplyStream;
  /** Reads a whole JSON reply as one event. Never throws for upstream garbage: returns `malformed`. */
  readWhole(body: Buffer): ReplyEvent;
  /** Extra event that carries text the guard held back or replaced, so that it can be sent on `channel` in this dialect; used when a window is released late. */
  errorEvent(error: { readonly message: string; readonly code: string; readonly type: string }): Buffer;
}
