import type { Finding, GuardSettings, Provenance, TextEdit, Verdict } from '@sallyport/core';
import type { Exchange } from './exchange.ts';
import type { Placeholders } from './window/placeholders.ts';

/** Which side of the door a text is on. */
export type Stage = 'input' | 'output' | 'document' | 'tool';

/** Where a text came from; detectors and thresholds depend on it. */
export interface TextContext {
  readonly stage: Stage;
  readonly provenance: Provenance;
  /** Reply kind (`text`, `reasoning`, `tool-arguments`, ...) or the request address's last name, which a client may have chosen; null where unknown. */
  readonly kind: string | null;
  /** Whose text it is, for a guard that remembers: no verdict depends on it. */
  readonly tenant?: string;
  /** What a reply answers, where that is known: detectors of leaks and exfiltration compare the two. */
  readonly exchange?: Exchange;
  /** What stands in for the personal values of the exchange the text belongs to; absent where it stands alone. */
  readonly placeholders?: Placeholders;
  /** What is allowed in this very text; absent where nothing is. */
  readonly allowed?: Allowed;
  /** Of a reply that is held to the JSON its request asks for: whether it calls a tool, asked when all of it is there. */
  readonly callsTools?: () => boolean;
  /** Its length is another contract's matter. */
  readonly isMeasured?: boolean;
}

/** Says which findings an operator has allowed in the text at hand. */
export interface Allowed {
  /** `matched` is the text the finding is of, `[start, end)` its place. */
  allows(detector: string, category: string, matched: string, start: number, end: number): boolean;
}

/** A compiled set of detectors. Built once per snapshot; `inspect` is pure and linear in the length of the text. */
export interface Guard {
  /** Whether something in a request may be replaced and put back into the reply: its texts must then be reserved first (`Placeholders.reserve`). */
  readonly tokenises: boolean;
  /** Judges a whole text. */
  inspect(text: string, context: TextContext): Verdict;
  /** Judges a text that arrives in pieces. The final verdict, edits and released text do not depend on how it was cut. */
  open(context: TextContext): TextWindow;
}

/**
 * A window over one growing text.
 * `push` appends and says how far the text is decided: `[0, released)` can no longer be changed by anything that follows.
 * After a `block` the window is closed and nothing more is released.
 */
export interface TextWindow {
  push(delta: string): WindowStep;
  end(): WindowStep;
}

export interface WindowStep {
  /** UTF-16 offset into the whole text up to which it is final. Never decreases. */
  readonly released: number;
  /** Edits (offsets into the whole text) that lie in what this step released, in order. */
  readonly edits: readonly TextEdit[];
  /** Findings that became final with this step. */
  readonly findings: readonly Finding[];
  /** `block` as soon as nothing that follows could undo it. */
  readonly effect: 'pass' | 'flag' | 'redact' | 'block' | 'unavailable';
}

/** Compiles settings. Throws `GuardConfigError` with every problem (path, expected, got) at once. */
export type CompileGuard = (settings: GuardSettings) => Guard;
