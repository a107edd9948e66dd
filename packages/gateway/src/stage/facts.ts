import type { Decision, Fault, Principal, Route, Snapshot, Upstream } from '@sallyport/core';
import type { Placeholders } from '@sallyport/guard';
import type { Endpoint, JsonDocument, ParsedRequest } from '@sallyport/wire';
import type { Charge } from '../charge.ts';
import type { Compiled } from '../compiled.ts';
import type { GuardPolicy } from '../guard-book.ts';
import type { Incoming } from '../http/incoming.ts';

/**
 * The facts an exchange gathers, in order. Each stage takes the type before it and adds to it, so a stage that is left out or moved
 * does not compile.
 */

/** The request is for an endpoint Sallyport serves, and its head is sound. */
export interface Received {
  readonly incoming: Incoming;
  readonly compiled: Compiled;
  readonly snapshot: Snapshot;
  readonly endpoint: Endpoint;
  /** The model a path names (`GET /v1/models/{id}`), else null. */
  readonly pathModel: string | null;
}

/** The caller is known. */
export interface Identified extends Received {
  readonly principal: Principal;
  /** The credential it came with, by a name that a fresh one does not have. */
  readonly session: string;
}

/** The body was read and is well formed; null where the endpoint takes none. */
export interface Asked extends Identified {
  readonly request: ParsedRequest | null;
  /** The model the client names, or null where the endpoint has none. */
  readonly model: string | null;
}

/** Where the request may go: the route first, then its permitted fallbacks. Empty where Sallyport answers by itself. */
export interface Destination {
  readonly route: Route;
  readonly upstream: Upstream;
}

/** Policy permits the call, with everything it asks for. */
export interface Permitted extends Asked {
  readonly decision: Decision;
  readonly destinations: readonly Destination[];
  /** How its texts and its reply are inspected. */
  readonly guarding: GuardPolicy;
}

/** The limits have room for it, and hold it. */
export interface Admitted extends Permitted {
  readonly charge: Charge;
}

/** Every text of the request was inspected; `body` is what may be forwarded (without the model name of a destination). */
export interface Cleared extends Admitted {
  /** With what the request itself asks of its reply, where policy holds replies to that. */
  readonly guarding: GuardPolicy;
  /** What stands in for the caller's personal values; gone with the exchange. */
  readonly placeholders: Placeholders;
  readonly edits: readonly { readonly path: readonly (string | number)[]; readonly value: string }[];
}

/** What was put in front of the client's own words. */
export interface Instruction {
  readonly name: string;
  readonly version: number;
  readonly prompt: string;
  /** Stands in this exchange's prompt and nowhere else. */
  readonly canary: string;
  /** The request with it, and with the guard's edits. */
  readonly document: JsonDocument;
}

/** The model's own system prompt is in the request, where it has one. */
export interface Instructed extends Cleared {
  readonly instruction: Instruction | null;
}

/** The answer reached the client, all but its last byte. */
export interface Answered extends Instructed {
  /** Why a begun stream was cut, or null where it is whole. */
  readonly fault: Fault | null;
  /** Sends what is left, the last byte at least. The promise, where there is one, rejects when the client does not take it. */
  finish(): Promise<void> | null;
}
