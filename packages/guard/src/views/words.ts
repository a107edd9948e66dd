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

function signature(word: string): number {
  let sum = weightOfFirst(word.charCodeAt(0));
  for (let index = 0; index < word.length; index++) sum = (sum + weightOf(word.charCodeAt(index))) | 0;
  return sum;
}

const bySignature = new Map<number, string>();
for (const word of WORDS) if (word.length >= 4 && !bySignature.has(signature(word))) bySignature.set(signature(word), word);

/** The known word that these letters are when all but the first change places; null where there is none, or it is one as it is. */
export function unscramble(word: string): string | null {
  const lower = word.toLowerCase();
  if (known.has(lower)) return null;
  const other = bySignature.get(signature(lower));
  return other?.length === word.length ? other : null;
}

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

/** The word with one inner letter hidden, for each of them. */
function gaps(word: string): string[] {
  return Array.from({ length: word.length - 2 }, (_, at) => `${word.slice(0, at + 1)}?${word.slice(at + 2)}`);
}

/** Known words by their misspellings and gaps; made when the first view needs it. */
let corrections: Map<string, string> | null = null;

/** The known word that this is but for one inner letter, or whose inner letters these are in another order; null where there is none. */
export function correct(word: string): string | null {
  const lower = word.toLowerCase();
  const ordered = unscramble(lower);
  if (ordered !== null) return ordered;
  if (lower.length < SHORTEST_MISSPELT - 1 || known.has(lower)) return null;
  corrections ??= new Map(
    WORDS.filter(({ length }) => length >= SHORTEST_MISSPELT)
      .flatMap((other) => [...misspellings(other), ...gaps(other)].map((form): [string, string] => [form, other]))
      .reverse(),
  );
  for (const form of [lower, ...gaps(lower)]) {
    const other = corrections.get(form);
    if (other !== undefined) return other;
  }
  return null;
}

function rot13Word(word: string): string {
  return Array.from(word, (letter) => String.fromCharCode(((letter.charCodeAt(0) - 97 + 13) % 26) + 97)).join('');
}

/** What a word of a text is a sign of. */
export const SIGN_ROT13 = 1;
export const SIGN_REVERSED = 2;
/** Its inner letters are in another order, or one of them is missing or stands twice. */
export const SIGN_SCRAMBLED = 4;

/** By hash of the word, and by signature. */
const signs = new Map<number, number>();
const signatures = new Map<number, number>();
for (const word of known) {
  const turned = rot13Word(word);
  const back = [...word].reverse().join('');
  if (!known.has(turned)) signs.set(hashOf(turned), SIGN_ROT13);
  // Short words read backwards are often others.
  if (!known.has(back) && (word.length > 4 || COMMON.slice(0, 7).includes(word)))
    signs.set(hashOf(back), (signs.get(hashOf(back)) ?? 0) | SIGN_REVERSED);
}
for (const [key, word] of bySignature) signatures.set(key, hashOf(word));

/** First look-ups: most words of a text are in neither table, and one byte says so. */
const maybeSign = new Uint8Array(1 << 15);
const maybeScrambled = new Uint8Array(1 << 15);
/** Misspelt words: many more, one bit each. */
const misspelt: ReadonlySet<number> = new Set(
  WORDS.filter(({ length }) => length >= SHORTEST_MISSPELT).flatMap((word) => misspellings(word).map(hashOf)),
);
const maybeMisspelt = new Uint32Array(1 << 14);
for (const key of misspelt)
  maybeMisspelt[spreadWide(key) >>> 5] = (maybeMisspelt[spreadWide(key) >>> 5] ?? 0) | (1 << (spreadWide(key) & 31));
for (const key of signs.keys()) maybeSign[spread(key)] = 1;
for (const key of signatures.keys()) maybeScrambled[spread(key)] = 1;

function spread(hash: number): number {
  return Math.imul(hash, 0x9e3779b1) >>> 17;
}

function spreadWide(hash: number): number {
  return Math.imul(hash, 0x9e3779b1) >>> 13;
}

const knownHashes: ReadonlySet<number> = new Set([...known].map(hashOf));

/** First look-up for every beginning of a run of letters: one bit says that hardly any is a word. */
const maybeKnown = new Uint32Array(1 << 14);
for (const key of knownHashes) maybeKnown[spreadWide(key) >>> 5] = (maybeKnown[spreadWide(key) >>> 5] ?? 0) | (1 << (spreadWide(key) & 31));

/** Units of the longest known word that begins at `from`, of at most `most`; 0 where there is none. */
export function knownLength(text: string, from: number, most: number): number {
  let found = 0;
  let hash = 0;
  const end = Math.min(text.length, from + most);
  for (let at = from; at < end; at++) {
    hash = hashUnit(hash, text.charCodeAt(at) | 0x20);
    const bit = spreadWide(hash);
    if (((maybeKnown[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0 && isKnownWord(text.slice(from, at + 1))) found = at + 1 - from;
  }
  return found;
}

/** The signs of one word. */
export function signsOf(hash: number, signature: number): number {
  let found = 0;
  if (maybeSign[spread(hash)] === 1) found = signs.get(hash) ?? 0;
  if (maybeScrambled[spread(signature)] === 1) {
    const ordered = signatures.get(signature);
    if (ordered !== undefined && ordered !== hash && !knownHashes.has(hash)) found |= SIGN_SCRAMBLED;
  }
  const bit = spreadWide(hash);
  if (((maybeMisspelt[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0 && misspelt.has(hash)) found |= SIGN_SCRAMBLED;
  return found;
}
