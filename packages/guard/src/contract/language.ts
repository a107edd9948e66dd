import { languageLibrary } from './library.ts';

let eld: ReturnType<typeof languageLibrary>['eld'] | null = null;

function detector(): ReturnType<typeof languageLibrary>['eld'] {
  eld ??= languageLibrary().eld;
  return eld;
}

/** UTF-16 units that are judged at a time, and how many such pieces of a long reply. */
const PIECE = 1_000;
const MOST_PIECES = 32;
/** Letters below which a piece says nothing. */
const FEWEST_LETTERS = 24;

/** What is wrong with a language's code, or null. */
export function languageProblem(code: string): string | null {
  const known = Object.values(detector().info().Languages);
  return known.includes(code) ? null : `one of the ISO 639-1 codes ${known.toSorted().join(', ')}`;
}

/**
 * Whether a reply is in one of some languages, by n-grams. A piece counts where it is long enough and the detector calls itself reliable;
 * a reply is foreign where more than a quarter of the pieces that count are. Code and addresses are left out.
 */
export class LanguageContract {
  readonly #languages: ReadonlySet<string>;

  constructor(languages: readonly string[]) {
    this.#languages = new Set(languages);
  }

  isForeign(text: string): boolean {
    const prose = text.replace(/```[^`]*(?:```|$)/g, ' ').replace(/https?:\/\/\S+/g, ' ');
    const pieces = Math.max(1, Math.ceil(prose.length / PIECE));
    const step = Math.max(1, pieces / MOST_PIECES);
    let decided = 0;
    let foreign = 0;
    for (let piece = 0; piece < pieces; piece += step) {
      const start = Math.floor(piece) * PIECE;
      const sample = prose.slice(start, start + PIECE);
      if ((sample.match(/\p{L}/gu)?.length ?? 0) < FEWEST_LETTERS) continue;
      const result = detector().detect(sample);
      if (!result.isReliable()) continue;
      decided += 1;
      if (!this.#languages.has(result.language)) foreign += 1;
    }
    return foreign * 4 > decided;
  }
}
