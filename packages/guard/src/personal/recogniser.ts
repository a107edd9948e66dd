import type { Recogniser } from '@sallyport/core';
import { luhn, mod11and10, mod97, verhoeff } from './checksums.ts';
import type { PersonalRule } from './rules.ts';

/** By name, over the letters and digits of a candidate alone. A candidate of other characters than the sum knows does not pass. */
const CHECKSUMS: Readonly<Record<NonNullable<Recogniser['checksum']>, (value: string) => boolean>> = {
  luhn: (value) => /^\d+$/.test(value) && luhn(value),
  mod97: (value) => /^[A-Za-z0-9]{3,}$/.test(value) && mod97(value) === 1,
  'mod11-10': (value) => /^\d+$/.test(value) && mod11and10(value),
  verhoeff: (value) => /^\d+$/.test(value) && verhoeff(value),
};

/** A rule of the operator's. Context words count where they stand whole within 32 units before the match, whatever their case. */
export function recogniserRule({ name, pattern, ignoreCase, context, checksum }: Recogniser): PersonalRule {
  const words = context.map((word) => word.trim().toLowerCase());
  return {
    category: name,
    label: name.toUpperCase().replaceAll('-', '_'),
    pattern,
    ignoreCase,
    locate: (match, before) => {
      if (words.length > 0 && !holdsWord(before.toLowerCase(), words)) return [];
      if (checksum !== null && !CHECKSUMS[checksum](match.normalize('NFKC').replace(/[^\p{L}\p{N}]/gu, ''))) return [];
      return [{ start: 0, end: match.length }];
    },
  };
}

const WORD_END = /[\p{L}\p{N}]/u;

function holdsWord(text: string, words: readonly string[]): boolean {
  return words.some((word) => {
    for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
      const edges = text.charAt(at - 1) + text.charAt(at + word.length);
      if (!WORD_END.test(edges)) return true;
    }
    return false;
  });
}
