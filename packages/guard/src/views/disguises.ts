import { trailingFrom } from '../detect/trailing.ts';
import { reversed, sameLength, type View, ViewBuilder } from './view.ts';
import { correct, isKnownWord } from './words.ts';

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

const LEET: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '2': 'z',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '6': 'g',
  '7': 't',
  '8': 'b',
  '9': 'g',
  '@': 'a',
  $: 's',
  '!': 'i',
  '|': 'i',
  '+': 't',
  '(': 'c',
  '€': 'e',
};

/** Known words that must come out of digits and signs: keys and hashes are full of digits and say nothing. */
const LEET_WORDS = 2;

/** Digits and signs in words read as the letters they resemble; null where hardly a word comes of it. */
export function leet(text: string): View | null {
  let known = 0;
  const plainText = text.replace(/[\p{L}0-9@$!|+(€]+/gu, (word) => {
    if (!/[0-9@$!|+(€]/.test(word) || /^[0-9]{3,}$/.test(word)) return word;
    // A sign at the end is punctuation more often than a letter.
    const end = trailingFrom(word, '!(|+');
    const plain = word.slice(0, end).replace(/[0-9@$!|+(€]/g, (sign) => LEET[sign] ?? sign);
    // 1 is an i or an l: whichever makes a word.
    const other = word.slice(0, end).replace(/[0-9@$!|+(€]/g, (sign) => (sign === '1' || sign === '|' ? 'l' : (LEET[sign] ?? sign)));
    const best = !isKnownWord(plain) && isKnownWord(other) ? other : plain;
    if (isKnownWord(best) && end > 2) known++;
    return best + word.slice(end);
  });
  return known < LEET_WORDS ? null : sameLength('leet', plainText);
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
    let length = Math.min(LONGEST_WORD, run.length - at);
    while (length > 1 && !isKnownWord(run.slice(at, at + length))) length--;
    if (length > 1) {
      if (unknown < at) words.push({ start: unknown, end: at });
      words.push({ start: at, end: at + length });
      unknown = at + length;
      known += length;
    }
    at += length;
  }
  if (unknown < run.length) words.push({ start: unknown, end: run.length });
  return known < KNOWN * run.length ? whole : words;
}

/** Words whose inner letters changed places, and words with one wrong, put right. */
export function corrected(text: string): View {
  const builder = new ViewBuilder();
  let from = 0;
  for (const { 0: word, index } of text.matchAll(/[A-Za-z]{4,16}/g)) {
    const plain = correct(word);
    if (plain === null) continue;
    builder.copy(text.slice(from, index), from);
    // Letter by letter where there are as many, else all of one for all of the other.
    if (plain.length === word.length) builder.copy(plain, index);
    else builder.add(plain, index, index + word.length);
    from = index + word.length;
  }
  builder.copy(text.slice(from), from);
  return builder.build('scrambled');
}
