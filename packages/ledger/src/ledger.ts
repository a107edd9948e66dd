import type { KeyObject } from 'node:crypto';
import type { Clock, EntryFacts, Random } from '@sallyport/core';
import type { Checkpoint } from './checkpoint.ts';
import type { EntryTexts, Receipt } from './entry.ts';
import type { FailureReason } from './failure.ts';
import type { LedgerSigner } from './keys.ts';
import type { ExpiredSegment, Retention } from './retention.ts';
import type { SegmentStore, SyncMode } from './segment-store.ts';

export interface LedgerOptions {
  /** Holds the logs of all writers. */
  readonly directory: string;
  /** Names this process's log: `[a-z0-9][a-z0-9._-]{0,63}`. No two processes write one log. */
  readonly writer: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Of `loadLedgerKeys`. */
  readonly signer: LedgerSigner;
  readonly digestKey: KeyObject;
  /** Verifier keys that signed this log before `signer` did. */
  readonly previousKeys?: readonly string[];
  /**
   * What `append` does while the disk refuses: `refuse` rejects with `LedgerUnavailable`, `unsafe-continue-unrecorded` answers
   * `UNRECORDED`. Either way the gap is counted and becomes an entry as soon as the disk takes one. Where another process has taken the
   * log (`lock-lost`), `append` always rejects.
   */
  readonly onFailure?: 'refuse' | 'unsafe-continue-unrecorded';
  /**
   * A second place, on another disk best, where it is marked that entries are being refused (a file named like the writer): the first is
   * the log's own directory. The next opening makes an entry of what is found there.
   */
  readonly gapDirectory?: string;
  /** A time that the clock is known to have been right at (epoch milliseconds), by another log: retention trusts it where it is newer than this log's entries. */
  readonly knownTime?: number;
  readonly syncMode?: SyncMode;
  /** Bytes after which a segment is closed and compressed: 16 MiB where not given, 32 MiB at most. */
  readonly segmentBytes?: number;
  /** Milliseconds between signed checkpoints while entries come in. */
  readonly checkpointInterval?: number;
  /** Milliseconds between attempts to write again after a failure. */
  readonly retryInterval?: number;
  /** Entries that may wait for the disk before `append` refuses more. */
  readonly maxPending?: number;
  readonly store?: SegmentStore;
}

/** Answered in place of a receipt under `unsafe-continue-unrecorded`: nothing was written. */
export const UNRECORDED: Receipt = Object.freeze({ seq: -1, hash: '' });

export interface LedgerHealth {
  readonly state: 'ok' | 'failing';
  /** Why, and since when (epoch milliseconds); null while ok. */
  readonly reason: FailureReason | null;
  readonly since: number | null;
  /** Entries not recorded since then. */
  readonly refused: number;
  /** Entries in the log: durable ones. */
  readonly entries: number;
  /** Entries accepted and not yet durable. */
  readonly pending: number;
  /** Durable entries that no signed checkpoint covers yet. */
  readonly unsealed: number;
  readonly checkpoint: { readonly size: number; readonly at: number | null } | null;
  /** Why the last checkpoint could not be published or a segment not be compressed; appends go on. */
  readonly sealing: FailureReason | null;
}

/** Collects the pieces of a text whose digest `Ledger.digest` would give. */
export interface Digester {
  update(text: string | Uint8Array): void;
  /** Lowercase hex. Called once, at the end. */
  hex(): string;
}

/** An exchange on record as open. */
export interface OpenExchange extends AsyncDisposable {
  readonly receipt: Receipt;
  /** Records its end, with the number of the open entry as `detail.opened`. Once only; later calls answer the first one's receipt. */
  conclude(facts: EntryFacts): Promise<Receipt>;
}

/** The log of one process. Close it to leave a signed checkpoint over everything; a crash leaves one a second old at most. */
export interface Ledger extends AsyncDisposable {
  readonly origin: string;
  /**
   * Records an entry; resolves when it is durable. Entries have the order of the calls. Where `texts` are given, their digests stand in
   * place of those in the facts. Neither may change before it is settled.
   * @throws {InvalidEntry} the facts are not `EntryFacts` · {LedgerUnavailable} the entry is not recorded
   */
  append(facts: EntryFacts, texts?: EntryTexts | null): Promise<Receipt>;
  /**
   * Records, as outcome `open`, that an exchange begins whose end will be another entry: for acts that policy wants on the disk before
   * they are done. Dispose what it answers, or conclude it.
   */
  open(facts: EntryFacts): Promise<OpenExchange>;
  /** HMAC-SHA-256 of the text's UTF-8 under the digest key, lowercase hex: equal texts are found, none can be guessed without the key. */
  digest(text: string | Uint8Array): string;
  /** The same digest of a text that comes in pieces. */
  startDigest(): Digester;
  /** Whether entries are refused at the moment. Under `unsafe-continue-unrecorded` only where the log is lost or closed for good; `health` tells of the trouble either way. */
  failing(): boolean;
  health(): LedgerHealth;
  /** Signs a checkpoint over every durable entry now. Null where that failed; `health().sealing` says why. */
  checkpoint(): Promise<Checkpoint | null>;
  /**
   * Removes closed segments of which every entry is older than `before` (epoch milliseconds), the newest two never. Where the clock is
   * further ahead of the entry that was the newest at opening (for a new log: in the logs of others) than the age that is kept (a day to 31 days), `before` is moved back by that much. Their hashes, tiles and checkpoints stay, so
   * that all later entries can still be proved, and an entry records the removal. `checked` are segments that are known to be that old and
   * as their tiles say: where any are given, and the clock is believed, only they are removed, and they are not read again.
   * @throws {LogDamaged} where a segment to be removed is not what its tiles say: evidence is not thrown away
   */
  retain(before: number, checked?: readonly ExpiredSegment[]): Promise<Retention>;
  /** Tries at once to recover from a failure instead of waiting for the next attempt. */
  retry(): Promise<LedgerHealth>;
  close(): Promise<void>;
}
