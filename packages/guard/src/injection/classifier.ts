import type { ScoreThresholds, Severity } from '@sallyport/core';
import type { Action, Detector, Hit, Scanner } from '../detect/detector.ts';
import type { TextContext } from '../guard.ts';
import type { Piece } from '../window/piece.ts';
import type { Tape } from '../window/tape.ts';
import { decodeHead, type Head, type HeadName, lengthClass, scoreOf } from './model.ts';
import { HEADS } from './weights.ts';
import { WindowScores } from './window-scores.ts';

const heads = new Map<HeadName, Head>();

/** Decoded when first used: it takes a few milliseconds. */
export function headOf(name: HeadName): Head {
  const head = heads.get(name) ?? decodeHead(HEADS[name]);
  heads.set(name, head);
  return head;
}

/** What is done from each threshold on. */
export interface ClassifierActions {
  readonly block: Action;
  readonly flag: Action;
}

/**
 * The trained classifier: windows of a text that read like an attempt to take over a model. What a user says and what comes from
 * elsewhere (documents, tool results) are judged by different weights: an instruction is a user's right, in a document it is a guest.
 * Made for text in plain letters.
 */
export class ClassifierDetector implements Detector {
  readonly #actions: ClassifierActions;
  readonly #given: LogOdds;

  /** `given` is what the operator wants in place of the calibrated thresholds. */
  constructor(actions: ClassifierActions, given: ScoreThresholds = {}) {
    this.#actions = actions;
    this.#given = { flag: logOdds(given.flag), block: logOdds(given.block) };
  }

  open(_tape: Tape, { provenance }: TextContext): Scanner {
    const name = provenance === 'untrusted' ? 'untrusted' : 'user';
    return new ClassifierScanner(headOf(name), name, this.#actions, this.#given);
  }
}

/** Null leaves the calibrated threshold. */
interface LogOdds {
  readonly flag: number | null;
  readonly block: number | null;
}

class ClassifierScanner implements Scanner {
  readonly #head: Head;
  readonly #name: HeadName;
  readonly #actions: ClassifierActions;
  readonly #given: LogOdds;
  readonly #scores: WindowScores;
  #length = 0;
  /** End of the last finding: windows that overlap it say nothing new. */
  #flagged = 0;
  #blocked = false;
  #marked = { length: 0, flagged: 0, blocked: false };

  constructor(head: Head, name: HeadName, actions: ClassifierActions, given: LogOdds) {
    this.#head = head;
    this.#name = name;
    this.#actions = actions;
    this.#given = given;
    this.#scores = new WindowScores(head.weights);
  }

  get pending(): number {
    return Math.min(this.#scores.pending, this.#length);
  }

  push({ units, length }: Piece, hits: Hit[]): void {
    this.#length += length;
    this.#scores.push(units, length, (start, end, sum, count) => this.#judge(start, end, sum, count, end, hits));
  }

  end(hits: Hit[]): void {
    this.#scores.end((start, end, sum, count) => this.#judge(start, end, sum, count, this.#length + 1, hits));
  }

  reset(): void {
    this.#scores.reset();
    this.#length = 0;
    this.#flagged = 0;
    this.#blocked = false;
  }

  mark(): void {
    this.#scores.mark();
    this.#marked = { length: this.#length, flagged: this.#flagged, blocked: this.#blocked };
  }

  rewind(): void {
    this.#scores.rewind();
    this.#length = this.#marked.length;
    this.#flagged = this.#marked.flagged;
    this.#blocked = this.#marked.blocked;
  }

  #judge(start: number, end: number, sum: number, count: number, at: number, hits: Hit[]): void {
    const score = scoreOf(this.#head, sum, count);
    const { thresholds } = this.#head;
    const lengths = lengthClass(end - start);
    const block = this.#given.block ?? thresholds.block[lengths] ?? Number.POSITIVE_INFINITY;
    const flag = Math.min(block, this.#given.flag ?? thresholds.flag[lengths] ?? Number.POSITIVE_INFINITY);
    if (score < flag || end === start) return;
    const certain = score >= block;
    if (start < this.#flagged && (this.#blocked || !certain)) return;
    this.#flagged = end;
    this.#blocked = certain;
    hits.push(this.#hit(start, end, at, score, certain ? block : flag, certain));
  }

  #hit(start: number, end: number, at: number, score: number, threshold: number, certain: boolean): Hit {
    const category = this.#name === 'user' ? 'prompt-injection' : 'indirect-injection';
    const severity: Severity = certain ? 'high' : 'medium';
    const action = certain ? this.#actions.block : this.#actions.flag;
    const judged = { score: probability(score), threshold: probability(threshold) };
    return { start, end, at, detector: 'injection', category, severity, action, replacement: '', ...judged };
  }
}

function logOdds(probability: number | undefined): number | null {
  return probability === undefined ? null : Math.log(probability / (1 - probability));
}

/** To three digits, from log odds. */
function probability(score: number): number {
  return Math.round(1000 / (1 + Math.exp(-score))) / 1000;
}
