import type { Clock, Fault } from '@sallyport/core';
import type { Breaker, Leave } from './breaker.ts';
import type { UpstreamHead } from './call.ts';
import { TOTAL_TIMEOUT } from './http-call.ts';
import type { Waited } from './slots.ts';

/** One call's leave to use a server: its place among the calls at a time, and its word to the breakers. */
export class Slot implements Disposable {
  /** How the wait for it went, or null where there was none. */
  readonly waited: Waited | null;
  readonly #clock: Clock;
  readonly #reach: Breaker;
  readonly #breaker: Breaker;
  /** What is still to be said to each. */
  #reachLeave: Leave;
  #breakerLeave: Leave;
  #release: (() => void) | null;
  #proven = false;

  constructor(options: {
    readonly release: () => void;
    readonly reach: readonly [Breaker, Leave];
    readonly breaker: readonly [Breaker, Leave];
    readonly clock: Clock;
    readonly waited: Waited | null;
  }) {
    this.waited = options.waited;
    this.#release = options.release;
    [this.#reach, this.#reachLeave] = options.reach;
    [this.#breaker, this.#breakerLeave] = options.breaker;
    this.#clock = options.clock;
  }

  /** A head came: the server is there. What it says of itself counts. */
  headed({ status, retryAfter }: UpstreamHead): void {
    this.#reach.succeeded(this.#reachLeave);
    this.#reachLeave = 'free';
    const now = this.#clock.monotonic();
    if ((status === 429 || status === 503) && retryAfter !== null) this.#breaker.busy(now, retryAfter * 1000, `status ${status}`);
    else if (status >= 500) this.#breaker.failed(this.#breakerLeave, now, `status ${status}`);
    else if (status >= 300 && status !== 429) this.#breaker.succeeded(this.#breakerLeave);
    else return;
    this.#breakerLeave = 'free';
  }

  /** A reply was read, whole or its beginning. */
  succeeded(): void {
    this.#proven = true;
    this.#breaker.succeeded(this.#breakerLeave);
    this.#breakerLeave = 'free';
  }

  /** A fault that says something about the server; others are left alone. */
  failed({ code, detail }: Fault): void {
    // How long an answer may get is the caller's choice: few who ask for endless ones must not close a server that writes them to all.
    if (this.#proven && detail === TOTAL_TIMEOUT) return;
    const now = this.#clock.monotonic();
    if (code === 'upstream_unavailable') {
      this.#reach.failed(this.#reachLeave, now, detail ?? code);
      this.#reachLeave = 'free';
    } else if (code === 'upstream_timeout' || code === 'upstream_error') {
      this.#breaker.failed(this.#breakerLeave, now, detail ?? code);
      this.#breakerLeave = 'free';
    }
  }

  /** Gives the place back: the server is done with the call, whatever its client still has to read. */
  release(): void {
    const release = this.#release;
    this.#release = null;
    release?.();
  }

  /** Ends it. A trial of a half-open breaker that has said nothing is left to the next call. */
  [Symbol.dispose](): void {
    this.release();
    this.#reach.abandon(this.#reachLeave);
    this.#breaker.abandon(this.#breakerLeave);
  }
}
