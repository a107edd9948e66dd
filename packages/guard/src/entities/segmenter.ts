/** Longest stretch that is judged as one; it ends at the next white space, at the latest at twice this. UTF-16 units. */
const LONGEST = 320;

const LINE_FEED = 0x0a;

/**
 * Cuts a growing text into stretches that are judged by themselves: sentences, paragraphs, or what fits. Where a stretch ends depends on what
 * lies before and on one unit after it, never on how the text comes.
 */
export class Segmenter {
  /** The stretch that is still open. */
  #open = '';
  #start = 0;
  #mark: { readonly open: string; readonly start: number } = { open: '', start: 0 };

  /** Offset of the stretch that is still open. */
  get pending(): number {
    return this.#start;
  }

  /** Adds text and hands over every stretch that ends, with its offset. */
  push(piece: string, take: (text: string, start: number) => void): void {
    const from = this.#open.length;
    let text = this.#open + piece;
    let cut = 0;
    for (let at = Math.max(1, from); at < text.length; at++) {
      if (!endsAt(text, cut, at)) continue;
      take(text.slice(cut, at), this.#start + cut);
      cut = at;
    }
    if (cut > 0) text = text.slice(cut);
    this.#start += cut;
    this.#open = text;
  }

  /** Hands over what is left. */
  end(take: (text: string, start: number) => void): void {
    if (this.#open !== '') take(this.#open, this.#start);
    this.#start += this.#open.length;
    this.#open = '';
  }

  reset(): void {
    this.#open = '';
    this.#start = 0;
    this.mark();
  }

  mark(): void {
    this.#mark = { open: this.#open, start: this.#start };
  }

  rewind(): void {
    this.#open = this.#mark.open;
    this.#start = this.#mark.start;
  }
}

/** Whether the stretch from `cut` on ends before the unit at `at`. */
function endsAt(text: string, cut: number, at: number): boolean {
  const length = at - cut;
  if (length === 0) return false;
  const unit = text.charCodeAt(at);
  if (length >= 2 * LONGEST && !(unit >= 0xdc00 && unit <= 0xdfff)) return true;
  if (!isSpace(unit)) return false;
  if (length >= LONGEST) return true;
  const last = text.charCodeAt(at - 1);
  if (unit === LINE_FEED && last === LINE_FEED) return true;
  if (last !== 0x2e && last !== 0x21 && last !== 0x3f) return false;
  // After a short word with a capital the full stop is that of an abbreviation: Mr., St., J.
  return last !== 0x2e || !/(?:^|[^\p{L}\p{N}])(?:\p{Lu}\p{L}{0,4}|\p{L}{1,2}|\d{1,3})\.$/u.test(text.slice(Math.max(cut, at - 8), at));
}

function isSpace(unit: number): boolean {
  return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);
}
