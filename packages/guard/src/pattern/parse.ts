import {
  complement,
  DIGITS,
  foldCase,
  NOT_LINE_END,
  propertySet,
  setOf,
  spaceSet,
  type UnitSet,
  union,
  unitSet,
  wordSet,
} from './unit-set.ts';

/** A pattern that cannot be accepted. `position` is the UTF-16 offset in the pattern. */
export class PatternError extends Error {
  override readonly name: string = 'PatternError';
  readonly position: number;

  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

export type AssertKind = 'begin' | 'end' | 'word-edge' | 'not-word-edge';

/** Syntax tree of a pattern. A repeat without upper bound has `max: null`. */
export type PatternNode =
  | { readonly type: 'set'; readonly set: UnitSet }
  | { readonly type: 'sequence'; readonly items: readonly PatternNode[] }
  | { readonly type: 'choice'; readonly items: readonly PatternNode[] }
  | { readonly type: 'repeat'; readonly item: PatternNode; readonly min: number; readonly max: number | null }
  | { readonly type: 'assert'; readonly kind: AssertKind };

/** Largest bound of a counted repeat, deepest nesting, longest pattern. */
export const MAX_REPEAT = 1000;
const MAX_DEPTH = 50;
const MAX_PATTERN = 4096;

const CONTROL_ESCAPES: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13 };
const NAMED_SETS: Readonly<Record<string, () => UnitSet>> = {
  d: () => DIGITS,
  D: () => complement(DIGITS),
  s: spaceSet,
  S: () => complement(spaceSet()),
  w: wordSet,
  W: () => complement(wordSet()),
};
const PUNCTUATION = /^[!-/:-@[-`{-~ ]$/;

/**
 * Parses the regular part of ECMAScript's pattern syntax: literals, classes, `\d \w \s \p{..}`, groups, alternation, `* + ? {m,n}`,
 * `^ $` (edges of the text), `\b \B`. What a finite automaton cannot do (back-references, look-around) and what has no meaning under
 * leftmost-longest matching (lazy quantifiers) is refused.
 * @throws PatternError
 */
export function parsePattern(source: string, ignoreCase: boolean): PatternNode {
  if (source.length > MAX_PATTERN) throw new PatternError(`the pattern is longer than ${MAX_PATTERN} characters`, MAX_PATTERN);
  return new Parser(source, ignoreCase).parse();
}

class Parser {
  readonly #source: string;
  #ignoreCase: boolean;
  #at = 0;
  #depth = 0;

  constructor(source: string, ignoreCase: boolean) {
    this.#source = source;
    this.#ignoreCase = ignoreCase;
  }

  parse(): PatternNode {
    if (this.#source.startsWith('(?i)')) {
      this.#ignoreCase = true;
      this.#at = 4;
    }
    const node = this.#choice();
    if (this.#at < this.#source.length) throw this.#error('unmatched )');
    return node;
  }

  #error(message: string, position: number = this.#at): PatternError {
    return new PatternError(message, position);
  }

  #peek(): string {
    return this.#source.charAt(this.#at);
  }

  #eat(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #choice(): PatternNode {
    const items = [this.#sequence()];
    while (this.#eat('|')) items.push(this.#sequence());
    return items.length === 1 && items[0] !== undefined ? items[0] : { type: 'choice', items };
  }

  #sequence(): PatternNode {
    const items: PatternNode[] = [];
    while (this.#at < this.#source.length && this.#peek() !== '|' && this.#peek() !== ')') items.push(this.#repeated());
    return items.length === 1 && items[0] !== undefined ? items[0] : { type: 'sequence', items };
  }

  #repeated(): PatternNode {
    let item = this.#atom();
    for (let count = 0; ; count++) {
      const start = this.#at;
      const bounds = this.#quantifier();
      if (bounds === null) return item;
      if (count > 0) throw this.#error('a quantifier follows a quantifier', start);
      if (item.type === 'assert') throw this.#error('nothing to repeat before the quantifier', start);
      if (this.#peek() === '?') throw this.#error('lazy quantifiers are not supported: a match is always the leftmost and longest one');
      item = { type: 'repeat', item, min: bounds[0], max: bounds[1] };
    }
  }

  #quantifier(): readonly [number, number | null] | null {
    if (this.#eat('*')) return [0, null];
    if (this.#eat('+')) return [1, null];
    if (this.#eat('?')) return [0, 1];
    if (this.#peek() !== '{') return null;
    const start = this.#at;
    const found = /^\{(\d{1,6})(?:(,)(\d{1,6})?)?\}/.exec(this.#source.slice(this.#at, this.#at + 20));
    if (found === null) throw this.#error('expected {n}, {n,} or {n,m}; write \\{ for a literal brace');
    this.#at += found[0].length;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === undefined ? null : Number(found[3]);
    if (max !== null && max < min) throw this.#error('the bounds of the repeat are out of order', start);
    if (min > MAX_REPEAT || (max ?? 0) > MAX_REPEAT) throw this.#error(`a repeat may count to ${MAX_REPEAT} at most`, start);
    if (max === 0) throw this.#error('a repeat of zero times matches nothing', start);
    return [min, max];
  }

  #atom(): PatternNode {
    const start = this.#at;
    const char = this.#peek();
    switch (char) {
      case '(':
        return this.#group();
      case '[':
        return this.#class();
      case '.':
        this.#at++;
        return { type: 'set', set: NOT_LINE_END };
      case '^':
        this.#at++;
        return { type: 'assert', kind: 'begin' };
      case '$':
        this.#at++;
        return { type: 'assert', kind: 'end' };
      case '*':
      case '+':
      case '?':
      case '{':
        throw this.#error('nothing to repeat before the quantifier', start);
      case '}':
      case ']':
        throw this.#error(`write \\${char} for a literal ${char}`, start);
    }
    if (char === '\\') {
      if (this.#eat('\\b')) return { type: 'assert', kind: 'word-edge' };
      if (this.#eat('\\B')) return { type: 'assert', kind: 'not-word-edge' };
      const escaped = this.#escape();
      return typeof escaped === 'number' ? this.#one(escaped) : { type: 'set', set: this.#fold(escaped) };
    }
    const codePoint = this.#source.codePointAt(start) ?? 0;
    this.#at += codePoint > 0xffff ? 2 : 1;
    return this.#one(codePoint);
  }

  #one(codePoint: number): PatternNode {
    if (codePoint > 0xffff) return this.#codePoints([[codePoint, codePoint]]);
    return { type: 'set', set: setOf(codePoint, this.#ignoreCase) };
  }

  #group(): PatternNode {
    const start = this.#at++;
    if (this.#eat('?')) {
      const named = /^<[A-Za-z_]\w*>/.exec(this.#source.slice(this.#at, this.#at + 64));
      if (named !== null) this.#at += named[0].length;
      else if (/^<?[=!]/.test(this.#source.slice(this.#at, this.#at + 2))) {
        throw this.#error('look-ahead and look-behind are not supported: they cannot be matched in linear time on a stream', start);
      } else if (!this.#eat(':')) {
        throw this.#error('only (...), (?:...), (?<name>...) and a leading (?i) are supported', start);
      }
    }
    if (++this.#depth > MAX_DEPTH) throw this.#error(`groups are nested deeper than ${MAX_DEPTH}`, start);
    const inner = this.#choice();
    this.#depth--;
    if (!this.#eat(')')) throw this.#error('the group is not closed', start);
    return inner;
  }

  #class(): PatternNode {
    const start = this.#at++;
    const negated = this.#eat('^');
    const points: [number, number][] = [];
    const sets: UnitSet[] = [];
    while (this.#peek() !== ']') {
      if (this.#at >= this.#source.length) throw this.#error('the class is not closed', start);
      const itemStart = this.#at;
      const low = this.#classItem();
      if (this.#peek() === '-' && this.#source.charAt(this.#at + 1) !== ']' && this.#at + 1 < this.#source.length) {
        this.#at++;
        const high = this.#classItem();
        if (typeof low !== 'number' || typeof high !== 'number') throw this.#error('a range needs a character at both ends', itemStart);
        if (high < low) throw this.#error('the range is out of order', itemStart);
        points.push([low, high]);
      } else if (typeof low === 'number') points.push([low, low]);
      else sets.push(low);
    }
    this.#at++;
    if (points.length === 0 && sets.length === 0) throw this.#error('the class is empty', start);
    if (!negated) return this.#codePoints(points, sets);
    if (points.some(([, high]) => high > 0xffff)) {
      throw this.#error('a negated class may not name characters above U+FFFF: it matches one UTF-16 unit', start);
    }
    return { type: 'set', set: complement(this.#fold(union(unitSet(points), ...sets))) };
  }

  #classItem(): number | UnitSet {
    const char = this.#peek();
    if (char === '\\') {
      if (this.#eat('\\b')) return 8;
      return this.#escape();
    }
    if (char === '[' && /^\[[:.=]/.test(this.#source.slice(this.#at, this.#at + 2))) throw this.#error('POSIX classes are not supported');
    const codePoint = this.#source.codePointAt(this.#at) ?? 0;
    this.#at += codePoint > 0xffff ? 2 : 1;
    return codePoint;
  }

  /** An escape: a code point, or the set it stands for. */
  #escape(): number | UnitSet {
    const start = this.#at++;
    const char = this.#peek();
    this.#at++;
    const set = NAMED_SETS[char];
    if (set !== undefined) return set();
    const control = CONTROL_ESCAPES[char];
    if (control !== undefined) return control;
    if (char === 'x' || char === 'u') return this.#hex(char, start);
    if (char === 'p' || char === 'P') {
      const found = /^\{([^}]{1,60})\}/.exec(this.#source.slice(this.#at, this.#at + 64));
      const property = found === null ? null : propertySet(found[1] ?? '');
      if (found === null || property === null) throw this.#error('unknown Unicode property', start);
      this.#at += found[0].length;
      return char === 'p' ? property : complement(property);
    }
    if (char === '0' && !/\d/.test(this.#peek())) return 0;
    if (/[0-9k]/.test(char)) throw this.#error('back-references are not supported: they cannot be matched in linear time', start);
    if (PUNCTUATION.test(char)) return char.charCodeAt(0);
    throw this.#error(char === '' ? 'the pattern ends in a backslash' : 'unknown escape', start);
  }

  #hex(kind: 'x' | 'u', start: number): number {
    const rest = this.#source.slice(this.#at, this.#at + 10);
    const found = kind === 'x' ? /^([0-9a-fA-F]{2})/.exec(rest) : /^(?:([0-9a-fA-F]{4})|\{([0-9a-fA-F]{1,6})\})/.exec(rest);
    const value = found === null ? Number.NaN : Number.parseInt(found[1] ?? found[2] ?? '', 16);
    if (found === null || !(value <= 0x10ffff)) throw this.#error('expected \\xHH, \\uHHHH or \\u{H...}', start);
    this.#at += found[0].length;
    return value;
  }

  #fold(set: UnitSet): UnitSet {
    return this.#ignoreCase ? foldCase(set) : set;
  }

  /** Code points as units: those above U+FFFF become a high surrogate followed by a low one. Case is folded below U+10000 only. */
  #codePoints(points: readonly (readonly [number, number])[], sets: readonly UnitSet[] = []): PatternNode {
    const units = this.#fold(
      union(unitSet(points.filter(([low]) => low <= 0xffff).map(([low, high]) => [low, Math.min(high, 0xffff)])), ...sets),
    );
    const items: PatternNode[] = units.length > 0 ? [{ type: 'set', set: units }] : [];
    for (const [low, high] of points) if (high > 0xffff) items.push(...surrogatePairs(Math.max(low, 0x10000), high));
    return items.length === 1 && items[0] !== undefined ? items[0] : { type: 'choice', items };
  }
}

function surrogatePairs(low: number, high: number): PatternNode[] {
  const pair = (h1: number, h2: number, l1: number, l2: number): PatternNode => ({
    type: 'sequence',
    items: [
      { type: 'set', set: [h1, h2] },
      { type: 'set', set: [l1, l2] },
    ],
  });
  const split = (point: number): [number, number] => [0xd800 + ((point - 0x10000) >> 10), 0xdc00 + ((point - 0x10000) & 0x3ff)];
  const [h1, l1] = split(low);
  const [h2, l2] = split(high);
  if (h1 === h2) return [pair(h1, h1, l1, l2)];
  const out = [pair(h1, h1, l1, 0xdfff), pair(h2, h2, 0xdc00, l2)];
  if (h2 - h1 > 1) out.push(pair(h1 + 1, h2 - 1, 0xdc00, 0xdfff));
  return out;
}
