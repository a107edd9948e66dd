import { Broken } from './broken.ts';
import { Container, type Value } from './value.ts';

/** The stack of the machine with its marks, between which instructions do not reach. */
export class Stack {
  readonly values: Value[] = [];
  readonly #marks: number[] = [];
  /** Height at the last mark. */
  #floor: number = 0;

  /** What of it costs memory. */
  get held(): number {
    return Math.max(this.values.length, this.#marks.length);
  }

  mark(): void {
    this.#marks.push(this.values.length);
    this.#floor = this.values.length;
  }

  /** Takes the last mark away and gives the height it stood at. */
  unmark(): number {
    const mark = this.#marks.pop();
    if (mark === undefined) throw new Broken('no mark');
    this.#floor = this.#marks[this.#marks.length - 1] ?? 0;
    return mark;
  }

  top(): Value {
    const value = this.values.length > this.#floor ? this.values[this.values.length - 1] : undefined;
    if (value === undefined) throw new Broken('the stack is empty');
    return value;
  }

  pop(): Value {
    const value = this.values.length > this.#floor ? this.values.pop() : undefined;
    if (value === undefined) throw new Broken('the stack is empty');
    return value;
  }

  /** POP takes a mark where that is what lies on top. */
  drop(): void {
    if (this.values.length === this.#floor && this.#marks.length > 0) this.unmark();
    else this.pop();
  }

  /** The height below the last `count` values. */
  below(count: number): number {
    const height = this.values.length - count;
    if (height < this.#floor) throw new Broken('the stack is empty');
    return height;
  }

  /** The value right under `height`, which gets what lies above. */
  under(height: number): Value {
    const value = height > this.#floor ? this.values[height - 1] : undefined;
    if (value === undefined) throw new Broken('nothing to add to');
    return value;
  }

  /** Takes everything above `height` off into a new container. */
  collect(height: number): Container {
    const container = new Container();
    container.absorb(this.values, height);
    this.cut(height);
    return container;
  }

  /** Shortens it. Setting its length lets the engine give memory back and take it again for every small tuple. */
  cut(height: number): void {
    const { values } = this;
    if (values.length - height > 16) values.length = height;
    else while (values.length > height) values.pop();
  }
}
