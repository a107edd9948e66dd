import type { Detector, Hit, Scanner } from '../detect/detector.ts';
import type { TextContext } from '../guard.ts';
import { Tape } from '../window/tape.ts';
import { Folder } from './folder.ts';

/**
 * Runs a detector on the folded text as well, and reports in original offsets what only folding brought to light: words written with
 * look-alike letters, full-width or mathematical letters, accents, invisible characters in between.
 */
export class FoldedDetector implements Detector {
  readonly foldable: boolean = false;
  readonly #detector: Detector;

  constructor(detector: Detector) {
    this.#detector = detector;
  }

  open(tape: Tape, context: TextContext): Scanner | null {
    const folded = new Tape();
    const scanner = this.#detector.open(folded, context);
    return scanner === null ? null : new FoldedScanner(scanner, folded, tape);
  }
}

class FoldedScanner implements Scanner {
  readonly #scanner: Scanner;
  readonly #folded: Tape;
  readonly #tape: Tape;
  readonly #folder = new Folder();
  #markedLength = 0;

  constructor(scanner: Scanner, folded: Tape, tape: Tape) {
    this.#scanner = scanner;
    this.#folded = folded;
    this.#tape = tape;
  }

  get pending(): number {
    const { pending } = this.#scanner;
    return pending === this.#folded.length ? this.#folder.original : this.#folder.startOf(pending);
  }

  push(piece: string, hits: Hit[]): void {
    const text = this.#folder.push(piece);
    this.#folded.append(text);
    const inner: Hit[] = [];
    this.#scanner.push(text, inner);
    this.#report(inner, hits);
  }

  end(hits: Hit[]): void {
    const inner: Hit[] = [];
    this.#scanner.end(inner);
    this.#report(inner, hits);
  }

  mark(): void {
    const { pending } = this.#scanner;
    this.#folded.discard(pending);
    this.#folder.discard(pending - 1);
    this.#folder.mark();
    this.#scanner.mark();
    this.#markedLength = this.#folded.length;
  }

  rewind(): void {
    this.#folder.rewind();
    this.#scanner.rewind();
    this.#folded.truncate(this.#markedLength);
  }

  #report(inner: readonly Hit[], hits: Hit[]): void {
    for (const hit of inner) {
      if (!this.#folder.isChanged(hit.start, hit.end)) continue;
      const start = this.#folder.startOf(hit.start);
      const end = this.#folder.endOf(hit.end);
      if (isOneForeignScript(this.#tape.slice(start, end))) continue;
      const at = hit.at > this.#folded.length ? this.#folder.original + 1 : this.#folder.endOf(hit.at);
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
