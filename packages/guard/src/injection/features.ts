/** Weights of a head: 2^17 buckets. */
export const BUCKET_BITS = 17;
export const BUCKETS: number = 1 << BUCKET_BITS;

/** Most features one unit of text can yield: two of characters, two times three of words. */
export const FEATURES_PER_UNIT = 8;

const SHIFT = 32 - BUCKET_BITS;
const CHARACTER_PRIME = 0x01000193;
const WORD_PRIME = 0x9e3779b1 | 0;
const MIX = 0x85ebca6b | 0;
/** One for each kind of feature, so that equal hashes of different kinds fall into different buckets. */
const SALTS = { four: 0x1b873593, five: 0x2545f491, one: 0x5bd1e995, two: 0x27d4eb2f, triple: 0x165667b1 } as const;

const SPACE = 0x20;
const SEPARATOR = 0;
const IN_WORD = 1;
/** Scripts written without spaces: each unit is a word. */
const WORD = 2;

/** What a unit is read as, lower case, every digit 0, all white space one space; in bits 16 and 17 whether it is part of a word. */
const READ_AS: Uint32Array = Uint32Array.from({ length: 0x10000 }, (_, unit) => {
  const read = readAs(unit);
  return read | (kindOf(read) << 16);
});

function readAs(unit: number): number {
  if (unit >= 0x30 && unit <= 0x39) return 0x30;
  const character = String.fromCharCode(unit);
  if (/\s/.test(character)) return SPACE;
  const lower = character.toLowerCase();
  return lower.length === 1 ? lower.charCodeAt(0) : unit;
}

function kindOf(unit: number): number {
  const character = String.fromCharCode(unit);
  if (unit >= 0x2e80 && unit <= 0x9fff) return /\p{L}/u.test(character) ? WORD : SEPARATOR;
  if (unit < 0x80) return /[A-Za-z0-9]/.test(character) ? IN_WORD : SEPARATOR;
  return unit >= 0xd800 && unit <= 0xdfff ? WORD : /[\p{L}\p{M}\p{N}]/u.test(character) ? IN_WORD : SEPARATOR;
}

/**
 * Reads a text in pieces and yields its features as bucket numbers: word 1- to 3-grams, and 4- and 5-grams of characters over spaces.
 * A feature belongs to the unit that completes it, so the features of a stretch of text do not depend on what follows it. Runs of white
 * space count as one space, longer runs of one unit as three of it. Hashing after Weinberger et al., "Feature hashing for large scale
 * multitask learning" (2009).
 */
export class FeatureReader {
  #one = 0;
  #two = 0;
  #three = 0;
  #four = 0;
  #last = SPACE;
  #run = 1;
  #word = 0;
  #lastWord = 0;
  #lastPair = 0;

  /** Reads `[from, to)` of `units` and writes the features into `out` from 0 on. Returns how many. */
  read(units: Uint16Array, from: number, to: number, out: Int32Array): number {
    let count = 0;
    let one = this.#one;
    let two = this.#two;
    let three = this.#three;
    let four = this.#four;
    let word = this.#word;
    let last = this.#last;
    let run = this.#run;
    for (let index = from; index < to; index++) {
      const read = READ_AS[units[index] ?? 0] ?? 0;
      const unit = read & 0xffff;
      if (unit === last) {
        if (unit === SPACE || ++run > 3) continue;
      } else {
        run = 1;
        last = unit;
      }
      const five = (Math.imul(four, CHARACTER_PRIME) + unit) | 0;
      four = (Math.imul(three, CHARACTER_PRIME) + unit) | 0;
      three = (Math.imul(two, CHARACTER_PRIME) + unit) | 0;
      two = (Math.imul(one, CHARACTER_PRIME) + unit) | 0;
      one = unit;
      out[count] = Math.imul(four ^ SALTS.four, MIX) >>> SHIFT;
      out[count + 1] = Math.imul(five ^ SALTS.five, MIX) >>> SHIFT;
      count += 2;
      const kind = read >> 16;
      if (kind === IN_WORD) {
        word = (Math.imul(word, CHARACTER_PRIME) + unit) | 0;
        continue;
      }
      if (word !== 0) count = this.#endWord(word, out, count);
      word = 0;
      if (kind === WORD) count = this.#endWord(unit, out, count);
    }
    this.#one = one;
    this.#two = two;
    this.#three = three;
    this.#four = four;
    this.#word = word;
    this.#last = last;
    this.#run = run;
    return count;
  }

  /** The text ends here: the features of its last word. */
  end(out: Int32Array): number {
    const count = this.#word === 0 ? 0 : this.#endWord(this.#word, out, 0);
    this.#word = 0;
    return count;
  }

  /** Goes on where another reader is. */
  follow(other: FeatureReader): void {
    this.#one = other.#one;
    this.#two = other.#two;
    this.#three = other.#three;
    this.#four = other.#four;
    this.#last = other.#last;
    this.#run = other.#run;
    this.#word = other.#word;
    this.#lastWord = other.#lastWord;
    this.#lastPair = other.#lastPair;
  }

  #endWord(word: number, out: Int32Array, at: number): number {
    const pair = (Math.imul(this.#lastWord, WORD_PRIME) + word) | 0;
    const triple = (Math.imul(this.#lastPair, WORD_PRIME) + word) | 0;
    out[at] = Math.imul(word ^ SALTS.one, MIX) >>> SHIFT;
    out[at + 1] = Math.imul(pair ^ SALTS.two, MIX) >>> SHIFT;
    out[at + 2] = Math.imul(triple ^ SALTS.triple, MIX) >>> SHIFT;
    this.#lastWord = word;
    this.#lastPair = pair;
    return at + 3;
  }
}
