import type { Fault, Usage } from '@sallyport/core';
import { type Claim, claimsOf, costOf, type LimitEstimate, type LimitRules, type LimitSubject, usedOf } from './claim.ts';
import { rateLimitHeaders } from './headers.ts';
import { shortageFault } from './shortage.ts';
import type { CounterStore, Hold, Shortage } from './store.ts';

/** Held until disposed. What was not settled by then stays counted as reserved: nobody gains by breaking off. */
export interface Reservation extends Disposable {
  /** `x-ratelimit-*` headers, flat (name, value, ...). */
  readonly headers: readonly string[];
  /** `local` where shared counters were out of reach and a share of the limits decided. */
  readonly origin: Hold['origin'];
  /** Output tokens the reply may have before `extend` is to be asked; infinite where no rule would cut it. */
  readonly coveredOutput: number;
  /** Reserves up to `output` further output tokens, at least one. Resolves to the fault to cut the reply with where a rule has none left. */
  extend(output: number): Fault | null | Promise<Fault | null>;
  /**
   * The request goes elsewhere: what the rules of that model and upstream ask for is reserved, what those of the one before held is given
   * back (a request stays counted). @throws Fault as `Limiter.reserve`; what was held stays held then
   */
  move(to: Pick<LimitSubject, 'model' | 'upstream' | 'price'>): void | Promise<void>;
  /**
   * A second server is to be asked beside the first: what its own rules ask for is reserved, and the input once more under those by
   * anything else. It stays one request. Null where a rule has no room for that.
   */
  hedge(upstream: string): Hedge | null | Promise<Hedge | null>;
  /** Replaces what was reserved by what was used. Once; later calls change nothing. */
  settle(usage: Usage): void;
}

/** What a second server beside the first has reserved. Ends in one of the two, once, before its reservation does. */
export interface Hedge {
  /** The second answers: what is settled and extended from here on is its reply's; the first is charged for the input where it may have read it. */
  won(firstWorked: boolean): void;
  /** The first answers, or neither does. `worked`: the second may have read the input, so that it is charged. */
  lost(worked: boolean): void;
}

const FREE: Hedge = Object.freeze({ won: () => undefined, lost: () => undefined });

/** Where there are no rules. */
export const UNLIMITED: Reservation = Object.freeze({
  headers: Object.freeze([]),
  origin: 'shared' as const,
  coveredOutput: Number.POSITIVE_INFINITY,
  extend: () => null,
  move: () => undefined,
  hedge: () => FREE,
  settle: () => undefined,
  [Symbol.dispose]: () => undefined,
});

export class HeldReservation implements Reservation {
  readonly headers: readonly string[];
  readonly origin: Hold['origin'];
  coveredOutput: number;
  readonly #store: CounterStore;
  readonly #rules: LimitRules;
  readonly #estimate: LimitEstimate;
  readonly #holds: Hold[];
  /** Claims that were given back on a move: they are settled and count for nothing any more. */
  #back: Set<Claim> | null = null;
  #subject: LimitSubject;
  #settled = false;
  #held = true;

  constructor(store: CounterStore, rules: LimitRules, request: LimitSubject & { readonly estimate: LimitEstimate }, hold: Hold | null) {
    this.#store = store;
    this.#rules = rules;
    this.#subject = request;
    this.#estimate = request.estimate;
    this.#holds = hold === null ? [] : [hold];
    this.origin = hold?.origin ?? 'shared';
    this.headers = hold === null ? [] : rateLimitHeaders(hold.claims, hold.standings);
    this.coveredOutput = hold === null ? Number.POSITIVE_INFINITY : covered(hold, request.estimate, request.price);
  }

  extend(output: number): Fault | null | Promise<Fault | null> {
    const held = new Map<string, Claim>();
    for (const { claims } of this.#holds) for (const claim of claims) if (cuts(claim) && this.#counts(claim)) held.set(claim.bucket, claim);
    const usage = (tokens: number): Usage => ({ input: 0, output: tokens, cached: 0, exact: false });
    const claims = [...held.values()].map(({ rule, bucket }) => ({
      rule,
      bucket,
      least: usedOf(rule, usage(1), this.#subject.price) ?? 0,
      most: usedOf(rule, usage(output), this.#subject.price) ?? 0,
    }));
    if (claims.length === 0) return null;
    const taking = this.#store.take(claims);
    return taking instanceof Promise ? taking.then((done) => this.#extended(done)) : this.#extended(taking);
  }

  #extended(taking: Hold | Shortage): Fault | null {
    if (!taking.granted) return shortageFault(taking);
    if (this.#tooLate(taking)) return null;
    this.#holds.push(taking);
    this.coveredOutput += covered(taking, { input: 0, output: 0, outputBounded: true }, this.#subject.price);
    return null;
  }

  move(to: Pick<LimitSubject, 'model' | 'upstream' | 'price'>): void | Promise<void> {
    const { model, upstream } = this.#subject;
    if (model === to.model && upstream === to.upstream) return;
    const subject = { ...this.#subject, ...to };
    const wanted = claimsOf(this.#rules, subject, this.#estimate);
    const held = this.#buckets();
    const fresh = wanted.filter(({ bucket }) => !held.has(bucket));
    const moved = (taking: Hold | Shortage | null): void => {
      if (taking !== null && !taking.granted) throw shortageFault(taking);
      if (taking !== null && this.#tooLate(taking)) return;
      const kept = new Set(wanted.map(({ bucket }) => bucket));
      for (const hold of this.#holds) {
        this.#store.settle(
          hold,
          hold.claims.map((claim) => {
            if (kept.has(claim.bucket) || claim.rule.quantity === 'requests') return null;
            this.#back ??= new Set();
            this.#back.add(claim);
            return 0;
          }),
        );
      }
      if (taking !== null) {
        this.#holds.push(taking);
        this.coveredOutput = Math.min(this.coveredOutput, covered(taking, this.#estimate, to.price));
      }
      this.#subject = subject;
    };
    if (fresh.length === 0) return moved(null);
    const taking = this.#store.take(fresh);
    return taking instanceof Promise ? taking.then(moved) : moved(taking);
  }

  hedge(upstream: string): Hedge | null | Promise<Hedge | null> {
    const { input } = this.#estimate;
    const { price } = this.#subject;
    const subject = { ...this.#subject, upstream };
    const held = this.#buckets();
    const own = claimsOf(this.#rules, subject, this.#estimate).filter(({ rule, bucket }) => rule.per === 'upstream' && !held.has(bucket));
    const again = claimsOf(this.#rules, subject, { input, output: 0, outputBounded: true }).filter(
      ({ rule, most }) => rule.per !== 'upstream' && rule.quantity !== 'requests' && rule.quantity !== 'concurrency' && most > 0,
    );
    if (own.length + again.length === 0) return FREE;
    /** Of a server that read the request and is not listened to. */
    const unheard = ({ rule }: Claim, worked: boolean): number | null =>
      rule.quantity === 'concurrency' ? 0 : usedOf(rule, { input: worked ? input : 0, output: 0, cached: 0, exact: false }, price);
    const decided = (taking: Hold | Shortage): Hedge | null => {
      if (!taking.granted || this.#tooLate(taking)) return null;
      return {
        lost: (worked) => {
          this.#store.settle(
            taking,
            taking.claims.map((claim) => unheard(claim, worked)),
          );
          this.#store.close?.(taking);
        },
        won: (firstWorked) => {
          this.#back ??= new Set();
          for (const hold of [...this.#holds, taking]) {
            const used = hold.claims.map((claim) => {
              if ((claim.rule.per === 'upstream') === (hold === taking) || !this.#counts(claim)) return null;
              this.#back?.add(claim);
              return unheard(claim, firstWorked);
            });
            this.#store.settle(hold, used);
          }
          this.#holds.push(taking);
          this.#subject = subject;
          const taken = taking.taken.slice(0, own.length);
          this.coveredOutput = Math.min(this.coveredOutput, covered({ claims: own, taken }, this.#estimate, price));
        },
      };
    };
    const taking = this.#store.take([...own, ...again]);
    return taking instanceof Promise ? taking.then(decided) : decided(taking);
  }

  /** The buckets in which something of it counts. */
  #buckets(): Set<string> {
    return new Set(this.#holds.flatMap(({ claims }) => claims.filter((claim) => this.#counts(claim)).map(({ bucket }) => bucket)));
  }

  /** Nobody waited for the answer: what it took goes back. */
  #tooLate(taking: Hold): boolean {
    if (this.#held) return false;
    giveBack(this.#store, taking);
    return true;
  }

  #counts(claim: Claim): boolean {
    return this.#back === null || !this.#back.has(claim);
  }

  settle(usage: Usage): void {
    if (this.#settled) return;
    this.#settled = true;
    const { price } = this.#subject;
    const [first] = this.#holds;
    if (this.#holds.length === 1 && first !== undefined) {
      this.#store.settle(
        first,
        first.claims.map(({ rule }) => usedOf(rule, usage, price)),
      );
      return;
    }
    // A bucket that was asked again, for a stream that went on: each asking keeps what it took, the last one has the rest.
    const rest = new Map<string, number>();
    for (const [at, hold] of this.#holds.entries()) {
      const later = this.#holds.slice(at + 1);
      const used = hold.claims.map((claim, index) => {
        const { rule, bucket } = claim;
        const whole = usedOf(rule, usage, price);
        if (whole === null || !this.#counts(claim)) return null;
        const left = rest.get(bucket) ?? whole;
        const again = later.some(({ claims }) => claims.some((other) => other.bucket === bucket && this.#counts(other)));
        const amount = again ? Math.min(left, hold.taken[index] ?? 0) : left;
        rest.set(bucket, left - amount);
        return amount;
      });
      this.#store.settle(hold, used);
    }
  }

  [Symbol.dispose](): void {
    if (!this.#held) return;
    this.#held = false;
    for (const hold of this.#holds) {
      if (hold.claims.some(({ rule }) => rule.quantity === 'concurrency')) {
        this.#store.settle(
          hold,
          hold.claims.map(({ rule }) => (rule.quantity === 'concurrency' ? 0 : null)),
        );
      }
      this.#store.close?.(hold);
    }
  }
}

/** Gives back what a hold took, but for the requests, which were made. */
function giveBack(store: CounterStore, hold: Hold): void {
  store.settle(
    hold,
    hold.claims.map(({ rule }) => (rule.quantity === 'requests' ? null : 0)),
  );
  store.close?.(hold);
}

/** Whether the rule of a claim cuts a stream that has used all there is. */
function cuts({ rule }: Claim): boolean {
  return rule.overrun !== 'finish' && (rule.quantity === 'output-tokens' || rule.quantity === 'tokens' || rule.quantity === 'spend');
}

/** Output tokens for which every claim of a hold took enough, once the input is paid for. */
function covered({ claims, taken }: Pick<Hold, 'claims' | 'taken'>, { input }: LimitEstimate, price: LimitSubject['price']): number {
  let least = Number.POSITIVE_INFINITY;
  for (const [at, claim] of claims.entries()) {
    if (!cuts(claim)) continue;
    const amount = taken[at] ?? 0;
    if (claim.rule.quantity === 'output-tokens') least = Math.min(least, amount);
    else if (claim.rule.quantity === 'tokens') least = Math.min(least, amount - input);
    else if (price !== null && price.output > 0) least = Math.min(least, Math.floor((amount - costOf(price, input, 0, 0)) / price.output));
  }
  return least;
}
