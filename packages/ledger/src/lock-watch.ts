import type { Clock } from '@sallyport/core';
import { LedgerUnavailable } from './failure.ts';
import type { LogLock } from './lock.ts';

/** Milliseconds for which a log that was ours still is: well below the lease, so that what is written then arrives before it ends. */
const CERTAIN = 3_000;

/** Knows until when the log is certainly ours. */
export class LockWatch {
  readonly #lock: LogLock;
  readonly #clock: Clock;
  /** When the lock was asked for and was ours, monotonic milliseconds. */
  #seenAt = Number.NEGATIVE_INFINITY;

  constructor(lock: LogLock, clock: Clock) {
    this.#lock = lock;
    this.#clock = clock;
  }

  get generation(): number {
    return this.#lock.generation;
  }

  /** Asks, and says that the owner lives. */
  async isOurs(): Promise<boolean> {
    const asked = this.#clock.monotonic();
    const isOurs = await this.#lock.refresh();
    if (isOurs) this.#seenAt = asked;
    return isOurs;
  }

  /** Whether nobody needs to be asked. */
  isCertain(): boolean {
    return this.#clock.monotonic() - this.#seenAt < CERTAIN;
  }

  /** A process that stood still may have lost its log meanwhile, and would write over the entries of the new owner. @throws {LedgerUnavailable} */
  async expectOurs(): Promise<void> {
    if (!this.isCertain() && !(await this.isOurs())) throw new LedgerUnavailable('lock-lost');
  }

  release(): Promise<void> {
    return this.#lock.release();
  }
}
