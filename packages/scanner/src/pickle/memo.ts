import { Broken } from './broken.ts';
import type { Value } from './value.ts';

/** The memo of the machine: dense as picklers fill it, with a map for indexes far out. */
export class Memo {
  readonly #near: Value[] = [];
  readonly #far = new Map<number, Value>();
  /** Entries that cost memory: objects, and those under far indexes. */
  kept: number = 0;

  append(value: Value): void {
    if (this.#far.size > 0) this.set(this.#near.length + this.#far.size, value);
    else {
      if (typeof value === 'object') this.kept += 1;
      this.#near.push(value);
    }
  }

  set(index: number, value: Value): void {
    if (typeof value === 'object' || index > this.#near.length) this.kept += 1;
    if (index <= this.#near.length) this.#near[index] = value;
    else this.#far.set(index, value);
  }

  get(index: number): Value {
    const value = index < this.#near.length ? this.#near[index] : this.#far.get(index);
    if (value === undefined) throw new Broken('an unknown memo index');
    return value;
  }
}
