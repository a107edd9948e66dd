/** Finds stop sequences in text that arrives in pieces; holds back only what may still become one. */
export class StopMatcher {
  readonly #stops: readonly string[];
  #held = '';
  /** The stop sequence that ended the text, or null. */
  matched: string | null = null;

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop.length > 0);
  }

  /** The text that may leave now: zero or one piece. */
  *push(piece: string): Generator<string, void, void> {
    const text = this.#held + piece;
    let cut = -1;
    for (const stop of this.#stops) {
      const at = text.indexOf(stop);
      if (at >= 0 && (cut < 0 || at < cut)) {
        cut = at;
        this.matched = stop;
      }
    }
    const release = cut >= 0 ? cut : text.length - this.#undecided(text);
    this.#held = cut >= 0 ? '' : text.slice(release);
    if (release > 0) yield text.slice(0, release);
  }

  *flush(): Generator<string, void, void> {
    if (this.#held.length > 0) yield this.#held;
    this.#held = '';
  }

  /** Length of the longest suffix of `text` that is a proper prefix of a stop sequence. */
  #undecided(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
