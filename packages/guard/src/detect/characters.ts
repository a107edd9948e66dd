import type { Severity } from '@sallyport/core';
import type { TextContext } from '../guard.ts';
import type { Piece } from '../window/piece.ts';
import { codePointAt, isHighSurrogate, isLowSurrogate, pair, type Tape } from '../window/tape.ts';
import {
  BIDI,
  BIDI_OVERRIDE,
  BLACK_FLAG,
  breaksWord,
  CONTROL,
  FLAG_TAGS,
  JOINER,
  joins,
  kindOf,
  LONE_SURROGATE,
  MARK,
  ORDINARY,
  TAG,
  UNIT_KIND,
  VARIATION,
  varies,
  ZERO_WIDTH,
} from './character-table.ts';
import type { Action, Detector, Hit, Scanner } from './detector.ts';

/** Invisible code points in a row that make a payload, whatever they are; variation selectors in a row; tags in a row. */
const PAYLOAD_RUN = 8;
const PAYLOAD_SELECTORS = 4;
const PAYLOAD_TAGS = 2;
/** A run is judged after this many code points even if it goes on, so that it never holds back more. */
const MAX_RUN = 256;

const CATEGORY: Readonly<Record<number, readonly [category: string, severity: Severity]>> = {
  [CONTROL]: ['control-character', 'low'],
  [ZERO_WIDTH]: ['zero-width', 'low'],
  [JOINER]: ['zero-width', 'low'],
  [BIDI]: ['bidi-control', 'low'],
  [VARIATION]: ['variation-selector', 'low'],
  [TAG]: ['tag-character', 'low'],
  [LONE_SURROGATE]: ['lone-surrogate', 'low'],
};

export interface CharacterActions {
  /** For text hidden in invisible characters and for reordered text. */
  readonly payload: Action;
  /** For single characters that have no business where they stand. */
  readonly stray: Action;
}

/**
 * Characters that a person does not see and a model reads: control characters, zero-width characters, tags, variation selectors,
 * bidirectional controls. Runs of them carry hidden text (`hidden-*`, `bidi-override`); single ones split words or are left over from copying.
 * What scripts and emoji need is not reported: joiners in Indic and Arabic scripts and between emoji, selectors on their bases, flags.
 */
export class CharacterDetector implements Detector {
  readonly #actions: CharacterActions;

  constructor(actions: CharacterActions) {
    this.#actions = actions;
  }

  open(_tape: Tape, _context: TextContext): Scanner {
    return new CharacterScanner(this.#actions);
  }
}

/** A run of invisible code points that is not over yet. */
interface Run {
  readonly start: number;
  /** The code point before the run; 0 at the start of the text. */
  readonly before: number;
  /** Only ever appended to, so a mark is the length. */
  readonly codePoints: number[];
  /** Category, where the run goes on after a judged part of it. */
  readonly continues: string | null;
}

interface Mark {
  readonly length: number;
  readonly run: Run | null;
  readonly runLength: number;
  readonly last: number;
  readonly beforeLast: number;
}

const START: Mark = { length: 0, run: null, runLength: 0, last: 0, beforeLast: 0 };

class CharacterScanner implements Scanner {
  readonly #actions: CharacterActions;
  #length = 0;
  #run: Run | null = null;
  /** The last two units read, enough for one code point; 0 where there is none. */
  #last = 0;
  #beforeLast = 0;
  #mark: Mark = START;

  constructor(actions: CharacterActions) {
    this.#actions = actions;
  }

  get pending(): number {
    return this.#run === null ? this.#length : this.#run.start;
  }

  reset(): void {
    this.#mark = START;
    this.rewind();
  }

  mark(): void {
    const runLength = this.#run?.codePoints.length ?? 0;
    this.#mark = { length: this.#length, run: this.#run, runLength, last: this.#last, beforeLast: this.#beforeLast };
  }

  rewind(): void {
    const { length, run, runLength, last, beforeLast } = this.#mark;
    if (run !== null) run.codePoints.length = runLength;
    this.#length = length;
    this.#run = run;
    this.#last = last;
    this.#beforeLast = beforeLast;
  }

  push({ units, length, plain }: Piece, hits: Hit[]): void {
    const origin = this.#length;
    if (!plain || this.#run !== null) this.#read(units, length, origin, hits);
    this.#length = origin + length;
    if (length > 0) {
      this.#beforeLast = length > 1 ? (units[length - 2] ?? 0) : this.#last;
      this.#last = units[length - 1] ?? 0;
    }
  }

  #read(units: Uint16Array, length: number, origin: number, hits: Hit[]): void {
    let index = 0;
    while (index < length) {
      if (this.#run === null) {
        while (index < length && UNIT_KIND[units[index] ?? 0] === ORDINARY) index++;
        if (index === length) return;
      }
      const codePoint = codePointAt(units, index, length);
      const kind = UNIT_KIND[units[index] ?? 0] === ORDINARY ? ORDINARY : kindOf(codePoint);
      if (kind !== ORDINARY) this.#extend(codePoint, origin + index, units, index, hits);
      else if (this.#run !== null) this.#close(codePoint, origin + index, origin + index + 1, hits);
      index += codePoint > 0xffff ? 2 : 1;
    }
  }

  end(hits: Hit[]): void {
    if (this.#run !== null) this.#close(0, this.#length, this.#length + 1, hits);
  }

  #extend(codePoint: number, offset: number, units: Uint16Array, index: number, hits: Hit[]): void {
    const run = this.#run;
    if (run === null) {
      this.#run = { start: offset, before: this.#before(units, index), codePoints: [codePoint], continues: null };
      return;
    }
    if (run.codePoints.length < MAX_RUN) {
      run.codePoints.push(codePoint);
      return;
    }
    const continues = this.#judge(run, codePoint, offset, offset + 1, hits);
    this.#run = { start: offset, before: run.codePoints.at(-1) ?? 0, codePoints: [codePoint], continues };
  }

  #close(after: number, end: number, at: number, hits: Hit[]): void {
    if (this.#run !== null) this.#judge(this.#run, after, end, at, hits);
    this.#run = null;
  }

  /** The code point before a place in the piece; 0 at the start of the text. */
  #before(units: Uint16Array, index: number): number {
    const last = index > 0 ? (units[index - 1] ?? 0) : this.#last;
    const beforeLast = index > 1 ? (units[index - 2] ?? 0) : index === 1 ? this.#last : this.#beforeLast;
    return isLowSurrogate(last) && isHighSurrogate(beforeLast) ? pair(beforeLast, last) : last;
  }

  /** Reports a run; returns its category where it is a payload. */
  #judge(run: Run, after: number, end: number, at: number, hits: Hit[]): string | null {
    const payload = run.continues ?? payloadOf(run);
    if (payload === null) {
      this.#reportStray(run, after, at, hits);
      return null;
    }
    const severity = payload === 'bidi-override' ? 'medium' : 'high';
    hits.push({
      start: run.start,
      end,
      at,
      detector: 'characters',
      category: payload,
      severity,
      action: this.#actions.payload,
      replacement: '',
    });
    return payload;
  }

  #reportStray(run: Run, after: number, at: number, hits: Hit[]): void {
    if (isFlag(run)) return;
    const { codePoints } = run;
    const first = hits.length;
    let offset = run.start;
    let base = run.before;
    for (let index = 0; index < codePoints.length; index++) {
      const codePoint = codePoints[index] ?? 0;
      const start = offset;
      offset += codePoint > 0xffff ? 2 : 1;
      const kind = kindOf(codePoint);
      if (isAtHome(codePoint, kind, base, codePoints[index + 1] ?? after, start)) {
        // A variation selector leaves its base in place for a joiner after it.
        if (kind !== VARIATION) base = codePoint;
        continue;
      }
      base = codePoint;
      const [category, severity] = CATEGORY[kind] ?? ['zero-width', 'low'];
      const replacement = kind === LONE_SURROGATE ? '\ufffd' : '';
      const action = this.#actions.stray;
      const last = hits.length > first ? hits.at(-1) : undefined;
      // Neighbours of one category are one finding.
      if (last?.category === category && last.end === start) hits[hits.length - 1] = { ...last, end: offset };
      else hits.push({ start, end: offset, at, detector: 'characters', category, severity, action, replacement });
    }
  }
}

function payloadOf({ before, codePoints, continues }: Run): string | null {
  let tags = 0;
  let selectors = 0;
  let overrides = 0;
  let others = 0;
  for (const codePoint of codePoints) {
    const kind = kindOf(codePoint);
    if (kind === TAG) tags++;
    else if (kind === VARIATION) selectors++;
    else if (kind === BIDI_OVERRIDE) overrides++;
    else if (kind !== CONTROL && kind !== LONE_SURROGATE) others++;
  }
  if (tags >= PAYLOAD_TAGS && !isFlag({ start: 0, before, codePoints, continues })) return 'hidden-tags';
  if (selectors >= PAYLOAD_SELECTORS) return 'hidden-variation-selectors';
  if (overrides > 0) return 'bidi-override';
  if (selectors + others >= PAYLOAD_RUN) return 'hidden-zero-width';
  return null;
}

function isFlag({ before, codePoints }: Run): boolean {
  if (before !== BLACK_FLAG || codePoints.at(-1) !== 0xe007f) return false;
  return FLAG_TAGS.has(
    codePoints
      .slice(0, -1)
      .map((tag) => String.fromCharCode(tag & 0x7f))
      .join(''),
  );
}

function isAtHome(codePoint: number, kind: number, before: number, after: number, offset: number): boolean {
  if (kind === MARK) return true;
  if (kind === VARIATION) return varies(before, codePoint);
  if (kind === JOINER) return joins(codePoint, before, after);
  if (codePoint === 0x200b) return breaksWord(before, after);
  return codePoint === 0xfeff && offset === 0;
}
