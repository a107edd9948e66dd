import type { Finding, TextEdit } from '@sallyport/core';
import type { Hit, Scanner } from '../detect/detector.ts';
import { pushAll } from '../detect/pattern-detector.ts';
import type { Allowed, TextContext, TextWindow, WindowStep } from '../guard.ts';
import type { Naming } from './naming.ts';
import { giveUnits, MAX_PIECE, type MutablePiece, NO_UNITS, takeUnits } from './piece.ts';
import { isHighSurrogate, isLowSurrogate, type Tape } from './tape.ts';

const NOTHING: readonly never[] = [];

/**
 * Several scanners over one growing text.
 *
 * - Text is released up to the smallest `pending` of the scanners: no hit can still start before it.
 * - Hits are reported in the order of the text. Overlapping redactions become one: the first (the longest of equal starts) gives the
 *   replacement, later ones only lengthen it. A block is stronger than any of them.
 * - A block ends the window at the unit that made it certain. What is released and reported then is what a reader of single units
 *   would have got, so the outcome does not depend on the pieces.
 * - A surrogate pair is never cut, neither by a release nor by an edit: a high surrogate at the end of a piece waits for the next piece.
 */
export class ScanWindow implements TextWindow {
  readonly #scanners: readonly Scanner[];
  readonly #tape: Tape;
  readonly #mayBlock: boolean;
  readonly #withhold: boolean;
  readonly #naming: Naming;
  #allowed: Allowed | null;
  /** A high surrogate that waits for its other half. */
  #carry = '';
  #length = 0;
  #released = 0;
  /** End of the last edit. */
  #covered = 0;
  /** Final hits beyond what is decided by all scanners. */
  #hits: Hit[] = [];
  #closed: 'block' | 'end' | null = null;
  readonly #piece: MutablePiece = { text: '', units: NO_UNITS, length: 0, plain: true };

  /**
   * @param mayBlock false where no scanner can report a block, which spares looking for one
   * @param withhold false to release everything at once, for observing only; then no hit may redact or block
   * @param allowed what is allowed in this text, or null
   */
  constructor(scanners: readonly Scanner[], tape: Tape, naming: Naming, mayBlock: boolean, withhold: boolean, allowed: Allowed | null) {
    this.#scanners = scanners;
    this.#tape = tape;
    this.#naming = naming;
    this.#mayBlock = mayBlock;
    this.#withhold = withhold;
    this.#allowed = allowed;
  }

  push(delta: string): WindowStep {
    if (this.#closed !== null) return this.#nothing();
    let piece = this.#carry + delta;
    this.#carry = '';
    if (isHighSurrogate(piece.charCodeAt(piece.length - 1))) {
      this.#carry = piece.slice(-1);
      piece = piece.slice(0, -1);
    }
    if (piece.length <= MAX_PIECE) return this.#read(piece, false);
    const steps: WindowStep[] = [];
    for (let from = 0; from < piece.length && this.#closed === null; ) {
      const to = pieceEnd(piece, from);
      steps.push(this.#read(piece.slice(from, to), false));
      from = to;
    }
    return oneStep(steps);
  }

  end(): WindowStep {
    if (this.#closed !== null) return this.#nothing();
    const piece = this.#carry;
    this.#carry = '';
    const step = this.#read(piece, true);
    this.#closed ??= 'end';
    return step;
  }

  /** Begins anew with another text. */
  reset(context: TextContext): void {
    this.#tape.reset();
    for (const scanner of this.#scanners) scanner.reset(context);
    this.#carry = '';
    this.#length = 0;
    this.#released = 0;
    this.#covered = 0;
    if (this.#hits.length > 0) this.#hits = [];
    this.#naming.begin(context.placeholders ?? null);
    this.#allowed = context.allowed ?? null;
    this.#closed = null;
  }

  /** Reads and ends a whole text at once, in place of `push` and `end`. After a block nothing is released. */
  whole(text: string): WindowStep {
    this.#length = text.length;
    this.#tape.append(text);
    let hits: Hit[] = [];
    let isBlocked = false;
    // What comes after a block cannot be certain before it: nothing more is read.
    for (let from = 0; from < text.length && !isBlocked; ) {
      const to = pieceEnd(text, from);
      const seen: Hit[] = [];
      for (const scanner of this.#scanners) scanner.mark();
      this.#show(from === 0 && to === text.length ? text : text.slice(from, to), seen);
      if (seen.length > 0) {
        const more = this.#withoutAllowed(seen);
        isBlocked = this.#mayBlock && firstBlock(more) !== null;
        hits = joined(hits, more);
      }
      from = to;
    }
    if (!isBlocked) {
      const seen: Hit[] = [];
      for (const scanner of this.#scanners) scanner.end(seen);
      hits = joined(hits, this.#withoutAllowed(seen));
    }
    this.#hits = hits;
    const block = this.#mayBlock ? firstBlock(this.#hits) : null;
    if (block === null) return this.#release(this.#length);
    const certain = this.#hits.filter((hit) => hit.at <= block.at).sort(byPlace);
    return { released: 0, edits: NOTHING, findings: toFindings(certain), effect: 'block' };
  }

  /** Gives a piece to every scanner. */
  #show(text: string, hits: Hit[]): void {
    const buffer = takeUnits();
    const piece = this.#piece;
    buffer.fill(piece, text);
    pushAll(this.#scanners, piece, hits);
    piece.units = NO_UNITS;
    piece.text = '';
    giveUnits(buffer);
  }

  #nothing(): WindowStep {
    return { released: this.#released, edits: NOTHING, findings: NOTHING, effect: this.#closed === 'block' ? 'block' : 'pass' };
  }

  #read(piece: string, last: boolean): WindowStep {
    const origin = this.#length;
    const before = this.#hits;
    this.#length += piece.length;
    this.#tape.append(piece);
    for (const scanner of this.#scanners) scanner.mark();
    const seen = [...before];
    this.#show(piece, seen);
    if (last) for (const scanner of this.#scanners) scanner.end(seen);
    const hits = this.#withoutAllowed(seen);
    const block = this.#mayBlock ? firstBlock(hits) : null;
    if (block !== null) return this.#block(block, hits, before, piece.slice(0, block.at - 1 - origin));
    this.#hits = hits;
    const step = this.#release(last ? this.#length : this.#decided());
    this.#tape.discard(this.#decided());
    return step;
  }

  /** Ends the window: reads again up to the unit before the block was certain, to release what was decided then. */
  #block(block: Hit, hits: readonly Hit[], before: readonly Hit[], harmless: string): WindowStep {
    this.#hits = [...before];
    this.#length = block.at - 1;
    for (const scanner of this.#scanners) scanner.rewind();
    this.#show(harmless, this.#hits);
    this.#hits = this.#withoutAllowed(this.#hits);
    const decided = this.#decided();
    const { released, edits, findings } = this.#release(decided);
    const rest = hits.filter((hit) => hit.at <= block.at && hit.start >= decided).sort(byPlace);
    this.#closed = 'block';
    this.#hits = [];
    return { released, edits, findings: [...findings, ...toFindings(rest)], effect: 'block' };
  }

  /** A hit is known whole when it is reported, so that what is allowed does not depend on the pieces. */
  #withoutAllowed(hits: Hit[]): Hit[] {
    const allowed = this.#allowed;
    if (allowed === null || hits.length === 0) return hits;
    const isAllowed = ({ action, detector, category, start, end }: Hit): boolean =>
      action !== 'restore' && allowed.allows(detector, category, this.#tape.slice(start, end), start, end);
    return hits.filter((hit) => !isAllowed(hit));
  }

  /** The offset before which no scanner can report anything, between code points. */
  #decided(): number {
    let decided = this.#length;
    for (const scanner of this.#scanners) decided = Math.min(decided, scanner.pending);
    return isHighSurrogate(this.#tape.unitAt(decided - 1)) && isLowSurrogate(this.#tape.unitAt(decided)) ? decided - 1 : decided;
  }

  /** Reports the hits that start before `decided` and releases up to there, or to the end of the last edit. */
  #release(decided: number): WindowStep {
    if (this.#hits.length === 0) {
      this.#released = Math.max(this.#released, this.#withhold ? decided : this.#length);
      return { released: this.#released, edits: NOTHING, findings: NOTHING, effect: 'pass' };
    }
    const all = this.#hits;
    const ready = inOrder(all.some((hit) => hit.start >= decided) ? all.filter((hit) => hit.start < decided) : all);
    this.#hits = ready.length === all.length ? [] : all.filter((hit) => hit.start >= decided);
    const edits: TextEdit[] = [];
    for (const hit of ready) {
      if (hit.action !== 'redact' && hit.action !== 'restore') continue;
      const start = this.#isPairInside(hit.start) ? hit.start - 1 : hit.start;
      const end = this.#isPairInside(hit.end) ? hit.end + 1 : hit.end;
      if (end <= this.#covered) continue;
      edits.push(start < this.#covered ? { start: this.#covered, end, text: '' } : { start, end, text: this.#replacementOf(hit) });
      this.#covered = end;
    }
    this.#released = Math.max(this.#released, this.#withhold ? decided : this.#length, this.#covered);
    const effect = strongest(ready);
    return { released: this.#released, edits, findings: toFindings(ready), effect };
  }

  #replacementOf({ replacement, start, end }: Hit): string {
    return typeof replacement === 'string' ? replacement : this.#naming.nameOf(replacement, this.#tape.slice(start, end));
  }

  #isPairInside(offset: number): boolean {
    return isHighSurrogate(this.#tape.unitAt(offset - 1)) && isLowSurrogate(this.#tape.unitAt(offset));
  }
}

/** Where the piece from `from` on ends: as long as a piece may be, but not between two surrogates. */
function pieceEnd(text: string, from: number): number {
  const end = from + MAX_PIECE;
  if (end >= text.length) return text.length;
  return isHighSurrogate(text.charCodeAt(end - 1)) ? end - 1 : end;
}

/** Both lists in one; the first may be it. */
function joined(hits: Hit[], more: Hit[]): Hit[] {
  if (hits.length === 0) return more;
  for (const hit of more) hits.push(hit);
  return hits;
}

const STRENGTH: readonly WindowStep['effect'][] = ['pass', 'flag', 'redact', 'unavailable', 'block'];

function oneStep(steps: readonly WindowStep[]): WindowStep {
  return {
    released: steps.at(-1)?.released ?? 0,
    edits: steps.flatMap(({ edits }) => edits),
    findings: steps.flatMap(({ findings }) => findings),
    effect: STRENGTH[Math.max(0, ...steps.map(({ effect }) => STRENGTH.indexOf(effect)))] ?? 'pass',
  };
}

function firstBlock(hits: readonly Hit[]): Hit | null {
  let first: Hit | null = null;
  for (const hit of hits) {
    if (hit.action === 'block' && (first === null || hit.at < first.at || (hit.at === first.at && byPlace(hit, first) < 0))) first = hit;
  }
  return first;
}

function strongest(hits: readonly Hit[]): 'pass' | 'flag' | 'redact' {
  let effect: 'pass' | 'flag' | 'redact' = 'pass';
  for (const { action } of hits) {
    if (action === 'redact') return 'redact';
    if (action === 'flag') effect = 'flag';
  }
  return effect;
}

/** Sorted where they are not: those of one detector come in order, and a hostile text has hundreds of thousands. */
function inOrder(hits: Hit[]): Hit[] {
  for (let index = 1; index < hits.length; index++) {
    const [before, after] = [hits[index - 1], hits[index]];
    if (before !== undefined && after !== undefined && byPlace(before, after) > 0) return hits.sort(byPlace);
  }
  return hits;
}

function byPlace(a: Hit, b: Hit): number {
  return a.start - b.start || b.end - a.end || compare(a.detector, b.detector) || compare(a.category, b.category);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Sorted hits as findings; what two readers of the same text both found is said once. */
function toFindings(hits: readonly Hit[]): Finding[] {
  const findings: Finding[] = [];
  for (const { detector, category, severity, start, end, score, threshold, action } of hits) {
    if (action === 'restore') continue;
    const last = findings.at(-1);
    if (last?.start === start && last.end === end && last.detector === detector && last.category === category) continue;
    if (score === undefined) findings.push({ detector, category, severity, start, end });
    else findings.push({ detector, category, severity, start, end, score, ...(threshold === undefined ? {} : { threshold }) });
  }
  return findings;
}
