import { Fault } from '@sallyport/core';
import type { EndListener } from '../http/reply.ts';

/** Subscribes to the end of whoever waits; returns the unsubscription. */
export type OnGone = (listener: EndListener) => () => void;

/** How many requests may wait for a slot, for each slot there is. */
const WAITING_PER_SLOT = 32;

interface Waiter {
  readonly granted: () => void;
  readonly refused: (fault: Fault) => void;
}

/** At most `limit` calls at a time; the rest wait in order, for a bounded time and in bounded number. */
export class Slots {
  readonly #wait: number;
  readonly #queue = new Set<Waiter>();
  #limit: number;
  #busy = 0;

  /** `limit` may be `Infinity`. `wait` is the longest a request waits, in milliseconds. */
  constructor(limit: number, wait: number) {
    this.#limit = limit;
    this.#wait = wait;
  }

  /** Null where there was a slot, which is now taken; else resolves once one is. Rejects with `concurrency_exceeded`. `onGone` subscribes to the client leaving. */
  take(onGone: OnGone): Promise<void> | null {
    if (this.#busy >= this.#limit) return this.#turn(onGone);
    this.#busy += 1;
    return null;
  }

  /** Gives a taken slot back. */
  release(): void {
    this.#busy -= 1;
    this.#grant();
  }

  /** More slots are handed out at once; of fewer, those taken are given back in their own time. */
  resize(limit: number): void {
    this.#limit = limit;
    this.#grant();
  }

  /** Slots pass straight to the next in line, so a newcomer cannot overtake. */
  #grant(): void {
    for (const next of this.#queue) {
      if (this.#busy >= this.#limit) return;
      this.#busy += 1;
      next.granted();
    }
  }

  #turn(onGone: OnGone): Promise<void> {
    if (this.#queue.size >= this.#limit * WAITING_PER_SLOT) return Promise.reject(busy());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      forget();
      this.#queue.delete(waiter);
      act();
    };
    const waiter: Waiter = { granted: () => settle(resolve), refused: (fault) => settle(() => reject(fault)) };
    const timer = setTimeout(() => waiter.refused(busy()), this.#wait);
    const forget = onGone((why) => waiter.refused(why));
    this.#queue.add(waiter);
    return promise;
  }
}

function busy(): Fault {
  return new Fault('concurrency_exceeded', 'The model is busy. Try again later.', { retryAfter: 2 });
}
