/** Names that one caller can have counted at a time. */
const MOST = 10_000;
/** Callers before those who are idle are looked for. */
const SWEEP_AT = 10_000;

/**
 * The names that callers make up, as far as each has a bucket of its own: sessions, and addresses, of which whoever has a network has
 * any number. Bounded by caller, so that nobody can fill the memory or take a bucket away from another. A name has its place for as long
 * as something of it may count; then the one that was used least lately gives it up. Its bucket is found again by its name, so nothing is
 * gained by being forgotten.
 */
export class NameBook {
  /** When each name gives its place up, by caller. */
  readonly #callers = new Map<string, Map<string, number>>();
  readonly #most: number;
  #sweepAt = SWEEP_AT;

  constructor(most: number = MOST) {
    this.#most = most;
  }

  /** Names that have a place. */
  get size(): number {
    let sum = 0;
    for (const names of this.#callers.values()) sum += names.size;
    return sum;
  }

  /** Whether `name`, of whom anybody's data decides, has a place with `caller`, for the next `horizon` milliseconds. */
  has(caller: string, name: string, now: number, horizon: number): boolean {
    let names = this.#callers.get(caller);
    if (names === undefined) {
      if (this.#callers.size >= this.#sweepAt) this.#sweep(now);
      names = new Map();
      this.#callers.set(caller, names);
    }
    // In the order of their last use.
    if (!names.delete(name) && names.size >= this.#most) {
      for (const [oldest, until] of names) {
        if (now < until) return false;
        names.delete(oldest);
        break;
      }
    }
    names.set(name, now + horizon);
    return true;
  }

  #sweep(now: number): void {
    for (const [caller, names] of this.#callers) {
      for (const [name, until] of names) {
        if (now < until) break;
        names.delete(name);
      }
      if (names.size === 0) this.#callers.delete(caller);
    }
    this.#sweepAt = Math.max(SWEEP_AT, this.#callers.size * 2);
  }
}
