import { contextOf, type Row } from '../eval/sets.ts';
import { classOf, type Head, type HeadName, PAIR, scoreOf, type Thresholds } from '../src/injection/model.ts';
import { WindowScores } from '../src/injection/window-scores.ts';
import { pieceOf } from '../src/window/piece.ts';
import { fold, sentences } from './examples.ts';

/** The largest share of ordinary texts that may reach a threshold, over all and in every set of some size. */
export interface Limits {
  readonly all: number;
  readonly set: number;
  /** In sets that talk of attacks and security without being one. */
  readonly hard: number;
  /** No threshold below these log odds, by length class: what reads like nothing in particular must not reach them. */
  readonly floors: readonly number[];
}

/** Classes that have thresholds of their own. */
const CLASSES: readonly number[] = Array.from({ length: PAIR + 1 }, (_, index) => index);

const HARD_SETS: readonly string[] = ['cyberseceval refusals', 'xstest safe'];

/** Sets smaller than this say too little by themselves. */
const SMALLEST_SET = 80;

interface Scored {
  readonly set: string;
  /** The highest score of a window by length class. */
  readonly highest: readonly number[];
}

/** Highest scores of the ordinary texts that a head judges. */
export function scoreBenign(head: Omit<Head, 'thresholds'>, name: HeadName, rows: readonly Row[]): Scored[] {
  const wanted = contextOf(name === 'extraction' ? 'user' : name).provenance;
  return rows
    .filter(({ attack, context, set }) => !attack && context.provenance === wanted && !set.includes('quotes'))
    .flatMap(({ set, text }) => {
      const whole = { set, highest: highestScores(head, text) };
      // Documents of the development sets are long, tool results are not: the middle sentence stands for one.
      const all = name === 'untrusted' ? sentences(text) : [];
      const sentence = all[all.length >> 1];
      return sentence === undefined ? [whole] : [whole, { set: `${set} (a sentence)`, highest: highestScores(head, sentence) }];
    });
}

function highestScores(head: Omit<Head, 'thresholds'>, text: string): number[] {
  const highest = CLASSES.map(() => Number.NEGATIVE_INFINITY);
  const scores = new WindowScores(head.weights);
  const sink = (start: number, end: number, sum: number, count: number, isPair: boolean): void => {
    const lengths = classOf(end - start, isPair);
    highest[lengths] = Math.max(highest[lengths] ?? 0, scoreOf(head, sum, count));
  };
  const { units, length } = pieceOf(fold(text));
  scores.push(units, length, sink);
  scores.end(sink);
  return highest;
}

/** Thresholds that keep the limits, lowered in turn for one length class after the other, one text at a time, as far as the limits allow. */
export function chooseThresholds(scored: readonly Scored[], limits: Limits): readonly number[] {
  const floor = (lengths: number): number => limits.floors[lengths] ?? 0;
  const sorted = CLASSES.map((_, lengths) => {
    const scores = scored.map(({ highest }) => highest[lengths] ?? Number.NEGATIVE_INFINITY);
    return scores.filter((score) => score >= floor(lengths)).sort((a, b) => b - a);
  });
  // A threshold lies just above the score of the first text that may not reach it.
  const at = (lengths: number, texts: number): number =>
    round(Math.max(floor(lengths), (sorted[lengths]?.[texts] ?? floor(lengths)) + 1e-3));
  const reached = CLASSES.map(() => 0);
  const open = new Set(CLASSES);
  while (open.size > 0) {
    for (const lengths of open) {
      const next = reached.map((texts, index) => (index === lengths ? texts + 1 : texts));
      const done = (reached[lengths] ?? 0) >= (sorted[lengths]?.length ?? 0);
      if (
        done ||
        !keeps(
          scored,
          next.map((texts, index) => at(index, texts)),
          limits,
        )
      )
        open.delete(lengths);
      else reached[lengths] = next[lengths] ?? 0;
    }
  }
  return reached.map((texts, lengths) => at(lengths, texts));
}

function round(threshold: number): number {
  return Math.ceil(threshold * 1000) / 1000;
}

function keeps(scored: readonly Scored[], thresholds: readonly number[], limits: Limits): boolean {
  const counts = new Map<string, { total: number; reached: number }>();
  let reachedByAll = 0;
  for (const { set, highest } of scored) {
    const count = counts.get(set) ?? { total: 0, reached: 0 };
    counts.set(set, count);
    count.total++;
    if (!highest.some((score, lengths) => score >= (thresholds[lengths] ?? 0))) continue;
    count.reached++;
    reachedByAll++;
  }
  return (
    reachedByAll <= scored.length * limits.all &&
    [...counts].every(([set, { total, reached }]) => {
      return total < SMALLEST_SET || reached <= total * (HARD_SETS.includes(set) ? limits.hard : limits.set);
    })
  );
}

export function thresholds(scored: readonly Scored[], flag: Limits, block: Limits): Thresholds {
  const flags = chooseThresholds(scored, flag);
  // What is blocked is reported too: no block below its flag.
  return { flag: flags, block: chooseThresholds(scored, block).map((threshold, lengths) => Math.max(threshold, flags[lengths] ?? 0)) };
}
