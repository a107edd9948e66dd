import { Fault } from '@sallyport/core';
import type { EndListener } from '../http/reply.ts';
import { type Claim, FairQueue } from './fair-queue.ts';

/** Subscribes to the end of whoever waits; returns the unsubscription. */
export type OnGone = (listener: EndListener) => () => void;

/** How a wait in line went, for the client's headers. */
export interface Waited {
  /** How many were before it when it came. */
  readonly position: number;
  /** Milliseconds. */
  readonly wait: number;
}

interface Waiter {
  readonly claim: Claim;
  readonly granted: () => void;
  readonly refused: (fault: Fault) => void;
}

export interface SlotSettings {
  /** Calls at a time; may be `Infinity`. */
  readonly limit: number;
  /** How many may wait for each slot there is. */
  readonly perSlot: number;
  /** Longest wait, milliseconds. */
  readonly wait: number;
}

/** Weight of the newest of the times slots were held. */
const NEWEST = 0.1;
const LONGEST_RETRY = 300;

/**
 * At most `limit` calls at a time; the rest wait in fair order, for a bounded time and in bounded number. Where the line is full the
 * tenant that fills it most gives up a place.
 */
export class Slots {
  readonly #queue = new FairQueue<Waiter>();
  #settings: SlotSettings;
  #busy = 0;
  /** Milliseconds a slot is held, a moving average; 0 while none was given back. */
  #held = 0;

  constructor(settings: SlotSettings) {
    this.#settings = settings;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  get busy(): number {
    return this.#busy;
  }

  /** Null where there was a slot, which is now taken; else resolves once one is. Rejects with `concurrency_exceeded`. */
  take(onGone: OnGone, claim: () => Claim): Promise<Waited> | null {
    if (this.#busy >= this.#settings.limit) return this.#turn(onGone, claim());
    this.#busy += 1;
    return null;
  }

  /** Where a call need not wait. */
  get free(): boolean {
    return this.#busy < this.#settings.limit;
  }

  /** Gives a taken slot back, which was held for so many milliseconds; null where no call was made with it. */
  release(held: number | null): void {
    this.#busy -= 1;
    if (held !== null) this.#held = this.#held === 0 ? held : this.#held + NEWEST * (held - this.#held);
    this.#grant();
  }

  /** More slots are handed out at once; of fewer, those taken are given back in their own time. */
  resize(settings: SlotSettings): void {
    this.#settings = settings;
    this.#grant();
  }

  /** Slots pass straight to the next in line, so a newcomer cannot overtake. */
  #grant(): void {
    while (this.#busy < this.#settings.limit) {
      const next = this.#queue.next();
      if (next === null) return;
      this.#busy += 1;
      next.granted();
    }
  }

  #turn(onGone: OnGone, claim: Claim): Promise<Waited> {
    const { limit, perSlot, wait } = this.#settings;
    if (this.#queue.size >= limit * perSlot) {
      const last = this.#queue.lastOfLongest(claim);
      if (last === null) return Promise.reject(this.#full(claim));
      last.refused(this.#full(last.claim));
    }
    const { promise, resolve, reject } = Promise.withResolvers<Waited>();
    const position = this.#queue.ahead(claim) + 1;
    const since = performance.now();
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      forget();
      this.#queue.remove(waiter);
      act();
    };
    const waiter: Waiter = {
      claim,
      granted: () => settle(() => resolve({ position, wait: performance.now() - since })),
      refused: (fault) => settle(() => reject(fault)),
    };
    const timer = setTimeout(() => waiter.refused(this.#full(claim)), wait);
    const forget = onGone((why) => waiter.refused(why));
    this.#queue.add(waiter);
    return promise;
  }

  /** The time to come back is when, at the pace of late, a place that is last in line now would be served. */
  #full(claim: Claim): Fault {
    const ahead = this.#queue.ahead(claim) + 1;
    const seconds = Math.ceil((ahead * this.#held) / this.#settings.limit / 1000);
    return new Fault('concurrency_exceeded', 'The model is busy. Try again later.', {
      retryAfter: Math.min(LONGEST_RETRY, Math.max(1, seconds)),
      detail: 'queue',
    });
  }
}
