import type { Sources } from './sources.ts';

const SIZE = 1200;

/** The words of four letters and more that most attacks on a model and ordinary requests use, each text counted once, by name. */
export function vocabularyOf(sources: Sources): string {
  const counts = new Map<string, number>();
  const count = (texts: readonly string[], weight: number): void => {
    for (const text of texts) {
      const words = new Set(text.toLowerCase().match(/(?<![\p{L}\p{N}_])[a-z]{4,14}(?![\p{L}\p{N}_])/gu));
      for (const word of words) counts.set(word, (counts.get(word) ?? 0) + weight / texts.length);
    }
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
