import type { Upstream } from '@sallyport/core';
import { Breaker, type BreakerState, type Leave, type OnBreaker } from './breaker.ts';

/** Callers whose calls fail that are kept; the oldest are forgotten. */
const MAX_CALLERS = 1_000;

/** One call's leave. What is said of its end after the first word counts as any other call's. */
export interface Pass {
  readonly caller: string;
  leave: Leave;
  ownLeave: Leave;
}

/** The breaker of a server or of a model on it: one for everybody, and one for each caller whose calls fail there. */
export class Breakers {
  readonly #settings: Upstream['breaker'];
  readonly #all: Breaker;
  readonly #own = new Map<string, Breaker>();

  constructor(settings: Upstream['breaker'], onChange: OnBreaker) {
    this.#settings = settings;
    this.#all = new Breaker(settings, onChange);
  }

  /** Of the one for everybody. */
  get state(): BreakerState {
    return this.#all.state;
  }

  /** Milliseconds until a call of the caller may be tried; 0 where one may be made now. */
  wait(now: number, caller: string): number {
    return Math.max(this.#all.wait(now, caller), this.#own.get(caller)?.wait(now) ?? 0);
  }

  /** Leave to call, which has to end in an outcome or be abandoned; null where there is none. */
  admit(now: number, caller: string): Pass | null {
    const own = this.#own.size === 0 ? undefined : this.#own.get(caller);
    const ownLeave = own?.admit(now) ?? 'free';
    if (ownLeave === 'refused') return null;
    const leave = this.#all.admit(now, caller);
    if (leave !== 'refused') return { caller, leave, ownLeave };
    own?.abandon(ownLeave);
    return null;
  }

  /** The server answers again, as a probe found: the next call tries it. */
  hint(now: number): void {
    this.#all.hint(now);
  }

  /** Another replica has found it failing. */
  warn(): void {
    this.#all.warn();
  }

  /** Another replica was told by the server that it takes nothing for so many milliseconds. */
  rest(now: number, milliseconds: number, reason: string): void {
    this.#all.busy(now, milliseconds, reason);
  }

  succeeded(pass: Pass, now: number): void {
    const { caller, leave, ownLeave } = pass;
    this.#all.succeeded(leave, now, caller);
    const own = this.#own.size === 0 ? undefined : this.#own.get(caller);
    own?.succeeded(ownLeave, now);
    if (own?.isClean === true) this.#own.delete(caller);
    spend(pass);
  }

  /** `isCallers`: what was sent may be why. */
  failed(pass: Pass, now: number, reason: string, isCallers: boolean): void {
    const { caller, leave, ownLeave } = pass;
    this.#all.failed(leave, now, reason, isCallers ? caller : null);
    if (isCallers) this.#ownOf(caller).failed(ownLeave, now, reason);
    else this.#own.get(caller)?.abandon(ownLeave);
    spend(pass);
  }

  /** The server said that it takes nothing for so many milliseconds. */
  busy(pass: Pass, now: number, milliseconds: number, reason: string): void {
    this.#all.busy(now, milliseconds, reason);
    this.#own.get(pass.caller)?.abandon(pass.ownLeave);
    spend(pass);
  }

  /** Its end says nothing about the server. A trial is left to the next call. */
  abandon(pass: Pass): void {
    this.#all.abandon(pass.leave);
    this.#own.get(pass.caller)?.abandon(pass.ownLeave);
    spend(pass);
  }

  #ownOf(caller: string): Breaker {
    let own = this.#own.get(caller);
    if (own === undefined) {
      if (this.#own.size >= MAX_CALLERS) for (const oldest of this.#own.keys()) if (this.#own.delete(oldest)) break;
      own = new Breaker(this.#settings, () => undefined);
      this.#own.set(caller, own);
    }
    return own;
  }
}

function spend(pass: Pass): void {
  pass.leave = 'free';
  pass.ownLeave = 'free';
}
