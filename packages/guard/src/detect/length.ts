import type { Tape } from '../window/tape.ts';
import type { Action, Detector, Hit, Scanner } from './detector.ts';

/** Longest period looked for, and how long one period may go on. */
const MAX_PERIOD = 64;
const MAX_REPETITION = 2000;
/** Where a finding starts, counted from the start of the repetition: shorter ones are ordinary, and their text need not wait. */
const ORDINARY_REPETITION = 256;
const GRAM_TABLE = 1024;

/**
 * Length anomalies: a text beyond `maxTextLength` units, and one unit or a short period repeated without end. Both are ways to exhaust a
 * model or to make it diverge. A period is found as the distance to the last equal four units, so one whose every four units occur
 * twice within it can go unnoticed.
 */
export class LengthDetector implements Detector {
  readonly #action: Action;
  readonly #maxLength: number;

  constructor(action: Action, maxLength: number) {
    this.#action = action;
    this.#maxLength = maxLength;
  }

  open(_tape: Tape): Scanner {
    return new LengthScanner(this.#action, this.#maxLength);
  }
}

class LengthScanner implements Scanner {
  readonly #action: Action;
  readonly #maxLength: number;
  /** The last units, by offset modulo the size; offset of the last occurrence of four units, by hash. */
  readonly #ring = new Uint16Array(MAX_PERIOD);
  readonly #lastSeen = new Int32Array(GRAM_TABLE).fill(-MAX_PERIOD - 1);
  #length = 0;
  #gram = 0;
  #period = 0;
  #runStart = 0;
  readonly #mark = { ring: new Uint16Array(MAX_PERIOD), lastSeen: new Int32Array(GRAM_TABLE), scalars: [0, 0, 0, 0] };

  constructor(action: Action, maxLength: number) {
    this.#action = action;
    this.#maxLength = maxLength;
  }

  /** Only a block needs its text held back: nothing is ever edited. */
  get pending(): number {
    return this.#action === 'block' && this.#length - this.#runStart > ORDINARY_REPETITION
      ? this.#runStart + ORDINARY_REPETITION
      : this.#length;
  }

  push(piece: string, hits: Hit[]): void {
    const ring = this.#ring;
    const lastSeen = this.#lastSeen;
    const origin = this.#length;
    let gram = this.#gram;
    let period = this.#period;
    let runStart = this.#runStart;
    for (let index = 0; index < piece.length; index++) {
      const offset = origin + index;
      const unit = piece.charCodeAt(index);
      // Four units of 5 bits each: collisions only cost a wrong guess of the period.
      gram = ((gram << 5) ^ (unit * 0x9e5)) & 0xfffff;
      const slot = (gram ^ (gram >>> 10)) & (GRAM_TABLE - 1);
      if (period === 0 || ring[(offset - period) & (MAX_PERIOD - 1)] !== unit) {
        const distance = offset - (lastSeen[slot] ?? 0);
        period = distance < MAX_PERIOD ? distance : 0;
        runStart = offset;
      } else if (offset + 1 - runStart === MAX_REPETITION) {
        hits.push(this.#hit('repetition', runStart + ORDINARY_REPETITION, offset + 1));
      }
      lastSeen[slot] = offset;
      ring[offset & (MAX_PERIOD - 1)] = unit;
    }
    this.#length = origin + piece.length;
    this.#gram = gram;
    this.#period = period;
    this.#runStart = period === 0 ? this.#length : runStart;
    if (origin <= this.#maxLength && this.#length > this.#maxLength) hits.push(this.#hit('too-long', this.#maxLength, this.#maxLength + 1));
  }

  end(_hits: Hit[]): void {
    this.#runStart = this.#length;
  }

  mark(): void {
    this.#mark.ring.set(this.#ring);
    this.#mark.lastSeen.set(this.#lastSeen);
    this.#mark.scalars = [this.#length, this.#gram, this.#period, this.#runStart];
  }

  rewind(): void {
    this.#ring.set(this.#mark.ring);
    this.#lastSeen.set(this.#mark.lastSeen);
    const [length = 0, gram = 0, period = 0, runStart = 0] = this.#mark.scalars;
    this.#length = length;
    this.#gram = gram;
    this.#period = period;
    this.#runStart = runStart;
  }

  #hit(category: string, start: number, end: number): Hit {
    return { start, end, at: end, detector: 'length', category, severity: 'medium', action: this.#action, replacement: '' };
  }
}
