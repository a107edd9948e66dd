import type { KeyObject } from 'node:crypto';
import { AddressList, extractCredential, parseApiKey, verifyApiKey } from '@sallyport/access';
import { type Clock, Fault, type Principal, type Source } from '@sallyport/core';
import type { KeyReader } from '@sallyport/store';
import { principalOf } from '../service/authority.ts';

/**
 * Who calls, from the text of a bearer token; attacker's data. Throws `Fault` (`invalid_api_key`, whose `detail` is the reason for the
 * log; `not_ready` where that cannot be found out now).
 */
export type Authenticate = (token: string, source: Source) => Principal | Promise<Principal>;

/**
 * The bearer token of a request. The admin API takes it from `Authorization` only: a program that may manage keys is written for this
 * API, and every further place is one more that a proxy may forget to strip.
 */
export function bearerToken(rawHeaders: readonly string[]): string {
  const credential = extractCredential(rawHeaders);
  const inAuthorization = rawHeaders.some((name, index) => index % 2 === 0 && name.toLowerCase() === 'authorization');
  if (credential === null || !inAuthorization) throw refused('missing', 'Send an API key as "Authorization: Bearer sp_live_…".');
  return credential.value;
}

/**
 * Authenticates against the database itself, so that a key made or ended a moment ago is known. For the control plane only: a look-up
 * for each request is what the data plane's snapshot is there to avoid. All failures read alike; the reason is for the log.
 */
export function keyAuthenticator(keys: KeyReader, pepper: KeyObject, clock: Clock): Authenticate {
  return async (token, source) => {
    const parsed = parseApiKey(token);
    if (typeof parsed === 'string') throw refused(parsed);
    const key = await keys.get(parsed.id);
    const now = clock.now();
    // Verified whether the id exists or not, so that the time taken does not tell.
    const outcome = verifyApiKey(pepper, token, key?.digests ?? null, now);
    if (key === null) throw refused('unknown');
    if (outcome === 'mismatch') throw refused('wrong-secret');
    if (key.revokedAt !== null) throw refused('revoked');
    if (outcome === 'ended' || (key.expiresAt !== null && key.expiresAt <= now)) throw refused('expired');
    if (key.allowedIps !== null && !new AddressList(key.allowedIps).has(source.ip)) throw refused('address');
    return principalOf(key);
  };
}

function refused(reason: string, message: string = 'The API key is not valid.'): Fault {
  return new Fault('invalid_api_key', message, { detail: reason });
}
