import { gaps, misspellings, SHORTEST_MISSPELT, signature } from '../src/views/misspelling.ts';
import { fold } from './examples.ts';
import type { Sources } from './sources.ts';

const SIZE = 2400;

/** Texts of people and documents that a word must be in to be an ordinary one: a common slip of the keyboard is in fewer. */
const ORDINARY_TEXTS = 5;

/** The words of four letters and more that most attacks on a model and ordinary requests use, each text counted once, by name. */
export function vocabularyOf(sources: Sources): string {
  const counts = new Map<string, number>();
  const count = (texts: readonly string[], weight: number): void => {
    for (const text of texts) for (const word of wordsOf(text, 4, 14)) counts.set(word, (counts.get(word) ?? 0) + weight / texts.length);
  };
  count(sources.direct, 4);
  count(sources.hidden, 4);
  count(sources.requests, 1);
  return [...counts]
    .sort(([a, first], [b, second]) => second - first || (a < b ? -1 : 1))
    .slice(0, SIZE)
    .map(([word]) => word)
    .sort()
    .join(' ');
}

/** Words of ordinary texts that could be taken for one of `vocabulary` with a letter wrong or its letters in another order, by name. */
export function ordinaryOf(sources: Sources, vocabulary: string): string {
  const known = new Set(vocabulary.split(' '));
  const forms = new Set<string>();
  const orders = new Set<number>();
  for (const word of known) {
    orders.add(signature(word));
    if (word.length >= SHORTEST_MISSPELT) for (const form of [...misspellings(word), ...gaps(word)]) forms.add(form);
  }
  const counts = new Map<string, number>();
  for (const texts of [sources.requests, sources.documents]) {
    for (const text of texts) for (const word of wordsOf(text, 3, 15)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts]
    .filter(([word, count]) => count >= ORDINARY_TEXTS && !known.has(word))
    .map(([word]) => word)
    .filter((word) => orders.has(signature(word)) || [word, ...gaps(word)].some((form) => forms.has(form)))
    .sort()
    .join(' ');
}

/** The words of `text` of `shortest` to `longest` letters. */
function wordsOf(text: string, shortest: number, longest: number): Set<string> {
  return new Set(
    (text.toLowerCase().match(/(?<![\p{L}\p{N}_])[a-z]+(?![\p{L}\p{N}_])/gu) ?? []).filter(
      ({ length }) => length >= shortest && length <= longest,
    ),
  );
}

const SYMBOLS = 27;
/** Quarters of a nat, from 0 on; see `src/views/letters.ts`. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** Units read of each text, so that long ones do not outvote others. */
const READ = 400;

/** How unlikely each letter is after each other one, and at both borders of a word, in all texts. */
export function letterPairsOf(sources: Sources): string {
  const counts = new Float64Array(SYMBOLS * SYMBOLS).fill(2);
  for (const text of [...sources.requests, ...sources.documents, ...sources.direct, ...sources.hidden]) {
    for (const [word] of fold(text.slice(0, READ))
      .toLowerCase()
      .matchAll(/(?<![\p{L}\p{N}_])[a-z]{2,20}(?![\p{L}\p{N}_])/gu)) {
      let last = 0;
      for (let index = 0; index <= word.length; index++) {
        const symbol = index === word.length ? 0 : word.charCodeAt(index) - 96;
        counts[last * SYMBOLS + symbol] = (counts[last * SYMBOLS + symbol] ?? 0) + 1;
        last = symbol;
      }
    }
  }
  let pairs = '';
  for (let first = 0; first < SYMBOLS; first++) {
    const row = counts.subarray(first * SYMBOLS, (first + 1) * SYMBOLS);
    const total = row.reduce((sum, count) => sum + count, 0);
    for (const count of row) pairs += ALPHABET.charAt(Math.min(ALPHABET.length - 1, Math.round(-4 * Math.log(count / total))));
  }
  return pairs;
}
