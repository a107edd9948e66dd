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
  #starts: Int32Array = NO_PLACES;
  #ends: Int32Array = NO_PLACES;

  get length(): number {
    return this.#text.length;
  }

  /** All units of `text` come from `[start, end)`. */
  add(text: string, start: number, end: number): void {
    const from = this.#append(text);
    this.#starts.fill(start, from, from + text.length);
    this.#ends.fill(end, from, from + text.length);
  }

  /** The units of `text` come from one unit each, from `start` on. */
  copy(text: string, start: number): void {
    const from = this.#append(text);
    for (let unit = 0; unit < text.length; unit++) {
      this.#starts[from + unit] = start + unit;
      this.#ends[from + unit] = start + unit + 1;
    }
  }

  build(name: string): View {
    const { length } = this.#text;
    return { name, text: this.#text, starts: this.#starts.subarray(0, length), ends: this.#ends.subarray(0, length) };
  }

  /** Returns where the places of the new units are. */
  #append(text: string): number {
    const from = this.#text.length;
    this.#text += text;
    if (this.#text.length > this.#starts.length) {
      const room = Math.max(256, 2 * this.#text.length);
      this.#starts = grown(this.#starts, room);
      this.#ends = grown(this.#ends, room);
    }
    return from;
  }
}

const NO_PLACES = new Int32Array(0);

function grown(numbers: Int32Array, length: number): Int32Array {
  const larger = new Int32Array(length);
  larger.set(numbers);
  return larger;
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
