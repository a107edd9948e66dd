import { createHmac, type KeyObject } from 'node:crypto';
import type { Clock, Logger, Random } from '@sallyport/core';
import type { Redis } from 'iovalkey';
import { connectionTo, isSilence, type SharedServer } from '../shared-server.ts';
import { periodAt } from './calendar.ts';
import type { Claim } from './claim.ts';
import { MemoryStore } from './memory-store.ts';
import { CLEAR, MARK, PEEK, RENEW, type Script, SETTLE, TAKE } from './shared-scripts.ts';
import { type CounterStore, countersAway, type Hold, type Shortage, type Standing, StoredHold } from './store.ts';
import { SLICES } from './window.ts';

/** Counters in a Redis or Valkey that several processes share. Times are milliseconds. */
export interface SharedCounters extends SharedServer {
  /** What happens while the server is away: requests under a limit are refused, or held to a share of it in this process. */
  readonly onUnavailable: 'refuse' | 'local';
  /** Processes that share the limits, workers included: while the server is away each admits this part. */
  readonly shares: number;
}

export interface SharedStoreOptions {
  readonly counters: SharedCounters;
  /** Names of buckets are keyed digests: who reads the server learns no user, key or address. */
  readonly pepper: KeyObject;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Told when the server went away and what is done then, when it is back, and when it came back without its counts. */
  readonly onState: (state: CounterState) => void;
  /** How long a running request's place is kept for a process that says nothing more (milliseconds). Default 30 s. */
  readonly lease?: number;
}

export type CounterState = 'away-refusing' | 'away-local-shares' | 'back' | 'back-without-counts';

/** How long a decision may take; after that the server counts as away. */
const PATIENCE = 1_000;
/** Answers in a row that did not come in time, after which the connection counts as dead and is made anew. */
const SILENCES = 3;
/** How long a server that did not answer is left alone before the next request tries it. */
const PAUSE = 1_000;
/** Renewed three times as often as it ends. */
const LEASE = 30_000;
/** How long a reservation can be settled; an exchange that takes longer is charged what it reserved. */
const RECORD_LIFETIME = 7_200_000;
/** Settlements kept while the server is away; the oldest are given up, which leaves what they reserved counted. */
const MAX_BACKLOG = 100_000;
/** Places renewed in one script. */
const RENEW_BATCH = 500;
const SPACE = 'sallyport:{limits}:';
/** Names of buckets remembered by what they are a digest of. */
const MAX_NAMES = 10_000;

type Kind = 'w' | 'c' | 'z';

/** Filled with the server's answer; until that has come it is what may have been taken. */
class SharedHold extends StoredHold {
  declare readonly taken: number[];
  declare readonly standings: Standing[];
  readonly id: string;
  readonly keys: readonly string[];
  /** Ends of calendar periods, by claim. */
  readonly ends: readonly number[];

  constructor(id: string, claims: readonly Claim[], keys: readonly string[], ends: readonly number[]) {
    super(claims, [], []);
    this.id = id;
    this.keys = keys;
    this.ends = ends;
  }
}

interface Settlement {
  readonly hold: SharedHold;
  readonly used: readonly (number | null)[];
}

/** Counts in a Redis or Valkey shared by all processes of an installation: one round trip a decision, none to wait for a settlement. */
export class SharedStore implements CounterStore, AsyncDisposable {
  readonly #options: SharedStoreOptions;
  readonly #client: Redis;
  readonly #local: MemoryStore;
  /** No two processes give one name to a reservation. */
  readonly #instance: string;
  /** Places held by running requests: bucket's key by reservation and key. */
  readonly #places = new Map<string, { readonly key: string; readonly id: string }>();
  readonly #backlog: Settlement[] = [];
  readonly #names = new Map<string, string>();
  readonly #renewal: NodeJS.Timeout;
  readonly #lease: number;
  /** Server's time less ours. */
  #offset = 0;
  #mark: string | null = null;
  #ready = false;
  #away = false;
  #pausedUntil = 0;
  #silences = 0;
  #given = 0;
  #arriving: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;

  private constructor(options: SharedStoreOptions) {
    this.#options = options;
    const { counters, clock } = options;
    this.#instance = Buffer.from(options.random.bytes(9)).toString('base64url');
    this.#local = new MemoryStore(clock, 1 / counters.shares);
    // A script is never sent twice: what became of it is not known, and the record of its reservation settles that.
    this.#client = connectionTo(counters, PATIENCE);
    this.#client.on('ready', () => void this.#arrived());
    this.#client.on('close', () => {
      this.#ready = false;
      this.#left();
    });
    this.#lease = options.lease ?? LEASE;
    this.#renewal = setInterval(() => void this.#renew(), this.#lease / 3);
    this.#renewal.unref();
  }

  /** Connects, or begins to try: a server that is away now is a matter of policy, not of starting. */
  static async open(options: SharedStoreOptions): Promise<SharedStore> {
    const store = new SharedStore(options);
    try {
      await store.#client.connect();
      await store.#arrived();
    } catch {
      store.#left();
    }
    return store;
  }

  /** Whether decisions are made on the shared counts now. */
  get shared(): boolean {
    return this.#ready && !this.#away;
  }

  async take(claims: readonly Claim[]): Promise<Hold | Shortage> {
    if (!this.#ready || this.#options.clock.monotonic() < this.#pausedUntil) return this.#decideAlone(claims);
    // Twice: at the turn of a period, and before the server's time is known, the first asking may name the wrong one.
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const reply = await this.#ask(claims);
      if (reply !== null) return reply;
      if (this.#away) break;
    }
    return this.#decideAlone(claims);
  }

  settle(hold: Hold, used: readonly (number | null)[]): void {
    if (!(hold instanceof SharedHold)) {
      this.#local.settle(hold, used);
      return;
    }
    for (const [at, key] of hold.keys.entries()) if (used[at] === 0) this.#places.delete(`${hold.id} ${key}`);
    const settlement = { hold, used };
    if (this.#ready) void this.#send(settlement);
    else this.#keep(settlement);
  }

  async peek(claims: readonly Claim[]): Promise<readonly Standing[]> {
    if (claims.length === 0) return [];
    if (!this.#ready) return this.#local.peek(claims);
    const places = claims.map((claim) => this.#place(claim));
    const numbers = (await this.#told(() =>
      this.#run(
        PEEK,
        places.map(({ key }) => key),
        places.flatMap(({ kind, a, b }) => [kind, kind === 'c' ? b : a]),
      ),
    )) as number[];
    return claims.map((_, at) => ({ used: numbers[1 + at * 2] ?? 0, reset: numbers[2 + at * 2] ?? 0 }));
  }

  async clear(claims: readonly Claim[]): Promise<void> {
    this.#local.clear(claims);
    const places = claims.filter(({ rule }) => rule.quantity !== 'concurrency').map((claim) => this.#place(claim));
    if (places.length === 0) return;
    if (!this.#ready) throw countersAway();
    await this.#told(() =>
      this.#run(
        CLEAR,
        places.map(({ key }) => key),
        places.flatMap(({ kind, a, b }) => [kind, kind === 'c' ? b : a]),
      ),
    );
  }

  async #told<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      this.#failed(error);
      throw countersAway();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#renewal);
    clearTimeout(this.#retry ?? undefined);
    for (let settlement = this.#backlog.shift(); settlement !== undefined && this.#ready; settlement = this.#backlog.shift()) {
      await this.#send(settlement);
    }
    this.#client.removeAllListeners('close');
    // Answers in flight come first, and with them the settlements that were sent.
    await this.#client.quit().catch(() => undefined);
    this.#client.disconnect();
  }

  /** The server's decision; null where it could not be had, or was about another period. */
  async #ask(claims: readonly Claim[]): Promise<Hold | Shortage | null> {
    const places = claims.map((claim) => this.#place(claim));
    const hold = new SharedHold(
      this.#nextId(),
      claims,
      places.map(({ key }) => key),
      places.map(({ b }) => b),
    );
    const args: (string | number)[] = [hold.id, this.#lease, RECORD_LIFETIME];
    for (const [at, { kind, a, b }] of places.entries()) {
      const { rule, least, most } = claims[at] as Claim;
      // A request that was made stays counted, so nothing needs to be remembered of it.
      args.push(kind, rule.amount, least, most, a, b, rule.quantity === 'requests' ? 0 : 1);
    }
    let reply: number[];
    try {
      reply = (await this.#run(TAKE, [recordKey(hold.id), ...hold.keys], args)) as number[];
    } catch (error) {
      this.#failed(error);
      // It may have been done all the same: what it took goes back as soon as the server is.
      this.#keep({ hold, used: claims.map(() => 0) });
      return null;
    }
    const [verdict, now = 0] = reply;
    this.#offset = now - this.#options.clock.now();
    if (verdict === 2) return null;
    if (verdict === 0) {
      const at = reply[2] ?? 0;
      const standings = Array.from({ length: at + 1 }, (_, index) => ({
        used: reply[4 + index * 2] ?? 0,
        reset: reply[5 + index * 2] ?? 0,
      }));
      return { granted: false, claims, at, wait: reply[3] ?? 0, standings };
    }
    for (const [at, { kind, key }] of places.entries()) {
      hold.standings.push({ used: reply[2 + at * 3] ?? 0, reset: reply[3 + at * 3] ?? 0 });
      hold.taken.push(reply[4 + at * 3] ?? 0);
      if (kind === 'z') this.#places.set(`${hold.id} ${key}`, { key, id: hold.id });
    }
    return hold;
  }

  #decideAlone(claims: readonly Claim[]): Hold | Shortage {
    if (this.#options.counters.onUnavailable === 'refuse') throw countersAway();
    return this.#local.take(claims);
  }

  /** Where a claim is counted, and in which window or period. */
  #place({ rule, bucket }: Claim): { readonly kind: Kind; readonly key: string; readonly a: number; readonly b: number } {
    const key = this.#nameOf(bucket);
    if (rule.quantity === 'concurrency') return { kind: 'z', key, a: 0, b: 0 };
    if (rule.calendar === undefined) return { kind: 'w', key, a: rule.window / SLICES, b: 0 };
    const { start, end } = periodAt(rule.calendar, this.#options.clock.now() + this.#offset);
    return { kind: 'c', key: `${key}.${start}`, a: start, b: end };
  }

  #nameOf(bucket: string): string {
    let name = this.#names.get(bucket);
    if (name === undefined) {
      name = SPACE + createHmac('sha256', this.#options.pepper).update(`limits ${bucket}`).digest('base64url').slice(0, 22);
      if (this.#names.size >= MAX_NAMES) this.#names.clear();
      this.#names.set(bucket, name);
    }
    return name;
  }

  async #send(settlement: Settlement): Promise<void> {
    const { hold, used } = settlement;
    const keys = [recordKey(hold.id)];
    const args: (string | number)[] = [hold.id];
    for (const [at, { rule }] of hold.claims.entries()) {
      const amount = used[at] ?? null;
      if (amount === null) continue;
      keys.push(hold.keys[at] ?? '');
      const kind: Kind = rule.quantity === 'concurrency' ? 'z' : rule.calendar === undefined ? 'w' : 'c';
      args.push(at, kind, kind === 'c' ? (hold.ends[at] ?? 0) : rule.window / SLICES, Math.round(amount));
    }
    if (keys.length === 1) return;
    try {
      await this.#run(SETTLE, keys, args);
    } catch (error) {
      this.#failed(error);
      this.#keep(settlement);
    }
  }

  #keep(settlement: Settlement): void {
    if (this.#backlog.length >= MAX_BACKLOG) this.#backlog.shift();
    this.#backlog.push(settlement);
  }

  #arrived(): Promise<void> {
    this.#arriving ??= this.#welcome().finally(() => {
      this.#arriving = null;
    });
    return this.#arriving;
  }

  async #welcome(): Promise<void> {
    if (this.#ready) return;
    try {
      const fresh = Buffer.from(this.#options.random.bytes(12)).toString('base64url');
      const [mark, now] = (await this.#run(MARK, [`${SPACE}mark`], [fresh])) as [string, number];
      this.#offset = now - this.#options.clock.now();
      const lost = this.#mark !== null && this.#mark !== mark;
      this.#mark = mark;
      this.#ready = true;
      this.#pausedUntil = 0;
      this.#silences = 0;
      await this.#renew();
      // What waits is settled before anything new is decided on, as far as one connection keeps its order.
      for (const settlement of this.#backlog.splice(0)) void this.#send(settlement);
      if (lost) this.#options.onState('back-without-counts');
      else if (this.#away) this.#options.onState('back');
      this.#away = false;
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (isSilence(error)) {
      this.#silences += 1;
      if (this.#silences % SILENCES === 0) this.#client.disconnect(true);
    }
    this.#pausedUntil = this.#options.clock.monotonic() + PAUSE;
    this.#options.logger.debug('counters.failed', { reason: error instanceof Error ? error.name : 'unknown' });
    this.#left();
    // One that hangs and goes on keeps its connection, so no event tells that it is back.
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      if (!this.#away || this.#client.status !== 'ready') return;
      this.#ready = false;
      void this.#arrived();
    }, PAUSE).unref();
  }

  #left(): void {
    if (this.#away) return;
    this.#away = true;
    this.#options.onState(this.#options.counters.onUnavailable === 'refuse' ? 'away-refusing' : 'away-local-shares');
  }

  async #renew(): Promise<void> {
    if (!this.#ready) return;
    const held = [...this.#places.keys()];
    for (let from = 0; from < held.length; from += RENEW_BATCH) {
      // Those that were given back while a batch before was under way must not be taken again.
      const batch = held.slice(from, from + RENEW_BATCH).flatMap((name) => this.#places.get(name) ?? []);
      if (batch.length === 0) continue;
      try {
        await this.#run(
          RENEW,
          batch.map(({ key }) => key),
          [this.#lease, ...batch.map(({ id }) => id)],
        );
      } catch (error) {
        this.#failed(error);
        return;
      }
    }
  }

  async #run({ text, sha }: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await this.#client.evalsha(sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return await this.#client.eval(text, keys.length, ...keys, ...args);
    }
  }

  #nextId(): string {
    this.#given += 1;
    return `${this.#instance}.${this.#given.toString(36)}`;
  }
}

function recordKey(id: string): string {
  return `${SPACE}r:${id}`;
}
