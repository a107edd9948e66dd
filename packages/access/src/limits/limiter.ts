import { type Clock, Fault, type LimitDimension, type LimitRule, systemClock } from '@sallyport/core';
import { networkOf } from '../address.ts';
import { bucketsOf, type Claim, CROWD, callerOf, claimsOf, type LimitEstimate, type LimitRules, type LimitSubject } from './claim.ts';
import { rateLimitHeaders } from './headers.ts';
import { NameBook } from './name-book.ts';
import { RefusalBook } from './refusal-book.ts';
import { HeldReservation, type Reservation, UNLIMITED } from './reservation.ts';
import { shortageFault } from './shortage.ts';
import type { CounterStore, Hold, Shortage, Standing } from './store.ts';

export interface LimitRequest extends LimitSubject {
  readonly estimate: LimitEstimate;
  /** Told the `x-ratelimit-*` headers where a limit refuses: those of the rules up to that one. */
  readonly onRefused?: (headers: readonly string[]) => void;
}

/** How one rule stands for a caller. */
export interface LimitStanding extends Standing {
  readonly claim: Claim;
}

/**
 * Holds requests to limits. All rules that apply are reserved together or not at all, before the call, and settled after it. What is
 * admitted in any window or period exceeds a rule's amount by no more than what admitted calls used beyond their own reservations, and a
 * stream does not outgrow its reservation unless the rule says so.
 */
export class Limiter {
  readonly #store: CounterStore;
  readonly #clock: Clock;
  readonly #names = new NameBook();
  readonly #refusals = new RefusalBook();

  constructor(store: CounterStore, clock: Clock = systemClock) {
    this.#store = store;
    this.#clock = clock;
  }

  /**
   * Returns at once where the store is in this process.
   * @throws Fault `rate_limit_exceeded` (with `retryAfter`), `concurrency_exceeded`, `quota_exceeded` where a budget is used up, or where
   * the request alone is larger than a rule ever allows, so that trying again cannot help; `not_ready` where the store cannot decide
   */
  reserve(rules: LimitRules, asked: LimitRequest): Reservation | Promise<Reservation> {
    const request = this.#placed(rules, asked);
    const claims = claimsOf(rules, request, request.estimate);
    // A rule that does not apply to this destination may apply to the next one.
    if (claims.length === 0) return hasRules(rules, request) ? new HeldReservation(this.#store, rules, request, null) : UNLIMITED;
    const never = claims.findIndex(({ rule, least }) => least > rule.amount);
    if (never >= 0) return this.#refuseAlways(claims.slice(0, never + 1), request);
    const taking = this.#store.take(claims);
    return taking instanceof Promise ? taking.then((done) => this.#decided(rules, request, done)) : this.#decided(rules, request, taking);
  }

  /**
   * Refuses a request of which no more than its head is known, where another was refused for the number of requests less than a second ago
   * and there is no room yet. Takes nothing, asks nobody, and costs nothing while nobody is over such a limit.
   * @throws Fault as `reserve` does
   */
  turnAway(
    rules: LimitRules,
    subject: Omit<LimitSubject, 'model' | 'upstream' | 'price'>,
    onRefused: (headers: readonly string[]) => void,
  ): void {
    if (this.#refusals.isEmpty) return;
    const claims = claimsOf(rules, { ...subject, model: null, upstream: null, price: null }, NOTHING);
    const shortage = this.#refusals.find(claims, this.#clock.monotonic());
    if (shortage === null) return;
    onRefused(rateLimitHeaders(shortage.claims, shortage.standings));
    throw shortageFault(shortage);
  }

  /**
   * How every rule that applies to `subject` stands for it. Counts nothing. `known` names the dimensions that are known of the subject,
   * where it is not a request with all of them: rules by another are left out.
   * @throws Fault `not_ready` where the counts are out of reach
   */
  async standings(rules: LimitRules, subject: LimitSubject, known?: ReadonlySet<LimitDimension>): Promise<readonly LimitStanding[]> {
    const claims = known === undefined ? claimsOf(rules, subject, NOTHING) : bucketsOf(rules, subject, known);
    const standings = await this.#store.peek(claims);
    return claims.map((claim, at) => ({ claim, used: standings[at]?.used ?? 0, reset: standings[at]?.reset ?? 0 }));
  }

  /** Forgets what counts in the buckets of `claims`; what runs goes on counting. @throws Fault `not_ready` as `standings` */
  async clear(claims: readonly Claim[]): Promise<void> {
    this.#refusals.clear(claims);
    await this.#store.clear(claims);
  }

  /** The request, counted with all others of its caller's where that one uses more sessions or addresses than are told apart. */
  #placed(rules: LimitRules, request: LimitRequest): LimitRequest {
    const { credential } = request.principal;
    const general = horizonsOf(rules.rules);
    const own = credential.kind === 'api-key' ? horizonsOf(rules.keyRules(credential.id)) : NONE;
    const forSession = request.session === null ? 0 : Math.max(general.session, own.session);
    const forAddress = Math.max(general.address, own.address);
    if (forSession === 0 && forAddress === 0) return request;
    const now = this.#clock.monotonic();
    const caller = callerOf(request.principal);
    const crowded = forSession > 0 && !this.#names.has(`s${caller}`, request.session ?? '', now, forSession);
    const everywhere = forAddress > 0 && !this.#names.has(`a${caller}`, networkOf(request.address), now, forAddress);
    if (!crowded && !everywhere) return request;
    return { ...request, session: crowded ? CROWD : request.session, address: everywhere ? CROWD : request.address };
  }

  #decided(rules: LimitRules, request: LimitRequest, taking: Hold | Shortage): Reservation {
    if (taking.granted) return new HeldReservation(this.#store, rules, request, taking);
    this.#refusals.add(taking, this.#clock.monotonic());
    request.onRefused?.(rateLimitHeaders(taking.claims, taking.standings));
    throw shortageFault(taking);
  }

  #refuseAlways(claims: readonly Claim[], { onRefused }: LimitRequest): never | Promise<never> {
    const { rule, least } = claims.at(-1) as Claim;
    const refuse = (standings: readonly Standing[]): never => {
      onRefused?.(rateLimitHeaders(claims, standings));
      throw new Fault(
        'quota_exceeded',
        `The request may use ${least} ${unitOf(rule.quantity)}; the limit ${rule.name} allows ${rule.amount}. Lower its output bound or its length.`,
        { detail: rule.name },
      );
    };
    const standings = this.#store.peek(claims);
    return standings instanceof Promise ? standings.then(refuse) : refuse(standings);
  }
}

/** Milliseconds in which something of a session or an address may count; 0 where no rule is by them. */
interface Horizons {
  readonly session: number;
  readonly address: number;
}

const NONE: Horizons = { session: 0, address: 0 };
/** At least this long: requests in progress have no window. */
const SHORTEST_HORIZON = 60_000;
const PERIODS = { hour: 3_600_000, day: 90_000_000, week: 7 * 90_000_000, month: 31 * 90_000_000 } as const;

const horizons = new WeakMap<readonly LimitRule[], Horizons>();

function horizonsOf(rules: readonly LimitRule[]): Horizons {
  if (rules.length === 0) return NONE;
  let found = horizons.get(rules);
  if (found === undefined) {
    const longest = (per: LimitDimension): number =>
      Math.max(
        0,
        ...rules
          .filter((rule) => rule.per === per)
          .map(({ window, calendar }) => Math.max(SHORTEST_HORIZON, calendar === undefined ? window : PERIODS[calendar.unit])),
      );
    found = { session: longest('session'), address: longest('address') };
    horizons.set(rules, found);
  }
  return found;
}

function hasRules({ rules, keyRules }: LimitRules, { principal: { credential } }: LimitSubject): boolean {
  return rules.length > 0 || (credential.kind === 'api-key' && keyRules(credential.id).length > 0);
}

const NOTHING: LimitEstimate = { input: 0, output: 0, outputBounded: true };

function unitOf(quantity: Claim['rule']['quantity']): string {
  return quantity === 'spend' ? 'millionths of the currency unit' : quantity;
}
