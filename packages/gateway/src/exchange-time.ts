import type { Clock } from '@sallyport/core';

/** Where the time of an ended exchange went, in milliseconds. */
export interface Spent {
  readonly total: number;
  /** What Sallyport itself took: everything but waiting for the upstream and the client. */
  readonly overhead: number;
  /** Until the first piece of the reply; null where none came. */
  readonly ttft: number | null;
  /** Until an upstream was asked first; null where none was. */
  readonly askedAfter: number | null;
}

/** Tells the time Sallyport takes of an exchange from the time it waits for others. */
export class ExchangeTime {
  readonly #clock: Clock;
  readonly #startedAt: number;
  /** Since when it waits for the upstream or the client, or null while Sallyport itself is at work. */
  #pausedAt: number | null = null;
  #waited = 0;
  #firstByteAt = 0;
  #askedAt = 0;

  /** `startedAt`: of the monotonic clock. */
  constructor(clock: Clock, startedAt: number) {
    this.#clock = clock;
    this.#startedAt = startedAt;
  }

  /** From here on it waits for somebody else: for the upstream's next piece, or for the client to take what it has. */
  pause(): void {
    this.#pausedAt ??= this.#clock.monotonic();
  }

  /** What was waited for has come. */
  resume(): void {
    if (this.#pausedAt === null) return;
    this.#waited += this.#clock.monotonic() - this.#pausedAt;
    this.#pausedAt = null;
  }

  /** An upstream is asked, which is waited for. */
  asked(): void {
    this.pause();
    if (this.#askedAt === 0 && this.#pausedAt !== null) this.#askedAt = this.#pausedAt;
  }

  /** The first piece of the reply arrived. */
  firstByte(): void {
    if (this.#firstByteAt === 0) this.#firstByteAt = this.#clock.monotonic();
  }

  /** Milliseconds Sallyport itself has taken so far. */
  overhead(): number {
    this.resume();
    return Math.max(0, this.#clock.monotonic() - this.#startedAt - this.#waited);
  }

  spent(): Spent {
    this.resume();
    const total = this.#clock.monotonic() - this.#startedAt;
    return {
      total,
      overhead: Math.max(0, total - this.#waited),
      ttft: this.#firstByteAt === 0 ? null : this.#firstByteAt - this.#startedAt,
      askedAfter: this.#askedAt === 0 ? null : this.#askedAt - this.#startedAt,
    };
  }
}
