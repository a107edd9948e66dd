import type { EntryFacts, Principal, Usage } from '@sallyport/core';
import type { Charge, Estimate } from './stage/admit.ts';

/** What the gateway needs of the ledger. */
export interface LedgerPort {
  /** Resolves when the entry is durable; rejects where it cannot be made so. */
  append(facts: EntryFacts): Promise<unknown>;
  /** Keyed digest of a text, hex. */
  digest(bytes: Uint8Array): string;
  /** The same digest of a text that comes in pieces. */
  startDigest(): { update(bytes: Uint8Array): void; hex(): string };
}

/** What the gateway needs of the limits. */
export interface LimiterPort {
  /** Reserves all limits that apply, or none. Throws `rate_limit_exceeded`, `quota_exceeded` or `concurrency_exceeded`. */
  reserve(request: {
    readonly principal: Principal;
    readonly model: string | null;
    readonly upstream: string | null;
    readonly address: string;
    readonly estimate: Estimate;
  }): Charge;
}

export type { Usage };
