import { isDense, lettersOf, lettersOfAscii } from './letters.ts';

/** Letters in a row that are compared at once, and how many have to match before a text counts as a leak. */
export interface Measure {
  readonly gram: number;
  /** As it is written. */
  readonly plain: number;
  /** Encoded, reversed or in ROT13: nobody writes that by chance. */
  readonly coded: number;
}

const WORDS: Measure = { gram: 12, plain: 48, coded: 20 };
const DENSE: Measure = { gram: 6, plain: 18, coded: 14 };
const LEAST = 14;
/** Letters of a prompt that are known; the encoded forms of fewer. */
const MOST = 32_768;
const MOST_CODED = 16_384;

/** Base of the rolling hash, modulo 2^32. */
const BASE = 0x01000193;
/** Bits of a print's filter. */
const FILTER = 0x20000;

/** Whether any form of a print may have the hash. */
export function passes(filter: Uint8Array, hash: number): boolean {
  const bit = hash >>> 15;
  return (((filter[bit >>> 3] ?? 0) >>> (bit & 7)) & 1) === 1;
}

/** A secret text, as the hashes of its n-grams. The text itself is not kept: who has a reply to compare has it too, for `encode`. */
export class Print {
  readonly measure: Measure;
  readonly category: string;
  /** `BASE` to the power of the n-gram's length, to take the oldest letter out of a hash. */
  readonly power: number;
  readonly letters: number;
  /** Bits of the hashes of all forms: most letters of a reply need no look at any set. */
  readonly filter: Uint8Array;
  readonly #plain: GramSet;
  readonly #twisted: GramSet;
  #coded: GramSet | null = null;

  private constructor(letters: Uint16Array, measure: Measure, category: string) {
    this.measure = measure;
    this.category = category;
    this.letters = letters.length;
    this.power = powerOf(measure.gram);
    this.filter = new Uint8Array(FILTER / 8);
    this.#plain = new GramSet(letters.length, this.filter);
    this.#plain.add(letters, measure.gram);
    const twisted = letters.slice(0, MOST_CODED);
    this.#twisted = new GramSet(2 * twisted.length, this.filter);
    this.#twisted.add(twisted.map(rot13), measure.gram);
    this.#twisted.add(twisted.reverse(), measure.gram);
  }

  /** Null for a text that is too short to be told from others. */
  static of(text: string): Print | null {
    const all = lettersOf(text);
    const letters = all.length > MOST ? all.slice(0, MOST) : all;
    const dense = letters.reduce((count, letter) => count + (isDense(letter) ? 1 : 0), 0);
    const { gram, plain, coded } = dense > letters.length / 4 ? DENSE : WORDS;
    if (letters.length < LEAST) return null;
    const needed = Math.min(plain, Math.max(LEAST, Math.ceil(letters.length * 0.85)));
    return new Print(letters, { gram, plain: needed, coded: Math.min(coded, needed) }, 'system-prompt');
  }

  /** Of a word that stands in one system prompt and nowhere else. */
  static ofCanary(word: string): Print {
    return new Print(lettersOf(word), { gram: 8, plain: 12, coded: 12 }, 'canary');
  }

  hasPlain(hash: number): boolean {
    return this.#plain.has(hash);
  }

  hasTwisted(hash: number): boolean {
    return this.#twisted.has(hash);
  }

  /** In base64 (from any byte on), hexadecimal digits or percent-encoding. Known once `encode` was called. */
  hasEncoded(hash: number): boolean {
    return this.#coded?.has(hash) === true;
  }

  /** Makes the encoded forms, which few replies ever need, of the text that the print is of. */
  encode(text: string): void {
    this.#coded ??= this.#encode(text.slice(0, MOST_CODED));
  }

  #encode(text: string): GramSet {
    const bytes = Buffer.from(text);
    const forms = [
      ...[0, 1, 2].map((from) => bytes.subarray(from).toString('base64')),
      bytes.toString('hex'),
      encodeURIComponent(text.toWellFormed()),
    ].map(lettersOfAscii);
    const grams = new GramSet(
      forms.reduce((sum, form) => sum + form.length, 0),
      this.filter,
    );
    // Percent-encoding leaves words as they are, and those are judged as such.
    for (const form of forms) grams.add(form, this.measure.gram, this.#plain);
    return grams;
  }
}

function powerOf(gram: number): number {
  let power = 1;
  for (let index = 0; index < gram; index++) power = Math.imul(power, BASE);
  return power;
}

/** The hash after one more letter; `oldest` is the one that leaves the n-gram. */
export function roll(hash: number, letter: number, oldest: number, power: number): number {
  return (Math.imul(hash, BASE) + letter - Math.imul(oldest, power)) | 0;
}

function rot13(letter: number): number {
  return letter >= 97 && letter <= 122 ? ((letter - 97 + 13) % 26) + 97 : letter;
}

/** Hashes by open addressing. 0 marks a free place; the hash 0 is kept as 1. */
class GramSet {
  readonly #places: Int32Array;
  readonly #filter: Uint8Array;

  constructor(size: number, filter: Uint8Array) {
    this.#filter = filter;
    this.#places = new Int32Array(1 << Math.max(4, Math.ceil(Math.log2(size * 2 + 1))));
  }

  add(letters: Uint16Array, gram: number, but: GramSet | null = null): void {
    const places = this.#places;
    const filter = this.#filter;
    const mask = places.length - 1;
    const power = powerOf(gram);
    let hash = 0;
    for (let index = 0; index < letters.length; index++) {
      hash = roll(hash, letters[index] ?? 0, index >= gram ? (letters[index - gram] ?? 0) : 0, power);
      if (index < gram - 1) continue;
      if (but?.has(hash) === true) continue;
      const kept = hash === 0 ? 1 : hash;
      let place = spread(kept) & mask;
      while (places[place] !== 0 && places[place] !== kept) place = (place + 1) & mask;
      places[place] = kept;
      const bit = hash >>> 15;
      filter[bit >>> 3] = (filter[bit >>> 3] ?? 0) | (1 << (bit & 7));
    }
  }

  has(hash: number): boolean {
    const places = this.#places;
    const mask = places.length - 1;
    const kept = hash === 0 ? 1 : hash;
    for (let place = spread(kept) & mask; ; place = (place + 1) & mask) {
      const found = places[place];
      if (found === kept) return true;
      if (found === 0) return false;
    }
  }
}

/** The lower bits of the rolling hash depend on the last letters only. */
function spread(hash: number): number {
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 12;
}
