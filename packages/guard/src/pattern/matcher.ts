import { pieceOf } from '../window/piece.ts';
import type { State, Step } from './automaton.ts';
import type { PatternMatch, PatternSet } from './pattern-set.ts';

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
    this.read(units, length, matches);
    return matches;
  }

  /** As `push`, for the first `count` of `units`; adds to `matches`. */
  read(units: Uint16Array, count: number, matches: PatternMatch[]): void {
    if (this.#stopped) return;
    const { automaton, maxMatch } = this.#set;
    const { classOf } = automaton.program;
    const origin = this.#length;
    let base = this.#current().base;
    let { table, steps } = automaton;
    let index = 0;
    while (!this.#stopped) {
      // Where the first group reaches the cap. Up to there a positive cell needs no look at the registers, unless a match is tentative.
      const due = this.#old > 0 ? (this.#starts[0] ?? 0) + maxMatch - origin : Number.POSITIVE_INFINITY;
      const limit = Math.min(count, due, this.#tentative.size > 0 ? index + 1 : count);
      let unitClass = 0;
      let cell = 1;
      while (index < limit) {
        unitClass = classOf[units[index] ?? 0] ?? 0;
        cell = table[base + unitClass] ?? 0;
        if (cell <= 0) break;
        base = cell - 1;
        index++;
      }
      if (cell > 0) {
        if (this.#tentative.size > 0) this.#settle(this.#floor(automaton.stateAt(base), origin + index), origin + index, matches);
      } else {
        let step = steps[-cell - 1];
        if (step === undefined) {
          step = automaton.step(automaton.stateAt(base), unitClass);
          ({ table, steps } = automaton);
        }
        const offset = origin + index++;
        if (step.accepts) this.#acceptStep(step, offset, matches);
        this.#move(step.registers, offset);
        base = step.base;
        if (this.#tentative.size > 0) this.#settle(this.#floor(step.next, offset + 1), offset + 1, matches);
      }
      if (this.#old > 0 && origin + index - (this.#starts[0] ?? 0) >= maxMatch) {
        base = this.#overflow(automaton.stateAt(base), origin + index, matches).base;
        ({ table, steps } = automaton);
      }
      if (index >= count) break;
    }
    this.#length = origin + index;
    this.#state = automaton.stateAt(base);
    this.#generation = automaton.generation;
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
