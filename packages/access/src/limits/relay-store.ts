import type { Clock, LimitRule } from '@sallyport/core';
import type { Claim } from './claim.ts';
import { type CounterAnswer, type CounterQuestion, type Grant, LEASE_TIME, type Spending } from './counter-message.ts';
import { Lease } from './lease.ts';
import { type CounterStore, countersAway, type Hold, type Shortage, type Standing, StoredHold } from './store.ts';

/** How long an answer is waited for, milliseconds: as long as a server that counts is. */
const PATIENCE = 1_000;

class RelayedHold extends StoredHold {
  readonly id: number;

  constructor(id: number, claims: readonly Claim[], taken: readonly number[], standings: readonly Standing[]) {
    super(claims, taken, standings);
    this.id = id;
  }
}

/** What was taken of leases. */
class LeasedHold extends StoredHold {
  /** Null once settled. */
  readonly leases: (Lease | null)[];
  readonly places: readonly number[];

  constructor(
    claims: readonly Claim[],
    taken: readonly number[],
    standings: readonly Standing[],
    leases: Lease[],
    places: readonly number[],
  ) {
    super(claims, taken, standings);
    this.leases = leases;
    this.places = places;
  }
}

type Told = Extract<CounterAnswer, { id: number }>;

/** A question whose answer is waited for. */
interface Asked {
  readonly claims: readonly Claim[];
  readonly resolve: (answer: Told) => void;
}

/** How long what was used may wait for other words to go with, milliseconds: less than the ledger takes, before which no answer is whole. */
const GATHER = 1;

/**
 * The counters of a worker: questions to the process that counts for all of them. A message between processes costs as much as a tenth of
 * a request, so those of one turn of the event loop are one, and what nobody waits for goes with the next. Of buckets that are asked for
 * often (twice in `LEASE_TIME`) and far from full it has leases, which it takes from without a question; they go back as soon as another
 * worker runs short, and every `LEASE_TIME` in any case.
 */
export class RelayStore implements CounterStore, Disposable {
  readonly #send: (questions: readonly CounterQuestion[]) => void;
  readonly #clock: Clock;
  readonly #waiting = new Map<number, Asked>();
  readonly #patience: number;
  readonly #leases = new Map<string, Lease>();
  /** Buckets asked for in this time of leases, and those that had a lease that was used in the one before. */
  #asked = new Set<string>();
  #outbox: CounterQuestion[] = [];
  #leaving: NodeJS.Immediate | null = null;
  #gathering: NodeJS.Timeout | null = null;
  #ending: NodeJS.Timeout | null = null;
  #last = 0;

  /**
   * `send` delivers to the process that counts; what it answers comes to `receive`. `clock` is the one that process goes by. `patience`:
   * how long an answer is waited for, milliseconds.
   */
  constructor(send: (questions: readonly CounterQuestion[]) => void, clock: Clock, patience: number = PATIENCE) {
    this.#send = send;
    this.#clock = clock;
    this.#patience = patience;
  }

  receive(answers: readonly CounterAnswer[]): void {
    for (const answer of answers) {
      if ('recall' in answer) {
        this.#end(answer.recall);
        continue;
      }
      const asked = this.#waiting.get(answer.id);
      if (asked !== undefined) {
        const shown = 'standings' in answer ? { ...answer, standings: this.#shown(asked.claims, answer.standings) } : answer;
        if ('taken' in answer && answer.grants !== undefined) this.#granted(asked.claims, answer.standings, answer.grants);
        asked.resolve(shown);
      }
      // Nobody waits for it any more, so what was taken goes back.
      else if ('taken' in answer) {
        this.#post({ ask: 'settle', id: answer.id, used: answer.taken.map(() => 0) }, 'now');
        this.#post({ ask: 'close', id: answer.id }, 'now');
        for (const { bucket, grant, amount } of answer.grants ?? []) {
          this.#end(bucket);
          this.#spend({ bucket, grant, counts: [], less: amount, ends: true }, 'now');
        }
      }
    }
  }

  take(claims: readonly Claim[]): Hold | Shortage | Promise<Hold | Shortage> {
    return this.#takeLeased(claims) ?? this.#takeAsked(claims);
  }

  /** Null where a claim is not covered by a lease. */
  #takeLeased(claims: readonly Claim[]): Hold | null {
    if (this.#leases.size === 0) return null;
    const leases: Lease[] = [];
    for (const claim of claims) {
      const lease = this.#leases.get(claim.bucket);
      if (lease === undefined || !lease.covers(claim)) return null;
      leases.push(lease);
    }
    const places = leases.map((lease, at) => lease.take((claims[at] as Claim).most));
    const taken = claims.map(({ most }) => most);
    return new LeasedHold(
      claims,
      taken,
      leases.map((lease) => lease.standing()),
      leases,
      places,
    );
  }

  async #takeAsked(claims: readonly Claim[]): Promise<Hold | Shortage> {
    let often = true;
    for (const { bucket } of claims) {
      if (this.#asked.has(bucket)) continue;
      this.#asked.add(bucket);
      often = false;
    }
    this.#arm();
    // What may be granted on top depends on what is left.
    if (often) for (const { bucket, rule } of claims) this.#tell(bucket, rule);
    const answer = await this.#ask({ ask: 'take', id: this.#number(), claims, often });
    if ('taken' in answer) return new RelayedHold(answer.id, claims, answer.taken, answer.standings);
    if ('wait' in answer) return { granted: false, claims, at: answer.at, wait: answer.wait, standings: answer.standings };
    throw countersAway();
  }

  settle(hold: Hold, used: readonly (number | null)[]): void {
    if (hold instanceof LeasedHold) {
      for (let at = 0; at < hold.leases.length; at += 1) {
        const lease = hold.leases[at];
        const amount = used[at] ?? null;
        if (amount === null || lease === undefined || lease === null) continue;
        hold.leases[at] = null;
        const [place, delta] = [hold.places[at] as number, amount - (hold.taken[at] as number)];
        if (lease.isOpen) lease.settle(place, delta);
        else if (delta !== 0)
          this.#spend(lease.afterwards(place, delta), hold.claims[at]?.rule.quantity === 'concurrency' ? 'now' : 'soon');
      }
      return;
    }
    if (!(hold instanceof RelayedHold)) return;
    // Whoever asks one thing after another is to find its place free.
    const frees = hold.claims.some(({ rule }, at) => rule.quantity === 'concurrency' && used[at] !== null);
    this.#post({ ask: 'settle', id: hold.id, used }, frees ? 'now' : 'soon');
  }

  close(hold: Hold): void {
    if (hold instanceof RelayedHold) this.#post({ ask: 'close', id: hold.id }, 'soon');
  }

  async peek(claims: readonly Claim[]): Promise<readonly Standing[]> {
    const answer = await this.#ask({ ask: 'peek', id: this.#number(), claims });
    return 'peeked' in answer ? this.#shown(claims, answer.peeked) : [];
  }

  async clear(claims: readonly Claim[]): Promise<void> {
    await this.#ask({ ask: 'clear', id: this.#number(), claims });
  }

  /** Gives back what it has leases of, and tells what was still gathered. */
  [Symbol.dispose](): void {
    if (this.#ending !== null) clearTimeout(this.#ending);
    this.#endAll();
    this.#flush();
  }

  /** Takes note of what was granted, as soon as it is told: it may be recalled with the next word. */
  #granted(claims: readonly Claim[], standings: readonly Standing[], grants: readonly Grant[]): void {
    for (const [at, grant] of grants.entries()) {
      const claim = claims[at] as Claim;
      let lease = this.#leases.get(grant.bucket);
      if (lease === undefined || !lease.isGood(claim.rule)) {
        this.#end(grant.bucket);
        lease = new Lease(claim, this.#clock);
        this.#leases.set(grant.bucket, lease);
      }
      lease.add(grant, standings[at]?.used ?? 0);
    }
    // The turn may have come between question and answer.
    this.#arm();
  }

  /** What lies here counts for nothing, whatever the process that counts has to say. */
  #shown(claims: readonly Claim[], standings: readonly Standing[]): readonly Standing[] {
    if (this.#leases.size === 0) return standings;
    return standings.map(({ used, reset }, at) => {
      const free = this.#leases.get((claims[at] as Claim).bucket)?.free ?? 0;
      return { used: Math.max(0, used - free), reset };
    });
  }

  #tell(bucket: string, rule: LimitRule): void {
    const lease = this.#leases.get(bucket);
    if (lease === undefined) return;
    if (!lease.isGood(rule)) {
      this.#end(bucket);
      return;
    }
    const spending = lease.tell();
    if (spending !== null) this.#spend(spending, 'now');
  }

  #end(bucket: string): void {
    const lease = this.#leases.get(bucket);
    if (lease === undefined) return;
    this.#leases.delete(bucket);
    this.#spend(lease.end(), 'now');
  }

  #spend(spending: Spending, when: 'now' | 'soon'): void {
    this.#post({ ask: 'spend', ...spending }, when);
  }

  /** All leases end. Only what was taken of them is remembered as asked for often. */
  #turn(): void {
    this.#asked = new Set();
    for (const [bucket, { isUsed }] of this.#leases) if (isUsed) this.#asked.add(bucket);
    this.#endAll();
    this.#ending = null;
    if (this.#asked.size > 0) this.#arm();
  }

  #arm(): void {
    this.#ending ??= setTimeout(() => this.#turn(), LEASE_TIME).unref();
  }

  #endAll(): void {
    for (const bucket of [...this.#leases.keys()]) this.#end(bucket);
  }

  #number(): number {
    this.#last += 1;
    return this.#last;
  }

  async #ask(question: Extract<CounterQuestion, { claims: unknown }>): Promise<Told> {
    const { id, claims } = question;
    const { promise, resolve, reject } = Promise.withResolvers<Told>();
    this.#waiting.set(id, { claims, resolve });
    this.#post(question, 'now');
    const timer = setTimeout(() => reject(countersAway()), this.#patience);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  #post(question: CounterQuestion, when: 'now' | 'soon'): void {
    this.#outbox.push(question);
    if (when === 'soon') this.#gathering ??= setTimeout(() => this.#flush(), GATHER).unref();
    else this.#leaving ??= setImmediate(() => this.#flush());
  }

  #flush(): void {
    if (this.#leaving !== null) clearImmediate(this.#leaving);
    if (this.#gathering !== null) clearTimeout(this.#gathering);
    this.#leaving = null;
    this.#gathering = null;
    if (this.#outbox.length > 0) this.#send(this.#outbox.splice(0));
  }
}
