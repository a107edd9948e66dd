import type { Piece } from '../window/piece.ts';
import type { Tape } from '../window/tape.ts';
import { attributeOf, type Holder } from './attributes.ts';
import type { Form, Syntax } from './destination.ts';
import { endsAddress, endsDestination } from './ends.ts';
import { beginLine, endRun, readFenced, readPrefix } from './lines.ts';
import { advance, depthOf, isBeginning } from './schemes.ts';
import { ESC, IMAGE, isGap, isLetter, LF, LINE_START, START, type State } from './state.ts';

/** Longest destination or escape sequence that is read to its end, UTF-16 units; a longer one is judged as far as it was read. */
export const LONGEST = 2_048;

/** A destination or a terminal's escape sequence, `[start, end)`, certain once `at` units were read. */
export interface Found {
  readonly form: Form | 'escape';
  readonly syntax: Syntax;
  readonly holder: Holder | null;
  readonly start: number;
  readonly end: number;
  readonly at: number;
}

/** Units at which something can begin or end within a line of text; the others only pass. */
const NOTABLE = new Uint8Array(0x10000);
for (const mark of '\n!()<>[]`~\\=:hHwWfF') NOTABLE[mark.charCodeAt(0)] = 1;
for (const unit of [ESC, 0x90, 0x98, 0x9b, 0x9d, 0x9e, 0x9f]) NOTABLE[unit] = 1;

/** Finds every place of a growing text at which a renderer of Markdown or HTML, a style sheet or a terminal would take an address from it. */
export class Reader {
  readonly #tape: Tape;
  #s: State = { ...START };
  #marked: State = START;

  constructor(tape: Tape) {
    this.#tape = tape;
  }

  get length(): number {
    return this.#s.length;
  }

  /** Where what is undecided begins. */
  get pending(): number {
    const s = this.#s;
    if (s.mode === 'opening') return s.length;
    if (s.mode !== 'text') return s.start;
    const begun = s.length - depthOf(s.scheme);
    return s.naming ? Math.min(s.start, begun) : begun;
  }

  mark(): void {
    this.#marked = { ...this.#s };
  }

  rewind(): void {
    this.#s = { ...this.#marked };
  }

  reset(): void {
    this.#s = { ...START };
  }

  read({ units, length }: Piece, found: (found: Found) => void): void {
    const s = this.#s;
    for (let index = 0; index < length; index++) {
      if (s.mode === 'text' && s.indent < 0 && s.scheme === 0 && s.run === 0 && !s.naming && !s.escaped && !s.closing) {
        const from = index;
        while (index < length && NOTABLE[units[index] ?? 0] === 0) index++;
        if (index > from) {
          s.length += index - from;
          s.previous = units[index - 1] ?? 0;
          s.closed = -1;
        }
        if (index === length) break;
      }
      this.#unit(units[index] ?? 0, found);
      s.length++;
    }
  }

  end(found: (found: Found) => void): void {
    const s = this.#s;
    if (s.mode === 'destination' || s.mode === 'bare') this.#emit(s.length, s.length + 1, found);
    else if (s.mode === 'escape' || s.mode === 'sequence' || s.mode === 'control') this.#escape(s.length, s.length + 1, found);
    s.mode = 'text';
    s.naming = false;
    s.scheme = 0;
  }

  /** Reads the unit at offset `s.length`. */
  #unit(unit: number, found: (found: Found) => void): void {
    const s = this.#s;
    switch (s.mode) {
      case 'text':
        this.#text(unit);
        return;
      case 'opening':
        this.#opening(unit);
        return;
      case 'destination':
        if (!endsDestination(s, unit) && s.length - s.start < LONGEST) return;
        break;
      case 'bare':
        if (!endsAddress(s, unit) && s.length - s.start < LONGEST) return;
        break;
      case 'escape':
        this.#afterEscape(unit, found);
        return;
      case 'control':
        if (unit >= 0x20 && unit <= 0x3f && s.length - s.start < LONGEST) return;
        this.#escape(unit >= 0x40 && unit <= 0x7e ? s.length + 1 : s.length, s.length + 1, found, unit);
        return;
      case 'sequence':
        if (unit === 7 || unit === 0x9c || (unit === 0x5c && s.previous === ESC)) {
          this.#escape(s.length + 1, s.length + 1, found);
          return;
        }
        s.previous = unit;
        if (s.length - s.start >= LONGEST) this.#escape(s.length, s.length + 1, found, unit);
        return;
    }
    this.#emit(s.length, s.length + 1, found);
    s.mode = 'text';
    this.#text(unit);
  }

  #text(unit: number): void {
    const s = this.#s;
    if (s.run > 0 && unit !== s.runUnit) endRun(s);
    if (unit === LF) {
      beginLine(s);
      return;
    }
    if (s.indent >= 0 && readPrefix(s, unit)) return;
    const isFirst = s.indent >= 0;
    const { indent, closed, previous } = s;
    s.indent = -1;
    s.blank = false;
    s.closed = -1;
    s.previous = unit;
    if (s.fence !== 0 && !s.info) readFenced(s, unit, isFirst, indent);
    if (this.#startsSequence(unit)) return;
    if (s.escaped) {
      s.escaped = false;
      // \\ [ ] ! `: signs of Markdown that are only signs. In HTML none of them means anything.
      if (unit === 0x5c || unit === 0x5b || unit === 0x5d || unit === 0x21 || unit === 0x60) return;
    }
    s.scheme = advance(s.scheme, unit);
    if (isBeginning(s.scheme)) {
      this.#startAddress();
      return;
    }
    if (this.isCode) return;
    if (s.naming) this.#name(unit);
    switch (unit) {
      case 0x5c: // \
        s.escaped = true;
        return;
      case 0x60: // `
      case 0x7e: // ~
        if (s.fence !== 0 && !s.info) return;
        if (s.run === 0) {
          s.runUnit = unit;
          s.runIndent = isFirst ? indent : -1;
        }
        s.run++;
        return;
      case 0x5b: // [
        s.brackets = (s.brackets << 2) | (previous === 0x21 ? IMAGE : 0) | (isFirst ? LINE_START : 0);
        s.depth = Math.min(16, s.depth + 1);
        if (previous === 0x21) s.image = true;
        return;
      case 0x5d: // ]
        s.closed = s.depth > 0 ? s.brackets & 3 : 0;
        s.brackets >>>= 2;
        s.depth = Math.max(0, s.depth - 1);
        return;
      case 0x28: // (
        if (closed >= 0) this.#open('markdown', s.image ? 'image' : 'link', null);
        else if (/(?:^|[^a-z])(?:url|image-set)\s*$/i.test(this.#before(16))) this.#open('css', 'image', null);
        if (closed >= 0 && (closed & IMAGE) !== 0) s.image = false;
        return;
      case 0x3a: // :
        if (closed >= 0 && (closed & LINE_START) !== 0) this.#open('markdown', 'image', null);
        return;
      case 0x3c: // <
        s.naming = true;
        s.start = s.length;
        s.tag = '';
        if (isFirst) s.html = true;
        return;
      case 0x3e: // >
        s.tag = '';
        return;
      case 0x3d: // =
        this.#equals();
        return;
    }
  }

  /** True in code that a renderer is sure to take for code. */
  get isCode(): boolean {
    return this.#s.fence !== 0 && !this.#s.info && !this.#s.distrust;
  }

  #name(unit: number): void {
    const s = this.#s;
    if (isLetter(unit) || (s.tag !== '' && (unit === 0x2d || unit === 0x2b || unit === 0x2e || (unit >= 0x30 && unit <= 0x39)))) {
      if (s.tag.length < 24) s.tag += String.fromCharCode(unit | (isLetter(unit) ? 32 : 0));
      else s.naming = false;
      return;
    }
    s.naming = false;
    if (unit === 0x3a && s.tag.length > 1) {
      s.mode = 'destination';
      s.form = 'link';
      s.syntax = 'plain';
      s.holder = null;
      s.end = 'angle';
      s.start++;
      s.scheme = 0;
      return;
    }
    // What suspends Markdown up to an end of its own, whatever stands in it.
    if (s.tag === '' ? unit === 0x21 || unit === 0x3f : s.tag === 'pre' || s.tag === 'script' || s.tag === 'style' || s.tag === 'textarea')
      s.distrust = true;
  }

  #equals(): void {
    const s = this.#s;
    const name = /[\s"'/]([a-z][a-z:]{2,15})\s*$/i.exec(this.#before(24))?.[1]?.toLowerCase();
    const attribute = name === undefined ? null : attributeOf(name, s.tag);
    if (attribute !== null) this.#open('html', attribute.form, attribute.holder);
  }

  #before(units: number): string {
    return this.#tape.slice(this.#s.length - units, this.#s.length);
  }

  #open(syntax: Syntax, form: Form, holder: Holder | null): void {
    const s = this.#s;
    s.mode = 'opening';
    s.syntax = syntax;
    s.form = form;
    s.holder = holder;
    s.lineFeeds = 0;
    s.round = 0;
    s.scheme = 0;
  }

  #opening(unit: number): void {
    const s = this.#s;
    if (isGap(unit) && unit !== ESC) {
      if (unit !== LF) return;
      if (++s.lineFeeds < 2) return;
    }
    s.mode = 'text';
    const isQuote = unit === 0x22 || unit === 0x27;
    if (unit === LF || unit === ESC || (s.syntax === 'html' && unit === 0x3e) || (s.syntax !== 'html' && unit === 0x29)) {
      s.blank = unit === LF;
      this.#text(unit);
      return;
    }
    s.mode = 'destination';
    const isQuoted = (s.syntax === 'markdown' && unit === 0x3c) || (s.syntax !== 'markdown' && isQuote);
    s.start = isQuoted ? s.length + 1 : s.length;
    if (s.syntax === 'markdown') s.end = isQuoted ? 'angle' : 'markdown';
    else if (isQuoted) s.end = unit === 0x22 ? 'double' : 'single';
    else s.end = s.syntax === 'css' ? 'round' : 'unquoted';
    s.lineFeeds = 0;
    s.escaped = unit === 0x5c;
    if (!isQuoted && unit === 0x28) s.round = 1;
  }

  /** An address in running text. */
  #startAddress(): void {
    const s = this.#s;
    s.start = s.length + 1 - depthOf(s.scheme);
    s.mode = 'bare';
    s.form = this.isCode || s.span > 0 ? 'code' : 'bare';
    if (s.form === 'bare') {
      const before = this.#tape.slice(s.start - 24, s.start);
      if (/(?:@import|fetch\(|open\(|import\(|beacon\(|socket\(|source\(|location\s*=|href\s*=|src\s*=|url\()\s*["'`]?$/i.test(before))
        s.form = 'image';
    }
    s.syntax = 'plain';
    s.holder = null;
    s.round = 0;
    s.scheme = 0;
    s.naming = false;
  }

  #startsSequence(unit: number): boolean {
    const s = this.#s;
    if (unit !== ESC && (unit < 0x90 || unit > 0x9f || NOTABLE[unit] === 0)) return false;
    s.mode = unit === ESC ? 'escape' : unit === 0x9b ? 'control' : 'sequence';
    s.start = s.length;
    s.naming = false;
    s.scheme = 0;
    return true;
  }

  #afterEscape(unit: number, found: (found: Found) => void): void {
    const s = this.#s;
    // ] P X ^ _ begin a string, [ and the intermediate bytes a control sequence; anything else is one alone.
    if (unit === 0x5d || unit === 0x50 || unit === 0x58 || unit === 0x5e || unit === 0x5f) s.mode = 'sequence';
    else if (unit === 0x5b || (unit >= 0x20 && unit <= 0x2f)) s.mode = 'control';
    else this.#escape(s.length, s.length + 1, found, unit);
    s.previous = unit;
  }

  /** Reports a sequence; `next` is the unit after it where that was read already. */
  #escape(end: number, at: number, found: (found: Found) => void, next: number | null = null): void {
    const s = this.#s;
    found({ form: 'escape', syntax: 'plain', holder: null, start: s.start, end, at });
    s.mode = 'text';
    s.indent = -1;
    if (next !== null && end === s.length) this.#text(next);
  }

  #emit(end: number, at: number, found: (found: Found) => void): void {
    const { form, syntax, holder, start } = this.#s;
    if (end > start) found({ form, syntax, holder, start, end, at });
    this.#s.escaped = false;
  }
}
