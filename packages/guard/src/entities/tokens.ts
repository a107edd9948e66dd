/** Letters, digits, and anything else by the character. */
const TOKEN = /[\p{L}\p{M}]+|\d+|\S/gu;

/** Tokens of a text, as offsets into it. */
export interface Tokens {
  readonly count: number;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly words: readonly string[];
  /** 1 where a line break stands before the token. */
  readonly breaks: readonly number[];
}

export function tokenise(text: string): Tokens {
  const starts: number[] = [];
  const ends: number[] = [];
  const words: string[] = [];
  const breaks: number[] = [];
  let from = 0;
  for (const found of text.matchAll(TOKEN)) {
    const [word] = found;
    const start = found.index;
    breaks.push(start > from && text.slice(from, start).includes('\n') ? 1 : 0);
    starts.push(start);
    from = start + word.length;
    ends.push(from);
    words.push(word);
  }
  return { count: words.length, starts, ends, words, breaks };
}
