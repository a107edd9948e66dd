/**
 * What the machine keeps of a value. A literal is nothing but the offset of the instruction that pushed it, decoded when somebody asks:
 * so a stream of millions of numbers costs no memory. Everything else is an object.
 */
export type Value = number | Container | Global | Call | Opaque;

/** Elements kept of a container, enough for the arguments of any call and the state of an array wrapper. */
export const KEPT = 64;

/** Values that are added one by one faster than as a slice. */
const FEW = 3;

/** A tuple, list, set or dict. `depth` is how deep it nests. `weight` is the number of nodes it unfolds to when walked without memory of what was seen. */
export class Container {
  readonly kind = 'container';
  weight: number = 1;
  depth: number = 1;
  count: number = 0;
  items: Value[] | null = null;

  /** Adds everything in `values` from `start` on. */
  absorb(values: readonly Value[], start: number): void {
    const { length } = values;
    if (length - start <= FEW) {
      for (let index = start; index < length; index += 1) this.add(values[index] ?? OPAQUE);
      return;
    }
    let weight = 0;
    let { depth } = this;
    for (let index = start; index < length; index += 1) {
      const value = values[index];
      if (typeof value === 'object') {
        weight += value.weight;
        if (value.depth >= depth) depth = value.depth + 1;
      } else weight += 1;
    }
    const room = KEPT - (this.items === null ? 0 : this.items.length);
    if (room > 0 && length > start) {
      const kept = values.slice(start, Math.min(length, start + room));
      if (this.items === null) this.items = kept;
      else this.items.push(...kept);
    }
    this.depth = depth;
    this.weight += weight;
    this.count += length - start;
  }

  add(value: Value): void {
    this.weight += typeof value === 'number' ? 1 : value.weight;
    if (typeof value === 'object' && value.depth >= this.depth) this.depth = value.depth + 1;
    this.count += 1;
    if (this.items === null) this.items = [value];
    else if (this.count <= KEPT) this.items.push(value);
  }
}

/** One for all: nothing can be added to it. */
export const EMPTY_TUPLE: Container = new Container();

/** What of a call of a name is still to be judged: nothing, its arguments, or the name as well. */
export type CallJudgement = 'none' | 'arguments' | 'whole';

/** An imported name. `computed` where it is not written in the stream as two literals. */
export class Global {
  readonly kind = 'global';
  readonly weight = 1;
  readonly depth = 1;
  readonly module: string;
  readonly name: string;
  readonly computed: boolean;
  readonly offset: number;
  /** Set by who judges it. */
  call: CallJudgement = 'whole';
  constructor(module: string, name: string, computed: boolean, offset: number) {
    this.module = module;
    this.name = name;
    this.computed = computed;
    this.offset = offset;
  }
}

export type CallKind = 'reduce' | 'object' | 'new' | 'build' | 'persistent' | 'extension';

/** The result of a call. `state` is what BUILD last gave it. */
export class Call {
  readonly kind = 'call';
  weight: number = 1;
  depth: number = 1;
  readonly how: CallKind;
  readonly callee: Value;
  readonly args: Value;
  readonly offset: number;
  state: Value | null = null;
  /** How many it was given. */
  states: number = 0;
  constructor(how: CallKind, callee: Value, args: Value, offset: number) {
    this.how = how;
    this.callee = callee;
    this.args = args;
    this.offset = offset;
    this.weight = typeof args === 'number' ? 1 : args.weight + 1;
    this.depth = 1 + Math.max(typeof args === 'number' ? 0 : args.depth, typeof callee === 'number' ? 0 : callee.depth);
  }
}

/** A value nobody can know, for instance an out-of-band buffer. */
export class Opaque {
  readonly kind = 'opaque';
  readonly weight = 1;
  readonly depth = 1;
}

export const OPAQUE: Opaque = new Opaque();
