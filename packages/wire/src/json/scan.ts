import type { RequestLimits } from '../endpoint.ts';
import { KeyLedger } from './keys.ts';
import { BRACE_CLOSE, BRACE_OPEN, BRACKET_CLOSE, BRACKET_OPEN, COLON, COMMA, decodeString, MINUS, NINE, QUOTE, ZERO } from './text.ts';

/** Why a text is refused before it is parsed. `tooLarge` ones are answered with 413. */
export interface Flaw {
  readonly message: string;
  readonly tooLarge: boolean;
  /** Where in the text, so that the path can be worked out for the message. */
  readonly offset: number;
  /** The member name at fault, where it is the name and not a value. */
  readonly key: string | null;
}

/** Longer than any number a program writes; bounds the cost of reading one. */
const LONGEST_NUMBER = 64;

/**
 * Walks JSON text once and says what `JSON.parse` would let through: duplicate and prototype-polluting names, lone surrogates and
 * control characters written as escapes, numbers that are not finite, too much of anything. It follows the grammar only as far as it
 * must to stay in step with a text that is valid; `JSON.parse`, which runs next, refuses the rest. Linear in the text, no recursion.
 *
 * `maxValues` counts the members and elements; an empty container counts as two.
 */
export function scanJson(text: string, limits: RequestLimits): Flaw | null {
  const end = text.length;
  const keys = new KeyLedger(text);
  let isObject = false;
  const outer: boolean[] = [];
  let expectsName = false;
  let values = 1;
  let backslash = text.indexOf('\\');
  if (backslash < 0) backslash = end;

  for (let at = 0; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const open = at;
      let close = text.indexOf('"', open + 1);
      if (close < 0) return null; // unterminated: JSON.parse says so
      let escaped = false;
      while (backslash < close) {
        // Only a backslash can hide a quote, so the two searches leapfrog and each passes over the text once.
        escaped = true;
        const step = escapeLength(text, backslash);
        if (step < 0) return flaw(ESCAPE_FLAWS[-step - 1] ?? '', open, expectsName ? rawName(text, open, backslash) : null);
        const next = backslash + step;
        if (next > close) {
          close = text.indexOf('"', next);
          if (close < 0) return null;
        }
        backslash = text.indexOf('\\', next);
        if (backslash < 0) backslash = end;
      }
      if (close - open - 1 > limits.maxStringLength && decodedLength(text, open, close, escaped) > limits.maxStringLength) {
        return tooLarge(`is longer than ${limits.maxStringLength} characters`, open);
      }
      if (expectsName) {
        const bad = keys.add(open + 1, close, escaped);
        if (bad !== null) return { message: bad.message, tooLarge: false, offset: open, key: bad.key };
      }
      at = close;
    } else if (code === COMMA) {
      expectsName = isObject;
      values += 1;
      if (values > limits.maxValues) return tooLarge(`has more than ${limits.maxValues} values`, 0);
    } else if (code === COLON) {
      expectsName = false;
    } else if (code === BRACE_OPEN || code === BRACKET_OPEN) {
      outer.push(isObject);
      if (outer.length > limits.maxDepth) return flaw(`is nested deeper than ${limits.maxDepth} levels`, at, null);
      values += 1;
      if (values > limits.maxValues) return tooLarge(`has more than ${limits.maxValues} values`, 0);
      isObject = code === BRACE_OPEN;
      expectsName = isObject;
      if (isObject) keys.open();
    } else if (code === BRACE_CLOSE || code === BRACKET_CLOSE) {
      if (isObject) keys.close();
      isObject = outer.pop() ?? false;
      expectsName = false;
    } else if (code === MINUS || (code >= ZERO && code <= NINE)) {
      const stop = numberEnd(text, at);
      if (stop - at > LONGEST_NUMBER) return flaw(`has a number of more than ${LONGEST_NUMBER} characters`, at, null);
      // Without an exponent a number this short is finite.
      if (hasExponent(text, at, stop) && !Number.isFinite(Number(text.slice(at, stop)))) return flaw('has a number out of range', at, null);
      at = stop - 1;
    }
  }
  return null;
}

const ESCAPE_FLAWS = ['holds a control character', 'holds half of a surrogate pair'] as const;
const CONTROL = -1;
const LONE_SURROGATE = -2;

/**
 * How many units the escape at the backslash `at` takes (a surrogate pair takes both of its escapes), or which flaw it is. Tab, line
 * feed and carriage return are text; every other C0 control character is refused, NUL first of all: it ends a string in C.
 */
function escapeLength(text: string, at: number): number {
  const kind = text.charCodeAt(at + 1);
  if (kind === 0x62 || kind === 0x66) return CONTROL; // \b \f
  if (kind !== 0x75) return 2;
  const unit = hexUnit(text, at + 2);
  if (unit < 0x20 && unit >= 0) return unit === 0x09 || unit === 0x0a || unit === 0x0d ? 6 : CONTROL;
  if (unit < 0xd800 || unit > 0xdfff) return 6;
  if (unit > 0xdbff || text.charCodeAt(at + 6) !== 0x5c || text.charCodeAt(at + 7) !== 0x75) return LONE_SURROGATE;
  const low = hexUnit(text, at + 8);
  return low >= 0xdc00 && low <= 0xdfff ? 12 : LONE_SURROGATE;
}

/** The value of four hexadecimal digits, or -1 where they are not (a syntax error that JSON.parse reports). */
function hexUnit(text: string, at: number): number {
  let unit = 0;
  for (let index = at; index < at + 4; index += 1) {
    const code = text.charCodeAt(index);
    const digit = code <= NINE ? code - ZERO : (code | 0x20) - 0x57;
    if (!(digit >= 0 && digit <= 15) || (code > NINE && digit < 10)) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

function numberEnd(text: string, at: number): number {
  for (at += 1; ; at += 1) {
    const code = text.charCodeAt(at);
    // digits + - . e E
    if (!((code >= ZERO && code <= NINE) || code === 0x2e || code === 0x65 || code === 0x45 || code === 0x2b || code === MINUS)) return at;
  }
}

function hasExponent(text: string, at: number, stop: number): boolean {
  for (; at < stop; at += 1) if ((text.charCodeAt(at) | 0x20) === 0x65) return true;
  return false;
}

function decodedLength(text: string, open: number, close: number, escaped: boolean): number {
  if (!escaped) return close - open - 1;
  try {
    return decodeString(text, open, close).length;
  } catch {
    return 0; // a malformed escape: JSON.parse, which runs next, reports it
  }
}

/** The part of a name before the escape at fault. */
function rawName(text: string, open: number, backslash: number): string {
  return text.slice(open + 1, Math.min(backslash, open + 65));
}

function flaw(message: string, offset: number, key: string | null): Flaw {
  return { message, tooLarge: false, offset, key };
}

function tooLarge(message: string, offset: number): Flaw {
  return { message, tooLarge: true, offset, key: null };
}
