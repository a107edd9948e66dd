import { VOCABULARY } from './vocabulary.ts';

/** Words common in instructions to a model, lower case, four letters and more. */
const WORDS: readonly string[] = VOCABULARY.split(' ');
/** Words of every English sentence, three letters and more. */
const COMMON: readonly string[] =
  'the and you your that this with for are not all any but from have what when will must now can was were only should then them into about say'.split(
    ' ',
  );

const known: ReadonlySet<string> = new Set([...WORDS, ...COMMON]);

export function isKnownWord(word: string): boolean {
  return known.has(word.toLowerCase());
}

const PRIME = 0x01000193;

/** One bit for each of many hashes: says of hardly any other one that it may be among them. */
class HashFilter {
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

/** What a letter adds to the sum of a word's letters, whatever their order. */
export function weightOf(unit: number): number {
  return Math.imul(unit * unit + 0x9e37, 0x85ebca6b) | 0;
}

/** What the sum begins with: scrambled words keep their first letter. */
export function weightOfFirst(unit: number): number {
  return Math.imul(unit, 0x27d4eb2f) | 0;
}

function hashOf(word: string): number {
  let hash = 0;
  for (let index = 0; index < word.length; index++) hash = hashUnit(hash, word.charCodeAt(index));
  return hash;
}

const knownHashes: ReadonlySet<number> = new Set([...known].map(hashOf));

function signature(word: string): number {
  let sum = weightOfFirst(word.charCodeAt(0));
  for (let index = 0; index < word.length; index++) sum = (sum + weightOf(word.charCodeAt(index))) | 0;
  return sum;
}

const bySignature = new Map<number, string>();
for (const word of WORDS) if (word.length >= 4 && !bySignature.has(signature(word))) bySignature.set(signature(word), word);

/** Fewest letters of a word that is still known when a letter is missing, is another one or stands twice. */
const SHORTEST_MISSPELT = 5;

/** A word with one inner letter left out or doubled: what typing in a hurry makes of it, and no inflection does. */
function misspellings(word: string): string[] {
  const others: string[] = [];
  for (let at = 1; at < word.length - 1; at++) {
    others.push(word.slice(0, at) + word.slice(at + 1), word.slice(0, at) + word.charAt(at) + word.slice(at));
  }
  return others.filter((other) => !known.has(other));
}

/** In place of the letter that is hidden. */
const GAP = '?';

/** The word with one inner letter hidden, for each of them. */
function gaps(word: string): string[] {
  return Array.from({ length: word.length - 2 }, (_, at) => gapAt(word, at + 1));
}

function gapAt(word: string, at: number): string {
  return word.slice(0, at) + GAP + word.slice(at + 1);
}

/** Known words by their misspellings and gaps, and a filter for these; made when the first view needs them. */
let corrections: { readonly words: ReadonlyMap<string, string>; readonly filter: HashFilter } | null = null;

function makeCorrections(): { readonly words: ReadonlyMap<string, string>; readonly filter: HashFilter } {
  const words = new Map(
    WORDS.filter(({ length }) => length >= SHORTEST_MISSPELT)
      .flatMap((other) => [...misspellings(other), ...gaps(other)].map((form): [string, string] => [form, other]))
      .reverse(),
  );
  return { words, filter: new HashFilter(20, Array.from(words.keys(), hashOf)) };
}

/** The known word that this is but for one inner letter, or whose inner letters these are in another order; null where there is none. */
export function correct(word: string): string | null {
  const lower = word.toLowerCase();
  const hash = hashOf(lower);
  if (knownHashes.has(hash)) return null;
  const ordered = bySignature.get(signature(lower));
  if (ordered?.length === lower.length) return ordered;
  const { length } = lower;
  if (length < SHORTEST_MISSPELT - 1) return null;
  corrections ??= makeCorrections();
  const { words, filter } = corrections;
  const misspelt = filter.mayHave(hash) ? words.get(lower) : undefined;
  if (misspelt !== undefined) return misspelt;
  // With the last letter first, for the power of the prime that the hash has its letter with; the first letter that can be another one counts.
  let found: string | null = null;
  for (let at = length - 2, power = PRIME; at > 0; at--, power = Math.imul(power, PRIME)) {
    if (!filter.mayHave((hash + Math.imul(power, GAP_UNIT - lower.charCodeAt(at))) | 0)) continue;
    found = words.get(gapAt(lower, at)) ?? found;
  }
  return found;
}

const GAP_UNIT = GAP.charCodeAt(0);

function rot13Word(word: string): string {
  return Array.from(word, (letter) => String.fromCharCode(((letter.charCodeAt(0) - 97 + 13) % 26) + 97)).join('');
}

/** What a word of a text is a sign of. */
export const SIGN_ROT13 = 1;
export const SIGN_REVERSED = 2;
/** Its inner letters are in another order, or one of them is missing or stands twice. */
export const SIGN_SCRAMBLED = 4;

/** By hash of the word; words that are known as they are have none. */
const signs = new Map<number, number>();
for (const word of WORDS) if (word.length >= SHORTEST_MISSPELT) for (const other of misspellings(word)) addSign(other, SIGN_SCRAMBLED);
for (const word of known) {
  addSign(rot13Word(word), SIGN_ROT13);
  // Short words read backwards are often others.
  if (word.length > 4 || COMMON.slice(0, 7).includes(word)) addSign([...word].reverse().join(''), SIGN_REVERSED);
}

function addSign(word: string, sign: number): void {
  if (!known.has(word)) signs.set(hashOf(word), (signs.get(hashOf(word)) ?? 0) | sign);
}

// First look-ups: most words of a text are known or have no sign, and a bit says so.
const maybeSign = new HashFilter(19, signs.keys());
const maybeScrambled = new HashFilter(17, bySignature.keys());
/** For every beginning of a run of letters. */
const maybeKnown = new HashFilter(19, knownHashes);

/** Units of the longest known word that begins at `from`, of at most `most`; 0 where there is none. */
export function knownLength(text: string, from: number, most: number): number {
  let found = 0;
  let hash = 0;
  const end = Math.min(text.length, from + most);
  for (let at = from; at < end; at++) {
    hash = hashUnit(hash, text.charCodeAt(at) | 0x20);
    if (maybeKnown.mayHave(hash) && isKnownWord(text.slice(from, at + 1))) found = at + 1 - from;
  }
  return found;
}

/** The hashes of the known words, in a table that is looked into once or twice for a word: half the words of a text are in it. */
const KNOWN_SIZE = 1 << 13;
const knownTable = new Int32Array(KNOWN_SIZE);
for (const hash of knownHashes) {
  let slot = slotOf(hash);
  while (knownTable[slot] !== 0) slot = (slot + 1) % KNOWN_SIZE;
  knownTable[slot] = hash;
}

function slotOf(hash: number): number {
  return Math.imul(hash, 0x9e3779b1) >>> 19;
}

function isKnownHash(hash: number): boolean {
  let slot = slotOf(hash);
  while (true) {
    const held = knownTable[slot] ?? 0;
    if (held === hash || held === 0) return held !== 0;
    slot = (slot + 1) % KNOWN_SIZE;
  }
}

/** The signs of one word. */
export function signsOf(hash: number, signature: number): number {
  if (isKnownHash(hash)) return 0;
  const found = maybeSign.mayHave(hash) ? (signs.get(hash) ?? 0) : 0;
  return maybeScrambled.mayHave(signature) && bySignature.has(signature) ? found | SIGN_SCRAMBLED : found;
}
