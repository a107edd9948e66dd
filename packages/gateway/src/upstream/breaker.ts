import type { Upstream } from '@sallyport/core';

export type BreakerState = 'closed' | 'open' | 'half-open';

/** One call at a half-open breaker. Which one counts: the end of one that came late must not decide for the next. */
export interface Trial {
  readonly since: number;
}

/** What `admit` gives. */
export type Leave = 'free' | 'refused' | Trial;

/**
 * Told of every change of state. `reason` is a stable code of ours (`ECONNREFUSED`, `status 503`), null where it closes. `scope` says
 * whom it is about: what one caller's failures did is no news for other replicas; `busy` is the server's own word.
 */
export type OnBreaker = (state: BreakerState, reason: string | null, scope: 'everybody' | 'one caller' | 'busy') => void;

/** Outcomes that are remembered: the failures among them count, not only those in a row. */
const REMEMBERED = 20;
/** With fewer outcomes than this the share of failures says nothing. */
const ENOUGH = 10;
/** Milliseconds for which the success of another caller is evidence that a server is well, whatever one caller's calls come to. */
const EVIDENCE = 60_000;

/**
 * Keeps calls from a server that fails. Closed it lets all pass; open none; half-open one at a time, whose end decides. It opens after
 * `failures` in a row, or when half of the last 20 outcomes are failures, for `open` milliseconds, twice as long each time it fails
 * again, up to `maxOpen`. A server that says when to come back is believed up to `maxOpen`.
 *
 * What is sent is the caller's choice, so the failures of one caller count no more than those of all others together: who knows what
 * makes a server fail must not take it from everybody. Where nobody else's calls have succeeded of late it opens all the same, and the
 * first call of anybody else is the trial.
 *
 * Own code and not cockatiel's: there an outcome is a promise's, but a stream breaks long after its head; callers of a half-open
 * breaker wait there for the one that tries, which for a model takes minutes; the time it stays open cannot follow `retry-after`; and
 * failures have no callers.
 */
export class Breaker {
  readonly #settings: Upstream['breaker'];
  readonly #onChange: OnBreaker;
  #state: BreakerState = 'closed';
  /** Whose the failures in a row are; null of nobody in particular. */
  #row: (string | null)[] = [];
  /** One bit an outcome, the newest lowest; 1 is a failure. */
  #outcomes = 0;
  #known = 0;
  /** Whose the last failures are, the newest last. */
  #failers: (string | null)[] = [];
  /** Whose call succeeded last and when, and when last that of somebody else. */
  #good: { readonly by: string | null; at: number } = { by: null, at: Number.NEGATIVE_INFINITY };
  #goodBefore = Number.NEGATIVE_INFINITY;
  /** Whose failures alone opened it, or null. */
  #suspect: string | null = null;
  #openedTimes = 0;
  /** Monotonic milliseconds. */
  #openUntil = 0;
  #trial: Trial | null = null;

  constructor(settings: Upstream['breaker'], onChange: OnBreaker) {
    this.#settings = settings;
    this.#onChange = onChange;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Closed, and nothing bad is remembered. */
  get isClean(): boolean {
    return this.#state === 'closed' && this.#outcomes === 0;
  }

  /** Milliseconds until a call may be tried; 0 where one may be made now. */
  wait(now: number, caller: string | null = null): number {
    if (this.#state === 'closed') return 0;
    if (this.#trial !== null) return TRIAL_LOOK;
    if (this.#state === 'half-open' || (this.#suspect !== null && caller !== null && caller !== this.#suspect)) return 0;
    return Math.max(0, this.#openUntil - now);
  }

  /** Leave to call. A trial has to end in an outcome, or be given back with `abandon`. */
  admit(now: number, caller: string | null = null): Leave {
    if (this.#state === 'closed') return 'free';
    if (this.wait(now, caller) > 0) return 'refused';
    if (this.#state === 'open') this.#become('half-open', null);
    this.#trial = { since: now };
    return this.#trial;
  }

  succeeded(leave: Leave, now: number, by: string | null = null): void {
    if (this.#good.by === by) this.#good.at = now;
    else {
      this.#goodBefore = this.#good.at;
      this.#good = { by, at: now };
    }
    if (this.#state === 'closed') {
      if (this.#row.length > 0) this.#row = [];
      this.#remember(0);
    } else if (leave === this.#trial) {
      // A call that began before it opened proves nothing.
      this.#trial = null;
      this.#openedTimes = 0;
      this.#forget();
      this.#become('closed', null);
    }
  }

  /** `by`: whose call it was, where what it sent may be why it failed. */
  failed(leave: Leave, now: number, reason: string, by: string | null = null): void {
    if (this.#settings.failures === 0) return;
    if (leave === this.#trial) {
      this.#trip(now, reason, this.#suspect === null || this.#suspect === by ? by : null);
      return;
    }
    if (this.#state !== 'closed') return;
    this.#row.push(by);
    this.#failers.push(by);
    this.#remember(1);
    const failures = bits(this.#outcomes);
    while (this.#failers.length > failures) this.#failers.shift();
    const row = weigh(this.#row);
    const share = weigh(this.#failers);
    const enough = this.#known >= ENOUGH;
    if (row.weight >= this.#settings.failures || (enough && share.weight * 2 >= this.#known)) this.#trip(now, reason, null);
    else if (this.#row.length >= this.#settings.failures || (enough && failures * 2 >= this.#known)) {
      const { most } = this.#row.length >= this.#settings.failures ? row : share;
      const others = this.#good.by === most ? this.#goodBefore : this.#good.at;
      if (now - others > EVIDENCE) this.#trip(now, reason, most);
      // What is weighed stays within what can still count.
      else if (this.#row.length > REMEMBERED) this.#row.shift();
    }
  }

  /** The server said that it takes nothing for so many milliseconds. */
  busy(now: number, milliseconds: number, reason: string): void {
    if (this.#settings.failures === 0) return;
    this.#trial = null;
    this.#suspect = null;
    this.#openUntil = Math.max(this.#state === 'open' ? this.#openUntil : 0, now + Math.min(milliseconds, this.#settings.maxOpen));
    if (this.#state !== 'open') this.#become('open', reason, 'busy');
  }

  /** A trial ended without saying anything about the server: its client left. */
  abandon(leave: Leave): void {
    if (leave === this.#trial) this.#trial = null;
  }

  /** The server answers again, as a probe found: the next call tries it. */
  hint(now: number): void {
    if (this.#state === 'open') this.#openUntil = Math.min(this.#openUntil, now);
  }

  /** Another replica has found it failing: a single failure here confirms that. It is not believed outright, for its network is not ours. */
  warn(): void {
    if (this.#state === 'closed') this.#row = new Array<null>(Math.max(0, this.#settings.failures - 1)).fill(null);
  }

  #trip(now: number, reason: string, suspect: string | null): void {
    this.#trial = null;
    this.#suspect = suspect;
    const { open, maxOpen } = this.#settings;
    this.#openUntil = now + Math.min(maxOpen, open * 2 ** Math.min(this.#openedTimes, 20));
    this.#openedTimes += 1;
    this.#forget();
    this.#become('open', reason, suspect === null ? 'everybody' : 'one caller');
  }

  #remember(outcome: 0 | 1): void {
    this.#outcomes = ((this.#outcomes << 1) | outcome) & ((1 << REMEMBERED) - 1);
    if (this.#known < REMEMBERED) this.#known += 1;
  }

  #forget(): void {
    this.#row = [];
    this.#failers = [];
    this.#outcomes = 0;
    this.#known = 0;
  }

  #become(state: BreakerState, reason: string | null, scope: 'everybody' | 'one caller' | 'busy' = 'everybody'): void {
    this.#state = state;
    if (state === 'closed') this.#suspect = null;
    this.#onChange(state, reason, scope);
  }
}

/** How soon to look again while another call tries, milliseconds. */
const TRIAL_LOOK = 1_000;

/** What failures count for: those of whoever has most no more than all others. Those of nobody in particular count each for itself. */
function weigh(failers: readonly (string | null)[]): { readonly weight: number; readonly most: string | null } {
  const counts = new Map<string, number>();
  let most: string | null = null;
  let largest = 0;
  for (const by of failers) {
    if (by === null) continue;
    const count = (counts.get(by) ?? 0) + 1;
    counts.set(by, count);
    if (count > largest) [most, largest] = [by, count];
  }
  const rest = failers.length - largest;
  return { weight: rest + Math.min(largest, rest), most };
}

function bits(value: number): number {
  let count = 0;
  for (let rest = value; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
