import type { ScoreThresholds, Severity } from '@sallyport/core';
import type { Action, Detector, Hit, Scanner } from '../detect/detector.ts';
import type { TextContext } from '../guard.ts';
import { type Piece, pieceOf } from '../window/piece.ts';
import type { Tape } from '../window/tape.ts';
import { FeatureReader } from './features.ts';
import { BLOCK, classOf, decodeHead, type Head, type HeadName, PAIR, scoreOf } from './model.ts';
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
  readonly #every: boolean;

  /**
   * @param given what the operator wants in place of the calibrated thresholds
   * @param every whether windows that overlap another one are reported too
   */
  constructor(actions: ClassifierActions, given: ScoreThresholds = {}, every = false) {
    this.#actions = actions;
    this.#every = every;
    this.#given = { flag: logOdds(given.flag), block: logOdds(given.block) };
  }

  open(tape: Tape, { provenance }: TextContext): Scanner {
    const name = provenance === 'untrusted' ? 'untrusted' : 'user';
    return new ClassifierScanner(headOf(name), name, this.#actions, this.#given, this.#every, tape);
  }
}

/** Null leaves the calibrated threshold. */
interface LogOdds {
  readonly flag: number | null;
  readonly block: number | null;
}

/** Log odds of `user` from which on a window of at most `EXTRACTION_UNITS` is shown to the head for requests for the prompt, which reads it anew. */
const EXTRACTION_FROM = 0;
const EXTRACTION_UNITS = 2 * BLOCK;

/** What a window is taken for. */
interface Judgement {
  readonly category: string;
  readonly score: number;
  readonly threshold: number;
  readonly certain: boolean;
}

class ClassifierScanner implements Scanner {
  readonly #head: Head;
  readonly #name: HeadName;
  readonly #actions: ClassifierActions;
  readonly #given: LogOdds;
  readonly #every: boolean;
  readonly #scores: WindowScores;
  readonly #tape: Tape;
  /** Log odds below which a window is nothing: most are. */
  readonly #least: number;
  #length = 0;
  /** End of the last finding: windows that overlap it say nothing new. */
  #flagged = 0;
  #blocked = false;
  #marked = { length: 0, flagged: 0, blocked: false };

  constructor(head: Head, name: HeadName, actions: ClassifierActions, given: LogOdds, every: boolean, tape: Tape) {
    this.#tape = tape;
    const own = [given.flag, given.block].filter((threshold) => threshold !== null);
    this.#least = Math.min(EXTRACTION_FROM, ...head.thresholds.flag, ...own);
    this.#head = head;
    this.#name = name;
    this.#actions = actions;
    this.#given = given;
    this.#every = every;
    this.#scores = new WindowScores(head.weights);
  }

  get pending(): number {
    return Math.min(this.#scores.pending, this.#length);
  }

  push({ units, length }: Piece, hits: Hit[]): void {
    this.#length += length;
    this.#scores.push(units, length, (start, end, sum, count, isPair) => this.#judge(start, end, sum, count, isPair, end, hits));
  }

  end(hits: Hit[]): void {
    const at = this.#length + 1;
    this.#scores.end((start, end, sum, count, isPair) => this.#judge(start, end, sum, count, isPair, at, hits));
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

  #judge(start: number, end: number, sum: number, count: number, isPair: boolean, at: number, hits: Hit[]): void {
    if (end === start) return;
    const score = scoreOf(this.#head, sum, count);
    if (score < this.#least) return;
    const judged = this.#extraction(start, end, score, isPair) ?? this.#injection(score, classOf(end - start, isPair), isPair);
    if (judged === null) return;
    const { category, threshold, certain } = judged;
    if (!this.#every && start < this.#flagged && (this.#blocked || !certain)) return;
    this.#flagged = end;
    this.#blocked = certain;
    const severity: Severity = certain ? 'high' : 'medium';
    const action = certain ? this.#actions.block : this.#actions.flag;
    const figures = { score: probability(judged.score), threshold: probability(threshold) };
    hits.push({ start, end, at, detector: 'injection', category, severity, action, replacement: '', ...figures });
  }

  #injection(score: number, windowClass: number, isPair: boolean): Judgement | null {
    const category = isPair ? 'split-injection' : this.#name === 'user' ? 'prompt-injection' : 'indirect-injection';
    return this.#reached(this.#head, score, windowClass, category);
  }

  /** A short window of a person's words that asks for the prompt. Read anew, but few are. */
  #extraction(start: number, end: number, score: number, isPair: boolean): Judgement | null {
    if (isPair || score < EXTRACTION_FROM || end - start > EXTRACTION_UNITS || this.#name !== 'user') return null;
    const head = headOf('extraction');
    const { units, length } = pieceOf(this.#tape.slice(start, end));
    const reader = new FeatureReader();
    reader.sum(units, 0, length, head.weights);
    let { total, count } = reader;
    reader.sumEnd(head.weights);
    total += reader.total;
    count += reader.count;
    const asked = this.#reached(head, scoreOf(head, total, count), classOf(length, false), 'prompt-extraction');
    // Where it is certain as something else, it is certain.
    return asked?.certain === false && this.#injection(score, classOf(end - start, false), false)?.certain === true
      ? { ...asked, certain: true }
      : asked;
  }

  #reached({ thresholds }: Head, score: number, windowClass: number, category: string): Judgement | null {
    const block = this.#given.block ?? thresholds.block[windowClass] ?? Number.POSITIVE_INFINITY;
    const flag = Math.min(block, this.#given.flag ?? thresholds.flag[windowClass] ?? Number.POSITIVE_INFINITY);
    if (score < flag) return null;
    // The best pair of a long text is suspicious, never certain: there are many.
    const certain = score >= block && windowClass !== PAIR;
    return { category, score, threshold: certain ? block : flag, certain };
  }
}

function logOdds(probability: number | undefined): number | null {
  return probability === undefined ? null : Math.log(probability / (1 - probability));
}

/** To three digits, from log odds. */
function probability(score: number): number {
  return Math.round(1000 / (1 + Math.exp(-score))) / 1000;
}
