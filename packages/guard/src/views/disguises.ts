import { trailingFrom } from '../detect/trailing.ts';
import { reversed, sameLength, type View, ViewBuilder } from './view.ts';
import { correct, isKnownWord, knownLength } from './words.ts';

/** Letters in other places or other shapes: views of a whole stretch of text. */

export function rot13(text: string): View {
  return sameLength(
    'rot13',
    text.replace(/[A-Za-z]/g, (letter) => {
      const unit = letter.charCodeAt(0);
      return String.fromCharCode((unit | 32) < 0x6e ? unit + 13 : unit - 13);
    }),
  );
}

export function backwards(text: string): View {
  return reversed(sameLength('reversed', text));
}

const UPSIDE_DOWN = new Map<string, string>(
  [...'ɐaqbɔcpdǝeɟfƃgɓgɥhᴉiɾjʞkʃlɯmunoodpbqɹrssʇtnuʌvʍwxxʎyzz', ...'∀AᗺBƆCᗡDƎEℲF⅁G⋊K˥LԀPᴚR⊥T┴T∩UΛV⅄Y¡!¿?˙.'].flatMap(
    (shape, index, all): [string, string][] => (index % 2 === 0 ? [[shape, all[index + 1] ?? shape]] : []),
  ),
);

/** Units that only occur in text turned upside down. */
export const TURNED: string = 'ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎ';

/** Letters that stand on their heads, in the order they are written and in the order they are read when the page is turned. */
export function upsideDown(text: string): View[] {
  const view = sameLength('upside-down', Array.from(text, (shape) => UPSIDE_DOWN.get(shape) ?? shape).join(''));
  return view.text.length === text.length ? [view, reversed(view)] : [];
}

/** What each sign of leet stands for, by code unit; 0 for what is none. */
const LEET = new Uint16Array(0x10000);
for (const [sign, letter] of ['0o', '1i', '2z', '3e', '4a', '5s', '6g', '7t', '8b', '9g', '@a', '$s', '!i', '|i', '+t', '(c', '€e']) {
  if (sign !== undefined && letter !== undefined) LEET[sign.charCodeAt(0)] = letter.charCodeAt(0);
}
const ONE = '1'.charCodeAt(0);
const BAR = '|'.charCodeAt(0);
const SMALL_L = 'l'.charCodeAt(0);

/** Known words that must come out of digits and signs: keys and hashes are full of digits and say nothing. */
const LEET_WORDS = 2;

/** Digits and signs in words read as the letters they resemble; null where hardly a word comes of it. */
export function leet(text: string): View | null {
  let known = 0;
  let plainText = '';
  let from = 0;
  for (const { 0: word, index } of text.matchAll(/[\p{L}0-9@$!|+(€]+/gu)) {
    // A sign at the end is punctuation more often than a letter.
    const end = trailingFrom(word, '!(|+');
    const plain = unleet(word, end, false);
    if (plain === null) continue;
    // 1 is an i or an l: whichever makes a word.
    const other = isKnownWord(plain) ? plain : (unleet(word, end, true) ?? plain);
    const isKnown = isKnownWord(other);
    const best = isKnown ? other : plain;
    if (isKnown) known++;
    plainText += text.slice(from, index) + best;
    from = index + end;
  }
  return known < LEET_WORDS ? null : sameLength('leet', plainText + text.slice(from));
}

/** The first `end` units of a word with its signs as letters; null where it has none, or is a number. */
function unleet(word: string, end: number, one: boolean): string | null {
  let plain = '';
  let from = 0;
  let digits = 0;
  for (let at = 0; at < end; at++) {
    const unit = word.charCodeAt(at);
    const letter = LEET[unit] ?? 0;
    if (letter === 0) continue;
    if (unit >= 0x30 && unit <= 0x39) digits++;
    plain += word.slice(from, at) + String.fromCharCode(one && (unit === ONE || unit === BAR) ? SMALL_L : letter);
    from = at + 1;
  }
  return from === 0 || (digits >= 3 && digits === word.length) ? null : plain + word.slice(from, end);
}

/** Every second unit a space, white space that is meant among the others. */
const SPACED = /(?<!\S)\S(?: (?:\S(?!\S)|\s(?= ))){3,}/g;
/** The same sign between all letters of a word; the letter after a blank may be the first of another word. */
const SPELLED =
  /(?<![\p{L}\p{N}])\p{L}(?:([.\-_*~/|,])\p{L}(?![\p{L}\p{N}])(?:\1\p{L}(?![\p{L}\p{N}]))*|(?: \p{L}(?![\p{L}\p{N}]|[.\-_*~/|,]\p{L}(?![\p{L}\p{N}])))+)/gu;

/** Single letters with something between them, and words with signs inside, joined. */
export function joined(text: string): View {
  const builder = new ViewBuilder();
  let from = 0;
  for (const { 0: run, index } of text.matchAll(SPACED)) {
    joinSpelled(text, from, index, builder);
    joinRun(run, index, builder);
    from = index + run.length;
  }
  joinSpelled(text, from, text.length, builder);
  return builder.build('joined');
}

/** `[from, to)` with its spelled-out words joined. */
function joinSpelled(text: string, from: number, to: number, builder: ViewBuilder): void {
  let at = from;
  for (const { 0: run, index } of text.slice(from, to).matchAll(SPELLED)) {
    joinInside(text, at, from + index, builder);
    joinRun(run, from + index, builder);
    at = from + index + run.length;
  }
  joinInside(text, at, to, builder);
}

/** Every second unit of a run that begins at `from`; letters that run on without a space are cut into words. */
function joinRun(run: string, from: number, builder: ViewBuilder): void {
  let plain = '';
  for (let at = 0; at < run.length; at += 2) plain += run.charAt(at);
  let done = 0;
  for (const { 0: word, index } of plain.matchAll(/\p{L}+/gu)) {
    for (let at = done; at < index; at++) builder.copy(plain.charAt(at), from + 2 * at);
    for (const { start, end } of wordsIn(word)) {
      const place = from + 2 * (index + start);
      if (start > 0) builder.add(' ', place - 1, place);
      for (let at = start; at < end; at++) builder.copy(word.charAt(at), from + 2 * (index + at));
    }
    done = index + word.length;
  }
  for (let at = done; at < plain.length; at++) builder.copy(plain.charAt(at), from + 2 * at);
}

/** `[from, to)` without the signs that stand between two letters. */
function joinInside(text: string, from: number, to: number, builder: ViewBuilder): void {
  let at = from;
  for (const { index } of text.slice(from, to).matchAll(/(?<=\p{L})[-_.*~|](?=\p{L})/gu)) {
    builder.copy(text.slice(at, from + index), at);
    at = from + index + 1;
  }
  builder.copy(text.slice(at, to), at);
}

const LONGEST_WORD = 14;
/** The share of a run's letters that known words must be, or it is one long word. */
const KNOWN = 0.6;

/** The words of a run of letters without spaces: the longest known one at each place; what is not known stays together. */
function wordsIn(run: string): { readonly start: number; readonly end: number }[] {
  const whole = [{ start: 0, end: run.length }];
  if (run.length <= LONGEST_WORD) return whole;
  const words: { start: number; end: number }[] = [];
  let unknown = 0;
  let known = 0;
  for (let at = 0; at < run.length; ) {
    const length = knownLength(run, at, LONGEST_WORD);
    if (length > 1) {
      if (unknown < at) words.push({ start: unknown, end: at });
      words.push({ start: at, end: at + length });
      unknown = at + length;
      known += length;
    }
    at += Math.max(1, length);
  }
  if (unknown < run.length) words.push({ start: unknown, end: run.length });
  return known < KNOWN * run.length ? whole : words;
}

/** Words whose inner letters changed places, and words with one wrong, put right; null where all are right. */
export function corrected(text: string): View | null {
  const builder = new ViewBuilder();
  let from = 0;
  for (const { 0: word, index } of text.matchAll(/[A-Za-z]{3,16}/g)) {
    const plain = correct(word);
    if (plain === null) continue;
    builder.copy(text.slice(from, index), from);
    // Letter by letter where there are as many, else all of one for all of the other.
    if (plain.length === word.length) builder.copy(plain, index);
    else builder.add(plain, index, index + word.length);
    from = index + word.length;
  }
  if (from === 0) return null;
  builder.copy(text.slice(from), from);
  return builder.build('scrambled');
}
