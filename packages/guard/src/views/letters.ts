import { LETTER_PAIRS } from './vocabulary.ts';

/** Letters and the border of a word. */
const SYMBOLS = 27;
/** `LETTER_PAIRS` holds quarters of a nat; so does what is made of them. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** How unlikely letter `second` is after `first` in words of languages in Latin letters; 0 is the border, 1 to 26 are letters. */
function surprise(first: number, second: number): number {
  return ALPHABET.indexOf(LETTER_PAIRS.charAt(first * SYMBOLS + second));
}

function rotated(symbol: number): number {
  return symbol === 0 ? 0 : ((symbol - 1 + 13) % 26) + 1;
}

/**
 * How much likelier a pair of letters (`first << 5 | second`) is in text under ROT13 (upper half) and in reversed text (lower half, signed) than
 * in plain text: both in one number, so that a word is summed up once. Whatever the language, and without knowing a word of it.
 */
export const STRANGENESS: Int32Array = new Int32Array(32 * 32);
for (let first = 0; first < SYMBOLS; first++) {
  for (let second = 0; second < SYMBOLS; second++) {
    const plain = surprise(first, second);
    const rot13 = plain - surprise(rotated(first), rotated(second));
    const reversed = plain - surprise(second, first);
    STRANGENESS[(first << 5) | second] = rot13 * 0x10000 + reversed;
  }
}

export function reversedOf(strangeness: number): number {
  return (strangeness << 16) >> 16;
}

export function rot13Of(strangeness: number): number {
  return (strangeness - reversedOf(strangeness)) >> 16;
}
