import type { Severity } from '@sallyport/core';
import type { Action, Detector, Hit, Scanner } from '../detect/detector.ts';
import type { TextContext } from '../guard.ts';
import { Folder } from '../normalise/folder.ts';
import { type Piece, pieceOf, textOf } from '../window/piece.ts';
import { Tape } from '../window/tape.ts';
import { backwards, corrected, joined, leet, rot13, upsideDown } from './disguises.ts';
import { decodeEscapes, decodeRuns } from './encodings.ts';
import { Gate, MAY_ENCODE, MAY_ESCAPE, MAY_LEET, MAY_REVERSE, MAY_ROT13, MAY_SCRAMBLE, MAY_SPELL, MAY_TURN } from './gate.ts';
import { type View, ViewBuilder } from './view.ts';

/** Units of a stretch, and how far the next one begins after it: what is hidden on a border of one is inside another. */
const STRETCH = 2048;
const STEP = 1024;
/** How often what was decoded is looked at again for something encoded. */
const DEPTH = 2;
/**
 * Views that are made of one text: so many at first, and one more for every second step. A text that looks disguised in every way everywhere
 * would otherwise take a hundred times as long as another.
 */
const VIEWS_AT_FIRST = 64;

/**
 * Shows other detectors what a text says once it is decoded: encodings, letters in other places or shapes. A stretch is decoded only where
 * cheap signs speak for it (`Gate`). What is found there is reported where it stands encoded, and beside it, as a finding of its own, how it
 * was hidden. Made for text in plain letters.
 */
export class ViewDetector implements Detector {
  readonly #detectors: readonly Detector[];
  readonly #unread: (context: TextContext) => Action;

  /** @param unread what is done about a stretch that looks disguised and is not decoded any more */
  constructor(detectors: readonly Detector[], unread: (context: TextContext) => Action) {
    this.#detectors = detectors;
    this.#unread = unread;
  }

  open(_tape: Tape, context: TextContext): Scanner {
    return new ViewScanner(this.#detectors, context, this.#unread(context));
  }
}

/** What decoded text is read with, one view after the other. */
interface Readers {
  readonly tape: Tape;
  readonly folder: Folder;
  readonly gate: Gate;
  readonly scanners: readonly Scanner[];
}

class ViewScanner implements Scanner {
  readonly #detectors: readonly Detector[];
  readonly #unread: Action;
  #context: TextContext;
  /** Readers of decoded text, made when first needed. */
  #readers: Readers | null = null;
  readonly #gate = new Gate();
  /** The stretch under way: its units from `#start` on, and what its first and second half may hide. */
  readonly #units = new Uint16Array(STRETCH);
  #filled = 0;
  #start = 0;
  #older = 0;
  #views = VIEWS_AT_FIRST;
  readonly #marked = { gate: new Gate(), units: new Uint16Array(STRETCH), filled: 0, start: 0, older: 0, views: VIEWS_AT_FIRST };

  constructor(detectors: readonly Detector[], context: TextContext, unread: Action) {
    this.#detectors = detectors;
    this.#unread = unread;
    this.#context = context;
  }

  get pending(): number {
    return this.#start;
  }

  push({ units, length }: { readonly units: Uint16Array; readonly length: number }, hits: Hit[]): void {
    for (let from = 0; from < length; ) {
      const border = this.#filled < STEP ? STEP : STRETCH;
      const to = Math.min(length, from + border - this.#filled);
      this.#gate.read(units, from, to);
      this.#units.set(units.subarray(from, to), this.#filled);
      this.#filled += to - from;
      from = to;
      if (this.#filled < border) continue;
      const newer = this.#gate.take();
      if (this.#filled === STRETCH) {
        const end = this.#start + STRETCH;
        this.#judge(this.#older | newer, end, end, hits);
        this.#units.copyWithin(0, STEP);
        this.#filled = STEP;
        this.#start += STEP;
        this.#views += 0.5;
      }
      this.#older = newer;
    }
  }

  end(hits: Hit[]): void {
    this.#gate.end();
    const end = this.#start + this.#filled;
    this.#judge(this.#older | this.#gate.take(), end, end + 1, hits);
  }

  reset(context: TextContext): void {
    this.#context = context;
    this.#readers?.tape.reset();
    this.#readers?.folder.reset();
    this.#gate.reset();
    this.#filled = 0;
    this.#start = 0;
    this.#older = 0;
    this.#views = VIEWS_AT_FIRST;
  }

  mark(): void {
    const marked = this.#marked;
    marked.gate.follow(this.#gate);
    marked.units.set(this.#units);
    marked.filled = this.#filled;
    marked.start = this.#start;
    marked.older = this.#older;
    marked.views = this.#views;
  }

  rewind(): void {
    const { gate, units, filled, start, older, views } = this.#marked;
    this.#gate.follow(gate);
    this.#units.set(units);
    this.#filled = filled;
    this.#start = start;
    this.#older = older;
    this.#views = views;
  }

  #judge(signs: number, end: number, at: number, hits: Hit[]): void {
    if (signs === 0) return;
    const text = textOf(this.#units, end - this.#start);
    this.#decode(text, signs, null, at, hits);
  }

  /** Makes the views that the signs speak for, each only when it is its turn to be read. `outer` is the view that `text` is of, or null. */
  #decode(text: string, signs: number, outer: View | null, at: number, hits: Hit[]): void {
    const look = (view: View): void => this.#look(outer === null ? view : within(outer, view), outer === null ? 1 : DEPTH, at, hits);
    if ((signs & MAY_ENCODE) !== 0) for (const view of decodeRuns(text)) look(view);
    for (const [sign, views] of VIEWS) {
      if ((signs & sign) === 0) continue;
      if (this.#views <= 0) {
        // Who fills a text with harmless disguises must not get another one past behind them.
        hits.push({ ...notice('unread-disguise', 'medium', this.#start, this.#start + STEP, at), action: this.#unread });
        return;
      }
      for (const view of views(text)) look(view);
    }
  }

  /** Reads a view, and what is encoded in it in turn. */
  #look(view: View, depth: number, at: number, hits: Hit[]): void {
    this.#views--;
    const inner: Hit[] = [];
    const piece = pieceOf(view.text);
    this.#read(piece, inner);
    let first = Number.POSITIVE_INFINITY;
    let last = 0;
    for (const hit of inner) {
      const [start, end] = this.#placeOf(view, hit);
      hits.push({ ...hit, start, end, at });
      first = Math.min(first, start);
      last = Math.max(last, end);
    }
    if (inner.length > 0) hits.push(notice(`hidden-${view.name}`, 'high', first, last, at));
    if (depth === DEPTH || inner.length > 0) return;
    const { gate } = this.#opened();
    gate.reset();
    gate.read(piece.units, 0, piece.length);
    gate.end();
    this.#decode(view.text, gate.take(), view, at, hits);
  }

  #read(piece: Piece, hits: Hit[]): void {
    const { tape, folder, scanners } = this.#opened();
    // What was decoded may be disguised in its turn; offsets of folded text that is not as long as the text say too little to be used.
    folder.reset();
    const folded = folder.push(piece);
    const read = folded.length === piece.length ? folded : piece;
    tape.reset();
    tape.append(read.text);
    for (const scanner of scanners) {
      scanner.reset(this.#context);
      scanner.push(read, hits);
      scanner.end(hits);
    }
  }

  #opened(): Readers {
    if (this.#readers === null) {
      const tape = new Tape();
      const scanners = this.#detectors.map((detector) => detector.open(tape, this.#context));
      this.#readers = { tape, folder: new Folder(), gate: new Gate(), scanners };
    }
    return this.#readers;
  }

  /** Where in the text what was found in a view comes from. */
  #placeOf({ starts, ends }: View, hit: Hit): readonly [start: number, end: number] {
    let start = Number.POSITIVE_INFINITY;
    let end = 0;
    for (let unit = hit.start; unit < Math.min(hit.end, starts.length); unit++) {
      start = Math.min(start, starts[unit] ?? start);
      end = Math.max(end, ends[unit] ?? end);
    }
    return [this.#start + start, this.#start + end];
  }
}

function notice(category: string, severity: Severity, start: number, end: number, at: number): Hit {
  return { start, end, at, detector: 'normalise', category, severity, action: 'flag', replacement: '' };
}

const VIEWS: readonly (readonly [sign: number, views: (text: string) => readonly View[]])[] = [
  [MAY_ESCAPE, (text) => [decodeEscapes(text)].filter((view) => view !== null)],
  [MAY_ROT13, (text) => [rot13(text)]],
  [MAY_REVERSE, (text) => [backwards(text)]],
  [MAY_TURN, upsideDown],
  [MAY_LEET, (text) => [leet(text)].filter((view) => view !== null)],
  [MAY_SPELL, (text) => [joined(text)]],
  [MAY_SCRAMBLE, (text) => [corrected(text)].filter((view) => view !== null)],
];

/** A view of a view, with the places of the first text. */
function within(outer: View, inner: View): View {
  const builder = new ViewBuilder();
  for (let unit = 0; unit < inner.text.length; unit++) {
    const first = outer.starts[inner.starts[unit] ?? 0] ?? 0;
    const last = outer.ends[(inner.ends[unit] ?? 1) - 1] ?? first;
    builder.add(inner.text.charAt(unit), Math.min(first, last), Math.max(first, last));
  }
  return builder.build(`${outer.name}-${inner.name}`);
}
