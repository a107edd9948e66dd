import type { EntryFacts } from '@sallyport/core';

/** What the gateway needs of the ledger. */
export interface LedgerPort {
  /** Resolves when the entry is durable; rejects where it cannot be made so. */
  append(facts: EntryFacts): Promise<unknown>;
  /** Keyed digest of a text, hex. */
  digest(bytes: Uint8Array): string;
  /** The same digest of a text that comes in pieces. */
  startDigest(): { update(bytes: Uint8Array): void; hex(): string };
}
