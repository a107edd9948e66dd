import type { Piece } from '../window/piece.ts';
import type { Tape } from '../window/tape.ts';
import type { Action, Detector, Hit, Scanner } from './detector.ts';

/** Repetition is looked for in blocks at multiples of this offset; three in a row that repeat one period are too many. */
const BLOCK = 512;
const TOO_MANY = 3;
const MAX_PERIOD = 64;

/**
 * Length anomalies: a text beyond `maxTextLength` units, and one unit or a period of up to 64 repeated without end (found for certain from
 * 2,047 units on, sometimes from 1,536). Both are ways to exhaust a model or to make it diverge.
 */
export class LengthDetector implements Detector {
  readonly #actions: LengthActions;
  readonly #maxLength: number;

  constructor(actions: LengthActions, maxLength: number) {
    this.#actions = actions;
    this.#maxLength = maxLength;
  }

  open(_tape: Tape): Scanner {
    return new LengthScanner(this.#actions, this.#maxLength);
  }
}

/** What is done about each anomaly. */
export interface LengthActions {
  readonly tooLong: Action;
  readonly repetition: Action;
}

/** What has been read. `streak` is the number of blocks in a row, up to the last full one, that repeat `period`. */
interface Progress {
  readonly length: number;
  /** The last full block, and what follows it. */
  readonly block: string;
  readonly rest: string;
  readonly period: number;
  readonly streak: number;
}

const START: Progress = { length: 0, block: '', rest: '', period: 0, streak: 0 };

class LengthScanner implements Scanner {
  readonly #actions: LengthActions;
  readonly #maxLength: number;
  #progress: Progress = START;
  #marked: Progress = this.#progress;

  constructor(actions: LengthActions, maxLength: number) {
    this.#actions = actions;
    this.#maxLength = maxLength;
  }

  /** Only a block needs its text held back: nothing is ever edited. */
  get pending(): number {
    const { length, streak } = this.#progress;
    return this.#actions.repetition === 'block' && streak > 0 && streak < TOO_MANY ? this.#matchStart() : length;
  }

  push({ text: piece }: Piece, hits: Hit[]): void {
    const { length } = this.#progress;
    let { block, rest, period, streak } = this.#progress;
    let blocksEnd = length - rest.length;
    rest += piece;
    let from = 0;
    for (; rest.length - from >= BLOCK; from += BLOCK) {
      const next = rest.slice(from, from + BLOCK);
      const continues = streak > 0 && isPeriodic(block.slice(-period) + next, period);
      if (!continues) period = periodOf(next);
      streak = continues ? streak + 1 : period > 0 ? 1 : 0;
      block = next;
      blocksEnd += BLOCK;
      if (streak === TOO_MANY) {
        hits.push(this.#hit('repetition', this.#actions.repetition, blocksEnd - (TOO_MANY - 1) * BLOCK, blocksEnd));
      }
    }
    this.#progress = { length: length + piece.length, block, rest: rest.slice(from), period, streak };
    if (length <= this.#maxLength && this.#progress.length > this.#maxLength) {
      hits.push(this.#hit('too-long', this.#actions.tooLong, this.#maxLength, this.#maxLength + 1));
    }
  }

  end(_hits: Hit[]): void {
    this.#progress = { ...this.#progress, streak: 0 };
  }

  reset(): void {
    this.#progress = START;
    this.#marked = START;
  }

  mark(): void {
    this.#marked = this.#progress;
  }

  rewind(): void {
    this.#progress = this.#marked;
  }

  /** A finding starts after the first block of a repetition: that much is ordinary, and its text need not wait. */
  #matchStart(): number {
    const { length, rest, streak } = this.#progress;
    return length - rest.length - (streak - 1) * BLOCK;
  }

  #hit(category: string, action: Action, start: number, end: number): Hit {
    return { start, end, at: end, detector: 'length', category, severity: 'medium', action, replacement: '' };
  }
}

/** The smallest period of a block, or 0 where it has none up to `MAX_PERIOD`. */
function periodOf(block: string): number {
  const last = block.charCodeAt(block.length - 1);
  for (let period = 1; period <= MAX_PERIOD; period++) {
    if (block.charCodeAt(block.length - 1 - period) === last && isPeriodic(block, period)) return period;
  }
  return 0;
}

function isPeriodic(text: string, period: number): boolean {
  for (let index = text.length - 1; index >= period; index--) {
    if (text.charCodeAt(index) !== text.charCodeAt(index - period)) return false;
  }
  return true;
}
