import { assertionHolds, KIND_EDGE, KIND_OTHER, OP_ASSERT, OP_MATCH, OP_SET, OP_SPLIT, type Program } from './program.ts';

/**
 * A state: the threads of the program that are under way, in groups of equal start, earliest start first. Where a group started is part of
 * the state only as long as it is young, as its age in units; then it goes into a register of the reader. So one state serves every place in
 * every text, and the many candidates that die within a few units never touch a register. A state without groups is quiet: no match is
 * under way.
 */
export interface State {
  /** Row of the transition table, already multiplied by the row's width. */
  readonly base: number;
  /** Instructions (`SET` and `ASSERT` only, sorted) of each group. */
  readonly groups: readonly Int32Array[];
  /** How many of the groups, the first ones, have their start in a register. */
  readonly old: number;
  /** Units read by each of the other groups. */
  readonly ages: readonly number[];
  /** Kind of the unit before this position; `KIND_OTHER` where the program has no assertions. */
  readonly before: number;
  /** The matches at the end of the text, once they were asked for: most texts end in a few states. */
  finish: Int32Array | null;
  /** Step taken when the first group has reached the length cap; made when first needed. */
  overflow: Overflow | null;
}

/**
 * Where a group started: the register at this index, or, where negative, `offset + 1 + reference` with the offset of the unit of the step.
 */
export type StartReference = number;

/** What one unit does to a state. Accepts are pairs of a pattern and the start reference of a group before the step. */
export interface Step {
  readonly next: State;
  /** Row of `next`. */
  readonly base: number;
  /** True where there is a match, late or early. */
  readonly accepts: boolean;
  /** Matches that end before the unit: an assertion had to see it first. */
  readonly late: Int32Array;
  /** Matches that end after the unit. */
  readonly early: Int32Array;
  /** For every register of `next`, the start reference it is set to. Indexes ascend, so registers can be moved in place. */
  readonly registers: Int32Array;
}

/** Drops the first group. `patterns` are those that were under way in it. */
export interface Overflow {
  readonly patterns: Int32Array;
  readonly next: State;
  readonly registers: Int32Array;
}

/** Units after which a group's start goes into a register. */
const YOUNG = 8;
const NONE = new Int32Array(0);
/** Cells of the transition table and steps kept before the cache is emptied: 4 MB and about 10 MB at most for one set of patterns. */
const MAX_CELLS = 1 << 20;
const MAX_STEPS = 1 << 17;

/**
 * The deterministic automaton of a program, built as far as texts need it and shared by all readers of the set.
 *
 * It is a tagged automaton (Laurikari 2000) with one tag, the start. Two rules make it find the leftmost-longest, non-overlapping
 * matches of every pattern in one pass, without going back:
 * 1. a thread is dropped when a thread with an earlier start is at the same instruction: whatever it could match, the other matches too,
 *    further left;
 * 2. when a pattern matches from some start, its threads with later starts are dropped: they would overlap the match. Those with earlier
 *    starts stay, since they may still give a match further left that replaces this one (see `Matcher`).
 */
export class Automaton {
  readonly program: Program;
  readonly width: number;
  /** Cell of row `base`, class `c`: 0 unknown · positive: go to row value-1, registers as they are · negative: `steps[-value - 1]`. */
  table: Int32Array;
  /** Increases when the cache is emptied: rows of an older generation are void. */
  generation = 0;
  steps: Step[] = [];
  readonly #maxStates: number;
  readonly #young: number;
  #states: State[] = [];
  #byKey = new Map<string, State>();
  #start: State | null = null;
  readonly #initial: Int32Array;
  /** Scratch marks, by instruction and by pattern; a value equal to `#mark` means marked in this computation. */
  readonly #seenBefore: Int32Array;
  readonly #seenAfter: Int32Array;
  readonly #killedLate: Int32Array;
  readonly #killedEarly: Int32Array;
  #mark = 0;
  /** Work done, in instructions visited: evidence of linear time for tests. */
  work = 0;

  /** @param maxMatch longest match, which a group must reach with its start in a register */
  constructor(program: Program, maxMatch: number, maxStates = 16_384) {
    this.#young = Math.min(YOUNG, maxMatch - 1);
    this.program = program;
    this.width = program.classCount + 1;
    this.#maxStates = Math.max(4, Math.min(maxStates, Math.floor(MAX_CELLS / this.width)));
    this.table = new Int32Array(Math.min(32, this.#maxStates) * this.width);
    const size = program.op.length;
    this.#seenBefore = new Int32Array(size);
    this.#seenAfter = new Int32Array(size);
    this.#killedLate = new Int32Array(program.entries.length);
    this.#killedEarly = new Int32Array(program.entries.length);
    const initial: number[] = [];
    this.#mark++;
    for (const entry of program.entries) this.#closure(entry, initial, this.#seenAfter);
    this.#initial = Int32Array.from(initial).sort();
  }

  get stateCount(): number {
    return this.#states.length;
  }

  /** The state before the first unit of a text. */
  start(): State {
    this.#start ??= this.#intern([], 0, [], this.program.asserts ? KIND_EDGE : KIND_OTHER);
    return this.#start;
  }

  stateAt(base: number): State {
    const state = this.#states[base / this.width];
    if (state === undefined) throw new RangeError('no such state');
    return state;
  }

  /** The same state in the present generation. */
  revive(state: State): State {
    return this.#intern(state.groups, state.old, state.ages, state.before);
  }

  /** Computes and keeps the step of `state` on a class. The cache may be emptied meanwhile (`generation`, `table` and `steps` change). */
  step(state: State, unitClass: number): Step {
    if (this.#states.length + 2 > this.#maxStates || this.steps.length >= MAX_STEPS) {
      this.#empty();
      state = this.revive(state);
    }
    const step = this.#compute(state, unitClass);
    const plain = !step.accepts && step.registers.length === state.old && step.registers.every((from, register) => from === register);
    this.table[state.base + unitClass] = plain ? step.next.base + 1 : -this.steps.push(step);
    return step;
  }

  /** The matches that end at the end of the text: pairs of pattern and start reference, the end being the offset. */
  finish(state: State): Int32Array {
    state.finish ??= this.#settle(state, KIND_EDGE).late;
    return state.finish;
  }

  /** Drops the first group of a state, and for `matched` patterns the later threads that would overlap the match it is taken for. */
  overflow(state: State, matched: Uint8Array): Overflow {
    if (state.overflow !== null) return state.overflow;
    const [first, ...rest] = state.groups;
    const patterns = [...new Set([...(first ?? [])].map((leaf) => this.program.owner[leaf] ?? 0))].sort((a, b) => a - b);
    const dropped = new Set(patterns.filter((pattern) => matched[pattern] === 1));
    const groups: Int32Array[] = [];
    const registers: number[] = [];
    const ages: number[] = [];
    rest.forEach((leaves, index) => {
      const kept = leaves.filter((leaf) => !dropped.has(this.program.owner[leaf] ?? 0));
      if (kept.length === 0) return;
      groups.push(kept);
      if (index + 1 < state.old) registers.push(index + 1);
      else ages.push(state.ages[index + 1 - state.old] ?? 0);
    });
    const next = this.#intern(groups, registers.length, ages, state.before);
    state.overflow = { patterns: Int32Array.from(patterns), next, registers: Int32Array.from(registers) };
    return state.overflow;
  }

  #empty(): void {
    this.generation++;
    this.#start = null;
    this.#states = [];
    this.steps = [];
    this.#byKey = new Map();
    this.table.fill(0);
  }

  #intern(groups: readonly Int32Array[], old: number, ages: readonly number[], before: number): State {
    let key = String.fromCharCode(before, old, ...ages, 0xffff);
    for (const leaves of groups) key += `${String.fromCharCode(...leaves)}\uffff`;
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const base = this.#states.length * this.width;
    if (base + this.width > this.table.length) {
      const larger = new Int32Array(Math.max(base + this.width, this.table.length * 2));
      larger.set(this.table);
      this.table = larger;
    }
    const state: State = { base, groups, old, ages, before, overflow: null, finish: null };
    this.#states.push(state);
    this.#byKey.set(key, state);
    return state;
  }

  #compute(state: State, unitClass: number): Step {
    const { owner, op, x, y, kindOf, members, classCount, asserts } = this.program;
    const kind = asserts ? (kindOf[unitClass] ?? 0) : KIND_OTHER;
    const { settled, late } = this.#settle(state, kind);
    const mark = this.#mark;
    const next: Int32Array[] = [];
    const registers: number[] = [];
    const ages: number[] = [];
    const early: number[] = [];
    settled.forEach((leaves, index) => {
      const start = startReference(state, index);
      const reached: number[] = [];
      for (const leaf of leaves) {
        if (op[leaf] !== OP_SET || members[(x[leaf] ?? 0) * classCount + unitClass] !== 1) continue;
        if (this.#killedEarly[owner[leaf] ?? 0] === mark) continue;
        this.#closure(y[leaf] ?? 0, reached, this.#seenAfter);
      }
      const live = reached.filter((leaf) => op[leaf] !== OP_MATCH);
      for (const leaf of reached) {
        if (op[leaf] !== OP_MATCH) continue;
        early.push(x[leaf] ?? 0, start);
        this.#killedEarly[x[leaf] ?? 0] = mark;
      }
      if (live.length === 0) return;
      next.push(Int32Array.from(live).sort());
      // A start reference of -1 - age says how many units the group has read before this one.
      if (start < 0 && -start <= this.#young) ages.push(-start);
      else registers.push(start);
    });
    const target = this.#intern(next, registers.length, ages, kind);
    return {
      next: target,
      base: target.base,
      accepts: late.length > 0 || early.length > 0,
      late,
      early: early.length === 0 ? NONE : Int32Array.from(early),
      registers: registers.length === 0 ? NONE : Int32Array.from(registers),
    };
  }

  /** Resolves the assertions of a state now that the kind of the next unit is known. The last entry of `settled` is the group that starts here. */
  #settle(state: State, kind: number): { readonly settled: number[][]; readonly late: Int32Array } {
    const { owner, op, x } = this.program;
    const mark = ++this.#mark;
    const late: number[] = [];
    const settled: number[][] = [];
    const settleGroup = (leaves: Int32Array, index: number): void => {
      const out: number[] = [];
      const isNew = index === state.groups.length;
      for (const leaf of leaves) {
        if (!isNew && this.#killedLate[owner[leaf] ?? 0] === mark) continue;
        this.#resolve(leaf, state.before, kind, out);
      }
      for (const leaf of out) {
        if (op[leaf] !== OP_MATCH) continue;
        late.push(x[leaf] ?? 0, startReference(state, index));
        this.#killedLate[x[leaf] ?? 0] = mark;
      }
      settled.push(out);
    };
    state.groups.forEach(settleGroup);
    settleGroup(this.#initial, state.groups.length);
    return { settled, late: late.length === 0 ? NONE : Int32Array.from(late) };
  }

  /** Adds what is reached from `entry` without consuming and without an assertion: instructions that wait for the next unit. */
  #closure(entry: number, out: number[], seen: Int32Array): void {
    const { op, x, y } = this.program;
    const stack = [entry];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      this.work++;
      if (seen[at] === this.#mark) continue;
      seen[at] = this.#mark;
      if (op[at] === OP_SPLIT) stack.push(y[at] ?? 0, x[at] ?? 0);
      else out.push(at);
    }
  }

  /** As `#closure`, passing the assertions that hold between kinds `before` and `after`. */
  #resolve(entry: number, before: number, after: number, out: number[]): void {
    const { op, x, y } = this.program;
    const stack = [entry];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      this.work++;
      if (this.#seenBefore[at] === this.#mark) continue;
      this.#seenBefore[at] = this.#mark;
      if (op[at] === OP_SPLIT) stack.push(y[at] ?? 0, x[at] ?? 0);
      else if (op[at] === OP_ASSERT) {
        if (assertionHolds(x[at] ?? 0, before, after)) stack.push(y[at] ?? 0);
      } else out.push(at);
    }
  }
}

/** Where group `index` of a state started, or the group that starts at the next unit (`index` beyond the last). */
function startReference({ old, ages }: State, index: number): StartReference {
  return index < old ? index : -1 - (ages[index - old] ?? 0);
}
