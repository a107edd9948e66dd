import { type AssertKind, PatternError, type PatternNode, parsePattern } from './parse.ts';
import { rangesOf, type UnitSet, wordSet } from './unit-set.ts';

/** What the instructions of a program do. Instruction ids are indexes into the parallel arrays of `Program`. */
export const OP_SET = 0;
export const OP_SPLIT = 1;
export const OP_ASSERT = 2;
export const OP_MATCH = 3;

/** What stands on either side of a position, as far as the assertions need it. */
export const KIND_OTHER = 0;
export const KIND_WORD = 1;
export const KIND_EDGE = 2;

const ASSERT_CODE: Readonly<Record<AssertKind, number>> = { begin: 0, end: 1, 'word-edge': 2, 'not-word-edge': 3 };

/** Largest program of one pattern and of a whole set, in instructions: bounds the work on a single unit of hostile text. */
const MAX_PATTERN_PROGRAM = 8_000;
const MAX_PROGRAM = 60_000;

export interface PatternSource {
  readonly source: string;
  readonly ignoreCase?: boolean;
}

/**
 * A non-deterministic automaton (Thompson 1968) for a set of patterns, over equivalence classes of code units.
 * `SET`: consume a unit of class set `x`, go to `y` · `SPLIT`: go to `x` and `y` · `ASSERT`: if assertion `x` holds, go to `y` ·
 * `MATCH`: pattern `x` ends here.
 */
export interface Program {
  readonly op: Uint8Array;
  readonly x: Int32Array;
  readonly y: Int32Array;
  /** The pattern each instruction belongs to. */
  readonly owner: Int32Array;
  /** Entry instruction of each pattern. */
  readonly entries: readonly number[];
  /** Class of every code unit. */
  readonly classOf: Uint16Array;
  readonly classCount: number;
  /** `KIND_WORD` or `KIND_OTHER` of each class. */
  readonly kindOf: Uint8Array;
  /** Whether set `s` contains class `c`: `members[s * classCount + c]`. */
  readonly members: Uint8Array;
  /** True where any pattern has an assertion, so that what precedes a position is part of the automaton's state. */
  readonly asserts: boolean;
}

/**
 * Compiles patterns into one program.
 * @throws PatternError where a pattern is not in the supported syntax, can match the empty text, or is too large.
 */
export function compileProgram(patterns: readonly PatternSource[]): Program {
  return new ProgramBuilder().build(patterns);
}

class ProgramBuilder {
  readonly #op: number[] = [];
  readonly #x: number[] = [];
  readonly #y: number[] = [];
  readonly #owner: number[] = [];
  readonly #sets: UnitSet[] = [];
  /** By the array, which is the same for each letter, and by what is in it. */
  readonly #setIds = new Map<UnitSet | string, number>();
  #pattern = 0;
  #limit = 0;
  #asserts = false;

  build(patterns: readonly PatternSource[]): Program {
    const entries: number[] = [];
    for (const { source, ignoreCase } of patterns) {
      const tree = parsePattern(source, ignoreCase ?? false);
      if (isNullable(tree)) throw new PatternError('the pattern matches the empty text', 0);
      this.#pattern = entries.length;
      this.#limit = Math.min(MAX_PROGRAM, this.#op.length + MAX_PATTERN_PROGRAM);
      entries.push(this.#emit(tree, this.#add(OP_MATCH, this.#pattern, 0)));
    }
    const { classOf, classCount, members, kindOf } = classify(this.#sets, this.#asserts);
    return {
      op: Uint8Array.from(this.#op),
      x: Int32Array.from(this.#x),
      y: Int32Array.from(this.#y),
      owner: Int32Array.from(this.#owner),
      entries,
      classOf,
      classCount,
      kindOf,
      members,
      asserts: this.#asserts,
    };
  }

  #add(op: number, x: number, y: number): number {
    if (this.#op.length >= this.#limit) throw new PatternError('the pattern is too large: use smaller counted repeats', 0);
    this.#x.push(x);
    this.#y.push(y);
    this.#owner.push(this.#pattern);
    return this.#op.push(op) - 1;
  }

  /** Emits `node` so that it continues at instruction `next`; returns its entry. */
  #emit(node: PatternNode, next: number): number {
    switch (node.type) {
      case 'set':
        return this.#add(OP_SET, this.#setId(node.set), next);
      case 'assert':
        this.#asserts = true;
        return this.#add(OP_ASSERT, ASSERT_CODE[node.kind], next);
      case 'sequence':
        return node.items.reduceRight((follow, item) => this.#emit(item, follow), next);
      case 'choice':
        return node.items.map((item) => this.#emit(item, next)).reduceRight((rest, entry) => this.#add(OP_SPLIT, entry, rest));
      case 'repeat':
        return this.#emitRepeat(node.item, node.min, node.max, next);
    }
  }

  #emitRepeat(item: PatternNode, min: number, max: number | null, next: number): number {
    let entry = next;
    if (max === null) {
      entry = this.#add(OP_SPLIT, 0, next);
      this.#x[entry] = this.#emit(item, entry);
    } else {
      for (let count = min; count < max; count++) entry = this.#add(OP_SPLIT, this.#emit(item, entry), next);
    }
    for (let count = 0; count < min; count++) entry = this.#emit(item, entry);
    return entry;
  }

  #setId(set: UnitSet): number {
    const known = this.#setIds.get(set);
    if (known !== undefined) return known;
    const key = set.join();
    const id = this.#setIds.get(key) ?? this.#sets.push(set) - 1;
    this.#setIds.set(key, id).set(set, id);
    return id;
  }
}

function isNullable(node: PatternNode): boolean {
  switch (node.type) {
    case 'set':
      return false;
    case 'assert':
      return true;
    case 'sequence':
      return node.items.every(isNullable);
    case 'choice':
      return node.items.some(isNullable);
    case 'repeat':
      return node.min === 0 || isNullable(node.item);
  }
}

/** Splits the code units into the fewest classes that no set tells apart. */
function classify(sets: readonly UnitSet[], asserts: boolean): Pick<Program, 'classOf' | 'classCount' | 'members' | 'kindOf'> {
  const all = asserts ? [...sets, wordSet()] : sets;
  const bounds = new Set<number>([0]);
  for (const set of all) {
    for (const [lo, hi] of rangesOf(set)) bounds.add(lo).add(hi + 1);
  }
  const starts = [...bounds].filter((start) => start <= 0xffff).sort((a, b) => a - b);
  const segmentAt = new Map(starts.map((start, segment) => [start, segment]));
  const segmentClass = new Int32Array(starts.length);
  let classCount = 1;
  for (const set of all) {
    const renamed = new Map<number, number>();
    for (let range = 0; range < set.length; range += 2) {
      const last = set[range + 1] ?? 0;
      for (let s = segmentAt.get(set[range] ?? 0) ?? 0; s < starts.length && (starts[s] ?? 0) <= last; s++) {
        const old = segmentClass[s] ?? 0;
        let fresh = renamed.get(old);
        if (fresh === undefined) {
          fresh = classCount++;
          renamed.set(old, fresh);
        }
        segmentClass[s] = fresh;
      }
    }
  }
  // A class whose every segment was renamed is left empty: number the used ones anew.
  const order = new Map<number, number>();
  const classOf = new Uint16Array(0x10000);
  const sample: number[] = [];
  starts.forEach((start, s) => {
    const old = segmentClass[s] ?? 0;
    let id = order.get(old);
    if (id === undefined) {
      id = order.size;
      order.set(old, id);
      sample.push(start);
    }
    classOf.fill(id, start, starts[s + 1] ?? 0x10000);
  });
  classCount = order.size;
  const members = new Uint8Array(sets.length * classCount);
  sets.forEach((set, s) => {
    for (let c = 0; c < classCount; c++) members[s * classCount + c] = contains(set, sample[c] ?? 0) ? 1 : 0;
  });
  const kindOf = new Uint8Array(classCount);
  if (asserts) for (let c = 0; c < classCount; c++) kindOf[c] = contains(wordSet(), sample[c] ?? 0) ? KIND_WORD : KIND_OTHER;
  return { classOf, classCount, members, kindOf };
}

function contains(set: UnitSet, unit: number): boolean {
  for (let index = 0; index < set.length; index += 2) {
    if ((set[index + 1] ?? 0) >= unit) return (set[index] ?? 0) <= unit;
  }
  return false;
}

/** Whether assertion `code` holds between a unit of kind `before` and one of kind `after`. */
export function assertionHolds(code: number, before: number, after: number): boolean {
  if (code === 0) return before === KIND_EDGE;
  if (code === 1) return after === KIND_EDGE;
  return ((before === KIND_WORD) !== (after === KIND_WORD)) === (code === 2);
}
