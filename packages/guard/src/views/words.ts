import { GAP, gapAt, gaps, HashFilter, hashOf, hashUnit, misspellings, PRIME, SHORTEST_MISSPELT, signature } from './misspelling.ts';
import { ORDINARY, VOCABULARY } from './vocabulary.ts';

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

/** Hashes of the words that are right as they are: those, and ordinary ones that are a letter from one of them (`cloud`, `could`). */
const rightHashes: ReadonlySet<number> = new Set([...known, ...ORDINARY.split(' ')].map(hashOf));

const bySignature = new Map<number, string>();
for (const word of WORDS) if (word.length >= 4 && !bySignature.has(signature(word))) bySignature.set(signature(word), word);

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
  if (rightHashes.has(hash)) return null;
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

/** Fewest letters of a word whose misspellings are a sign: those of shorter ones are words of some language too often. */
const SHORTEST_TELLING = 5;

/** By hash of the word; words that are right as they are have none. */
const signs = new Map<number, number>();
for (const word of WORDS) if (word.length >= SHORTEST_TELLING) for (const other of misspellings(word)) addSign(other, SIGN_SCRAMBLED);
for (const word of known) {
  addSign(rot13Word(word), SIGN_ROT13);
  // Short words read backwards are often others.
  if (word.length > 4 || COMMON.slice(0, 7).includes(word)) addSign([...word].reverse().join(''), SIGN_REVERSED);
}

function addSign(word: string, sign: number): void {
  const hash = hashOf(word);
  if (!rightHashes.has(hash)) signs.set(hash, (signs.get(hash) ?? 0) | sign);
}

// First look-ups: most words of a text are right or have no sign, and a bit says so.
const maybeSign = new HashFilter(19, signs.keys());
const maybeScrambled = new HashFilter(17, bySignature.keys());
/** For every beginning of a run of letters. */
const maybeKnown = new HashFilter(19, Array.from(known, hashOf));

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

/** `rightHashes` in a table that is looked into once or twice for a word: half the words of a text are in it. */
const RIGHT_SIZE = 1 << 13;
const rightTable = new Int32Array(RIGHT_SIZE);
for (const hash of rightHashes) {
  let slot = slotOf(hash);
  while (rightTable[slot] !== 0) slot = (slot + 1) % RIGHT_SIZE;
  rightTable[slot] = hash;
}

function slotOf(hash: number): number {
  return Math.imul(hash, 0x9e3779b1) >>> 19;
}

function isRight(hash: number): boolean {
  let slot = slotOf(hash);
  while (true) {
    const held = rightTable[slot] ?? 0;
    if (held === hash || held === 0) return held !== 0;
    slot = (slot + 1) % RIGHT_SIZE;
  }
}

/** The signs of one word: `sum` is its signature. */
export function signsOf(hash: number, sum: number): number {
  if (isRight(hash)) return 0;
  const found = maybeSign.mayHave(hash) ? (signs.get(hash) ?? 0) : 0;
  return maybeScrambled.mayHave(sum) && bySignature.has(sum) ? found | SIGN_SCRAMBLED : found;
}
