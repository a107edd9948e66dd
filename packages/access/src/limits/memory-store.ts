import type { Clock, LimitRule } from '@sallyport/core';
import { type Bucket, Concurrency } from './bucket.ts';
import type { Claim } from './claim.ts';
import type { Grant, Spending } from './counter-message.ts';
import { openBucket } from './open-bucket.ts';
import { type CounterStore, type Hold, type Shortage, type Standing, StoredHold } from './store.ts';

/** Buckets kept before empty ones are looked for. */
const SWEEP_AT = 50_000;
/** A grant is for so many requests at most, and not worth its messages for fewer. */
const GRANTED = { most: 64, least: 4 } as const;
/** Of the room there is, no grant takes more than this part of windows, and of places. */
const PART = { window: 1 / 16, places: 1 / 2 } as const;
/** Milliseconds after a bucket ran short in which nothing of it is granted. */
const SHORT = 1_000;

interface Slot {
  readonly bucket: Bucket;
  readonly wall: boolean;
  /** The newest grant before it was opened: earlier ones are of another that had its name. */
  readonly since: number;
  /** What is granted and not told of, in all and by holder; `newest` is null where the holder has ended its grant. */
  granted: number;
  holders: Map<number, { amount: number; newest: number | null }> | null;
  /** When it ran short last, monotonic milliseconds. */
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
      const room = limit - slot.bucket.used(now) - slot.granted;
      if (claim.least > room) {
        const wait = slot.bucket.untilAtMost(now, limit - claim.least - slot.granted);
        slot.shortAt = monotonic;
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
   * Lets `holder` spend of the buckets, which have just met the claims, without asking: as much of each as that many further requests of
   * their kind take. Null where one of them has not enough room for that.
   */
  grant(holder: number, claims: readonly Claim[]): readonly Grant[] | null {
    const monotonic = this.#clock.monotonic();
    const wall = this.#clock.now();
    const rooms: number[] = [];
    let requests: number = GRANTED.most;
    for (const claim of claims) {
      const slot = this.#slot(claim);
      const part = claim.rule.quantity === 'concurrency' ? PART.places : PART.window;
      const room = (this.#limitOf(claim.rule) - slot.bucket.used(slot.wall ? wall : monotonic) - slot.granted) * part;
      if (monotonic - slot.shortAt < SHORT || room < claim.most) return null;
      if (claim.rule.quantity !== 'concurrency') requests = Math.min(requests, Math.floor(room / Math.max(1, claim.most)));
      rooms.push(Math.floor(room));
    }
    if (requests < GRANTED.least) return null;
    this.#grants += 1;
    return claims.map((claim, at) => {
      const slot = this.#slot(claim);
      const amount = Math.min(requests * claim.most, rooms[at] as number);
      slot.holders ??= new Map();
      const held = slot.holders.get(holder)?.amount ?? 0;
      slot.holders.set(holder, { amount: held + amount, newest: this.#grants });
      slot.granted += amount;
      return { bucket: claim.bucket, grant: this.#grants, amount };
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
    slot.granted -= less;
    if (ends && held.newest === grant) held.newest = null;
    if (held.newest === null && held.amount === 0) release(slot, holder);
  }

  /** Grants nothing more of a bucket for a while. Returns its `holders`. */
  recall(bucket: string): readonly number[] {
    const slot = this.#slots.get(bucket);
    if (slot === undefined) return [];
    slot.shortAt = this.#clock.monotonic();
    return this.holders(bucket);
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
      slot.granted -= held.amount;
      if (!(slot.bucket instanceof Concurrency)) slot.bucket.add(slot.wall ? this.#clock.now() : this.#clock.monotonic(), held.amount);
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

function standing({ bucket, wall: byWall, granted }: Slot, wall: number, monotonic: number): Standing {
  const now = byWall ? wall : monotonic;
  return { used: bucket.used(now) + granted, reset: bucket.untilAtMost(now, 0) };
}
