import { Automaton } from './automaton.ts';
import { Matcher } from './matcher.ts';
import { PatternError } from './parse.ts';
import { compileProgram, type PatternSource } from './program.ts';

export interface Pattern extends PatternSource {
  /**
   * What becomes of a candidate that reaches `maxMatch` units undecided: `match` counts it as a match of that length (nothing is let
   * through because it is long), `drop` gives it up. Default `match`.
   */
  readonly overlong?: 'match' | 'drop';
  /** Reported at the first unit at which some match is certain, however much longer it could grow; the matcher then stops. Default false. */
  readonly urgent?: boolean;
}

export interface PatternSetOptions {
  /** Longest match, in UTF-16 units, and so the most text a matcher can leave undecided. */
  readonly maxMatch?: number;
  /** States kept before the cache is emptied and built anew. */
  readonly maxStates?: number;
}

export const DEFAULT_MAX_MATCH = 4096;

/** Patterns compiled into one automaton. Built once, shared by any number of matchers. */
export class PatternSet {
  readonly automaton: Automaton;
  readonly maxMatch: number;
  /** By pattern: 1 where an overlong candidate counts as a match. */
  readonly overlongMatches: Uint8Array;
  readonly urgent: Uint8Array;

  /** @throws PatternError where a pattern is not in the supported syntax, can match the empty text, or is too large */
  constructor(patterns: readonly Pattern[], options: PatternSetOptions = {}) {
    this.maxMatch = options.maxMatch ?? DEFAULT_MAX_MATCH;
    this.automaton = new Automaton(compileProgram(patterns), this.maxMatch, options.maxStates);
    this.overlongMatches = Uint8Array.from(patterns, (pattern) => (pattern.overlong === 'drop' ? 0 : 1));
    this.urgent = Uint8Array.from(patterns, (pattern) => (pattern.urgent === true ? 1 : 0));
  }

  /** A reader of one text. `stops`: whether an urgent match ends the reading. */
  open(stops = true): Matcher {
    return new Matcher(this, stops);
  }

  /** All matches of a whole text, by start, then end, then pattern. */
  matchAll(text: string): PatternMatch[] {
    const matcher = this.open();
    const matches = matcher.push(text);
    matches.push(...matcher.end());
    return matches.sort(byPlace);
  }
}

/** What is wrong with a pattern of somebody's, or null. */
export function patternProblem(pattern: string, ignoreCase: boolean): PatternError | null {
  try {
    new PatternSet([{ source: pattern, ignoreCase }]);
    return null;
  } catch (error) {
    if (error instanceof PatternError) return error;
    throw error;
  }
}

/** A final match: `[start, end)` in UTF-16 units of the whole text. */
export interface PatternMatch {
  /** Index in the list the set was made of. */
  readonly pattern: number;
  readonly start: number;
  readonly end: number;
  /** How many units had been read when it became certain; one more than the length of the text where only its end made it so. */
  readonly at: number;
}

export function byPlace(a: PatternMatch, b: PatternMatch): number {
  return a.start - b.start || a.end - b.end || a.pattern - b.pattern;
}
