import type { Tokens } from './tokens.ts';

/** Rows of the weights; a power of two. */
export const ROWS: number = 1 << 16;
/** Features of one token. */
export const FEATURES = 25 as const;
/** Of those, the ones that know the word itself: what a name list would know. Training hides them at times, so that unknown names are found too. */
export const WORD_FEATURES: readonly number[] = [0, 3, 4];
/** Those that know the words around it. */
export const CONTEXT_FEATURES: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 19, 20, 22, 23];

const PRIME = 0x01000193;
const OUTSIDE = 0x2545f491;

/** FNV-1a over UTF-16 units. */
function hashOf(text: string, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ text.charCodeAt(at), PRIME);
  return hash;
}

/** A token's form: runs of capitals, small letters and digits, the number of digits; other characters as they are. */
function shapeOf(word: string, lower: string): string {
  const first = word.charCodeAt(0);
  if (first >= 0x30 && first <= 0x39) return `d${Math.min(word.length, 6)}`;
  const upper = word.toUpperCase();
  if (lower === upper) return word.length === 1 ? word : 'l';
  if (word === lower) return word.length === 1 ? 'y' : 'x';
  if (word === upper) return word.length === 1 ? 'Y' : word.length <= 3 ? 'XX' : 'XXX';
  return word.charAt(0) === upper.charAt(0) && word.slice(1) === lower.slice(1) ? 'Xx' : 'xX';
}

/** Places outside of the text on each side, so that the window needs no edges. */
const PAD = 3;
/** What is looked up of every token: its word, its form, its beginnings and ends. */
const LOOKS = 7;

/** `LOOKS` hashes a token, with the padding. */
function looksOf({ count, words }: Tokens): Int32Array {
  const looks = new Int32Array((count + 2 * PAD) * LOOKS).fill(OUTSIDE);
  for (let at = 0; at < count; at++) {
    const text = words[at] ?? '';
    const small = text.toLowerCase();
    const { length } = small;
    const form = shapeOf(text, small);
    const shape = hashOf(form, 0, form.length);
    const base = (at + PAD) * LOOKS;
    const first = text.charCodeAt(0);
    // Numbers are their form: nothing is to be learned of single ones.
    looks[base] = first >= 0x30 && first <= 0x39 ? shape : hashOf(small, 0, length);
    looks[base + 1] = shape;
    looks[base + 2] = hashOf(small, 0, Math.min(3, length));
    looks[base + 3] = hashOf(small, Math.max(0, length - 2), length);
    looks[base + 4] = hashOf(small, Math.max(0, length - 3), length);
    looks[base + 5] = hashOf(small, Math.max(0, length - 4), length);
    looks[base + 6] = hashOf(small, 0, Math.min(2, length));
  }
  return looks;
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
  const looks = looksOf(tokens);
  const { breaks, count } = tokens;
  const rows = new Int32Array(count * FEATURES);
  for (let at = 0; at < count; at++) {
    const here = (at + PAD) * LOOKS;
    // The word of this token and its neighbours, and their forms.
    const w0 = looks[here] ?? 0;
    const w1 = looks[here + LOOKS] ?? 0;
    const w2 = looks[here + 2 * LOOKS] ?? 0;
    const v1 = looks[here - LOOKS] ?? 0;
    const v2 = looks[here - 2 * LOOKS] ?? 0;
    const v3 = looks[here - 3 * LOOKS] ?? 0;
    const s0 = looks[here + 1] ?? 0;
    const s1 = looks[here + LOOKS + 1] ?? 0;
    const t1 = looks[here - LOOKS + 1] ?? 0;
    const t2 = looks[here - 2 * LOOKS + 1] ?? 0;
    const base = at * FEATURES;
    rows[base] = row(0, w0, 0, 0);
    rows[base + 1] = row(1, v1, 0, 0);
    rows[base + 2] = row(2, w1, 0, 0);
    rows[base + 3] = row(3, v1, w0, 0);
    rows[base + 4] = row(4, w0, w1, 0);
    rows[base + 5] = row(5, v2, v1, 0);
    rows[base + 6] = row(6, w1, w2, 0);
    rows[base + 7] = row(7, v1, w1, 0);
    rows[base + 8] = row(8, v2, 0, 0);
    rows[base + 9] = row(9, w2, 0, 0);
    rows[base + 10] = row(10, s0, 0, 0);
    rows[base + 11] = row(11, t1, s0, 0);
    rows[base + 12] = row(12, s0, s1, 0);
    rows[base + 13] = row(13, t1, s0, s1);
    rows[base + 14] = row(14, looks[here + 2] ?? 0, s0, 0);
    rows[base + 15] = row(15, looks[here + 3] ?? 0, s0, 0);
    rows[base + 16] = row(16, looks[here + 4] ?? 0, 0, 0);
    rows[base + 17] = row(17, looks[here + 5] ?? 0, 0, 0);
    rows[base + 18] = row(18, looks[here + 6] ?? 0, 0, 0);
    rows[base + 19] = row(19, s0, v1, 0);
    rows[base + 20] = row(20, s0, w1, 0);
    rows[base + 21] = row(21, s0, breaks[at] ?? 0, breaks[at + 1] ?? 2);
    rows[base + 22] = row(22, v3, v2, v1);
    rows[base + 23] = row(23, s0, v2, 0);
    rows[base + 24] = row(24, t2, t1, s0);
  }
  return rows;
}
