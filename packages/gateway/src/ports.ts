import type { EntryFacts, Principal } from '@sallyport/core';

/** What was asked and answered, where the ledger is to take the digest; null where the facts have it. Not changed from then on. */
export interface DigestedTexts {
  readonly prompt: Uint8Array | null;
  readonly reply: Uint8Array | null;
}

/** What the gateway needs of the ledger. */
export interface LedgerPort {
  /**
   * Resolves with the entry's number when it is durable; rejects where it cannot be made so. -1 where it is not, and policy lets requests
   * go on. The digests of `texts` stand in place of those in the facts.
   */
  append(facts: EntryFacts, texts?: DigestedTexts | null): Promise<{ readonly seq: number }>;
  /** Keyed digest of a text, hex. */
  digest(bytes: Uint8Array): string;
  /** The same digest of a text that comes in pieces. */
  startDigest(): { update(bytes: Uint8Array): void; hex(): string };
}

/** Where texts of prompts and replies are stored, sealed. */
export interface BodiesPort {
  /**
   * Resolves with true when the body is durable under `id`, with false where it cannot be made so and policy lets requests go on; rejects where
   * policy does not. `body` is not changed until then.
   */
  seal(principal: Principal, id: string, body: Uint8Array): Promise<boolean>;
}
