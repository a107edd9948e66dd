import type { Detector, FoldableDetector, FoldableScanner, Hit, Scanner } from '../detect/detector.ts';
import type { TextContext } from '../guard.ts';
import { LOOK_BEHIND, type Tape } from '../window/tape.ts';
import { Folder } from './folder.ts';

/**
 * Runs a detector on the text and, from where folding changes anything, on the folded text as well, and reports in original offsets what
 * folding brings to light: words written with look-alike letters, full-width or mathematical letters, accents, invisible characters
 * in between.
 */
export class FoldedDetector implements Detector {
  readonly #detector: FoldableDetector;

  constructor(detector: FoldableDetector) {
    this.#detector = detector;
  }

  open(tape: Tape, context: TextContext): Scanner {
    return new FoldedScanner(this.#detector.open(tape, context), tape);
  }
}

/** The second reader, of the folded text, and what it has read. */
interface Folded {
  readonly scanner: Scanner;
  readonly tape: Tape;
}

class FoldedScanner implements Scanner {
  readonly #plain: FoldableScanner;
  readonly #tape: Tape;
  readonly #folder = new Folder();
  /** Null as long as folding has changed nothing: the two readers would see and find the same. */
  #folded: Folded | null = null;
  #mark: { readonly folded: Folded | null; readonly length: number } = { folded: null, length: 0 };

  constructor(plain: FoldableScanner, tape: Tape) {
    this.#plain = plain;
    this.#tape = tape;
  }

  get pending(): number {
    if (this.#folded === null) return this.#plain.pending;
    const { scanner, tape } = this.#folded;
    const pending = scanner.pending === tape.length ? this.#folder.original : this.#folder.startOf(scanner.pending);
    return Math.min(pending, this.#plain.pending);
  }

  push(piece: string, hits: Hit[]): void {
    const origin = this.#folder.original;
    const text = this.#folder.push(piece);
    this.#plain.push(piece, hits);
    if (this.#folded === null) {
      if (text === piece) return;
      const tape = this.#tape.copyBefore(origin);
      this.#folded = { scanner: this.#plain.fork(tape), tape };
    }
    const { scanner, tape } = this.#folded;
    tape.append(text);
    const inner: Hit[] = [];
    scanner.push(text, inner);
    this.#report(inner, tape, hits);
  }

  end(hits: Hit[]): void {
    this.#plain.end(hits);
    if (this.#folded === null) return;
    const inner: Hit[] = [];
    this.#folded.scanner.end(inner);
    this.#report(inner, this.#folded.tape, hits);
  }

  mark(): void {
    this.#plain.mark();
    if (this.#folded !== null) {
      const { scanner, tape } = this.#folded;
      tape.discard(scanner.pending);
      this.#folder.discard(scanner.pending - LOOK_BEHIND);
      scanner.mark();
    }
    this.#folder.mark();
    this.#mark = { folded: this.#folded, length: this.#folded?.tape.length ?? 0 };
  }

  rewind(): void {
    this.#plain.rewind();
    this.#folder.rewind();
    this.#folded = this.#mark.folded;
    this.#folded?.scanner.rewind();
    this.#folded?.tape.truncate(this.#mark.length);
  }

  #report(inner: readonly Hit[], tape: Tape, hits: Hit[]): void {
    for (const hit of inner) {
      const start = this.#folder.startOf(hit.start);
      const end = this.#folder.endOf(hit.end);
      if (isOneForeignScript(this.#tape.slice(start, end))) continue;
      const at = hit.at > tape.length ? this.#folder.original + 1 : this.#folder.endOf(hit.at);
      hits.push({ ...hit, start, end, at });
    }
  }
}

const SCRIPTS: readonly RegExp[] = [/\p{Script=Cyrillic}/u, /\p{Script=Greek}/u, /\p{Script=Armenian}/u, /\p{Script=Cherokee}/u];

/** An ordinary word of another script that only happens to look like the one looked for: no letter of it is Latin or disguised Latin. */
function isOneForeignScript(text: string): boolean {
  const letters = text.normalize('NFKC').match(/\p{L}/gu) ?? [];
  return letters.length > 0 && SCRIPTS.some((script) => letters.every((letter) => script.test(letter)));
}
