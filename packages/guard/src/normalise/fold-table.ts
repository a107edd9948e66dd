import { kindOf, LONE_SURROGATE, ORDINARY, UNIT_KIND } from '../detect/character-table.ts';
import { forEachBlock, LAST_UNIT } from '../pattern/unit-set.ts';

/**
 * Letters of other scripts that look like Latin ones, by the Latin letter: the shapes that text in Latin script is disguised with.
 * Source: the shapes of Unicode's code charts; the same relation as in UTS #39 for the letters listed.
 */
const LOOKALIKES: Readonly<Record<string, string>> = {
  a: 'аɑα',
  A: 'АΑᎪ',
  b: 'ЬьƄ',
  B: 'ВΒᏴ',
  c: 'сϲᴄ',
  C: 'СϹᏟ',
  d: 'ԁɗ',
  D: 'Ꭰ',
  e: 'еєҽ',
  E: 'ЕΕᎬ',
  F: 'ϜҒ',
  g: 'ɡց',
  G: 'ԌᏀ',
  h: 'һհ',
  H: 'НΗᎻ',
  i: 'іıɩι',
  I: 'ІΙӀ',
  j: 'јϳ',
  J: 'ЈᎫ',
  k: 'кκ',
  K: 'КΚᏦ',
  l: 'ӏ',
  L: 'ᏞԼ',
  m: 'м',
  M: 'МΜᎷ',
  n: 'ոռ',
  N: 'Ν',
  o: 'оοօᴏ',
  O: 'ОΟՕ',
  p: 'рρ',
  P: 'РΡᏢ',
  q: 'ԛ',
  Q: 'Ԛ',
  r: 'гᴦ',
  R: 'ᎡᏒ',
  s: 'ѕꜱ',
  S: 'ЅᏚՏ',
  t: 'тτ',
  T: 'ТΤᎢ',
  u: 'υսᴜ',
  U: 'Ս',
  v: 'νѵᴠ',
  V: 'ѴᏙ',
  w: 'ԝѡᴡ',
  W: 'ԜᎳ',
  x: 'хχ',
  X: 'ХΧ',
  y: 'уγү',
  Y: 'УΥҮ',
  z: 'ᴢ',
  Z: 'ΖᏃ',
  "'": '‘’‚‛′ʼ',
  '"': '“”„‟″',
  '-': '‐‑‒–—―−',
};

const LATIN = new Map<string, string>();
for (const [letter, shapes] of Object.entries(LOOKALIKES)) for (const shape of shapes) LATIN.set(shape, letter);

/** Combining marks that decorate Latin, Greek and Cyrillic letters. Marks of other scripts are part of their spelling. */
const MARK_RANGES: readonly (readonly [number, number])[] = [
  [0x300, 0x36f],
  [0x483, 0x489],
  [0x1ab0, 0x1aff],
  [0x1dc0, 0x1dff],
  [0x20d0, 0x20ff],
  [0xfe20, 0xfe2f],
];
const DECOMPOSED = /[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Common}]/u;

/** What a code point looks like in plain letters: itself for most, nothing for what cannot be seen. */
export function foldCodePoint(codePoint: number): string {
  const text = String.fromCodePoint(codePoint);
  const kind = kindOf(codePoint);
  if (kind === LONE_SURROGATE) return text;
  if (kind !== ORDINARY) return '';
  // Negative circled and negative squared capitals have no decomposition.
  if (codePoint >= 0x1f150 && codePoint <= 0x1f169) return String.fromCharCode(codePoint - 0x1f150 + 0x41);
  if (codePoint >= 0x1f170 && codePoint <= 0x1f189) return String.fromCharCode(codePoint - 0x1f170 + 0x41);
  const plain = DECOMPOSED.test(text) ? text.normalize('NFKD') : text;
  return Array.from(plain, (char) => (isDecoration(char.charCodeAt(0)) ? '' : (LATIN.get(char) ?? char))).join('');
}

function isDecoration(unit: number): boolean {
  return MARK_RANGES.some(([low, high]) => unit >= low && unit <= high);
}

/** In `UNIT_FOLD`: the unit is dropped; what it folds to is in `LONG_FOLDS` or, for a surrogate pair, in `foldPair`. */
export const DROPPED = 0;
export const LOOK_UP = 0xffff;

/** What each code unit folds to, where that is one unit; `LOOK_UP` for surrogates and for what folds to more than one unit. */
export const UNIT_FOLD: Uint16Array = new Uint16Array(0x10000);
/** Units that fold to several, and NUL. */
export const LONG_FOLDS: Map<number, string> = new Map();

/** 1 for units that fold to something else without being decomposed. */
const mayFold: Uint8Array = UNIT_KIND.map((kind) => (kind === ORDINARY ? 0 : 1));
for (const [low, high] of MARK_RANGES) mayFold.fill(1, low, high + 1);
for (const shape of LATIN.keys()) mayFold[shape.charCodeAt(0)] = 1;

for (let unit = 0; unit <= LAST_UNIT; unit++) UNIT_FOLD[unit] = unit;
UNIT_FOLD.fill(LOOK_UP, 0xd800, 0xe000);
forEachBlock((first, block) => {
  // Syllables of Hangul decompose, but into letters that are as they are.
  const plain = (first >= 0xac00 && first < 0xd780) || block.normalize('NFKD') === block;
  if (plain && !mayFold.subarray(first, first + block.length).includes(1)) return;
  for (let index = 0; index < block.length; index++) {
    const unit = first + index;
    const folded = foldCodePoint(unit);
    // NUL has the value that means dropped, so it goes the long way.
    const long = folded.length > 1 || unit === DROPPED;
    if (long) LONG_FOLDS.set(unit, folded);
    UNIT_FOLD[unit] = long ? LOOK_UP : folded.length === 0 ? DROPPED : folded.charCodeAt(0);
  }
});

const pairFolds = new Map<number, string>();

/** As `foldCodePoint`, kept: for code points above U+FFFF, of which there are too many for a table. */
export function foldPair(codePoint: number): string {
  let folded = pairFolds.get(codePoint);
  if (folded === undefined) {
    folded = foldCodePoint(codePoint);
    // Bounded, since a hostile text can name a million of them.
    if (pairFolds.size < 20_000) pairFolds.set(codePoint, folded);
  }
  return folded;
}
