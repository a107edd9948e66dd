import type { Clock, Fault } from '@sallyport/core';
import type { Breakers, Pass } from './breakers.ts';
import type { UpstreamHead } from './call.ts';
import { neverArrived } from './failure.ts';
import { TOTAL_TIMEOUT } from './http-call.ts';
import type { Waited } from './slots.ts';

/** One call's leave to use a server: its place among the calls at a time, and its word to the breakers. */
export class Slot implements Disposable {
  /** How the wait for it went, or null where there was none. */
  readonly waited: Waited | null;
  readonly #clock: Clock;
  /** Of the server, and of the model on it. */
  readonly #reach: Breakers;
  readonly #model: Breakers;
  readonly #reachPass: Pass;
  readonly #modelPass: Pass;
  #release: ((isWhole: boolean) => void) | null;
  #proven = false;

  constructor(options: {
    /** `isWhole`: the server has done all it was asked for, so that the time it took is that of the tokens. */
    readonly release: (isWhole: boolean) => void;
    readonly reach: readonly [Breakers, Pass];
    readonly model: readonly [Breakers, Pass];
    readonly clock: Clock;
    readonly waited: Waited | null;
  }) {
    this.waited = options.waited;
    this.#release = options.release;
    [this.#reach, this.#reachPass] = options.reach;
    [this.#model, this.#modelPass] = options.model;
    this.#clock = options.clock;
  }

  /** A head came: the server is there. What it says of itself counts. */
  headed({ status, retryAfter }: UpstreamHead): void {
    const now = this.#clock.monotonic();
    this.#reach.succeeded(this.#reachPass, now);
    if ((status === 429 || status === 503) && retryAfter !== null)
      this.#model.busy(this.#modelPass, now, retryAfter * 1000, `status ${status}`);
    else if (status >= 500) this.#model.failed(this.#modelPass, now, `status ${status}`, true);
    else if (status >= 300 && status !== 429) this.#model.succeeded(this.#modelPass, now);
  }

  /** A reply was read, whole or its beginning. */
  succeeded(): void {
    this.#proven = true;
    this.#model.succeeded(this.#modelPass, this.#clock.monotonic());
  }

  /** A fault that says something about the server; others are left alone. */
  failed({ code, detail }: Fault): void {
    // How long an answer may get is the caller's choice: few who ask for endless ones must not close a server that writes them to all.
    if (this.#proven && detail === TOTAL_TIMEOUT) return;
    const now = this.#clock.monotonic();
    const reason = detail ?? code;
    if (code === 'upstream_unavailable') this.#reach.failed(this.#reachPass, now, reason, !neverArrived(reason));
    else if (code === 'upstream_timeout' || code === 'upstream_error') this.#model.failed(this.#modelPass, now, reason, true);
  }

  /** Gives the place back: the server is done with the call (`isWhole`), or has been cut off, whatever its client still has to read. */
  release(isWhole: boolean): void {
    const release = this.#release;
    this.#release = null;
    release?.(isWhole);
  }

  /** Ends it. A trial of a half-open breaker that has said nothing is left to the next call. */
  [Symbol.dispose](): void {
    this.release(false);
    this.#reach.abandon(this.#reachPass);
    this.#model.abandon(this.#modelPass);
  }
}
