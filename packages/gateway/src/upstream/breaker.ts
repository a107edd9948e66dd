import type { Upstream } from '@sallyport/core';

export type BreakerState = 'closed' | 'open' | 'half-open';

/** What `admit` gives. */
export type Leave = 'free' | 'trial' | 'refused';

/** Told of every change of state. `reason` is a stable code of ours (`ECONNREFUSED`, `status 503`), null where it closes. */
export type OnBreaker = (state: BreakerState, reason: string | null) => void;

/** Outcomes that are remembered: the failures among them count, not only those in a row. */
const REMEMBERED = 20;
/** With fewer outcomes than this the share of failures says nothing. */
const ENOUGH = 10;

/**
 * Keeps calls from a server that fails. Closed it lets all pass; open none; half-open one at a time, whose end decides. It opens after
 * `failures` in a row, or when half of the last 20 outcomes are failures, for `open` milliseconds, twice as long each time it fails
 * again, up to `maxOpen`. A server that says when to come back is believed up to `maxOpen`.
 *
 * Own code and not cockatiel's: there an outcome is a promise's, but a stream breaks long after its head; callers of a half-open
 * breaker wait there for the one that tries, which for a model takes minutes; and the time it stays open cannot follow `retry-after`.
 */
export class Breaker {
  readonly #settings: Upstream['breaker'];
  readonly #onChange: OnBreaker;
  #state: BreakerState = 'closed';
  #inARow = 0;
  /** One bit an outcome, the newest lowest; 1 is a failure. */
  #outcomes = 0;
  #known = 0;
  #openedTimes = 0;
  /** Monotonic milliseconds. */
  #openUntil = 0;
  #trying = false;

  constructor(settings: Upstream['breaker'], onChange: OnBreaker) {
    this.#settings = settings;
    this.#onChange = onChange;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Milliseconds until a call may be tried; 0 where one may be made now. */
  wait(now: number): number {
    if (this.#state === 'closed') return 0;
    if (this.#state === 'open') return Math.max(0, this.#openUntil - now);
    return this.#trying ? TRIAL_LOOK : 0;
  }

  /** Leave to call. A trial has to end in an outcome, or be given back with `abandon`. */
  admit(now: number): Leave {
    if (this.#state === 'closed') return 'free';
    if (this.wait(now) > 0) return 'refused';
    if (this.#state === 'open') this.#become('half-open', null);
    this.#trying = true;
    return 'trial';
  }

  succeeded(leave: Leave): void {
    if (this.#state === 'closed') {
      this.#inARow = 0;
      this.#remember(0);
    } else if (leave === 'trial' && this.#state === 'half-open') {
      // A call that began before it opened proves nothing.
      this.#trying = false;
      this.#openedTimes = 0;
      this.#forget();
      this.#become('closed', null);
    }
  }

  failed(leave: Leave, now: number, reason: string): void {
    if (this.#settings.failures === 0) return;
    if (leave === 'trial' && this.#state === 'half-open') {
      this.#trip(now, reason);
      return;
    }
    if (this.#state !== 'closed') return;
    this.#inARow += 1;
    this.#remember(1);
    const share = this.#known >= ENOUGH && bits(this.#outcomes) * 2 >= this.#known;
    if (this.#inARow >= this.#settings.failures || share) this.#trip(now, reason);
  }

  /** The server said that it takes nothing for so many milliseconds. */
  busy(now: number, milliseconds: number, reason: string): void {
    if (this.#settings.failures === 0) return;
    this.#trying = false;
    this.#openUntil = Math.max(this.#state === 'open' ? this.#openUntil : 0, now + Math.min(milliseconds, this.#settings.maxOpen));
    if (this.#state !== 'open') this.#become('open', reason);
  }

  /** A trial ended without saying anything about the server: its client left. */
  abandon(leave: Leave): void {
    if (leave === 'trial') this.#trying = false;
  }

  /** The server answers again, as a probe found: the next call tries it. */
  hint(now: number): void {
    if (this.#state === 'open') this.#openUntil = Math.min(this.#openUntil, now);
  }

  #trip(now: number, reason: string): void {
    this.#trying = false;
    const { open, maxOpen } = this.#settings;
    this.#openUntil = now + Math.min(maxOpen, open * 2 ** Math.min(this.#openedTimes, 20));
    this.#openedTimes += 1;
    this.#forget();
    this.#become('open', reason);
  }

  #remember(outcome: 0 | 1): void {
    this.#outcomes = ((this.#outcomes << 1) | outcome) & ((1 << REMEMBERED) - 1);
    if (this.#known < REMEMBERED) this.#known += 1;
  }

  #forget(): void {
    this.#inARow = 0;
    this.#outcomes = 0;
    this.#known = 0;
  }

  #become(state: BreakerState, reason: string | null): void {
    this.#state = state;
    this.#onChange(state, reason);
  }
}

/** How soon to look again while another call tries, milliseconds. */
const TRIAL_LOOK = 1_000;

function bits(value: number): number {
  let count = 0;
  for (let rest = value; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
