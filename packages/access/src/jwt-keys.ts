import { createPublicKey } from 'node:crypto';
import { type Clock, Fault } from '@sallyport/core';
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';

/** Bounds the source has to keep: milliseconds for the whole exchange, bytes of the body. Redirects are not to be followed. */
export interface JwksLimits {
  readonly timeout: number;
  readonly maxBytes: number;
}

/** Fetches a key set document. The gateway supplies one over its only egress client, which knows the hosts it may talk to. */
export interface JwksSource {
  /** Resolves to the parsed JSON body of a 200 answer; rejects for anything else, and always within `limits.timeout`. */
  fetch(uri: string, limits: JwksLimits): Promise<unknown>;
}

/** Milliseconds. */
export interface JwksTimes {
  /** How long a key set is used without asking again. */
  readonly fresh: number;
  /** How long it is still used while the issuer cannot be reached. A withdrawn signing key counts no longer than this. */
  readonly stale: number;
  /** Least time between two fetches of one set, whatever tokens arrive. */
  readonly cooldown: number;
  /** The same after an attempt that failed. */
  readonly retry: number;
}

export interface JwksStatus {
  readonly uri: string;
  /** Milliseconds since the keys were last fetched, or null where they never were. */
  readonly age: number | null;
  /** Whether the last attempt failed. */
  readonly failed: boolean;
}

/** The keys of one issuer at one time. Another object means other keys, so what was verified with the old ones has to be verified again. */
export interface KeySet {
  readonly find: JWTVerifyGetKey;
}

interface Entry {
  keys: KeySet | null;
  text: string;
  fetchedAt: number;
  attemptedAt: number;
  failed: boolean;
  pending: Promise<void> | null;
}

export const JWKS_LIMITS: JwksLimits = { timeout: 5_000, maxBytes: 262_144 };
export const JWKS_TIMES: JwksTimes = { fresh: 600_000, stale: 14_400_000, cooldown: 30_000, retry: 5_000 };
const MAX_KEYS = 64;
const MIN_RSA_BITS = 2048;
const ASYMMETRIC_KEY_TYPES: ReadonlySet<string> = new Set(['RSA', 'EC', 'OKP']);

/**
 * Key sets of the configured issuers. Outlives snapshots, so that a configuration change during an issuer's outage costs nobody
 * access. Only URIs of the configuration are ever asked for; nothing in a token names one.
 */
export class JwksCache {
  readonly #source: JwksSource;
  readonly #clock: Clock;
  readonly #times: JwksTimes;
  readonly #entries = new Map<string, Entry>();

  constructor(source: JwksSource, clock: Clock, times: JwksTimes = JWKS_TIMES) {
    this.#source = source;
    this.#clock = clock;
    this.#times = times;
  }

  /** The keys in use, or null where there are none or they are too old. Keys past their freshness are fetched again meanwhile. */
  current(uri: string): KeySet | null {
    const entry = this.#entry(uri);
    const age = this.#clock.monotonic() - entry.fetchedAt;
    if (entry.keys === null || age > this.#times.stale) return null;
    if (age > this.#times.fresh && this.#mayFetch(entry)) void this.#refresh(uri, entry);
    return entry.keys;
  }

  /** @throws Fault `not_ready` where there are no usable keys and none can be fetched now. */
  async load(uri: string): Promise<KeySet> {
    const usable = this.current(uri);
    if (usable !== null) return usable;
    const entry = this.#entry(uri);
    if (entry.pending !== null || this.#mayFetch(entry)) await this.#refresh(uri, entry);
    const keys = this.current(uri);
    if (keys !== null) return keys;
    throw new Fault('not_ready', 'The token cannot be verified now: its issuer cannot be reached.', {
      retryAfter: 5,
      detail: 'jwks-unavailable',
    });
  }

  /** For a token whose key is not among the current ones: other keys than `known` after asking again, or null. */
  async renewed(uri: string, known: KeySet): Promise<KeySet | null> {
    const entry = this.#entry(uri);
    if (entry.keys === known && (entry.pending !== null || this.#mayFetch(entry))) await this.#refresh(uri, entry);
    return entry.keys === known ? null : this.current(uri);
  }

  /** For readiness and metrics: how every key set stands. */
  status(): readonly JwksStatus[] {
    const now = this.#clock.monotonic();
    return [...this.#entries].map(([uri, { keys, fetchedAt, failed }]) => ({ uri, age: keys === null ? null : now - fetchedAt, failed }));
  }

  #entry(uri: string): Entry {
    let entry = this.#entries.get(uri);
    if (entry === undefined) {
      const never = Number.NEGATIVE_INFINITY;
      entry = { keys: null, text: '', fetchedAt: never, attemptedAt: never, failed: false, pending: null };
      this.#entries.set(uri, entry);
    }
    return entry;
  }

  #mayFetch(entry: Entry): boolean {
    const wait = entry.failed ? this.#times.retry : this.#times.cooldown;
    return entry.pending === null && this.#clock.monotonic() - entry.attemptedAt >= wait;
  }

  #refresh(uri: string, entry: Entry): Promise<void> {
    entry.pending ??= this.#fetch(uri, entry);
    return entry.pending;
  }

  async #fetch(uri: string, entry: Entry): Promise<void> {
    entry.attemptedAt = this.#clock.monotonic();
    try {
      const document = readKeySet(await this.#source.fetch(uri, JWKS_LIMITS));
      const text = JSON.stringify(document);
      if (entry.keys === null || text !== entry.text) entry.keys = { find: createLocalJWKSet(document) };
      entry.text = text;
      entry.fetchedAt = this.#clock.monotonic();
      entry.failed = false;
    } catch {
      // An outage is a state, not an event of the request that met it: the old keys stay until they are too old, and `status` tells.
      entry.failed = true;
    } finally {
      entry.pending = null;
    }
  }
}

/** The issuer's document, reduced to the keys that can prove something. Throws where it is no key set. */
function readKeySet(document: unknown): JSONWebKeySet {
  if (typeof document !== 'object' || document === null || !('keys' in document) || !Array.isArray(document.keys)) {
    throw new TypeError('not a JSON Web Key Set');
  }
  if (document.keys.length > MAX_KEYS) throw new RangeError(`more than ${MAX_KEYS} keys`);
  return { keys: document.keys.filter(isSigningKey) };
}

/**
 * A readable public key of a kind we verify with, RSA of at least 2048 bits. A key published together with its private half is anyone's
 * and is left out, as are keys of other kinds: one bad key does not spoil the others.
 */
function isSigningKey(key: unknown): key is JSONWebKeySet['keys'][number] {
  if (typeof key !== 'object' || key === null || !('kty' in key) || 'd' in key) return false;
  const { kty } = key;
  if (typeof kty !== 'string' || !ASYMMETRIC_KEY_TYPES.has(kty)) return false;
  try {
    const { modulusLength } = createPublicKey({ key: { ...key, kty }, format: 'jwk' }).asymmetricKeyDetails ?? {};
    return modulusLength === undefined || modulusLength >= MIN_RSA_BITS;
  } catch {
    // OpenSSL cannot read the key, so nothing can be verified with it.
    return false;
  }
}
