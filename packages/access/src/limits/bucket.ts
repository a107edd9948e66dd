/**
 * What one rule counts for one value of its dimension. `now` is the time its kind goes by (milliseconds): monotonic for a sliding window
 * and for concurrency, wall clock for a calendar period.
 */
export interface Bucket {
  /** What counts at `now`. */
  used(now: number): number;
  /** Counts `amount` as used at `at`, which is `now` or was before, and returns its place, for `adjust`. What has left the window counts nothing. */
  add(now: number, amount: number, at?: number): number;
  /** Corrects what was counted at `place`. Of what has left the window nothing is given back; what is added then counts from `now`. */
  adjust(now: number, place: number, delta: number): void;
  /** Milliseconds until at most `target` counts if nothing more is added; 0 where that is so already. */
  untilAtMost(now: number, target: number): number;
}

/** Milliseconds after which a refusal for concurrency suggests to try again: nobody knows when a running request ends. */
const SOON = 1_000;

/** Requests in progress. */
export class Concurrency implements Bucket {
  #running = 0;

  used(): number {
    return this.#running;
  }

  add(_now: number, amount: number): number {
    this.#running += amount;
    return 0;
  }

  adjust(_now: number, _place: number, delta: number): void {
    this.#running = Math.max(0, this.#running + delta);
  }

  untilAtMost(_now: number, target: number): number {
    return this.#running <= target ? 0 : SOON;
  }
}
