import { type Clock, Fault, type LimitRule, type Usage } from '@sallyport/core';
import { type Claim, claimsOf, describeBucket, type LimitEstimate, type LimitRules, type LimitSubject } from './claim.ts';
import { Limiter } from './limiter.ts';
import { MemoryStore } from './memory-store.ts';
import type { Reservation } from './reservation.ts';

/** A request of a trace. Times are milliseconds. */
export interface TracedRequest {
  /** Epoch; not before that of the request before it. */
  readonly time: number;
  readonly subject: LimitSubject;
  readonly estimate: LimitEstimate;
  /** What it uses in the end. */
  readonly usage: Usage;
  /** How long it runs. */
  readonly duration: number;
}

/** How far one rule was used, at most, and for whom. */
export interface Peak {
  readonly rule: LimitRule;
  readonly of: string;
  readonly used: number;
}

interface Running {
  readonly endsAt: number;
  readonly reservation: Reservation;
  readonly usage: Usage;
  readonly onCut: (fault: Fault) => void;
}

/** What limits would do with requests of the past, by the very code that holds requests to them, in a time of its own. */
export class LimitSimulation {
  readonly #clock: { time: number } & Clock = {
    time: 0,
    now(): number {
      return this.time;
    },
    monotonic(): number {
      return this.time;
    },
  };
  readonly #store = new MemoryStore(this.#clock);
  readonly #limiter = new Limiter(this.#store, this.#clock);
  readonly #peaks = new Map<string, Peak>();
  /** By the end, the next one last. */
  readonly #running: Running[] = [];

  /** The highest use of each rule by name, as a part of its amount. */
  get peaks(): readonly Peak[] {
    return [...this.#peaks.values()];
  }

  /**
   * The fault a request would have been refused with, or null. `onCut` is told, when its time has come, of the fault a reply that outgrew
   * its reservation would have been cut with. @throws RangeError where time goes back
   */
  ask(rules: LimitRules, request: TracedRequest, onCut: (fault: Fault) => void): Fault | null {
    if (request.time < this.#clock.time) throw new RangeError('Requests have to be in the order of their time.');
    this.#endUntil(request.time);
    this.#clock.time = request.time;
    let reservation: Reservation;
    try {
      // These counts are in memory, so the answer is there at once.
      reservation = this.#limiter.reserve(rules, { ...request.subject, estimate: request.estimate }) as Reservation;
    } catch (error) {
      if (error instanceof Fault) return error;
      throw error;
    }
    this.#note(claimsOf(rules, request.subject, request.estimate), request.subject);
    const running = { endsAt: request.time + request.duration, reservation, usage: request.usage, onCut };
    let at = this.#running.length;
    while (at > 0 && (this.#running[at - 1]?.endsAt ?? 0) < running.endsAt) at -= 1;
    this.#running.splice(at, 0, running);
    return null;
  }

  /** Ends what still runs. */
  finish(): void {
    this.#endUntil(Number.POSITIVE_INFINITY);
  }

  #endUntil(time: number): void {
    for (let next = this.#running.at(-1); next !== undefined && next.endsAt <= time; next = this.#running.at(-1)) {
      this.#running.pop();
      this.#clock.time = Math.max(this.#clock.time, next.endsAt);
      this.#end(next);
    }
  }

  #end({ reservation, usage, onCut }: Running): void {
    const over = usage.output - reservation.coveredOutput;
    const fault = over > 0 ? (reservation.extend(over) as Fault | null) : null;
    const output = Math.min(usage.output, reservation.coveredOutput);
    if (fault !== null || output < usage.output) onCut(fault ?? new Fault('rate_limit_exceeded', 'A limit had no room for the rest.'));
    reservation.settle({ ...usage, output });
    reservation[Symbol.dispose]();
  }

  #note(claims: readonly Claim[], subject: LimitSubject): void {
    for (const [at, { used }] of this.#store.peek(claims).entries()) {
      const claim = claims[at] as Claim;
      const { rule } = claim;
      const known = this.#peaks.get(rule.name);
      if (known !== undefined && used / rule.amount <= known.used / known.rule.amount) continue;
      this.#peaks.set(rule.name, { rule, of: describeBucket(claim, subject), used });
    }
  }
}
