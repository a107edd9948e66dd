import { decodeString } from './text.ts';

/** Names that reach an object's prototype in careless code, ours or the upstream's. */
const FORBIDDEN = ['__proto__', 'constructor', 'prototype'] as const;

/** Objects with more members than this are checked with a set: comparing each with each would be quadratic. */
const COMPARED = 8;

/**
 * The member names seen so far in the objects that are open, innermost last. Names are compared as they read after unescaping, so
 * `"a"` and `"\u0061"` are one. The usual small object costs a few integer comparisons and no allocation: a name is kept as its
 * offsets `[start, end)` into the text.
 */
export class KeyLedger {
  readonly #text: string;
  /** Start and end of every name of the open objects, flat. */
  readonly #spans: number[] = [];
  /** Where in `#spans` each open object begins. */
  readonly #bases: number[] = [];
  /** By nesting of objects: the set that took over from the spans, once there were too many names or an escaped one. */
  readonly #sets: (Set<string> | null)[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  open(): void {
    this.#bases.push(this.#spans.length);
    this.#sets.push(null);
  }

  close(): void {
    this.#spans.length = this.#bases.pop() ?? 0;
    this.#sets.pop();
  }

  /** Adds the name at `[start, end)` to the innermost object, or says what is wrong with it. */
  add(start: number, end: number, escaped: boolean): { readonly message: string; readonly key: string } | null {
    const base = this.#bases.at(-1) ?? 0;
    const set = this.#sets.at(-1) ?? null;
    if (escaped || set !== null || this.#spans.length - base >= 2 * COMPARED) return this.#addToSet(base, set, start, end);

    const text = this.#text;
    const length = end - start;
    if ((length === 9 || length === 11) && FORBIDDEN.some((name) => name.length === length && text.startsWith(name, start))) {
      return forbidden(text.slice(start, end));
    }
    for (let index = base; index < this.#spans.length; index += 2) {
      const other = this.#spans[index] ?? 0;
      if ((this.#spans[index + 1] ?? 0) - other === length && sameUnits(text, other, start, length))
        return duplicate(text.slice(start, end));
    }
    this.#spans.push(start, end);
    return null;
  }

  #addToSet(base: number, set: Set<string> | null, start: number, end: number): { readonly message: string; readonly key: string } | null {
    if (set === null) {
      set = new Set();
      for (let index = base; index < this.#spans.length; index += 2) set.add(this.#text.slice(this.#spans[index], this.#spans[index + 1]));
      this.#sets[this.#sets.length - 1] = set;
    }
    let name: string;
    try {
      name = decodeString(this.#text, start - 1, end);
    } catch {
      return null; // a malformed escape: JSON.parse, which runs next, reports it
    }
    if (FORBIDDEN.some((other) => other === name)) return forbidden(name);
    if (set.has(name)) return duplicate(name);
    set.add(name);
    return null;
  }
}

function sameUnits(text: string, one: number, other: number, length: number): boolean {
  for (let index = 0; index < length; index += 1) {
    if (text.charCodeAt(one + index) !== text.charCodeAt(other + index)) return false;
  }
  return true;
}

function duplicate(key: string): { readonly message: string; readonly key: string } {
  return { message: 'is given twice', key };
}

function forbidden(key: string): { readonly message: string; readonly key: string } {
  return { message: 'is not an allowed name', key };
}
