/** Units before a match that a detector looks at unless it asks for more. */
export const LOOK_BEHIND = 32;

/** Units before what is undecided that are kept: the most that a detector may ask for. */
export const MOST_LOOK_BEHIND = 128;

/** The undecided end of a growing text, addressed by offsets into the whole text. */
export class Tape {
  #held = '';
  #from = 0;

  /** Offset just after the last unit. */
  get length(): number {
    return this.#from + this.#held.length;
  }

  append(piece: string): void {
    this.#held = this.#held === '' ? piece : this.#held + piece;
  }

  /** `[start, end)`; what was discarded is left out. */
  slice(start: number, end: number): string {
    return this.#held.slice(Math.max(0, start - this.#from), Math.max(0, end - this.#from));
  }

  /** Begins anew with another text. */
  reset(): void {
    this.#held = '';
    this.#from = 0;
  }

  /** The code unit at `offset`, or -1 where it is not held. */
  unitAt(offset: number): number {
    const index = offset - this.#from;
    return index >= 0 && index < this.#held.length ? this.#held.charCodeAt(index) : -1;
  }

  /** Forgets what lies more than `MOST_LOOK_BEHIND` before `offset`. */
  discard(offset: number): void {
    const from = offset - MOST_LOOK_BEHIND;
    if (from <= this.#from) return;
    this.#held = this.#held.slice(from - this.#from);
    this.#from = from;
  }

  /** Takes back what lies from `offset` on. */
  truncate(offset: number): void {
    this.#held = this.#held.slice(0, Math.max(0, offset - this.#from));
  }
}

export function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

export function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

/** The code point of a surrogate pair. */
export function pair(high: number, low: number): number {
  return ((high - 0xd800) << 10) + (low - 0xdc00) + 0x10000;
}

/** The code point at `index` of the first `length` units; a surrogate that stands alone is one. */
export function codePointAt(units: Uint16Array, index: number, length: number): number {
  const unit = units[index] ?? 0;
  const next = index + 1 < length ? (units[index + 1] ?? 0) : 0;
  return isHighSurrogate(unit) && isLowSurrogate(next) ? pair(unit, next) : unit;
}
