import { Fault } from '@sallyport/core';

/** How many requests may wait for a slot, for each slot there is. */
const WAITING_PER_SLOT = 32;

interface Waiter {
  readonly granted: () => void;
  readonly refused: (fault: Fault) => void;
}

/** At most `limit` calls at a time; the rest wait in order, for a bounded time and in bounded number. */
export class Slots {
  readonly #limit: number;
  readonly #wait: number;
  readonly #queue = new Set<Waiter>();
  #busy = 0;
  #idle: PromiseWithResolvers<void> | null = null;

  /** `wait` is the longest a request waits, in milliseconds. */
  constructor(limit: number, wait: number) {
    this.#limit = limit;
    this.#wait = wait;
  }

  /** Resolves with a slot, to be disposed when the call ends. Throws `concurrency_exceeded`. `onGone` subscribes to the client leaving. */
  async acquire(onGone: (listener: () => void) => () => void): Promise<Disposable> {
    if (this.#busy >= this.#limit) await this.#turn(onGone);
    else this.#busy += 1;
    return this.#slot();
  }

  /** Resolves once nobody holds a slot or waits for one. */
  idle(): Promise<void> {
    if (this.#busy === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }

  #turn(onGone: (listener: () => void) => () => void): Promise<void> {
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
    const forget = onGone(() => waiter.refused(new Fault('client_closed_request', 'The request was cancelled.')));
    this.#queue.add(waiter);
    return promise;
  }

  #slot(): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const [next] = this.#queue;
        // The slot passes straight to the next in line, so a newcomer cannot overtake.
        if (next !== undefined) {
          next.granted();
          return;
        }
        this.#busy -= 1;
        if (this.#busy > 0) return;
        this.#idle?.resolve();
        this.#idle = null;
      },
    };
  }
}

function busy(): Fault {
  return new Fault('concurrency_exceeded', 'The model is busy. Try again later.', { retryAfter: 2 });
}
