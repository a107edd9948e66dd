import { Fault } from '@sallyport/core';
import type { EndListener } from '../http/reply.ts';
import { type Claim, FairQueue } from './fair-queue.ts';
import { Shares } from './shares.ts';

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

/** Which of the processes that share a machine's servers this one is. */
export interface Seat {
  /** From 0. */
  readonly number: number;
  readonly of: number;
}

/** Of `limit` calls those a seat has; of all seats together they are `limit`, but each has one at least. */
export function shareOf(limit: number, { number, of }: Seat): number {
  return Math.max(1, Math.floor(limit / of) + (number < limit % of ? 1 : 0));
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
/** Milliseconds for which the last free slot is kept for a tenant that has asked, at least. */
const KEPT = 1_000;
const LONGEST_RETRY = 300;

/**
 * At most `limit` calls at a time; the rest wait in fair order, for a bounded time and in bounded number. Where the line is full the
 * tenant that fills it most gives up a place.
 *
 * Calls are not interrupted, so being next is not enough: who asks one thing after another would wait, each time, for one of a flood's
 * calls to end, which may double the time of a short one. So the last free slot is not given to a tenant that holds more than another
 * that has asked within the last second (or the time a call takes): it stays free for that one.
 */
export class Slots {
  readonly #queue = new FairQueue<Waiter>();
  #settings: SlotSettings;
  readonly #shares = new Shares();
  #busy = 0;
  /** Looks again whether what is kept is still wanted. */
  #again: NodeJS.Timeout | null = null;
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
  take(onGone: OnGone, tenant: string, claim: () => Claim): Promise<Waited> | null {
    // Counted nevertheless: a configuration that is taken up may bring a limit while it runs.
    if (this.#settings.limit === Number.POSITIVE_INFINITY) {
      this.#take(tenant);
      return null;
    }
    const claimed = claim();
    this.#shares.asked(claimed, performance.now());
    if (!this.isFree(tenant)) return this.#turn(onGone, claimed);
    this.#take(tenant);
    return null;
  }

  /** Whether a call of the tenant need not wait. */
  isFree(tenant: string): boolean {
    return this.#busy < this.#settings.limit && this.#queue.size === 0 && !this.#isKept(tenant);
  }

  /** Gives a slot back that the tenant has held for so many milliseconds; null where no call was made with it. */
  release(held: number | null, tenant: string): void {
    this.#busy -= 1;
    this.#shares.holds(tenant, -1);
    if (held !== null) this.#held = this.#held === 0 ? held : this.#held + NEWEST * (held - this.#held);
    this.#grant();
  }

  /** More slots are handed out at once; of fewer, those taken are given back in their own time. */
  resize(settings: SlotSettings): void {
    this.#settings = settings;
    this.#grant();
  }

  #take(tenant: string): void {
    this.#busy += 1;
    this.#shares.holds(tenant, 1);
  }

  /** Slots pass straight to the next in line, so a newcomer cannot overtake. */
  #grant(): void {
    while (this.#busy < this.#settings.limit && this.#queue.size > 0) {
      const next = this.#queue.next(this.#isLast ? ({ claim }) => !this.#isKept(claim.tenant) : undefined);
      if (next === null) {
        // Nobody may come for it, nor anything else happen here.
        this.#again ??= setTimeout(() => {
          this.#again = null;
          this.#grant();
        }, this.#kept).unref();
        return;
      }
      // It asked too long ago to be known, perhaps; what it holds has to count.
      this.#shares.asked(next.claim, performance.now());
      this.#take(next.claim.tenant);
      next.granted();
    }
  }

  get #isLast(): boolean {
    return this.#settings.limit > 1 && this.#busy === this.#settings.limit - 1;
  }

  /** Milliseconds. */
  get #kept(): number {
    return Math.min(10 * KEPT, Math.max(KEPT, this.#held));
  }

  #isKept(tenant: string): boolean {
    return this.#isLast && this.#shares.hasLess(tenant, performance.now() - this.#kept);
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
    this.#grant();
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
