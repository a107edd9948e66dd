import { type Clock, Fault, type LimitQuantity, type LimitRule, type Principal, type Usage } from '@sallyport/core';
import { networkOf } from '../address.ts';
import { ModelSet } from '../policy-glob.ts';
import { rateLimitHeaders, type Standing } from './headers.ts';
import { SlidingWindow } from './window.ts';

/** Tokens a request may use, before anybody has counted them. */
export interface LimitEstimate {
  readonly input: number;
  readonly output: number;
  /** False where the client set no bound: the output reserved is then no more than there is room for. */
  readonly outputBounded: boolean;
}

export interface LimitRequest {
  readonly principal: Principal;
  readonly model: string | null;
  readonly upstream: string | null;
  readonly address: string;
  readonly estimate: LimitEstimate;
  /** Told the `x-ratelimit-*` headers where a limit refuses: those of the rules up to that one. */
  readonly onRefused?: (headers: readonly string[]) => void;
}

/** Held until disposed. What was not settled by then stays counted as reserved: nobody gains by breaking off. */
export interface Reservation extends Disposable {
  /** `x-ratelimit-*` headers, flat (name, value, ...). */
  readonly headers: readonly string[];
  /** Replaces the tokens reserved by those used. Once; later calls change nothing. */
  settle(usage: Usage): void;
}

/** The rules of one snapshot: those for everybody, and those of single keys by key id. */
export interface LimitRules {
  readonly rules: readonly LimitRule[];
  readonly keyRules: (keyId: string) => readonly LimitRule[];
}

interface Bucket {
  readonly window: SlidingWindow | null;
  busy: number;
  lastUse: number;
}

interface Hold {
  readonly bucket: Bucket;
  readonly rule: LimitRule;
  readonly amount: number;
  slice: number;
}

/** Where no rule applies. */
const UNLIMITED: Reservation = Object.freeze({ headers: Object.freeze([]), settle: () => undefined, [Symbol.dispose]: () => undefined });

/** Buckets kept before idle ones are looked for. */
const SWEEP_AT = 50_000;
/** Milliseconds after which an unused bucket of any window has emptied: the longest window a rule may have, 31 days, is kept in full. */
const CLOCK_SLACK = 1_000;

/**
 * Counts requests, tokens and concurrency in memory. All rules that apply are reserved together or not at all, before the call, and
 * settled after it. In any window the admitted amount never exceeds a rule's by more than what the last admitted call used beyond its
 * own reservation.
 */
export class Limiter {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();
  readonly #modelSets = new WeakMap<LimitRule, ModelSet>();
  #sweepAt = SWEEP_AT;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @throws Fault `rate_limit_exceeded` (with `retryAfter`), `concurrency_exceeded`, or `quota_exceeded` where the request alone is larger
   * than a rule ever allows, so that trying again cannot help
   */
  reserve(rules: LimitRules, request: LimitRequest): Reservation {
    const now = this.#clock.monotonic();
    const { principal } = request;
    const applicable = principal.credential.kind === 'api-key' ? [...rules.rules, ...rules.keyRules(principal.credential.id)] : rules.rules;
    if (applicable.length === 0) return UNLIMITED;
    const holds: Hold[] = [];
    const standings: Standing[] = [];
    for (const rule of applicable) {
      if (rule.models !== null && (request.model === null || !this.#modelsOf(rule, rule.models).has(request.model))) continue;
      for (const value of valuesOf(rule, request)) {
        const bucket = this.#bucket(rule, value, now);
        if (bucket.window !== null) standings.push({ rule, window: bucket.window });
        try {
          holds.push(this.#check(rule, bucket, request.estimate, now));
        } catch (error) {
          request.onRefused?.(rateLimitHeaders(standings, now));
          throw error;
        }
      }
    }
    // Every rule has room: only now is anything counted.
    for (const hold of holds) {
      if (hold.bucket.window === null) hold.bucket.busy += 1;
      else hold.slice = hold.bucket.window.add(now, hold.amount);
    }
    return this.#reservation(holds, rateLimitHeaders(standings, now));
  }

  #modelsOf(rule: LimitRule, models: readonly string[]): ModelSet {
    let set = this.#modelSets.get(rule);
    if (set === undefined) {
      set = new ModelSet(models);
      this.#modelSets.set(rule, set);
    }
    return set;
  }

  #check(rule: LimitRule, bucket: Bucket, estimate: LimitEstimate, now: number): Hold {
    if (bucket.window === null) {
      if (bucket.busy < rule.amount) return { bucket, rule, amount: 1, slice: 0 };
      throw new Fault('concurrency_exceeded', `At most ${rule.amount} requests at a time are allowed here (limit ${rule.name}).`, {
        retryAfter: 1,
        detail: rule.name,
      });
    }
    const room = rule.amount - bucket.window.used(now);
    const amount = amountOf(rule.quantity, estimate, room);
    if (amount > rule.amount) {
      throw new Fault(
        'quota_exceeded',
        `The request may use ${amount} ${rule.quantity}; the limit ${rule.name} allows ${rule.amount}. Lower its output bound or its length.`,
        {
          detail: rule.name,
        },
      );
    }
    if (amount > room) {
      const retryAfter = Math.max(1, Math.ceil(bucket.window.untilAtMost(now, rule.amount - amount) / 1000));
      throw new Fault('rate_limit_exceeded', `The limit ${rule.name} is used up. Try again in ${retryAfter} s.`, {
        retryAfter,
        detail: rule.name,
      });
    }
    return { bucket, rule, amount, slice: 0 };
  }

  #bucket(rule: LimitRule, value: string, now: number): Bucket {
    const id = JSON.stringify([rule.name, rule.quantity, rule.window, rule.per, value]);
    let bucket = this.#buckets.get(id);
    if (bucket === undefined) {
      if (this.#buckets.size >= this.#sweepAt) this.#sweep(now);
      bucket = { window: rule.quantity === 'concurrency' ? null : new SlidingWindow(rule.window), busy: 0, lastUse: now };
      this.#buckets.set(id, bucket);
    }
    bucket.lastUse = now;
    return bucket;
  }

  /** Drops buckets in which nothing counts any more. Where all still count, the next sweep waits for twice as many. */
  #sweep(now: number): void {
    for (const [id, bucket] of this.#buckets) {
      const idle = now - bucket.lastUse > CLOCK_SLACK;
      if (idle && bucket.busy === 0 && (bucket.window === null || bucket.window.used(now) <= 0)) this.#buckets.delete(id);
    }
    this.#sweepAt = Math.max(SWEEP_AT, this.#buckets.size * 2);
  }

  #reservation(holds: readonly Hold[], headers: readonly string[]): Reservation {
    let settled = false;
    let held = true;
    return {
      headers,
      settle: (usage) => {
        if (settled) return;
        settled = true;
        const now = this.#clock.monotonic();
        for (const { bucket, rule, amount, slice } of holds) bucket.window?.adjust(now, slice, used(rule.quantity, usage, amount) - amount);
      },
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        for (const { bucket } of holds) if (bucket.window === null) bucket.busy -= 1;
      },
    };
  }
}

/** The values of a rule's dimension for a request; none where the request has no such thing. No two callers can make the same value. */
function valuesOf(rule: LimitRule, { principal, model, upstream, address }: LimitRequest): readonly string[] {
  switch (rule.per) {
    case 'key':
      // Tokens and certificates are renewed; a fresh one must not bring a fresh limit.
      return principal.credential.kind === 'api-key'
        ? [JSON.stringify(['api-key', principal.credential.id])]
        : [JSON.stringify(['principal', principal.tenant, principal.id])];
    case 'user':
      return [
        JSON.stringify(
          principal.user === null ? [principal.tenant, 'principal', principal.id] : [principal.tenant, 'user', principal.user],
        ),
      ];
    case 'team':
      return principal.team === null ? [] : [JSON.stringify([principal.tenant, principal.team])];
    case 'tenant':
      return [principal.tenant];
    case 'role':
      return principal.roles;
    case 'model':
      return model === null ? [] : [model];
    case 'upstream':
      return upstream === null ? [] : [upstream];
    case 'address':
      return [networkOf(address)];
    case 'global':
      return [''];
  }
}

function amountOf(quantity: LimitQuantity, estimate: LimitEstimate, room: number): number {
  const output = (taken: number): number =>
    estimate.outputBounded ? estimate.output : Math.max(1, Math.min(estimate.output, room - taken));
  switch (quantity) {
    case 'input-tokens':
      return estimate.input;
    case 'output-tokens':
      return estimate.output === 0 ? 0 : output(0);
    case 'tokens':
      return estimate.output === 0 ? estimate.input : estimate.input + output(estimate.input);
    case 'requests':
    case 'concurrency':
      return 1;
  }
}

function used(quantity: LimitQuantity, usage: Usage, reserved: number): number {
  switch (quantity) {
    case 'input-tokens':
      return usage.input;
    case 'output-tokens':
      return usage.output;
    case 'tokens':
      return usage.input + usage.output;
    case 'requests':
    case 'concurrency':
      return reserved;
  }
}
