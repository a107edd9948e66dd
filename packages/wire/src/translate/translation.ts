import type { Fault, Usage } from '@sallyport/core';
import type { EndpointId } from '../endpoint.ts';
import type { JsonObject } from '../json/document.ts';

/**
 * How one endpoint is served by a server that only has another: the client's request in the server's words, and the server's reply in
 * the client's. Nothing is dropped unsaid: a field is carried, or ignored because docs/translation.md says why, or refused by name.
 */
export interface Translation {
  /** The endpoint the client called. */
  readonly from: EndpointId;
  /** The endpoint that is asked in its place. */
  readonly to: EndpointId;
  /**
   * The body for the server. `value` is a body that passed the client endpoint's parser, read by `parseExact`. Throws
   * `Fault('invalid_request')` naming the field that cannot be carried.
   */
  request(value: JsonObject, context: RequestContext): Buffer;
  /** Media type of the server's streams. A whole reply is `application/json`. */
  readonly streamType: 'text/event-stream' | null;
  openReply(context: ReplyContext): ReplyTranslator;
}

/** Parameters beyond the documented API that some servers of a kind take. What a server does not take is ignored: each is a hint. */
export type Extension =
  | 'top_k'
  | 'min_p'
  | 'typical_p'
  | 'repeat_penalty'
  | 'repetition_penalty'
  | 'chat_template_kwargs'
  | 'reasoning_content';

export interface RequestContext {
  /** The server's own name of the model. */
  readonly model: string;
  /** Whether the client is to get a stream; each dialect has a default of its own. */
  readonly stream: boolean;
  readonly extensions: ReadonlySet<Extension>;
}

export interface ReplyContext {
  /** Letters and digits; each dialect puts its own prefix before it. */
  readonly id: string;
  /** The public name of the model. */
  readonly model: string;
  /** Epoch milliseconds. */
  readonly created: number;
  /** The client's request, as it was given to `request`. */
  readonly request: JsonObject;
}

/**
 * Turns the server's reply (untrusted) into the client's dialect. The bytes that come out do not depend on how the bytes that went in
 * were cut. Use either `whole`, or `push` and `end`.
 */
export interface ReplyTranslator {
  /** Events of the client's dialect, one buffer each. Throws the `fault` of an earlier call. */
  push(chunk: Buffer): Buffer[];
  /** The server's stream ended. Throws `Fault('upstream_error')` where its reply has no end. */
  end(): Buffer[];
  /** Throws `Fault('upstream_error')` for what cannot be read, and for an error in the place of a reply. */
  whole(body: Buffer): Buffer;
  /** Why the reply ends here, set beside the events that came before the fault. The next call throws it. */
  readonly fault: Fault | null;
  /** Tokens as the server counted them, or null where it did not (yet) say: the client's dialect may have had to say 0. */
  readonly usage: Usage | null;
}
