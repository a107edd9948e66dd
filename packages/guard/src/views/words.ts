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

function rot13Word(word: string): string {
  return Array.from(word, (letter) => String.fromCharCode(((letter.charCodeAt(0) - 97 + 13) % 26) + 97)).join('');
}

/** What a word of a text is a sign of. */
export const SIGN_ROT13 = 1;
export const SIGN_REVERSED = 2;
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
const maybeSign = new Uint8Array(1 << 14);
const maybeScrambled = new Uint8Array(1 << 14);
for (const key of signs.keys()) maybeSign[spread(key)] = 1;
for (const key of signatures.keys()) maybeScrambled[spread(key)] = 1;

function spread(hash: number): number {
  return Math.imul(hash, 0x9e3779b1) >>> 18;
}

const knownHashes: ReadonlySet<number> = new Set([...known].map(hashOf));

/** The signs of one word. */
export function signsOf(hash: number, signature: number): number {
  let found = 0;
  if (maybeSign[spread(hash)] === 1) found = signs.get(hash) ?? 0;
  if (maybeScrambled[spread(signature)] === 1) {
    const ordered = signatures.get(signature);
    if (ordered !== undefined && ordered !== hash && !knownHashes.has(hash)) found |= SIGN_SCRAMBLED;
  }
  return found;
}
