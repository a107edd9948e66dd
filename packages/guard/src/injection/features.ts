import { forEachBlock, LAST_UNIT, type UnitSet, unitsIn } from '../pattern/unit-set.ts';

/** Weights of a head: 2^19 buckets. */
export const BUCKET_BITS = 19;
export const BUCKETS: number = 1 << BUCKET_BITS;

/** Most features one unit of text can yield: one of characters, two times four of words. */
export const FEATURES_PER_UNIT = 9;

const SHIFT = 32 - BUCKET_BITS;
const CHARACTER_PRIME = 0x01000193;
const WORD_PRIME = 0x9e3779b1 | 0;
const GAP_PRIME = 0x2c1b3c6d;
const MIX = 0x85ebca6b | 0;
/** One for each kind of feature, so that equal hashes of different kinds fall into different buckets. */
const SALTS = { five: 0x2545f491, one: 0x5bd1e995, two: 0x27d4eb2f, triple: 0x165667b1, gap: 0x51ed270b } as const;

const SPACE = 0x20;
const SEPARATOR = 0;
const IN_WORD = 1;
/** Scripts written without spaces: each unit is a word. */
const WORD = 2;

/** Whether a unit is part of a word: `SEPARATOR`, `IN_WORD` or `WORD`. */
const KIND: Uint8Array = new Uint8Array(LAST_UNIT + 1);
fill(unitsIn('\\p{L}\\p{M}\\p{N}'), IN_WORD);
KIND.fill(SEPARATOR, 0x2e80, 0xa000);
fill(unitsIn('\\p{L}'), WORD, 0x2e80, 0x9fff);
KIND.fill(WORD, 0xd800, 0xe000);

function fill(set: UnitSet, kind: number, from = 0, to = LAST_UNIT): void {
  for (let index = 0; index < set.length; index += 2) {
    const [low = 0, high = 0] = [set[index], set[index + 1]];
    if (high >= from && low <= to) KIND.fill(kind, Math.max(low, from), Math.min(high, to) + 1);
  }
}

/** What a unit is read as, lower case, every digit 0, all white space one space; in bits 16 and 17 whether it is part of a word. */
const READ_AS: Uint32Array = readAs();

function readAs(): Uint32Array {
  const table = Uint32Array.from({ length: LAST_UNIT + 1 }, (_, unit) => unit);
  forEachBlock((first, block) => {
    if (block.toLowerCase() === block) return;
    for (let index = 0; index < block.length; index++) {
      const lower = block.charAt(index).toLowerCase();
      if (lower.length === 1) table[first + index] = lower.charCodeAt(0);
    }
  });
  const spaces = unitsIn('\\s');
  for (let index = 0; index < spaces.length; index += 2) table.fill(SPACE, spaces[index], (spaces[index + 1] ?? 0) + 1);
  table.fill(0x30, 0x30, 0x3a);
  for (let unit = 0; unit <= LAST_UNIT; unit++) {
    const read = table[unit] ?? 0;
    table[unit] = read | ((KIND[read] ?? 0) << 16);
  }
  return table;
}

/**
 * Reads a text in pieces and yields its features as bucket numbers: word 1- to 3-grams, pairs of words with one between them, and 5-grams of
 * characters over spaces. A feature belongs to the unit that completes it, so the features of a stretch of text do not depend on what
 * follows it. Runs of white space count as one space, longer runs of one unit as three of it. Hashing after Weinberger et al., "Feature
 * hashing for large scale multitask learning" (2009).
 */
export class FeatureReader {
  /** The last four units, as hashes of one to four of them. */
  #one = 0;
  #two = 0;
  #three = 0;
  #four = 0;
  #last = SPACE;
  #run = 1;
  #word = 0;
  #lastWord = 0;
  #wordBefore = 0;
  #lastPair = 0;
  /** What `sum` found: the weights of the features, and how many they are. */
  total = 0;
  count = 0;

  /** Reads `[from, to)` of `units` and sums up the weights of the features, in `total` and `count`. The same as `read`, but faster. */
  sum(units: Uint16Array, from: number, to: number, weights: Int8Array): void {
    let total = 0;
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
      total += weights[Math.imul(five ^ SALTS.five, MIX) >>> SHIFT] ?? 0;
      count++;
      const kind = read >> 16;
      if (kind === IN_WORD) {
        word = (Math.imul(word, CHARACTER_PRIME) + unit) | 0;
        continue;
      }
      if (word !== 0) {
        total += this.#sumWord(word, weights);
        count += FEATURES_PER_WORD;
        word = 0;
      }
      if (kind === WORD) {
        total += this.#sumWord(unit, weights);
        count += FEATURES_PER_WORD;
      }
    }
    this.#one = one;
    this.#two = two;
    this.#three = three;
    this.#four = four;
    this.#word = word;
    this.#last = last;
    this.#run = run;
    this.total = total;
    this.count = count;
  }

  /** The text ends here: as `sum`, for the features of its last word. */
  sumEnd(weights: Int8Array): void {
    this.total = this.#word === 0 ? 0 : this.#sumWord(this.#word, weights);
    this.count = this.#word === 0 ? 0 : FEATURES_PER_WORD;
    this.#word = 0;
  }

  #sumWord(word: number, weights: Int8Array): number {
    const pair = (Math.imul(this.#lastWord, WORD_PRIME) + word) | 0;
    const triple = (Math.imul(this.#lastPair, WORD_PRIME) + word) | 0;
    const gap = (Math.imul(this.#wordBefore, GAP_PRIME) + word) | 0;
    this.#wordBefore = this.#lastWord;
    this.#lastWord = word;
    this.#lastPair = pair;
    return (
      (weights[Math.imul(word ^ SALTS.one, MIX) >>> SHIFT] ?? 0) +
      (weights[Math.imul(pair ^ SALTS.two, MIX) >>> SHIFT] ?? 0) +
      (weights[Math.imul(triple ^ SALTS.triple, MIX) >>> SHIFT] ?? 0) +
      (weights[Math.imul(gap ^ SALTS.gap, MIX) >>> SHIFT] ?? 0)
    );
  }

  /** Reads `[from, to)` of `units` and writes the features into `out` from 0 on, for training. Returns how many. */
  read(units: Uint16Array, from: number, to: number, out: Int32Array): number {
    let count = 0;
    for (let index = from; index < to; index++) {
      const read = READ_AS[units[index] ?? 0] ?? 0;
      const unit = read & 0xffff;
      this.#run = unit === this.#last ? this.#run + 1 : 1;
      if (unit === this.#last && (unit === SPACE || this.#run > 3)) continue;
      this.#last = unit;
      const five = (Math.imul(this.#four, CHARACTER_PRIME) + unit) | 0;
      this.#four = (Math.imul(this.#three, CHARACTER_PRIME) + unit) | 0;
      this.#three = (Math.imul(this.#two, CHARACTER_PRIME) + unit) | 0;
      this.#two = (Math.imul(this.#one, CHARACTER_PRIME) + unit) | 0;
      this.#one = unit;
      out[count++] = Math.imul(five ^ SALTS.five, MIX) >>> SHIFT;
      const kind = read >> 16;
      if (kind === IN_WORD) {
        this.#word = (Math.imul(this.#word, CHARACTER_PRIME) + unit) | 0;
        continue;
      }
      count += this.end(out.subarray(count));
      if (kind === WORD) {
        this.#word = unit;
        count += this.end(out.subarray(count));
      }
    }
    return count;
  }

  /** The text ends here: writes the features of its last word. */
  end(out: Int32Array): number {
    const word = this.#word;
    if (word === 0) return 0;
    const pair = (Math.imul(this.#lastWord, WORD_PRIME) + word) | 0;
    out[0] = Math.imul(word ^ SALTS.one, MIX) >>> SHIFT;
    out[1] = Math.imul(pair ^ SALTS.two, MIX) >>> SHIFT;
    out[2] = Math.imul(((Math.imul(this.#lastPair, WORD_PRIME) + word) | 0) ^ SALTS.triple, MIX) >>> SHIFT;
    out[3] = Math.imul(((Math.imul(this.#wordBefore, GAP_PRIME) + word) | 0) ^ SALTS.gap, MIX) >>> SHIFT;
    this.#wordBefore = this.#lastWord;
    this.#lastWord = word;
    this.#lastPair = pair;
    this.#word = 0;
    return FEATURES_PER_WORD;
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
    this.#wordBefore = other.#wordBefore;
    this.#lastPair = other.#lastPair;
  }
}

/** A word alone, with the one before it, with the two before it, and with the one before the last. */
const FEATURES_PER_WORD = 4;
