import type { FoldableScanner, Hit, Reader, Scanner } from '../detect/detector.ts';
import { pushAll } from '../detect/pattern-detector.ts';
import type { TextContext } from '../guard.ts';
import type { Piece } from '../window/piece.ts';
import { MOST_LOOK_BEHIND, Tape } from '../window/tape.ts';
import { Folder } from './folder.ts';

/**
 * Folds a text once for all the scanners that read it in plain letters, and reports in original offsets what they find: words written
 * with look-alike letters, full-width or mathematical letters, accents, invisible characters in between. Scanners that read `both` run on the
 * original too, and on the folded text only from where folding changes anything: before, they would see and find the same.
 */
export class FoldedScanner implements Scanner {
  readonly #both: FoldableScanner[] = [];
  /** Those that read folded text only. */
  readonly #only: Scanner[] = [];
  /** Readers of folded text beside those of `#both`; null as long as folding has changed nothing. */
  #forks: readonly Scanner[] | null = null;
  #markedForks: readonly Scanner[] | null = null;
  readonly #tape: Tape;
  readonly #foldedTape = new Tape();
  readonly #folder = new Folder();
  #markedLength = 0;
  /** Empty between calls. */
  readonly #inner: Hit[] = [];

  constructor(readers: readonly Reader[], tape: Tape, context: TextContext) {
    this.#tape = tape;
    for (const { reads, detector } of readers) {
      if (reads === 'both') this.#both.push(detector.open(tape, context));
      else this.#only.push(detector.open(this.#foldedTape, context));
    }
  }

  get pending(): number {
    let pending = Number.POSITIVE_INFINITY;
    for (const scanner of this.#both) pending = Math.min(pending, scanner.pending);
    const folded = this.#foldedPending();
    return Math.min(pending, folded >= this.#folder.folded ? this.#folder.original : this.#folder.startOf(folded));
  }

  #foldedPending(): number {
    let pending = this.#folder.folded;
    for (const scanner of this.#only) pending = Math.min(pending, scanner.pending);
    // Readers of the original that are yet to be forked take with them what they have under way.
    for (const scanner of this.#forks ?? this.#both) pending = Math.min(pending, scanner.pending);
    return pending;
  }

  push(piece: Piece, hits: Hit[]): void {
    const folded = this.#folder.push(piece);
    this.#foldedTape.append(folded.text);
    if (folded.text !== piece.text) this.#forks ??= this.#both.map((scanner) => scanner.fork(this.#foldedTape));
    pushAll(this.#both, piece, hits);
    const inner = this.#inner;
    for (const scanner of this.#only) scanner.push(folded, inner);
    this.#report(hits, false);
    if (this.#forks === null) return;
    pushAll(this.#forks, folded, inner);
    this.#report(hits, true);
  }

  end(hits: Hit[]): void {
    for (const scanner of this.#both) scanner.end(hits);
    const inner = this.#inner;
    for (const scanner of this.#only) scanner.end(inner);
    this.#report(hits, false);
    if (this.#forks === null) return;
    for (const scanner of this.#forks) scanner.end(inner);
    this.#report(hits, true);
  }

  reset(context: TextContext): void {
    for (const scanner of this.#both) scanner.reset(context);
    for (const scanner of this.#only) scanner.reset(context);
    this.#forks = null;
    this.#foldedTape.reset();
    this.#folder.reset();
    this.#inner.length = 0;
  }

  mark(): void {
    const pending = this.#foldedPending();
    this.#foldedTape.discard(pending);
    this.#folder.discard(pending - MOST_LOOK_BEHIND);
    for (const scanner of this.#both) scanner.mark();
    for (const scanner of this.#only) scanner.mark();
    for (const scanner of this.#forks ?? []) scanner.mark();
    this.#folder.mark();
    this.#markedForks = this.#forks;
    this.#markedLength = this.#foldedTape.length;
  }

  rewind(): void {
    for (const scanner of this.#both) scanner.rewind();
    for (const scanner of this.#only) scanner.rewind();
    this.#forks = this.#markedForks;
    for (const scanner of this.#forks ?? []) scanner.rewind();
    this.#folder.rewind();
    this.#foldedTape.truncate(this.#markedLength);
  }

  /** Moves the hits in folded text over to the original. `disguised`: what the readers of the original have not seen. */
  #report(hits: Hit[], disguised: boolean): void {
    const inner = this.#inner;
    if (inner.length === 0) return;
    for (const hit of inner) {
      const start = this.#folder.startOf(hit.start);
      const end = this.#folder.endOf(hit.end);
      if (disguised && isOneForeignScript(this.#tape.slice(start, end))) continue;
      const at = hit.at > this.#folder.folded ? this.#folder.original + 1 : this.#folder.endOf(hit.at);
      hits.push({ ...hit, start, end, at });
    }
    inner.length = 0;
  }
}

const SCRIPTS: readonly RegExp[] = [/\p{Script=Cyrillic}/u, /\p{Script=Greek}/u, /\p{Script=Armenian}/u, /\p{Script=Cherokee}/u];

/** An ordinary word of another script that only happens to look like the one looked for: no letter of it is Latin or disguised Latin. */
function isOneForeignScript(text: string): boolean {
  const letters = text.normalize('NFKC').match(/\p{L}/gu) ?? [];
  return letters.length > 0 && SCRIPTS.some((script) => letters.every((letter) => script.test(letter)));
}
