/** How bad a finding is, from a note to a certain attack. */
export type Severity = 'info' | 'low' | 'medium' | 'high' | 'critical';

/**
 * Where a detector matched and of which class, never what it matched: a finding may be logged, the text may not.
 * `start` and `end` are UTF-16 offsets, half open, into the inspected text.
 */
export interface Finding {
  readonly detector: string;
  readonly category: string;
  readonly severity: Severity;
  readonly start: number;
  readonly end: number;
  readonly score?: number;
  /** The score from which on it counted; beside `score`. */
  readonly threshold?: number;
}

/** A replacement of `[start, end)` (UTF-16 offsets into the inspected text) by `text`. Edits of one text never overlap and are in order. */
export interface TextEdit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** What the guard says of a text. `unavailable` is never treated as `pass`: policy says what happens, and the default is to block. */
export type Verdict =
  | { readonly effect: 'pass' }
  | { readonly effect: 'flag'; readonly findings: readonly Finding[] }
  | { readonly effect: 'redact'; readonly findings: readonly Finding[]; readonly edits: readonly TextEdit[] }
  | { readonly effect: 'block'; readonly findings: readonly Finding[] }
  | { readonly effect: 'unavailable'; readonly findings: readonly Finding[]; readonly reason: string };

/** The one `pass`: callers compare by `effect`, the constant spares an allocation on the hot path. */
export const PASS: Verdict = Object.freeze({ effect: 'pass' });
