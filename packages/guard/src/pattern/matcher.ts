import { NEW_GROUP, type State, type Step } from './automaton.ts';
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
  /** Start of every group of the state, ascending. */
  #starts: Int32Array = new Int32Array(8);
  #groups = 0;
  /** Tentative matches by pattern; patterns without any are absent. */
  #tentative = new Map<number, PatternMatch[]>();
  #stopped = false;
  #mark: Mark;

  constructor(set: PatternSet) {
    this.#set = set;
    this.#state = set.automaton.start();
    this.#generation = set.automaton.generation;
    this.#mark = { state: this.#state, generation: this.#generation, length: 0, starts: [], tentative: [] };
  }

  /** The smallest offset at which a match could start that is not reported yet; what lies before is decided. Never decreases. */
  get pending(): number {
    return this.#groups > 0 ? (this.#starts[0] ?? 0) : this.#length;
  }

  /** True after an urgent match: nothing more is read. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Remembers this moment for `rewind`. */
  mark(): void {
    this.#mark = {
      state: this.#state,
      generation: this.#generation,
      length: this.#length,
      starts: this.#groups === 0 ? [] : [...this.#starts.subarray(0, this.#groups)],
      tentative: this.#tentative.size === 0 ? [] : [...this.#tentative].map(([pattern, list]) => [pattern, [...list]]),
    };
  }

  /** Goes back to the moment of the last `mark`. */
  rewind(): void {
    const { state, generation, length, starts, tentative } = this.#mark;
    this.#state = state;
    this.#generation = generation;
    this.#length = length;
    starts.forEach((start, index) => {
      this.#starts[index] = start;
    });
    this.#groups = starts.length;
    this.#tentative = new Map(tentative.map(([pattern, list]) => [pattern, [...list]]));
    this.#stopped = false;
  }

  /** Reads the next piece. Returns the matches that became final, in the order in which they did. */
  push(piece: string): PatternMatch[] {
    const matches: PatternMatch[] = [];
    if (this.#stopped) return matches;
    const { automaton, maxMatch } = this.#set;
    const { classOf } = automaton.program;
    const origin = this.#length;
    const count = piece.length;
    let base = this.#current().base;
    let { table, steps } = automaton;
    let index = 0;
    while (!this.#stopped) {
      // Where the first group reaches the cap. Up to there a positive cell needs no look at the registers.
      const due = this.#groups > 0 ? (this.#starts[0] ?? 0) + maxMatch - origin : Number.POSITIVE_INFINITY;
      const limit = Math.min(count, due);
      let unitClass = 0;
      let cell = 1;
      while (index < limit) {
        unitClass = classOf[piece.charCodeAt(index)] ?? 0;
        cell = table[base + unitClass] ?? 0;
        if (cell <= 0) break;
        base = cell - 1;
        index++;
      }
      if (index >= due) {
        base = this.#overflow(automaton.stateAt(base), origin + index, matches).base;
        ({ table, steps } = automaton);
      } else if (index >= count) {
        break;
      } else {
        let step = steps[-cell - 1];
        if (step === undefined) {
          step = automaton.step(automaton.stateAt(base), unitClass);
          ({ table, steps } = automaton);
        }
        const offset = origin + index++;
        if (step.accepts) this.#acceptStep(step, offset, matches);
        this.#move(step.groups, offset);
        if (this.#tentative.size > 0) this.#settle(offset + 1, matches);
        base = step.base;
      }
    }
    this.#length = origin + index;
    this.#state = automaton.stateAt(base);
    this.#generation = automaton.generation;
    return matches;
  }

  /** The text ends here. Returns the remaining matches. */
  end(): PatternMatch[] {
    const matches: PatternMatch[] = [];
    if (this.#stopped) return matches;
    const accepts = this.#set.automaton.finish(this.#current());
    this.#accept(accepts, this.#length, this.#length + 1, matches);
    this.#groups = 0;
    this.#settle(this.#length + 1, matches);
    return matches;
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

  #acceptStep({ late, early }: Step, offset: number, matches: PatternMatch[]): void {
    if (late.length > 0) this.#accept(late, offset, offset + 1, matches);
    if (early.length > 0) this.#accept(early, offset + 1, offset + 1, matches, offset);
  }

  #move(groups: Int32Array, offset: number): void {
    const count = groups.length;
    let starts = this.#starts;
    if (count > starts.length) {
      this.#starts = new Int32Array(count * 2);
      this.#starts.set(starts);
      starts = this.#starts;
    }
    for (let group = 0; group < count; group++) {
      const from = groups[group] ?? 0;
      starts[group] = from === NEW_GROUP ? offset : (starts[from] ?? 0);
    }
    this.#groups = count;
  }

  #accept(accepts: Int32Array, end: number, at: number, matches: PatternMatch[], newStart: number = end): void {
    for (let i = 0; i < accepts.length; i += 2) {
      const pattern = accepts[i] ?? 0;
      const group = accepts[i + 1] ?? 0;
      this.#record({ pattern, start: group === NEW_GROUP ? newStart : (this.#starts[group] ?? 0), end, at }, matches);
    }
  }

  #record(match: PatternMatch, matches: PatternMatch[]): void {
    if (this.#set.urgent[match.pattern] === 1) {
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

  /** Reports the tentative matches that no living thread can change any more. */
  #settle(at: number, matches: PatternMatch[]): void {
    const floor = this.#groups > 0 ? (this.#starts[0] ?? 0) : Number.POSITIVE_INFINITY;
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
    const { patterns, next, groups } = automaton.overflow(state, overlongMatches);
    const start = this.#starts[0] ?? 0;
    for (const pattern of patterns) {
      if (overlongMatches[pattern] === 1) this.#record({ pattern, start, end, at: end }, matches);
    }
    this.#move(groups, end);
    if (this.#tentative.size > 0) this.#settle(end, matches);
    return next;
  }
}

interface Mark {
  readonly state: State;
  readonly generation: number;
  readonly length: number;
  readonly starts: readonly number[];
  readonly tentative: readonly (readonly [number, PatternMatch[]])[];
}
