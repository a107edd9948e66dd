import type { EntryFacts, EntryKind, Outcome, PrincipalKind } from '@sallyport/core';

/** An entry as it stands in the log: the writer's facts and what the ledger added. */
export interface Entry extends EntryFacts {
  /** Position in its log, from 0; also the leaf index in the log's Merkle tree. */
  readonly seq: number;
  /** UTC, RFC 3339 with milliseconds. */
  readonly time: string;
  /** `hash` of the entry before it, 64 zeros for the first (lowercase hex). */
  readonly prev: string;
  /** RFC 6962 leaf hash (lowercase hex) of the canonical entry without this member. */
  readonly hash: string;
}

/** Texts of which an entry has the keyed digests; null where the facts have the digest, or where there is no text. */
export interface EntryTexts {
  readonly prompt: Uint8Array | null;
  readonly reply: Uint8Array | null;
}

/** What `append` answers once the entry is durable. */
export interface Receipt {
  readonly seq: number;
  readonly hash: string;
}

/** Facts that do not fit `EntryFacts`. A defect of the caller: nothing a client sends may get here unchecked. */
export class InvalidEntry extends Error {
  override readonly name: string = 'InvalidEntry';
  /** Path of the field: `detail.bytes`. */
  readonly field: string;

  constructor(field: string, expected: string) {
    super(`ledger entry: ${field} must be ${expected}`);
    this.field = field;
  }
}

/** Bounds of an entry. Lengths are UTF-16 units; `bytes` is the C2SP tlog-tiles bound of one log entry. */
export const ENTRY_LIMITS = {
  id: 128,
  name: 256,
  text: 1024,
  detailKeys: 32,
  verdicts: 64,
  bytes: 65_535,
} as const;

/** Bytes of `,"hash":"…"` in a line. */
export const HASH_MEMBER = 74;

export const GENESIS: string = '0'.repeat(64);

export const ENTRY_KINDS: Readonly<Record<EntryKind, true>> = {
  request: true,
  auth: true,
  decision: true,
  change: true,
  tool: true,
  finding: true,
  system: true,
};

export const OUTCOMES: Readonly<Record<Outcome, true>> = {
  open: true,
  answered: true,
  refused: true,
  blocked: true,
  failed: true,
  cut: true,
  abandoned: true,
  done: true,
};

export const PRINCIPAL_KINDS: Readonly<Record<PrincipalKind, true>> = { person: true, application: true, workload: true };

export const EFFECTS: Readonly<Record<'permit' | 'deny', true>> = { permit: true, deny: true };

/** Control, format (bidirectional and zero-width) and separator characters and lone surrogates: never stored, see `printable`. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * `text` with each control, format, separator or lone surrogate character as U+FFFD, cut to `limit` UTF-16 units (the cut is marked
 * by `…`). For names that a client chose, such as an unknown model's, before they become facts: bounds are refused by `append`,
 * and an attacker must not be able to have an exchange go unrecorded by an overlong name.
 */
export function printable(text: string, limit: number = ENTRY_LIMITS.name): string {
  const clean = text.replace(UNPRINTABLE, '\ufffd');
  if (clean.length <= limit) return clean;
  const cut = clean.slice(0, limit - 1);
  return `${cut.isWellFormed() ? cut : cut.slice(0, -1)}…`;
}
