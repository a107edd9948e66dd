import { pieceOf } from '../window/piece.ts';
import type { State, Step } from './automaton.ts';
import type { PatternMatch, PatternSet } from './pattern-set.ts';

/** One for each of three matchers that read together. */
export type Lanes<T> = readonly [T, T, T];

/**
 * Reads one text in pieces and reports the leftmost-longest, non-overlapping matches of each pattern, whatever the pieces.
 *
 * Per pattern it keeps a list of tentative matches, by start. A match is tentative while a thread with the same or an earlier start is
 * alive: that thread may extend or replace it. A new match of a pattern from start `s` removes its tentative matches from `s` on (they
 * end before it does, so they overlap it). Every unit adds at most one match a pattern and every match is removed once: the work is
 * linear in the text.
 */
export class Matcher {
  readonly #set: PatternSet;
  #state: State;
  #generation: number;
  /** Units read so far. */
  #length = 0;
  /** Starts of the old groups of the state, ascending. */
  #starts: Int32Array = new Int32Array(8);
  #old = 0;
  /** Tentative matches by pattern; patterns without any are absent. */
  #tentative = new Map<number, PatternMatch[]>();
  readonly #stops: boolean;
  #stopped = false;
  /** What `rewind` goes back to. */
  #markedState: State;
  #markedGeneration: number;
  #markedLength = 0;
  #markedStarts: Int32Array = new Int32Array(0);
  #markedOld = 0;
  #markedTentative: ReadonlyMap<number, readonly PatternMatch[]> = NO_MATCHES;

  /** @param stops whether an urgent match ends the reading */
  constructor(set: PatternSet, stops = true) {
    this.#stops = stops;
    this.#set = set;
    this.#state = set.automaton.start();
    this.#generation = set.automaton.generation;
    this.#markedState = this.#state;
    this.#markedGeneration = this.#generation;
  }

  /** The smallest offset at which a match could start that is not reported yet; what lies before is decided. Never decreases. */
  get pending(): number {
    return this.#floor(this.#state, this.#length);
  }

  /** True after an urgent match: nothing more is read. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Another reader, at the moment of the last `mark`, that waits for the final form of every match: it never stops at an urgent one. */
  fork(): Matcher {
    const other = new Matcher(this.#set, false);
    other.#markedState = this.#markedState;
    other.#markedGeneration = this.#markedGeneration;
    other.#markedLength = this.#markedLength;
    other.#markedStarts = this.#markedStarts.slice();
    other.#markedOld = this.#markedOld;
    other.#markedTentative = this.#markedTentative;
    other.rewind();
    return other;
  }

  /** Begins anew with another text. */
  reset(): void {
    this.#state = this.#set.automaton.start();
    this.#generation = this.#set.automaton.generation;
    this.#length = 0;
    this.#old = 0;
    if (this.#tentative.size > 0) this.#tentative.clear();
    this.#stopped = false;
  }

  /** Remembers this moment for `rewind`. */
  mark(): void {
    this.#markedState = this.#state;
    this.#markedGeneration = this.#generation;
    this.#markedLength = this.#length;
    this.#markedOld = this.#old;
    if (this.#old > 0) {
      if (this.#markedStarts.length < this.#old) this.#markedStarts = new Int32Array(this.#starts.length);
      for (let register = 0; register < this.#old; register++) this.#markedStarts[register] = this.#starts[register] ?? 0;
    }
    this.#markedTentative = this.#tentative.size === 0 ? NO_MATCHES : copyOf(this.#tentative);
  }

  /** Goes back to the moment of the last `mark`. */
  rewind(): void {
    this.#state = this.#markedState;
    this.#generation = this.#markedGeneration;
    this.#length = this.#markedLength;
    this.#reserve(this.#markedOld);
    this.#starts.set(this.#markedStarts.subarray(0, this.#markedOld));
    this.#old = this.#markedOld;
    this.#tentative = copyOf(this.#markedTentative);
    this.#stopped = false;
  }

  /** Reads the next piece. Returns the matches that became final, in the order in which they did. */
  push(piece: string): PatternMatch[] {
    const matches: PatternMatch[] = [];
    const { units, length } = pieceOf(piece);
    this.read(units, 0, length, matches);
    return matches;
  }

  /** As `push`, for `units` from `from` to `to`; adds to `matches`. */
  read(units: Uint16Array, from: number, to: number, matches: PatternMatch[]): void {
    if (this.#stopped || from === to) return;
    const { automaton } = this.#set;
    const { classOf } = automaton.program;
    let base = this.#current().base;
    let { table } = automaton;
    const origin = this.#length - from;
    let index = from;
    while (index < to && !this.#stopped) {
      const limit = Math.min(to, this.#due(index + origin) - origin);
      let unitClass = 0;
      let cell = 1;
      while (index < limit) {
        unitClass = classOf[units[index] ?? 0] ?? 0;
        cell = table[base + unitClass] ?? 0;
        if (cell <= 0) break;
        base = cell - 1;
        index++;
      }
      if (cell <= 0) {
        base = this.#take(base, unitClass, cell, origin + index, matches);
        index++;
      }
      base = this.#look(base, origin + index, matches);
      table = automaton.table;
    }
    this.#leave(base, origin + index);
  }

  /**
   * As `read`, for three matchers of different sets that have read the same text: their steps do not depend on each other, so the
   * processor works on them at the same time. `matches` has a list for each of them.
   */
  static readTogether(
    [first, second, third]: Lanes<Matcher>,
    units: Uint16Array,
    to: number,
    [matches1, matches2, matches3]: Lanes<PatternMatch[]>,
  ): void {
    const automaton1 = first.#set.automaton;
    const automaton2 = second.#set.automaton;
    const automaton3 = third.#set.automaton;
    const classOf1 = automaton1.program.classOf;
    const classOf2 = automaton2.program.classOf;
    const classOf3 = automaton3.program.classOf;
    let base1 = first.#current().base;
    let base2 = second.#current().base;
    let base3 = third.#current().base;
    let table1 = automaton1.table;
    let table2 = automaton2.table;
    let table3 = automaton3.table;
    const origin = first.#length;
    let index = 0;
    while (index < to && !first.#stopped && !second.#stopped && !third.#stopped) {
      const offset = origin + index;
      const limit = Math.min(to + origin, first.#due(offset), second.#due(offset), third.#due(offset)) - origin;
      let unit = 0;
      let cell1 = 1;
      let cell2 = 1;
      let cell3 = 1;
      while (index < limit) {
        unit = units[index] ?? 0;
        cell1 = table1[base1 + (classOf1[unit] ?? 0)] ?? 0;
        cell2 = table2[base2 + (classOf2[unit] ?? 0)] ?? 0;
        cell3 = table3[base3 + (classOf3[unit] ?? 0)] ?? 0;
        if (cell1 <= 0 || cell2 <= 0 || cell3 <= 0) break;
        base1 = cell1 - 1;
        base2 = cell2 - 1;
        base3 = cell3 - 1;
        index++;
      }
      if (cell1 <= 0 || cell2 <= 0 || cell3 <= 0) {
        const at = origin + index++;
        base1 = cell1 > 0 ? cell1 - 1 : first.#take(base1, classOf1[unit] ?? 0, cell1, at, matches1);
        base2 = cell2 > 0 ? cell2 - 1 : second.#take(base2, classOf2[unit] ?? 0, cell2, at, matches2);
        base3 = cell3 > 0 ? cell3 - 1 : third.#take(base3, classOf3[unit] ?? 0, cell3, at, matches3);
      }
      base1 = first.#look(base1, origin + index, matches1);
      base2 = second.#look(base2, origin + index, matches2);
      base3 = third.#look(base3, origin + index, matches3);
      table1 = automaton1.table;
      table2 = automaton2.table;
      table3 = automaton3.table;
    }
    first.#leave(base1, origin + index);
    second.#leave(base2, origin + index);
    third.#leave(base3, origin + index);
    // One has stopped at an urgent match: the others go on alone.
    first.read(units, index, to, matches1);
    second.read(units, index, to, matches2);
    third.read(units, index, to, matches3);
  }

  /**
   * How far positive cells may be followed without a look at the registers: to the length cap of the first group. One unit where a match is
   * tentative and no group is old, for then the smallest start may grow with every unit; an old one's changes with the registers only.
   */
  #due(offset: number): number {
    if (this.#old > 0) return (this.#starts[0] ?? 0) + this.#set.maxMatch;
    return this.#tentative.size > 0 ? offset + 1 : Number.POSITIVE_INFINITY;
  }

  /** Takes the step of a cell that is not positive, at the unit at `offset`. Returns the row it leads to. */
  #take(base: number, unitClass: number, cell: number, offset: number, matches: PatternMatch[]): number {
    const { automaton } = this.#set;
    const step = automaton.steps[-cell - 1] ?? automaton.step(automaton.stateAt(base), unitClass);
    if (step.accepts) this.#acceptStep(step, offset, matches);
    this.#move(step.registers, offset);
    return step.base;
  }

  /** Settles what is tentative and drops what has reached the cap, once `offset` units were read. Returns the row to go on from. */
  #look(base: number, offset: number, matches: PatternMatch[]): number {
    const { automaton, maxMatch } = this.#set;
    if (this.#tentative.size > 0) this.#settle(this.#floor(automaton.stateAt(base), offset), offset, matches);
    if (this.#old > 0 && offset - (this.#starts[0] ?? 0) >= maxMatch) return this.#overflow(automaton.stateAt(base), offset, matches).base;
    return base;
  }

  #leave(base: number, length: number): void {
    this.#length = length;
    this.#state = this.#set.automaton.stateAt(base);
    this.#generation = this.#set.automaton.generation;
  }

  /** The text ends here. Returns the remaining matches. */
  end(): PatternMatch[] {
    const matches: PatternMatch[] = [];
    this.finish(matches);
    return matches;
  }

  /** As `end`; adds to `matches`. */
  finish(matches: PatternMatch[]): void {
    if (this.#stopped) return;
    this.#accept(this.#set.automaton.finish(this.#current()), this.#length, this.#length, this.#length + 1, matches);
    this.#settle(Number.POSITIVE_INFINITY, this.#length + 1, matches);
    this.#old = 0;
    this.#state = this.#set.automaton.start();
  }

  /** The state, brought into the present generation if another reader's work emptied the cache. */
  #current(): State {
    const { automaton } = this.#set;
    if (this.#generation !== automaton.generation) {
      this.#state = automaton.revive(this.#state);
      this.#generation = automaton.generation;
    }
    return this.#state;
  }

  /** The smallest start under way in `state` at `offset`. */
  #floor(state: State, offset: number): number {
    return state.old > 0 ? (this.#starts[0] ?? 0) : offset - (state.ages[0] ?? 0);
  }

  #acceptStep({ late, early }: Step, offset: number, matches: PatternMatch[]): void {
    if (late.length > 0) this.#accept(late, offset, offset, offset + 1, matches);
    if (early.length > 0) this.#accept(early, offset, offset + 1, offset + 1, matches);
  }

  #reserve(count: number): void {
    if (count <= this.#starts.length) return;
    const starts = this.#starts;
    this.#starts = new Int32Array(count * 2);
    this.#starts.set(starts);
  }

  #move(registers: Int32Array, offset: number): void {
    const count = registers.length;
    this.#reserve(count);
    const starts = this.#starts;
    for (let register = 0; register < count; register++) {
      const from = registers[register] ?? 0;
      starts[register] = from < 0 ? offset + 1 + from : (starts[from] ?? 0);
    }
    this.#old = count;
  }

  #accept(accepts: Int32Array, offset: number, end: number, at: number, matches: PatternMatch[]): void {
    for (let i = 0; i < accepts.length; i += 2) {
      const pattern = accepts[i] ?? 0;
      const from = accepts[i + 1] ?? 0;
      this.#record({ pattern, start: from < 0 ? offset + 1 + from : (this.#starts[from] ?? 0), end, at }, matches);
    }
  }

  #record(match: PatternMatch, matches: PatternMatch[]): void {
    if (this.#stops && this.#set.urgent[match.pattern] === 1) {
      matches.push(match);
      this.#stopped = true;
      return;
    }
    const list = this.#tentative.get(match.pattern);
    if (list === undefined) {
      this.#tentative.set(match.pattern, [match]);
      return;
    }
    while ((list.at(-1)?.start ?? -1) >= match.start) list.pop();
    list.push(match);
  }

  /** Reports the tentative matches that no living thread can change any more: those that start before `floor`. */
  #settle(floor: number, at: number, matches: PatternMatch[]): void {
    for (const [pattern, list] of this.#tentative) {
      let final = 0;
      while (final < list.length && (list[final]?.start ?? 0) < floor) final++;
      if (final === 0) continue;
      for (const match of list.splice(0, final)) matches.push({ ...match, at });
      if (list.length === 0) this.#tentative.delete(pattern);
    }
  }

  /** The first group has reached the cap: it counts as a match or is given up, as its patterns say. */
  #overflow(state: State, end: number, matches: PatternMatch[]): State {
    const { automaton, overlongMatches } = this.#set;
    const { patterns, next, registers } = automaton.overflow(state, overlongMatches);
    const start = this.#starts[0] ?? 0;
    for (const pattern of patterns) {
      if (overlongMatches[pattern] === 1) this.#record({ pattern, start, end, at: end }, matches);
    }
    this.#move(registers, end);
    if (this.#tentative.size > 0) this.#settle(this.#floor(next, end), end, matches);
    return next;
  }
}

const NO_MATCHES: ReadonlyMap<number, readonly PatternMatch[]> = new Map();

function copyOf(lists: ReadonlyMap<number, readonly PatternMatch[]>): Map<number, PatternMatch[]> {
  const copy = new Map<number, PatternMatch[]>();
  for (const [pattern, list] of lists) copy.set(pattern, [...list]);
  return copy;
}
