import type { Severity } from '@sallyport/core';
import type { Matcher } from '../pattern/matcher.ts';
import { type Pattern, type PatternMatch, PatternSet } from '../pattern/pattern-set.ts';
import type { Tape } from '../window/tape.ts';
import type { Action, Detector, Hit, Scanner } from './detector.ts';

/** A pattern with what a match of it means. */
export interface PatternRule {
  readonly pattern: Pattern;
  readonly category: string;
  readonly severity: Severity;
  readonly action: Action;
  readonly replacement: string;
}

/** Reports the matches of patterns. A rule that blocks does so at the first unit at which a match is certain. */
export class PatternDetector implements Detector {
  readonly foldable: boolean = true;
  readonly #name: string;
  readonly #rules: readonly PatternRule[];
  readonly #set: PatternSet;

  /** @throws PatternError */
  constructor(name: string, rules: readonly PatternRule[], maxHold: number) {
    this.#name = name;
    this.#rules = rules;
    this.#set = new PatternSet(
      rules.map(({ pattern, action }) => ({ overlong: action === 'flag' ? 'drop' : 'match', ...pattern, urgent: action === 'block' })),
      { maxMatch: maxHold },
    );
  }

  open(_tape: Tape): Scanner {
    return new PatternScanner(this.#set.open(), this.#name, this.#rules);
  }
}

class PatternScanner implements Scanner {
  readonly #matcher: Matcher;
  readonly #detector: string;
  readonly #rules: readonly PatternRule[];

  constructor(matcher: Matcher, detector: string, rules: readonly PatternRule[]) {
    this.#matcher = matcher;
    this.#detector = detector;
    this.#rules = rules;
  }

  get pending(): number {
    return this.#matcher.pending;
  }

  push(piece: string, hits: Hit[]): void {
    for (const match of this.#matcher.push(piece)) this.#report(match, hits);
  }

  end(hits: Hit[]): void {
    for (const match of this.#matcher.end()) this.#report(match, hits);
  }

  mark(): void {
    this.#matcher.mark();
  }

  rewind(): void {
    this.#matcher.rewind();
  }

  #report({ pattern, start, end, at }: PatternMatch, hits: Hit[]): void {
    const rule = this.#rules[pattern];
    if (rule === undefined) throw new RangeError('a match of a pattern that the set does not have');
    const { category, severity, action, replacement } = rule;
    hits.push({ start, end, at, detector: this.#detector, category, severity, action, replacement });
  }
}
