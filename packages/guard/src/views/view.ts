/**
 * A text in another form, and where each of its units comes from in the text it was made of: `[starts[i], ends[i])`. One unit of a decoded
 * text may come from many, and many from the same few.
 */
export interface View {
  /** How it was disguised: `base64`, `rot13`, ... */
  readonly name: string;
  readonly text: string;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/** Puts a view together, stretch by stretch. */
export class ViewBuilder {
  #text = '';
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  get length(): number {
    return this.#text.length;
  }

  /** All units of `text` come from `[start, end)`. */
  add(text: string, start: number, end: number): void {
    this.#text += text;
    for (let unit = 0; unit < text.length; unit++) {
      this.#starts.push(start);
      this.#ends.push(end);
    }
  }

  /** The units of `text` come from one unit each, from `start` on. */
  copy(text: string, start: number): void {
    this.#text += text;
    for (let unit = 0; unit < text.length; unit++) {
      this.#starts.push(start + unit);
      this.#ends.push(start + unit + 1);
    }
  }

  build(name: string): View {
    return { name, text: this.#text, starts: Int32Array.from(this.#starts), ends: Int32Array.from(this.#ends) };
  }
}

/** A view unit by unit: `text` has the length of what it was made of. */
export function sameLength(name: string, text: string): View {
  const starts = new Int32Array(text.length);
  const ends = new Int32Array(text.length);
  for (let unit = 0; unit < text.length; unit++) {
    starts[unit] = unit;
    ends[unit] = unit + 1;
  }
  return { name, text, starts, ends };
}

/** The view from back to front. */
export function reversed({ name, text, starts, ends }: View): View {
  let back = '';
  for (let unit = text.length - 1; unit >= 0; unit--) back += text.charAt(unit);
  return { name, text: back, starts: starts.toReversed(), ends: ends.toReversed() };
}
