import type { Usage } from '@sallyport/core';

/** What kind of text a reply part is. Every kind is inspected, in a window of its own. */
export type ReplyTextKind = 'text' | 'reasoning' | 'refusal' | 'tool-name' | 'tool-arguments' | 'tool-result' | 'annotation' | 'transcript';

/**
 * One piece of model output in an event (or in a whole reply).
 * Pieces of one `channel` are parts of one growing text: `delta` appends, `whole` repeats or gives the full text at once. A `whole` text
 * may come on a channel that deltas came on before (it then repeats them), also after that channel was closed, and more than once.
 * In a whole reply texts are `whole`, but for a text that is split over content parts: those are `delta`s of one channel.
 * `index` addresses the piece inside its event for `rewrite`; it is the position in `texts`.
 */
export interface ReplyText {
  readonly index: number;
  /** Stable name of the window, for instance `choice:0/text`, `choice:1/tool:0/arguments`, `output:2/content:0/text`, `block:0/thinking`. */
  readonly channel: string;
  readonly kind: ReplyTextKind;
  readonly mode: 'delta' | 'whole';
  /** May begin or end with half of a surrogate pair: some servers split one over two events. */
  readonly text: string;
}

/** One event of a reply stream. Concatenating `raw` of all events of a stream gives exactly the bytes that were pushed in. */
export interface ReplyEvent {
  readonly raw: Buffer;
  /**
   * - `data` carries payload. The last event of a dialect that carries some is `data` too (Ollama's `done` line, `response.completed`);
   *   `ReplyStream.finished` tells.
   * - `done` is a bare end marker (`[DONE]`, `message_stop`).
   * - `comment` has no payload. Its words, and those of odd frame lines beside a payload, are in `texts` like any other.
   * - `error` is the upstream's error; its words are not for the client.
   * - `malformed` could not be read with certainty (not JSON, not UTF-8, duplicate members, too deep, a text after the end of its
   *   channel, ...). It must not be forwarded: a client may read in it what was not inspected.
   */
  readonly kind: 'data' | 'done' | 'comment' | 'error' | 'malformed';
  readonly texts: readonly ReplyText[];
  /** Tokens of the exchange up to this event, or null where the event tells none. */
  readonly usage: Usage | null;
  /** Channels that end with this event, after its texts: each is one on which a `delta` came before. No later delta can come for them. */
  readonly closes: readonly string[];
  /** The upstream's model name in this event, to be replaced by the public one; empty where only what names the upstream must go; else null. */
  readonly model: string | null;
  /** Why the reply ended (`stop`, `length`, `tool_use`, ...), where the event says so: a word, in the dialect's own spelling. */
  readonly finish?: string | null;
  /**
   * The event's bytes with the texts at the given indexes replaced and, if `model` is given, the model name replaced (and the upstream's
   * addresses emptied). Framing and everything else stay byte for byte; with nothing to change it is `raw` itself. Where a text changes,
   * what repeats it in another form goes: log-probabilities and token ids beside it, and token ids in any later event of the stream
   * (Ollama's `context`), so call it on every event once a text of the stream was changed.
   */
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
  /** Media type of a stream; null where the endpoint does not stream. A whole reply is `application/json`. Anything else from the upstream is an `upstream_error`. */
  readonly streamType: 'text/event-stream' | 'application/x-ndjson' | null;
  /** For replies that describe the server as well: a copy of the body without that, read in its place. Absent where replies pass as they are. */
  readonly rebuild?: (body: Buffer) => Buffer;
  /** `secret`: the request was given instructions that must not come back in what repeats it (token ids, `instructions`). */
  openStream(options: { readonly maxEventBytes: number; readonly secret?: boolean }): ReplyStream;
  /** Reads a whole JSON reply as one event. Never throws for upstream garbage: returns `malformed`. An empty body is a `comment`. */
  readWhole(body: Buffer, secret?: boolean): ReplyEvent;
  /** The dialect's error inside a stream. The gateway closes after it, without an end marker, so that clients see the truncation. */
  errorEvent(error: { readonly message: string; readonly code: string; readonly type: string }): Buffer;
}
