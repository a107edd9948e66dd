import type { EntryFacts } from '@sallyport/core';

/** What the gateway needs of the ledger. */
export interface LedgerPort {
  /** Resolves with the entry's number when it is durable; rejects where it cannot be made so. -1 where it is not, and policy lets requests go on. */
  append(facts: EntryFacts): Promise<{ readonly seq: number }>;
  /** Keyed digest of a text, hex. */
  digest(bytes: Uint8Array): string;
  /** The same digest of a text that comes in pieces. */
  startDigest(): { update(bytes: Uint8Array): void; hex(): string };
}
