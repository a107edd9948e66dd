/** The forms a word takes when it is typed in a hurry, and hashes of words that are read letter by letter. */

export const PRIME = 0x01000193;

/** One bit for each of many hashes: says of hardly any other one that it may be among them. */
export class HashFilter {
  readonly #bits: Uint32Array;
  readonly #shift: number;

  /** @param size the number of bits, as a power of two */
  constructor(size: number, hashes: Iterable<number>) {
    this.#bits = new Uint32Array(1 << (size - 5));
    this.#shift = 32 - size;
    for (const hash of hashes) {
      const bit = this.#bitOf(hash);
      this.#bits[bit >>> 5] = (this.#bits[bit >>> 5] ?? 0) | (1 << (bit & 31));
    }
  }

  mayHave(hash: number): boolean {
    const bit = this.#bitOf(hash);
    return ((this.#bits[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0;
  }

  #bitOf(hash: number): number {
    return Math.imul(hash, 0x9e3779b1) >>> this.#shift;
  }
}

/** A word's letters in their order, one unit more. Units in lower case. */
export function hashUnit(hash: number, unit: number): number {
  return (Math.imul(hash, PRIME) + unit) | 0;
}

/** What a letter adds to the sum of a word's letters, whatever their order: no sum of a few letters is that of others. */
export function weightOf(unit: number): number {
  const mixed = Math.imul(unit, 0x9e3779b1);
  return Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
}

/** What the sum begins with: scrambled words keep their first letter. */
export function weightOfFirst(unit: number): number {
  return Math.imul(unit, 0x27d4eb2f) | 0;
}

export function hashOf(word: string): number {
  let hash = 0;
  for (let index = 0; index < word.length; index++) hash = hashUnit(hash, word.charCodeAt(index));
  return hash;
}

export function signature(word: string): number {
  let sum = weightOfFirst(word.charCodeAt(0));
  for (let index = 0; index < word.length; index++) sum = (sum + weightOf(word.charCodeAt(index))) | 0;
  return sum;
}

/** Fewest letters of a word that is still known when a letter is missing, is another one or stands twice. */
export const SHORTEST_MISSPELT = 4;

/** A word with one inner letter left out or doubled: what typing in a hurry makes of it, and no inflection does. */
export function misspellings(word: string): string[] {
  const others: string[] = [];
  for (let at = 1; at < word.length - 1; at++) {
    others.push(word.slice(0, at) + word.slice(at + 1), word.slice(0, at) + word.charAt(at) + word.slice(at));
  }
  return others;
}

/** In place of the letter that is hidden. */
export const GAP = '?';

/** The word with one inner letter hidden, for each of them. */
export function gaps(word: string): string[] {
  return Array.from({ length: word.length - 2 }, (_, at) => gapAt(word, at + 1));
}

export function gapAt(word: string, at: number): string {
  return word.slice(0, at) + GAP + word.slice(at + 1);
}
