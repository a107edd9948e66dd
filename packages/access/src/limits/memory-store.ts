import type { Clock, LimitRule } from '@sallyport/core';
import { type Bucket, Concurrency } from './bucket.ts';
import type { Claim } from './claim.ts';
import { type Grant, LEASE_TIME, type Spending } from './counter-message.ts';
import { openBucket } from './open-bucket.ts';
import { type CounterStore, type Hold, type Shortage, type Standing, StoredHold } from './store.ts';

/** Buckets kept before empty ones are looked for. */
const SWEEP_AT = 50_000;
/** So many requests a holder may have grants for at most; it is not worth the messages for fewer than `least`. */
const GRANTED = { most: 64, least: 4 } as const;
/**
 * No holder has more than this part of the room there is for all, of windows and of places; of windows of a day and longer and of
 * calendar budgets no more than `long` of the limit either: what a holder has when it is killed counts as used until they have passed.
 */
const PART = { window: 1 / 16, places: 1 / 2, long: 1 / 100 } as const;
const DAY = 86_400_000;
/** Milliseconds after a bucket ran short in which nothing of it is granted. */
const SHORT = 1_000;

/** What one worker has of a bucket and has not told of. */
interface Holding {
  amount: number;
  /** Null where it has ended its grant. */
  newest: number | null;
  /** When it lapses: until then it counts as used now, afterwards as used then. By the time of the bucket. */
  until: number;
  /** Where it counts in the bucket; null until it lapses. */
  place: number | null;
}

interface Slot {
  readonly bucket: Bucket;
  readonly wall: boolean;
  /** The newest grant before it was opened: earlier ones are of another that had its name. */
  readonly since: number;
  /** What is granted, not told of and not lapsed, in all. */
  granted: number;
  holders: Map<number, Holding> | null;
  /** When something of it lapses next. */
  lapses: number;
  /** When it ran short for an ordinary request last, monotonic milliseconds. */
  shortAt: number;
}

class MemoryHold extends StoredHold {
  /** Null once settled. */
  readonly slots: (Slot | null)[];
  readonly places: readonly number[];

  constructor(
    claims: readonly Claim[],
    taken: readonly number[],
    standings: readonly Standing[],
    origin: Hold['origin'],
    slots: Slot[],
    places: readonly number[],
  ) {
    super(claims, taken, standings, origin);
    this.slots = slots;
    this.places = places;
  }
}

/** Counts in this process. */
export class MemoryStore implements CounterStore {
  readonly #clock: Clock;
  readonly #origin: Hold['origin'];
  readonly #share: number;
  readonly #slots = new Map<string, Slot>();
  #sweepAt = SWEEP_AT;
  #grants = 0;

  /** `share`: the part of every limit that may be used here, where each of several processes counts for itself; null where this one counts for all. */
  constructor(clock: Clock, share: number | null = null) {
    this.#clock = clock;
    this.#share = share ?? 1;
    this.#origin = share === null ? 'shared' : 'local';
  }

  /** Buckets in memory. */
  get size(): number {
    return this.#slots.size;
  }

  take(claims: readonly Claim[]): Hold | Shortage {
    const monotonic = this.#clock.monotonic();
    const wall = this.#clock.now();
    const slots: Slot[] = [];
    const taken: number[] = [];
    for (let at = 0; at < claims.length; at += 1) {
      const claim = claims[at] as Claim;
      const slot = this.#slot(claim);
      slots.push(slot);
      const now = slot.wall ? wall : monotonic;
      const limit = this.#limitOf(claim.rule);
      const room = limit - usedOf(slot, now);
      if (claim.least > room) {
        const wait = slot.bucket.untilAtMost(now, limit - claim.least - slot.granted);
        // What is refused for its size only is no reason to let everybody else ask.
        if (claim.rule.quantity === 'concurrency' || room < limit * PART.window) slot.shortAt = monotonic;
        return { granted: false, claims, at, wait, standings: slots.map((one) => standing(one, wall, monotonic)) };
      }
      taken.push(Math.min(claim.most, room));
    }
    // Every claim has room: only now is anything counted.
    const places: number[] = [];
    const standings: Standing[] = [];
    for (let at = 0; at < slots.length; at += 1) {
      const slot = slots[at] as Slot;
      places.push(slot.bucket.add(slot.wall ? wall : monotonic, taken[at] as number));
      standings.push(standing(slot, wall, monotonic));
    }
    return new MemoryHold(claims, taken, standings, this.#origin, slots, places);
  }

  settle(hold: Hold, used: readonly (number | null)[]): void {
    if (!(hold instanceof MemoryHold)) return;
    const monotonic = this.#clock.monotonic();
    const wall = this.#clock.now();
    for (let at = 0; at < hold.slots.length; at += 1) {
      const amount = used[at] ?? null;
      const slot = hold.slots[at];
      if (amount === null || slot === undefined || slot === null) continue;
      hold.slots[at] = null;
      slot.bucket.adjust(slot.wall ? wall : monotonic, hold.places[at] as number, amount - (hold.taken[at] as number));
    }
  }

  peek(claims: readonly Claim[]): readonly Standing[] {
    const wall = this.#clock.now();
    const monotonic = this.#clock.monotonic();
    return claims.map(({ bucket }) => {
      const slot = this.#slots.get(bucket);
      return slot === undefined ? { used: 0, reset: 0 } : standing(slot, wall, monotonic);
    });
  }

  clear(claims: readonly Claim[]): void {
    // A slot that running requests still hold is theirs to settle; the next request gets a new one. What runs cannot be cleared.
    for (const { rule, bucket } of claims) if (rule.quantity !== 'concurrency') this.#slots.delete(bucket);
  }

  /**
   * Lets `holder` spend of the buckets, which have just met the claims, without asking: so much of each that it has, with what it was
   * granted before, what that many further requests of their kind take. Null where one of them has not enough room for that.
   */
  grant(holder: number, claims: readonly Claim[]): readonly Grant[] | null {
    const monotonic = this.#clock.monotonic();
    const wall = this.#clock.now();
    const slots: Slot[] = [];
    const mosts: number[] = [];
    let requests: number = GRANTED.most;
    for (const claim of claims) {
      const slot = this.#slot(claim);
      const used = usedOf(slot, slot.wall ? wall : monotonic);
      const held = slot.holders?.get(holder);
      // It has not told yet what became of the last one.
      if (monotonic - slot.shortAt < SHORT || (held !== undefined && held.place !== null)) return null;
      const most = mostOf(claim.rule, this.#limitOf(claim.rule), used - (held?.amount ?? 0));
      if (most < claim.most) return null;
      if (claim.rule.quantity !== 'concurrency') requests = Math.min(requests, Math.floor(most / Math.max(1, claim.most)));
      slots.push(slot);
      mosts.push(most);
    }
    if (requests < GRANTED.least) return null;
    const amounts = claims.map((claim, at) => {
      const held = slots[at]?.holders?.get(holder)?.amount ?? 0;
      const places = claim.rule.quantity === 'concurrency';
      // Of places it has those that its requests run at: how many are free only it knows.
      return Math.max(0, places ? Math.min(requests * claim.most, (mosts[at] as number) - held) : requests * claim.most - held);
    });
    if (!amounts.some((amount) => amount > 0)) return null;
    this.#grants += 1;
    return claims.map(({ bucket, rule }, at) => {
      const slot = slots[at] as Slot;
      const amount = amounts[at] as number;
      const until = (slot.wall ? wall : monotonic) + LEASE_TIME;
      slot.holders ??= new Map();
      const held = slot.holders.get(holder)?.amount ?? 0;
      slot.holders.set(holder, { amount: held + amount, newest: this.#grants, until, place: null });
      slot.granted += amount;
      // Places are held for as long as something may run at them.
      if (rule.quantity !== 'concurrency') slot.lapses = Math.min(slot.lapses, until);
      return { bucket, grant: this.#grants, amount, until };
    });
  }

  /** Takes note of what a holder did with what it was granted. Never throws. */
  spend(holder: number, { bucket, grant, counts, less, ends }: Spending): void {
    const slot = this.#slots.get(bucket);
    if (slot === undefined || grant <= slot.since) return;
    const now = slot.wall ? this.#clock.now() : this.#clock.monotonic();
    for (let at = 0; at + 1 < counts.length; at += 2) slot.bucket.adjust(now, counts[at] as number, counts[at + 1] as number);
    const held = slot.holders?.get(holder);
    if (held === undefined) return;
    held.amount -= less;
    if (held.place === null) slot.granted -= less;
    else slot.bucket.adjust(now, held.place, -less);
    if (ends && held.newest === grant) held.newest = null;
    if (held.newest === null && held.amount === 0) release(slot, holder);
  }

  /** The buckets that have no room for their claims, and would have if all that is granted of them came back. */
  lent(claims: readonly Claim[]): readonly string[] {
    const wall = this.#clock.now();
    const monotonic = this.#clock.monotonic();
    const lent: string[] = [];
    for (const { rule, bucket, least } of claims) {
      const slot = this.#slots.get(bucket);
      if (slot === undefined || slot.holders === null) continue;
      const room = this.#limitOf(rule) - usedOf(slot, slot.wall ? wall : monotonic);
      let held = 0;
      for (const { amount } of slot.holders.values()) held += amount;
      if (least > room && least <= room + held) lent.push(bucket);
    }
    return lent;
  }

  /** Those who have something of a bucket that they may spend. */
  holders(bucket: string): readonly number[] {
    const holders = this.#slots.get(bucket)?.holders ?? [];
    return [...holders].filter(([, { newest }]) => newest !== null).map(([holder]) => holder);
  }

  /** A holder is gone: what it was granted counts as used, since nobody knows better; what it ran runs no longer. */
  forfeit(holder: number): void {
    for (const slot of this.#slots.values()) {
      const held = slot.holders?.get(holder);
      if (held === undefined) continue;
      release(slot, holder);
      if (held.place !== null) continue;
      slot.granted -= held.amount;
      if (slot.bucket instanceof Concurrency) continue;
      const now = slot.wall ? this.#clock.now() : this.#clock.monotonic();
      slot.bucket.add(now, held.amount, Math.min(now, held.until));
    }
  }

  #limitOf(rule: LimitRule): number {
    return this.#share === 1 ? rule.amount : Math.floor(rule.amount * this.#share);
  }

  #slot({ rule, bucket }: Claim): Slot {
    let slot = this.#slots.get(bucket);
    if (slot === undefined) {
      if (this.#slots.size >= this.#sweepAt) this.#sweep();
      slot = {
        bucket: openBucket(rule),
        wall: rule.calendar !== undefined,
        since: this.#grants,
        granted: 0,
        holders: null,
        lapses: Number.POSITIVE_INFINITY,
        shortAt: Number.NEGATIVE_INFINITY,
      };
      this.#slots.set(bucket, slot);
    }
    return slot;
  }

  /** Drops buckets in which nothing counts any more. Where all still count, the next sweep waits for twice as many. */
  #sweep(): void {
    const wall = this.#clock.now();
    const monotonic = this.#clock.monotonic();
    for (const [id, { bucket, wall: byWall, holders }] of this.#slots) {
      if (holders === null && bucket.used(byWall ? wall : monotonic) <= 0) this.#slots.delete(id);
    }
    this.#sweepAt = Math.max(SWEEP_AT, this.#slots.size * 2);
  }
}

function release(slot: Slot, holder: number): void {
  slot.holders?.delete(holder);
  if (slot.holders?.size === 0) slot.holders = null;
}

/** The most a holder may have of a bucket of which `others` is used or granted to others. */
function mostOf({ quantity, calendar, window }: LimitRule, limit: number, others: number): number {
  const room = limit - others;
  if (quantity === 'concurrency') return Math.floor(room * PART.places);
  const most = room * PART.window;
  return Math.floor(calendar !== undefined || window >= DAY ? Math.min(most, limit * PART.long) : most);
}

/** What counts of a bucket, with what is granted. */
function usedOf(slot: Slot, now: number): number {
  if (now >= slot.lapses) lapse(slot, now);
  return slot.bucket.used(now) + slot.granted;
}

/** What its holder can no longer spend, and has not told of, counts as used when it lapsed, and leaves the window in its time. */
function lapse(slot: Slot, now: number): void {
  slot.lapses = Number.POSITIVE_INFINITY;
  for (const held of slot.holders?.values() ?? []) {
    if (held.place !== null) continue;
    if (now < held.until) {
      slot.lapses = Math.min(slot.lapses, held.until);
      continue;
    }
    held.place = slot.bucket.add(now, held.amount, held.until);
    slot.granted -= held.amount;
  }
}

function standing(slot: Slot, wall: number, monotonic: number): Standing {
  const now = slot.wall ? wall : monotonic;
  return { used: usedOf(slot, now), reset: slot.bucket.untilAtMost(now, 0) };
}
