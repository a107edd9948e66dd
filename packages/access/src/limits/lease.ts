import type { Clock, LimitRule } from '@sallyport/core';
import type { Bucket } from './bucket.ts';
import type { Claim } from './claim.ts';
import type { Grant, Spending } from './counter-message.ts';
import { openBucket } from './open-bucket.ts';
import type { Standing } from './store.ts';

/**
 * What a worker may take of one bucket without asking. The process that counts has all of it counted as used, so whatever is done here
 * admits no more than the limit.
 */
export class Lease {
  readonly #bucket: string;
  readonly #amount: number;
  readonly #runs: boolean;
  readonly #byWall: boolean;
  /** Of this worker alone: for its places and times, which are those of the process that counts. */
  readonly #own: Bucket;
  readonly #clock: Clock;
  #grant = 0;
  #free = 0;
  #until = 0;
  /** What counted in all when the newest grant came, with all of that grant. */
  #counted = 0;
  #place = Number.NaN;
  /** Taken at `#place`, and not told. */
  #spent = 0;
  #counts: number[] = [];
  #less = 0;
  #isOpen = true;
  #isUsed = false;

  constructor({ rule, bucket }: Claim, clock: Clock) {
    this.#bucket = bucket;
    this.#amount = rule.amount;
    this.#runs = rule.quantity === 'concurrency';
    this.#byWall = rule.calendar !== undefined;
    this.#own = openBucket(rule);
    this.#clock = clock;
  }

  /** `used`: what counted in all before this grant. */
  add({ grant, amount, until }: Grant, used: number): void {
    this.#grant = grant;
    this.#until = until;
    this.#free += amount;
    this.#counted = used + amount;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get isUsed(): boolean {
    return this.#isUsed;
  }

  /** Of the bucket, what lies here and counts for nothing. */
  get free(): number {
    return this.#free;
  }

  /**
   * Whether anything may be taken of it for `rule`: an amount that was changed since is another limit, and what has lapsed is booked by
   * the process that counts, which gives the room to others in its time.
   */
  isGood({ amount }: LimitRule): boolean {
    return amount === this.#amount && this.#now < this.#until;
  }

  /** Whether the claim can be met here. */
  covers({ most, rule }: Claim): boolean {
    return most <= this.#free && this.isGood(rule);
  }

  /** Takes what it `covers` and returns its place, for `settle`. */
  take(amount: number): number {
    const place = this.#own.add(this.#now, amount);
    this.#free -= amount;
    this.#isUsed = true;
    if (this.#runs) return place;
    if (place !== this.#place) {
      this.#note();
      this.#place = place;
    }
    this.#spent += amount;
    return place;
  }

  /**
   * Of what was taken here, `delta` more was used. Of an amount that was told already nothing may be spent again here: by the time that
   * is told, its place may have left the window, and the room have gone to another.
   */
  settle(place: number, delta: number): void {
    if (!this.#runs && place !== this.#place) {
      this.#counts.push(place, delta);
      return;
    }
    this.#free -= delta;
    if (!this.#runs) this.#spent += delta;
  }

  standing(): Standing {
    return { used: Math.max(0, this.#counted - this.#free), reset: this.#own.untilAtMost(this.#now, 0) };
  }

  /** What was spent since it was told last; null where that is nothing. */
  tell(): Spending | null {
    this.#note();
    this.#place = Number.NaN;
    if (this.#counts.length === 0) return null;
    const told = { bucket: this.#bucket, grant: this.#grant, counts: this.#counts, less: this.#less, ends: false };
    this.#counts = [];
    this.#less = 0;
    return told;
  }

  /** Ends it: what is left goes back. */
  end(): Spending {
    this.#note();
    this.#isOpen = false;
    return { bucket: this.#bucket, grant: this.#grant, counts: this.#counts, less: this.#less + this.#free, ends: true };
  }

  /** What is to be told of something taken here, now that it has ended. */
  afterwards(place: number, delta: number): Spending {
    const told = this.#runs ? { counts: [], less: -delta } : { counts: [place, delta], less: 0 };
    return { bucket: this.#bucket, grant: this.#grant, ...told, ends: false };
  }

  #note(): void {
    if (this.#spent === 0) return;
    this.#counts.push(this.#place, this.#spent);
    this.#less += this.#spent;
    this.#spent = 0;
  }

  get #now(): number {
    return this.#byWall ? this.#clock.now() : this.#clock.monotonic();
  }
}
