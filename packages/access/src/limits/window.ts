import type { Bucket } from './bucket.ts';

/** Parts a window is divided into. More are finer and cost more memory: 61 numbers a bucket. */
export const SLICES = 60;

/**
 * What was used in a sliding window, counted in slices. The window covered is always a little longer than asked for (by at most one
 * slice, a sixtieth), so that in no interval of the asked length more than the limit is ever admitted; the price is that room returns up to
 * a sixtieth of the window later than it could.
 */
export class SlidingWindow implements Bucket {
  readonly #slice: number;
  readonly #counts: Float64Array = new Float64Array(SLICES + 1);
  #newest = Number.NEGATIVE_INFINITY;
  #total = 0;

  /** `window`: milliseconds, above 0. */
  constructor(window: number) {
    this.#slice = window / SLICES;
  }

  used(now: number): number {
    this.#advance(now);
    return this.#total;
  }

  /** The place is the slice. */
  add(now: number, amount: number, at: number = now): number {
    this.#advance(now);
    const slice = at === now ? this.#newest : Math.min(this.#newest, Math.floor(at / this.#slice));
    if (slice > this.#newest - this.#counts.length) this.#change(slice, amount);
    return slice;
  }

  adjust(now: number, slice: number, delta: number): void {
    this.#advance(now);
    if (slice > this.#newest - this.#counts.length) this.#change(Math.min(slice, this.#newest), delta);
    else if (delta > 0) this.#change(this.#newest, delta);
  }

  untilAtMost(now: number, target: number): number {
    this.#advance(now);
    if (target <= 0) return this.#untilEmpty(now);
    let left = this.#total;
    for (let age = SLICES; age >= 0; age -= 1) {
      if (left <= target) return 0;
      const slice = this.#newest - age;
      left -= this.#counts[index(slice, this.#counts.length)] ?? 0;
      if (left <= target) return Math.max(0, (slice + this.#counts.length) * this.#slice - now);
    }
    return 0;
  }

  /** Asked for every answer's headers: looks from the newest slice, where something nearly always is. */
  #untilEmpty(now: number): number {
    for (let slice = this.#newest; slice > this.#newest - this.#counts.length; slice -= 1) {
      if (this.#counts[index(slice, this.#counts.length)] !== 0) return Math.max(0, (slice + this.#counts.length) * this.#slice - now);
    }
    return 0;
  }

  #advance(now: number): void {
    const slice = Math.floor(now / this.#slice);
    if (slice <= this.#newest) return;
    if (slice - this.#newest >= this.#counts.length) {
      this.#counts.fill(0);
      this.#total = 0;
    } else {
      for (let gone = this.#newest + 1; gone <= slice; gone += 1) {
        const at = index(gone, this.#counts.length);
        this.#total -= this.#counts[at] ?? 0;
        this.#counts[at] = 0;
      }
    }
    this.#newest = slice;
  }

  #change(slice: number, amount: number): void {
    const at = index(slice, this.#counts.length);
    this.#counts[at] = (this.#counts[at] ?? 0) + amount;
    this.#total += amount;
  }
}

function index(slice: number, length: number): number {
  return ((slice % length) + length) % length;
}
