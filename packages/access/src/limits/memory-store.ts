import type { Clock, LimitRule } from '@sallyport/core';
import { type Bucket, Concurrency } from './bucket.ts';
import { CalendarBudget } from './calendar.ts';
import type { Claim } from './claim.ts';
import { type CounterStore, type Hold, type Shortage, type Standing, StoredHold } from './store.ts';
import { SlidingWindow } from './window.ts';

/** Buckets kept before empty ones are looked for. */
const SWEEP_AT = 50_000;

interface Slot {
  readonly bucket: Bucket;
  readonly wall: boolean;
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
      const room = limit - slot.bucket.used(now);
      if (claim.least > room) {
        const wait = slot.bucket.untilAtMost(now, limit - claim.least);
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

  #limitOf(rule: LimitRule): number {
    return this.#share === 1 ? rule.amount : Math.floor(rule.amount * this.#share);
  }

  #slot({ rule, bucket }: Claim): Slot {
    let slot = this.#slots.get(bucket);
    if (slot === undefined) {
      if (this.#slots.size >= this.#sweepAt) this.#sweep();
      slot = { bucket: openBucket(rule), wall: rule.calendar !== undefined };
      this.#slots.set(bucket, slot);
    }
    return slot;
  }

  /** Drops buckets in which nothing counts any more. Where all still count, the next sweep waits for twice as many. */
  #sweep(): void {
    const wall = this.#clock.now();
    const monotonic = this.#clock.monotonic();
    for (const [id, { bucket, wall: byWall }] of this.#slots) if (bucket.used(byWall ? wall : monotonic) <= 0) this.#slots.delete(id);
    this.#sweepAt = Math.max(SWEEP_AT, this.#slots.size * 2);
  }
}

function openBucket(rule: LimitRule): Bucket {
  if (rule.quantity === 'concurrency') return new Concurrency();
  return rule.calendar === undefined ? new SlidingWindow(rule.window) : new CalendarBudget(rule.calendar);
}

function standing({ bucket, wall: byWall }: Slot, wall: number, monotonic: number): Standing {
  const now = byWall ? wall : monotonic;
  return { used: bucket.used(now), reset: bucket.untilAtMost(now, 0) };
}
