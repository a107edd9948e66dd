import {
  type Clock,
  type GuardAllowance,
  type KeyRecord,
  type Logger,
  type Role,
  type SealedPrompt,
  type Snapshot,
  silentLogger,
  systemClock,
} from '@sallyport/core';
import type { User } from '@sallyport/store';
import type { Config } from '../config/config.ts';
import { buildSnapshot, SnapshotError } from './build.ts';
import type { SnapshotCache } from './cache.ts';
import type { SnapshotOrigin } from './file.ts';

/** Where keys and custom roles come from: the store, as far as a feed needs it. `signal` says that nobody waits for the answer any more. */
export interface SnapshotSource {
  /** Grows with every change. */
  version(signal: AbortSignal): Promise<number>;
  load(signal: AbortSignal): Promise<SourceState>;
}

export interface SourceState {
  /** Tells one database from another, where the source can: only then is a smaller version known to be a new beginning and not a step back. */
  readonly id?: string | null;
  /** The version the state is of, where the source knows it; else the version asked for before counts. */
  readonly version?: number;
  readonly keys: readonly KeyRecord[];
  readonly roles: readonly Role[];
  /** The newest version of each system prompt; none where the source has none. */
  readonly prompts?: readonly SealedPrompt[];
  /** Allowed false positives of the guard; none where the source has none. */
  readonly allowances?: readonly GuardAllowance[];
  /** By id; keys are narrowed to what their owners may. Absent where the source has done that. */
  readonly users?: ReadonlyMap<string, User>;
}

export interface FeedOptions {
  readonly source: SnapshotSource;
  readonly config: Config;
  /** Null keeps nothing on disk. */
  readonly cache: SnapshotCache | null;
  /** Milliseconds between two looks at the source. Default 500: a revocation is effective within 2 s. */
  readonly interval?: number;
  /** Milliseconds after which an unanswered question for the version counts as failed. Default 1000. A load may take four times what the last one took, and no less than this. */
  readonly timeout?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface FeedStatus {
  /** Version of the snapshot in use, or null where there is none yet. */
  readonly version: number | null;
  /** Version of the source it was made from. */
  readonly sourceVersion: number | null;
  /** `source` once the source confirmed it in this process, `cache` while it is only what the file had. */
  readonly origin: 'source' | 'cache' | null;
  /** Epoch milliseconds of the last moment the snapshot was known to be current, or null while it is. */
  readonly staleSince: number | null;
  /** Why the source does not count at the moment, from a closed list, or null. */
  readonly reason: 'unreachable' | 'timeout' | 'went-back' | 'unusable' | null;
  /** False where the last attempt to write the cache file failed. */
  readonly cached: boolean;
}

type Listener = (snapshot: Snapshot) => void;

/** The snapshot in use and what it was made of. */
interface Held {
  readonly snapshot: Snapshot;
  readonly keys: readonly KeyRecord[];
  readonly users: ReadonlyMap<string, User> | null;
  readonly origin: SnapshotOrigin;
  readonly from: 'source' | 'cache';
}

const INTERVAL = 500;
const TIMEOUT = 1_000;
const LONGEST_LOAD = 30_000;

/**
 * Follows a source and hands out snapshots. Versions only grow: each build is one more than the last, also across restarts with a
 * cache, and a source that went back (a restored backup) is not followed, because that would bring revoked keys back to life.
 * While the source is away or broken the last snapshot stays in use and `status` says since when it may be old.
 */
export class SnapshotFeed implements AsyncDisposable {
  readonly #source: SnapshotSource;
  readonly #cache: SnapshotCache | null;
  readonly #interval: number;
  readonly #timeout: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #listeners: Set<Listener> = new Set();
  readonly #startedAt: number;
  readonly #closing: AbortController = new AbortController();
  #config: Config;
  #held: Held | null = null;
  /** A version that was loaded and found to be a step back: it is not loaded again. */
  #refused: number | null = null;
  #loadTimeout: number = LONGEST_LOAD;
  #confirmedAt: number | null = null;
  #reason: FeedStatus['reason'] = null;
  #cached = true;
  #running: Promise<void> | null = null;
  #queued: Promise<void> | null = null;
  #writing: Promise<void> = Promise.resolve();
  #unwritten = false;
  #timer: NodeJS.Timeout | null = null;

  private constructor(options: FeedOptions) {
    this.#source = options.source;
    this.#config = options.config;
    this.#cache = options.cache;
    this.#interval = options.interval ?? INTERVAL;
    this.#timeout = options.timeout ?? TIMEOUT;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
    this.#startedAt = this.#clock.now();
  }

  /**
   * Looks at the source once and starts polling. With a cached snapshot it does not wait longer than `timeout` for that first look.
   * Never fails for a source or a file that is away or damaged: without either there is no snapshot yet (`current` is null), and the
   * gateway is not ready until there is.
   */
  static async start(options: FeedOptions): Promise<SnapshotFeed> {
    const feed = new SnapshotFeed(options);
    // The file first: it says which versions were used already.
    await feed.#readCache();
    const first = feed.refresh();
    void first.then(() => feed.#schedule());
    if (feed.current === null) await first;
    else await feed.#atMost(first, feed.#timeout);
    return feed;
  }

  get current(): Snapshot | null {
    return this.#held?.snapshot ?? null;
  }

  get status(): FeedStatus {
    const stale = this.#held?.from !== 'source' || this.#reason !== null;
    return {
      version: this.#held?.snapshot.version ?? null,
      sourceVersion: this.#held?.origin.version ?? null,
      origin: this.#held?.from ?? null,
      staleSince: stale ? (this.#confirmedAt ?? this.#startedAt) : null,
      reason: this.#reason,
      cached: this.#cached,
    };
  }

  /** Calls `listener` with every later snapshot, until the returned function is called. What is in use now is `current`. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Looks at the source now. Resolves when a change that was in the source before the call is in effect, or the attempt failed (see `status`). */
  async refresh(): Promise<FeedStatus> {
    if (this.#running === null) await this.#begin();
    else {
      // The look in progress may have begun before the change; one more after it is enough for everybody who asks meanwhile.
      this.#queued ??= this.#running.then(() => {
        this.#queued = null;
        return this.#running ?? this.#begin();
      });
      await this.#queued;
    }
    return this.status;
  }

  /** Takes up a new configuration with the keys and roles at hand. Null where there is no snapshot yet: the configuration counts once there is. */
  reload(config: Config): Snapshot | null {
    this.#config = config;
    if (this.#held !== null) this.#adopt(this.#held);
    return this.current;
  }

  /** Stops polling and waits for the cache file. */
  async close(): Promise<void> {
    this.#closing.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#listeners.clear();
    await this.#queued;
    await this.#running;
    await this.#writing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #schedule(): void {
    if (this.#closing.signal.aborted) return;
    this.#timer = setTimeout(() => void this.refresh().then(() => this.#schedule()), this.#interval);
    this.#timer.unref();
  }

  #begin(): Promise<void> {
    this.#running = this.#look().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** One look at the source. Every failure ends in `reason`. */
  async #look(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const askedAt = this.#clock.now();
    try {
      // The version before the state: a change in between is then seen as a newer version at the next look.
      const version = await this.#ask((signal) => this.#source.version(signal), this.#timeout);
      if (!Number.isSafeInteger(version)) throw new SnapshotError('the source gave no version');
      if (version === this.#refused) return this.#fail('went-back', null);
      if (version !== this.#held?.origin.version || this.#held.from !== 'source') {
        const state = await this.#load();
        if (this.#closing.signal.aborted) return;
        const origin = {
          id: state.id ?? null,
          version: state.version ?? version,
          roles: state.roles,
          prompts: state.prompts ?? [],
          allowances: state.allowances ?? [],
        };
        this.#refused = this.#goesBack(origin) ? version : null;
        if (this.#refused !== null) return this.#fail('went-back', null);
        this.#adopt({ keys: state.keys, users: state.users ?? null, origin, from: 'source' });
      }
      if (this.#reason !== null) this.#logger.info('snapshot.source-back', { version });
      this.#reason = null;
      this.#confirmedAt = askedAt;
      if (!this.#cached) this.#writeCache();
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      this.#fail(error instanceof SourceTimeout ? 'timeout' : error instanceof SnapshotError ? 'unusable' : 'unreachable', error);
    }
  }

  /** A smaller version is a step back, unless the source says that it is another database. */
  #goesBack(origin: SnapshotOrigin): boolean {
    const known = this.#held?.origin;
    if (known === undefined || origin.version >= known.version) return false;
    return origin.id === null || origin.id === known.id;
  }

  /** A hung load must not keep a revocation waiting, a slow one must not be given up for ever: the time allowed follows what loads took. */
  async #load(): Promise<SourceState> {
    const begun = this.#clock.monotonic();
    try {
      const state = await this.#ask((signal) => this.#source.load(signal), this.#loadTimeout);
      this.#loadTimeout = Math.min(LONGEST_LOAD, Math.max(this.#timeout, 4 * (this.#clock.monotonic() - begun)));
      return state;
    } catch (error) {
      if (error instanceof SourceTimeout) this.#loadTimeout = Math.min(LONGEST_LOAD, this.#loadTimeout * 2);
      throw error;
    }
  }

  #fail(reason: NonNullable<FeedStatus['reason']>, error: unknown): void {
    // Only a change is told: an outage of an hour is one line, not 7,200. The error's text may name hosts and users of a database.
    if (this.#reason !== reason) this.#logger.warn('snapshot.source-failed', { reason, error: error instanceof Error ? error.name : null });
    this.#reason = reason;
  }

  async #ask<T>(question: (signal: AbortSignal) => Promise<T>, timeout: number): Promise<T> {
    const { promise: given, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new SourceTimeout()), timeout);
    const abort = new AbortController();
    const closing = (): void => reject(this.#closing.signal.reason);
    this.#closing.signal.addEventListener('abort', closing, { once: true });
    try {
      return await Promise.race([question(abort.signal), given]);
    } finally {
      clearTimeout(timer);
      this.#closing.signal.removeEventListener('abort', closing);
      abort.abort();
    }
  }

  /** Waits for `done`, but no longer than `timeout` (ms). */
  async #atMost(done: Promise<unknown>, timeout: number): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeout);
    await Promise.race([done, late]);
    clearTimeout(timer);
  }

  #adopt(material: Omit<Held, 'snapshot'>): void {
    const { keys, users, origin } = material;
    const snapshot = buildSnapshot({
      config: this.#config,
      keys,
      roles: origin.roles,
      prompts: origin.prompts,
      allowances: origin.allowances,
      users,
      version: (this.#held?.snapshot.version ?? 0) + 1,
      builtAt: this.#clock.now(),
    });
    this.#held = { ...material, snapshot };
    this.#logger.info('snapshot.built', { version: snapshot.version, sourceVersion: origin.version, keys: snapshot.keys.size });
    this.#writeCache();
    for (const listener of this.#listeners) {
      try {
        listener(snapshot);
      } catch (error) {
        // One subscriber's defect must not keep a revocation from the others.
        this.#logger.error('snapshot.subscriber-failed', { error: error instanceof Error ? error.name : null });
      }
    }
  }

  /** Keys and roles are taken from the file; the rest is the configuration of now, which the operator may have changed since. */
  async #readCache(): Promise<void> {
    if (this.#cache === null) return;
    try {
      await this.#cache.sweep();
      const stored = await this.#cache.read();
      if (stored === null) return;
      const { snapshot, origin } = stored;
      this.#confirmedAt = snapshot.builtAt;
      this.#held = { snapshot, keys: [...snapshot.keys.values()], users: null, origin, from: 'cache' };
      // With something to go on with, a hung load is given up sooner; a slow one gets its time by doubling.
      this.#loadTimeout = this.#timeout * 4;
      this.#adopt(this.#held);
    } catch (error) {
      this.#logger.warn('snapshot.cache-unusable', { error: error instanceof SnapshotError ? error.message : 'unreadable' });
    }
  }

  /** Writes follow one another; where several are due only the latest is written. */
  #writeCache(): void {
    const cache = this.#cache;
    if (cache === null || this.#unwritten) return;
    this.#unwritten = true;
    this.#writing = this.#writing.then(async () => {
      this.#unwritten = false;
      if (this.#held === null) return;
      try {
        await cache.write(this.#held);
        this.#cached = true;
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
        if (this.#cached) this.#logger.warn('snapshot.cache-not-written', { error: code });
        this.#cached = false;
      }
    });
  }
}

class SourceTimeout extends Error {
  override readonly name: string = 'SourceTimeout';
}
