import type { Tokens } from './tokens.ts';

/** Rows of the weights; a power of two. */
export const ROWS: number = 1 << 16;
/** Features of one token. */
export const FEATURES = 25 as const;
/** Of those, the ones that know the word itself: what a name list would know. Training hides them at times, so that unknown names are found too. */
export const WORD_FEATURES: readonly number[] = [0, 3, 4];

const PRIME = 0x01000193;
const OUTSIDE = 0x2545f491;

/** FNV-1a over UTF-16 units. */
function hashOf(text: string, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ text.charCodeAt(at), PRIME);
  return hash;
}

/** A token's form: runs of capitals, small letters and digits, the number of digits; other characters as they are. */
function shapeOf(word: string): string {
  const first = word.charCodeAt(0);
  if (first >= 0x30 && first <= 0x39) return `d${Math.min(word.length, 6)}`;
  const lower = word.toLowerCase();
  const upper = word.toUpperCase();
  if (lower === upper) return word.length === 1 ? word : 'l';
  if (word === lower) return word.length === 1 ? 'y' : 'x';
  if (word === upper) return word.length === 1 ? 'Y' : word.length <= 3 ? 'XX' : 'XXX';
  return word.charAt(0) === upper.charAt(0) && word.slice(1) === lower.slice(1) ? 'Xx' : 'xX';
}

/** What is looked up of every token, padded by two outside on each side, so that the window needs no edges. */
interface Looks {
  readonly word: Int32Array;
  readonly shape: Int32Array;
  readonly lower: readonly string[];
}

const PAD = 3;

function looksOf({ count, words }: Tokens): Looks {
  const word = new Int32Array(count + 2 * PAD).fill(OUTSIDE);
  const shape = new Int32Array(count + 2 * PAD).fill(OUTSIDE);
  const lower: string[] = [];
  for (let at = 0; at < count; at++) {
    const text = words[at] ?? '';
    const small = text.toLowerCase();
    // Numbers are their form: nothing is to be learned of single ones.
    const form = shapeOf(text);
    const isNumber = form.charCodeAt(0) === 0x64 && text.charCodeAt(0) < 0x3a;
    lower.push(small);
    shape[at + PAD] = hashOf(form, 0, form.length);
    word[at + PAD] = isNumber ? (shape[at + PAD] ?? 0) : hashOf(small, 0, small.length);
  }
  return { word, shape, lower };
}

/** Row of a feature: which of the features it is, and up to three hashes. */
function row(feature: number, a: number, b: number, c: number): number {
  let hash = Math.imul(feature + 1, 0x9e3779b1);
  hash = Math.imul(hash ^ a, PRIME) ^ (hash >>> 15);
  hash = Math.imul(hash ^ b, PRIME) ^ (hash >>> 13);
  hash = Math.imul(hash ^ c, PRIME);
  hash ^= hash >>> 16;
  return hash & (ROWS - 1);
}

/** The rows of all tokens' features, `FEATURES` a token. */
export function featuresOf(tokens: Tokens): Int32Array {
  const { word, shape, lower } = looksOf(tokens);
  const rows = new Int32Array(tokens.count * FEATURES);
  for (let at = 0; at < tokens.count; at++) {
    const w = (offset: number): number => word[at + PAD + offset] ?? OUTSIDE;
    const s = (offset: number): number => shape[at + PAD + offset] ?? OUTSIDE;
    const small = lower[at] ?? '';
    const { length } = small;
    const base = at * FEATURES;
    rows[base] = row(0, w(0), 0, 0);
    rows[base + 1] = row(1, w(-1), 0, 0);
    rows[base + 2] = row(2, w(1), 0, 0);
    rows[base + 3] = row(3, w(-1), w(0), 0);
    rows[base + 4] = row(4, w(0), w(1), 0);
    rows[base + 5] = row(5, w(-2), w(-1), 0);
    rows[base + 6] = row(6, w(1), w(2), 0);
    rows[base + 7] = row(7, w(-1), w(1), 0);
    rows[base + 8] = row(8, w(-2), 0, 0);
    rows[base + 9] = row(9, w(2), 0, 0);
    rows[base + 10] = row(10, s(0), 0, 0);
    rows[base + 11] = row(11, s(-1), s(0), 0);
    rows[base + 12] = row(12, s(0), s(1), 0);
    rows[base + 13] = row(13, s(-1), s(0), s(1));
    rows[base + 14] = row(14, hashOf(small, 0, Math.min(3, length)), s(0), 0);
    rows[base + 15] = row(15, hashOf(small, Math.max(0, length - 2), length), s(0), 0);
    rows[base + 16] = row(16, hashOf(small, Math.max(0, length - 3), length), 0, 0);
    rows[base + 17] = row(17, hashOf(small, Math.max(0, length - 4), length), 0, 0);
    rows[base + 18] = row(18, hashOf(small, 0, Math.min(2, length)), 0, 0);
    rows[base + 19] = row(19, s(0), w(-1), 0);
    rows[base + 20] = row(20, s(0), w(1), 0);
    rows[base + 21] = row(21, s(0), tokens.breaks[at] ?? 0, tokens.breaks[at + 1] ?? 2);
    rows[base + 22] = row(22, w(-3), w(-2), w(-1));
    rows[base + 23] = row(23, s(0), w(-2), 0);
    rows[base + 24] = row(24, s(-2), s(-1), s(0));
  }
  return rows;
}
