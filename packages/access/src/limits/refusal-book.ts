import type { Claim } from './claim.ts';
import type { Shortage } from './store.ts';

/** Longest time a refusal stands for those that follow, milliseconds: an operator may have emptied the bucket in another process. */
const STANDS = 1_000;
/** Buckets remembered; the oldest are given up, which costs a question to the store. */
const MOST = 10_000;

interface Refusal {
  /** Of the full bucket alone: whoever else is counted in it shares none of the first one's other buckets. */
  readonly shortage: Shortage;
  /** Monotonic milliseconds. */
  readonly at: number;
  readonly until: number;
}

/**
 * Buckets of requests that were found full of late. Requests are not given back, so until the time that a refusal named there is no room,
 * and whoever comes sooner can be refused before anything of what it sends is read.
 */
export class RefusalBook {
  readonly #refusals = new Map<string, Refusal>();

  get isEmpty(): boolean {
    return this.#refusals.size === 0;
  }

  /** Takes note of a refusal, where it is one that stands whatever the next request is for. */
  add(shortage: Shortage, now: number): void {
    const claim = shortage.claims[shortage.at];
    if (claim === undefined || !standsForAll(claim)) return;
    this.#forget(now);
    this.#refusals.delete(claim.bucket);
    const own = { ...shortage, claims: [claim], standings: shortage.standings.slice(shortage.at, shortage.at + 1), at: 0 };
    this.#refusals.set(claim.bucket, { shortage: own, at: now, until: now + Math.min(shortage.wait, STANDS) });
  }

  /** The refusal that a request would get, with the time left to wait; null where it has to be asked for. */
  find(claims: readonly Claim[], now: number): Shortage | null {
    for (const { bucket, rule } of claims) {
      const known = this.#refusals.get(bucket);
      // An amount that was changed since is another limit.
      if (known === undefined || now >= known.until || known.shortage.claims[0]?.rule.amount !== rule.amount) continue;
      const passed = now - known.at;
      const standings = known.shortage.standings.map(({ used, reset }) => ({ used, reset: Math.max(0, reset - passed) }));
      return { ...known.shortage, wait: known.shortage.wait - passed, standings };
    }
    this.#forget(now);
    return null;
  }

  clear(claims: readonly Claim[]): void {
    for (const { bucket } of claims) this.#refusals.delete(bucket);
  }

  /** In the order in which they were found, which is nearly that in which they end. */
  #forget(now: number): void {
    for (const [bucket, { until }] of this.#refusals) {
      if (now < until && this.#refusals.size < MOST) return;
      this.#refusals.delete(bucket);
    }
  }
}

/** Whether the head of a request says that it is counted in the bucket, and that for one. */
function standsForAll({ rule: { quantity, models, per } }: Claim): boolean {
  return quantity === 'requests' && models === null && per !== 'model' && per !== 'upstream';
}
