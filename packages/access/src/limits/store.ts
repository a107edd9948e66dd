import { Fault } from '@sallyport/core';
import type { Claim } from './claim.ts';

/** How a bucket stands after a decision. */
export interface Standing {
  readonly used: number;
  /** Milliseconds until it is empty if nothing more is counted. */
  readonly reset: number;
}

/** All claims were taken; the store knows the rest of it by identity. */
export interface Hold {
  readonly granted: true;
  readonly claims: readonly Claim[];
  /** Amount taken of each claim. */
  readonly taken: readonly number[];
  readonly standings: readonly Standing[];
  /** `local` where shared counters were out of reach and a share of the limit was used instead. */
  readonly origin: 'shared' | 'local';
}

/** A hold of a store, which adds what it finds its counts again by. */
export class StoredHold implements Hold {
  readonly granted = true;
  readonly claims: readonly Claim[];
  readonly taken: readonly number[];
  readonly standings: readonly Standing[];
  readonly origin: Hold['origin'];

  constructor(claims: readonly Claim[], taken: readonly number[], standings: readonly Standing[], origin: Hold['origin'] = 'shared') {
    this.claims = claims;
    this.taken = taken;
    this.standings = standings;
    this.origin = origin;
  }
}

/** One claim found no room, so none was taken. */
export interface Shortage {
  readonly granted: false;
  readonly claims: readonly Claim[];
  /** Index of the claim without room. */
  readonly at: number;
  /** Milliseconds until there is room for it. */
  readonly wait: number;
  /** Of the claims up to and including `at`. */
  readonly standings: readonly Standing[];
}

/** Where limits are counted. Answers at once where the counts are in this process. */
export interface CounterStore {
  /** False while the server that has the counts is away. Absent where there is none. */
  readonly shared?: boolean;
  /** Takes all claims or none. Throws or rejects with `Fault('not_ready')` where it cannot decide and policy lets nothing pass then. */
  take(claims: readonly Claim[]): Hold | Shortage | Promise<Hold | Shortage>;
  /**
   * Replaces what was taken of each claim by what was used of it; null leaves it as it is. A claim is settled once, later calls change
   * nothing. Never throws: what cannot be settled stays counted as taken.
   */
  settle(hold: Hold, used: readonly (number | null)[]): void;
  /** Nothing more will be settled of it. For stores that keep something for each. */
  close?(hold: Hold): void;
  /** How the buckets of the claims stand. Takes nothing. */
  peek(claims: readonly Claim[]): readonly Standing[] | Promise<readonly Standing[]>;
  /** Empties the buckets of the claims. */
  clear(claims: readonly Claim[]): void | Promise<void>;
}

/** The fault of a request for which whoever counts could not be asked. */
export function countersAway(): Fault {
  return new Fault('not_ready', 'The limits cannot be checked at the moment. Try again shortly.', {
    retryAfter: 1,
    detail: 'counters away',
  });
}
