import { createHmac, hash, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { KeyDigest } from '@sallyport/core';

const DIGEST_BYTES = 32;
/** A record holds the current secret and, while a rotation overlaps, the one before it. */
const MAX_DIGESTS = 2;
const MIN_PEPPER_BYTES = 32;

const NO_DIGESTS: readonly KeyDigest[] = [];
/** Stands in where there is nothing to compare with, so that the comparison is made all the same. */
const NOTHING = Buffer.alloc(DIGEST_BYTES);
/** Digests of a snapshot as bytes: decoded when a key is first seen, gone with the snapshot. Null where the text is none. */
const decoded = new WeakMap<KeyDigest, Buffer | null>();

/**
 * What is kept of a key: HMAC-SHA-256 under the pepper, base64url. A reader of the database cannot find the key, and a writer of the
 * database who lacks the pepper cannot make one.
 */
export function digestApiKey(pepper: KeyObject, key: string): string {
  return createHmac('sha256', pepper).update(key).digest('base64url');
}

/** @throws RangeError where `pepper` is not a secret key of at least 32 bytes: a fault of the configuration, not of a client. */
export function checkPepper(pepper: KeyObject): void {
  if (pepper.type !== 'secret' || (pepper.symmetricKeySize ?? 0) < MIN_PEPPER_BYTES) {
    throw new RangeError(`The API key pepper must be a secret key of at least ${MIN_PEPPER_BYTES} bytes.`);
  }
}

/**
 * Whether `key` is the secret behind one of `digests`. `ended` is a secret that was right until its rotation overlap ran out.
 * The work is the same for every outcome and also for no digests at all (an unknown id): one HMAC, two constant-time comparisons.
 * `now` is epoch milliseconds.
 */
export function verifyApiKey(
  pepper: KeyObject,
  key: string,
  digests: readonly KeyDigest[] | null,
  now: number,
): 'match' | 'ended' | 'mismatch' {
  return compareDigests(createHmac('sha256', pepper).update(key).digest(), digests, now);
}

/** Keys remembered by one memory; beyond it the memory starts afresh. */
const MAX_REMEMBERED = 10_000;

/**
 * Verifies like `verifyApiKey` and remembers the HMAC of keys that were right, under the SHA-256 of their text: a busy key then costs one
 * plain hash instead of an HMAC. Wrong keys are never remembered, so that guesses neither fill the memory nor become cheaper. What is
 * remembered is no more than what a snapshot holds; expiry and rotation are judged each time.
 */
export class KeyVerifier {
  readonly #pepper: KeyObject;
  readonly #remembered = new Map<string, Buffer>();

  constructor(pepper: KeyObject) {
    checkPepper(pepper);
    this.#pepper = pepper;
  }

  verify(key: string, digests: readonly KeyDigest[] | null, now: number): 'match' | 'ended' | 'mismatch' {
    const name = hash('sha256', key, 'base64url');
    const remembered = this.#remembered.get(name);
    const presented = remembered ?? createHmac('sha256', this.#pepper).update(key).digest();
    const outcome = compareDigests(presented, digests, now);
    if (remembered === undefined && outcome === 'match') {
      if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
      this.#remembered.set(name, presented);
    }
    return outcome;
  }
}

function compareDigests(presented: Buffer, digests: readonly KeyDigest[] | null, now: number): 'match' | 'ended' | 'mismatch' {
  const candidates = digests ?? NO_DIGESTS;
  let outcome: 'match' | 'ended' | 'mismatch' = 'mismatch';
  for (let slot = 0; slot < MAX_DIGESTS; slot++) {
    const candidate = candidates[slot];
    const stored = candidate === undefined ? null : bytesOf(candidate);
    const equal = timingSafeEqual(presented, stored ?? NOTHING);
    if (!equal || stored === null || candidate === undefined) continue;
    if (candidate.until === null || candidate.until > now) outcome = 'match';
    else if (outcome !== 'match') outcome = 'ended';
  }
  return outcome;
}

function bytesOf(digest: KeyDigest): Buffer | null {
  let bytes = decoded.get(digest);
  if (bytes === undefined) {
    const read = Buffer.from(digest.hmac, 'base64url');
    bytes = read.length === DIGEST_BYTES ? read : null;
    decoded.set(digest, bytes);
  }
  return bytes;
}
