import type { Clock } from '@sallyport/core';

/** A clock that moves only when told to. `now` is epoch milliseconds and may be set back; `monotonic` never goes back. */
export class FakeClock implements Clock {
  #now: number;
  #monotonic = 0;

  constructor(now: number = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  /** Lets time pass on both scales. Throws `RangeError` for a negative amount. */
  advance(ms: number): void {
    if (ms < 0) throw new RangeError('time does not pass backwards; use setWallClock');
    this.#now += ms;
    this.#monotonic += ms;
  }

  /** Changes the wall clock alone, as NTP or an operator does. */
  setWallClock(now: number): void {
    this.#now = now;
  }
}
