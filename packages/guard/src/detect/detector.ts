import type { Severity } from '@sallyport/core';
import type { TextContext } from '../guard.ts';
import type { Piece } from '../window/piece.ts';
import type { Tape } from '../window/tape.ts';

/** What is done about a match, strongest first. */
export type Action = 'block' | 'redact' | 'flag';

/** Names what was there without telling it. */
export interface Label {
  /** Upper case: `EMAIL`. */
  readonly label: string;
  /**
   * - `mask`: `[EMAIL_1]`, the same number for the same value within an exchange
   * - `token`: the same, and put back into the reply
   * - `hash`: `[EMAIL_` and a keyed hash of the value, the same for the same value under the same key
   */
  readonly form: 'mask' | 'token' | 'hash';
}

/** A match that nothing which follows in the text can change any more. Offsets are UTF-16 units of the whole text. */
export interface Hit {
  readonly start: number;
  readonly end: number;
  /** How many units had to be read to be certain; one more than the length of the text where only its end made it so. */
  readonly at: number;
  readonly detector: string;
  readonly category: string;
  readonly severity: Severity;
  /** `restore` puts a value back that stood there before; it is no finding. */
  readonly action: Action | 'restore';
  /** What a `redact` or `restore` puts in its place. */
  readonly replacement: string | Label;
  readonly score?: number;
  /** The score from which on it counts. */
  readonly threshold?: number;
}

/**
 * Reads one text in pieces. The hits it reports, with their `at`, must not depend on the pieces; `pending` may never decrease, and no
 * hit may start before it once it was said.
 */
export interface Scanner {
  /** The smallest offset at which a hit could start that is not reported yet. */
  readonly pending: number;
  push(piece: Piece, hits: Hit[]): void;
  end(hits: Hit[]): void;
  /** Begins anew with another text of the same stage, provenance and kind: scanners are used again. */
  reset(context: TextContext): void;
  /** Remembers this moment for `rewind`. */
  mark(): void;
  /** Goes back to the moment of the last `mark`. */
  rewind(): void;
}

/** A scanner that can be run on another form of the same text. */
export interface FoldableScanner extends Scanner {
  /** Another scanner as this one was at its last `mark`, reading from `tape`. */
  fork(tape: Tape): Scanner;
}

/** A compiled detector, shared by all texts. */
export interface Detector {
  /** Opens a scanner; `tape` gives it the text of what is still undecided. */
  open(tape: Tape, context: TextContext): Scanner;
}

/** A detector that is worth running on the text in plain letters too (`normalise`). */
export interface FoldableDetector extends Detector {
  open(tape: Tape, context: TextContext): FoldableScanner;
}

/**
 * A detector, and what it is shown. `original`: the text as it is · `both`: with `normalise` also the text in plain letters, as soon as
 * that is another · `folded`: the text in plain letters only. Folding is done once for all of them; what a scanner reports in
 * folded text is brought back to the original.
 */
export type Reader =
  | { readonly reads: 'original' | 'folded'; readonly detector: Detector }
  | { readonly reads: 'both'; readonly detector: FoldableDetector };
