import type { Severity } from '@sallyport/core';
import type { TextContext } from '../guard.ts';
import { type Lanes, Matcher } from '../pattern/matcher.ts';
import { type Pattern, type PatternMatch, PatternSet } from '../pattern/pattern-set.ts';
import type { Piece } from '../window/piece.ts';
import type { Placeholders } from '../window/placeholders.ts';
import { LOOK_BEHIND, type Tape } from '../window/tape.ts';
import type { Action, FoldableDetector, FoldableScanner, Hit, Label, Scanner } from './detector.ts';

/** A pattern with what a match of it means. */
export interface PatternRule {
  readonly pattern: Pattern;
  readonly category: string;
  readonly severity: Severity;
  readonly action: Action;
  readonly replacement: string | Label;
  /** What is done about a part of a match, by its category and the rule's or its own label, where that is not the rule's; null lets it be. */
  readonly treat?: (category: string, label: string) => Treatment | null;
  /**
   * Looks at a match (with up to `lookBehind` units before it) and says which parts of it count, in order; none where it is no match after
   * all. Must be pure and linear: the text is hostile. Without it the whole match counts.
   */
  readonly locate?: (match: string, before: string) => readonly Part[];
  /** At most `MOST_LOOK_BEHIND`; `LOOK_BEHIND` unless given. */
  readonly lookBehind?: number;
  /** Units of the shortest match that `locate` would take for one. */
  readonly shortest?: number;
}

export interface Treatment {
  readonly action: Action;
  readonly form: Label['form'];
  /** False where it is this also in kinds of text in which matches are only flagged. */
  readonly isDefault: boolean;
}

/** A part of a match, as offsets into the match, and of which class it is where that is not the rule's. */
export interface Part {
  readonly start: number;
  readonly end: number;
  readonly category?: string;
  readonly label?: string;
}

/** Reports the matches of patterns. A rule that blocks and has no `locate` does so at the first unit at which a match is certain. */
export class PatternDetector implements FoldableDetector {
  readonly #name: string;
  readonly #rules: readonly PatternRule[];
  readonly #set: PatternSet;

  readonly #flaggedKinds: readonly string[];

  /**
   * @param flaggedKinds kinds of reply (`TextContext.kind`) in which matches are only flagged; on the way in a kind may be a name the client chose
   * @throws PatternError
   */
  constructor(name: string, rules: readonly PatternRule[], maxHold: number, flaggedKinds: readonly string[] = []) {
    this.#flaggedKinds = flaggedKinds;
    this.#name = name;
    this.#rules = rules;
    this.#set = new PatternSet(
      rules.map(({ pattern, action, locate }) => ({
        overlong: action === 'flag' ? 'drop' : 'match',
        ...pattern,
        urgent: action === 'block' && locate === undefined,
      })),
      { maxMatch: maxHold },
    );
  }

  /** `stops`: whether nothing is read after a match that blocks. */
  open(tape: Tape, { kind, stage, placeholders }: TextContext, stops = true): FoldableScanner {
    const flagOnly = stage === 'output' && kind !== null && this.#flaggedKinds.includes(kind);
    const own = stage === 'output' && placeholders?.restores === true ? placeholders : null;
    return new PatternScanner(this.#set.open(stops), this.#name, this.#rules, tape, flagOnly, own);
  }
}

export class PatternScanner implements FoldableScanner {
  readonly #matcher: Matcher;
  readonly #detector: string;
  readonly #rules: readonly PatternRule[];
  readonly #tape: Tape;
  readonly #flagOnly: boolean;
  /** Empty between calls. */
  readonly #matches: PatternMatch[] = [];
  /** The values that the caller is to have back, in a reply. */
  readonly #own: Placeholders | null;

  constructor(matcher: Matcher, detector: string, rules: readonly PatternRule[], tape: Tape, flagOnly: boolean, own: Placeholders | null) {
    this.#flagOnly = flagOnly;
    this.#own = own;
    this.#tape = tape;
    this.#matcher = matcher;
    this.#detector = detector;
    this.#rules = rules;
  }

  get pending(): number {
    return this.#matcher.pending;
  }

  push({ units, length }: Piece, hits: Hit[]): void {
    this.#matcher.read(units, 0, length, this.#matches);
    this.#reportAll(hits);
  }

  /** As `push` on each of three scanners of different detectors, in less time. */
  static pushTogether(scanners: Lanes<PatternScanner>, { units, length }: Piece, hits: Hit[]): void {
    const [first, second, third] = scanners;
    const matchers = [first.#matcher, second.#matcher, third.#matcher] as const;
    Matcher.readTogether(matchers, units, length, [first.#matches, second.#matches, third.#matches]);
    for (const scanner of scanners) scanner.#reportAll(hits);
  }

  end(hits: Hit[]): void {
    this.#matcher.finish(this.#matches);
    this.#reportAll(hits);
  }

  reset(): void {
    this.#matcher.reset();
    this.#matches.length = 0;
  }

  fork(tape: Tape): PatternScanner {
    return new PatternScanner(this.#matcher.fork(), this.#detector, this.#rules, tape, this.#flagOnly, this.#own);
  }

  mark(): void {
    this.#matcher.mark();
  }

  rewind(): void {
    this.#matcher.rewind();
  }

  #reportAll(hits: Hit[]): void {
    const matches = this.#matches;
    if (matches.length === 0) return;
    for (const match of matches) this.#report(match, hits);
    matches.length = 0;
  }

  #report({ pattern, start, end, at }: PatternMatch, hits: Hit[]): void {
    const rule = this.#rules[pattern];
    if (rule === undefined) throw new RangeError('a match of a pattern that the set does not have');
    const { severity, locate, lookBehind = LOOK_BEHIND } = rule;
    if (rule.shortest !== undefined && end - start < rule.shortest) return;
    const report = (part: Part): void => {
      const category = part.category ?? rule.category;
      const treated = this.#treat(rule, category, part.label);
      if (treated === null || this.#own?.owns(this.#tape.slice(part.start, part.end)) === true) return;
      hits.push({ start: part.start, end: part.end, at, detector: this.#detector, category, severity, ...treated });
    };
    if (locate === undefined) {
      report({ start, end });
      return;
    }
    for (const part of locate(this.#tape.slice(start, end), this.#tape.slice(start - lookBehind, start))) {
      report({ ...part, start: start + part.start, end: start + part.end });
    }
  }

  #treat(rule: PatternRule, category: string, label: string | undefined): Pick<Hit, 'action' | 'replacement'> | null {
    const { replacement } = rule;
    if (typeof replacement === 'string') return { action: this.#flagOnly ? 'flag' : rule.action, replacement };
    const named = label ?? replacement.label;
    const treatment = rule.treat?.(category, named) ?? null;
    if (rule.treat !== undefined && treatment === null) return null;
    const { action, form, isDefault } = treatment ?? { action: rule.action, form: replacement.form, isDefault: true };
    return { action: this.#flagOnly && isDefault ? 'flag' : action, replacement: { label: named, form } };
  }
}

/** Gives a piece to every scanner: those for patterns, which are of different detectors, read it three at a time. */
export function pushAll(scanners: readonly Scanner[], piece: Piece, hits: Hit[]): void {
  let first: PatternScanner | null = null;
  let second: PatternScanner | null = null;
  for (const scanner of scanners) {
    if (!(scanner instanceof PatternScanner)) scanner.push(piece, hits);
    else if (first === null) first = scanner;
    else if (second === null) second = scanner;
    else {
      PatternScanner.pushTogether([first, second, scanner], piece, hits);
      first = null;
      second = null;
    }
  }
  first?.push(piece, hits);
  second?.push(piece, hits);
}
