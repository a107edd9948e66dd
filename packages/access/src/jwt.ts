import { hash } from 'node:crypto';
import { type Clock, Fault, type Issuer, type Principal } from '@sallyport/core';
import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyResult,
  jwtVerify,
  type ProtectedHeaderParameters,
} from 'jose';
import { type AuthenticationReason, refuse, refuseToken } from './authenticate-fault.ts';
import { principalOf } from './jwt-claims.ts';
import type { JwksCache, KeySet } from './jwt-keys.ts';

/** A verified token: whom it stands for and what else has to be true when it is used. */
export interface VerifiedToken {
  readonly principal: Principal;
  /** SHA-256 (hex) of the only client certificate it may be used with (RFC 8705), or null for a plain bearer token. */
  readonly certificate: string | null;
}

interface Remembered extends VerifiedToken {
  readonly issuer: Issuer;
  readonly keys: KeySet;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/** Signatures whose verifying key is public. HMAC algorithms and `none` are not here, so no configuration can admit them. */
export const TOKEN_ALGORITHMS: ReadonlySet<string> = new Set([
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]);

/** An ID or access token; RFC 9068 calls the latter `at+jwt`. Logout tokens, security events and the like are not for signing in. */
const TOKEN_TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt']);
/** Longest life of a token, issue to end, in seconds: a stolen one cannot be revoked here. */
const MAX_LIFETIME = 86_400;
const MAX_KEY_ID_LENGTH = 256;
const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);
const MAX_REMEMBERED = 10_000;

/** What is wrong with an issuer's row, in words for its author. A row with a problem admits nobody. */
export function issuerProblems(issuer: Issuer): string[] {
  const problems: string[] = [];
  if (issuer.audience.length === 0) problems.push('audience: name at least one');
  if (issuer.algorithms.length === 0) problems.push('algorithms: name at least one');
  for (const algorithm of issuer.algorithms) {
    if (!TOKEN_ALGORITHMS.has(algorithm))
      problems.push(`algorithms: ${JSON.stringify(algorithm)} is not an asymmetric signature algorithm`);
  }
  if (!(issuer.clockTolerance >= 0 && issuer.clockTolerance <= 300)) problems.push('clockTolerance: 0 to 300 seconds');
  if (!isProtectedUrl(issuer.jwksUri)) problems.push('jwksUri: an https URL (http only for a server on this machine)');
  return problems;
}

/** Who can change the key set on its way can sign in as anybody, so it is not fetched in the clear. */
function isProtectedUrl(text: string): boolean {
  const url = URL.parse(text);
  return url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK_HOSTS.has(url.hostname));
}

/** Verifies bearer tokens of the issuers of one snapshot. Make a new one with each snapshot: what it remembers dies with it. */
export class TokenVerifier {
  readonly #issuers = new Map<string, Issuer[]>();
  readonly #jwks: JwksCache;
  readonly #clock: Clock;
  /** By the SHA-256 of the whole token (never a part of it: CVE-2026-35030), least recently used first. */
  readonly #remembered = new Map<string, Remembered>();

  constructor(issuers: readonly Issuer[], jwks: JwksCache, clock: Clock) {
    this.#jwks = jwks;
    this.#clock = clock;
    for (const issuer of issuers) {
      if (issuerProblems(issuer).length > 0) continue;
      const same = this.#issuers.get(issuer.issuer);
      if (same === undefined) this.#issuers.set(issuer.issuer, [issuer]);
      else same.push(issuer);
    }
  }

  /**
   * A token verified before is answered at once; any other by a promise.
   * @throws Fault `invalid_api_key`, or `not_ready` where the issuer's keys cannot be had
   */
  verify(token: string): VerifiedToken | Promise<VerifiedToken> {
    const digest = hash('sha256', token, 'base64url');
    return this.#recall(digest) ?? this.#verify(token, digest);
  }

  #recall(digest: string): Remembered | null {
    const remembered = this.#remembered.get(digest);
    if (remembered === undefined) return null;
    this.#remembered.delete(digest);
    const valid = remembered.expiresAt > this.#clock.now() && this.#jwks.current(remembered.issuer.jwksUri) === remembered.keys;
    if (!valid) return null;
    this.#remembered.set(digest, remembered);
    return remembered;
  }

  async #verify(token: string, digest: string): Promise<VerifiedToken> {
    const issuer = this.#choose(token);
    let keys = await this.#jwks.load(issuer.jwksUri);
    let result: JWTVerifyResult;
    try {
      result = await this.#check(token, issuer, keys);
    } catch (error) {
      const renewed = error instanceof errors.JWKSNoMatchingKey ? await this.#jwks.renewed(issuer.jwksUri, keys) : null;
      if (renewed === null) throw refusalOf(error);
      keys = renewed;
      result = await this.#check(token, issuer, keys).catch((again: unknown) => {
        throw refusalOf(again);
      });
    }
    const { payload } = result;
    const expiresAt = this.#checkLifetime(payload, issuer);
    const principal = principalOf(payload, issuer, digest, expiresAt);
    const remembered: Remembered = { principal, certificate: bindingOf(payload), issuer, keys, expiresAt };
    this.#remember(digest, remembered);
    return remembered;
  }

  /** Reads the unverified token, only to learn which issuer's rules it has to satisfy. */
  #choose(token: string): Issuer {
    let header: ProtectedHeaderParameters;
    let claims: JWTPayload;
    try {
      header = decodeProtectedHeader(token);
      claims = decodeJwt(token);
    } catch (cause) {
      throw refuse('malformed', 'The bearer token is not a JSON Web Token.', cause);
    }
    checkHeader(header);
    const candidates = this.#issuers.get(typeof claims.iss === 'string' ? claims.iss : '');
    if (candidates === undefined) throw refuseToken('issuer');
    const audiences = Array.isArray(claims.aud) ? claims.aud : [claims.aud];
    const issuer = candidates.find((candidate) => candidate.audience.some((audience) => audiences.includes(audience)));
    if (issuer === undefined) throw refuseToken('audience');
    return issuer;
  }

  #check(token: string, issuer: Issuer, keys: KeySet): Promise<JWTVerifyResult> {
    return jwtVerify(token, keys.find, {
      algorithms: [...issuer.algorithms],
      issuer: issuer.issuer,
      audience: [...issuer.audience],
      requiredClaims: ['exp', 'sub'],
      clockTolerance: issuer.clockTolerance,
      currentDate: new Date(this.#clock.now()),
    });
  }

  /** Epoch milliseconds at which the token ends for us, clock tolerance included. */
  #checkLifetime(claims: JWTPayload, issuer: Issuer): number {
    const now = Math.floor(this.#clock.now() / 1000);
    const { exp, iat } = claims;
    if (exp === undefined) throw refuseToken('claims');
    if (iat !== undefined && iat > now + issuer.clockTolerance) throw refuseToken('not-yet-valid');
    if (exp - (iat ?? now) > MAX_LIFETIME + issuer.clockTolerance) throw refuseToken('lifetime');
    return (exp + issuer.clockTolerance) * 1000;
  }

  #remember(digest: string, token: Remembered): void {
    this.#remembered.set(digest, token);
    if (this.#remembered.size <= MAX_REMEMBERED) return;
    for (const oldest of this.#remembered.keys()) {
      this.#remembered.delete(oldest);
      return;
    }
  }
}

/**
 * Attacker's data. `jku`, `x5u`, `jwk` and `x5c` are never read: the keys come from the configured issuer only. `alg` is held against
 * the issuer's list by jose, which also refuses every `crit` extension.
 */
function checkHeader(header: ProtectedHeaderParameters): void {
  const { alg, typ, kid, cty } = header;
  if (typeof alg !== 'string' || !TOKEN_ALGORITHMS.has(alg)) throw refuseToken('algorithm');
  if (typ !== undefined && (typeof typ !== 'string' || !TOKEN_TYPES.has(typ.toLowerCase()))) throw refuseToken('type');
  if (cty !== undefined) throw refuseToken('type');
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > MAX_KEY_ID_LENGTH)) throw refuseToken('signing-key');
}

/**
 * RFC 7800: a token with `cnf` counts only together with the proof it names. Certificate binding (RFC 8705) we can check; any other
 * (DPoP) we cannot, so such a token is refused.
 */
function bindingOf(claims: JWTPayload): string | null {
  const confirmation: unknown = claims['cnf'];
  if (confirmation === undefined) return null;
  if (typeof confirmation !== 'object' || confirmation === null || Object.keys(confirmation).length !== 1) throw refuseToken('binding');
  const thumbprint: unknown = Reflect.get(confirmation, 'x5t#S256');
  if (typeof thumbprint !== 'string' || !/^[\w-]{43}$/.test(thumbprint)) throw refuseToken('binding');
  return Buffer.from(thumbprint, 'base64url').toString('hex');
}

/** jose's refusals in our words. Anything that is not a refusal is a defect and passes through. */
function refusalOf(error: unknown): unknown {
  if (error instanceof Fault || !(error instanceof errors.JOSEError)) return error;
  // Expiry is checked after the signature, so only a holder of a once valid token learns of it.
  if (error instanceof errors.JWTExpired) return refuse('expired', 'The bearer token has expired.', error);
  if (error instanceof errors.JWTClaimValidationFailed) return refuseToken(CLAIM_REASONS.get(error.claim) ?? 'claims', error);
  return refuseToken(REFUSALS.get(error.code) ?? 'malformed', error);
}

const CLAIM_REASONS: ReadonlyMap<string, AuthenticationReason> = new Map([
  ['iss', 'issuer'],
  ['aud', 'audience'],
  ['nbf', 'not-yet-valid'],
]);

const REFUSALS: ReadonlyMap<string, AuthenticationReason> = new Map([
  ['ERR_JOSE_ALG_NOT_ALLOWED', 'algorithm'],
  ['ERR_JWKS_NO_MATCHING_KEY', 'signing-key'],
  ['ERR_JWKS_MULTIPLE_MATCHING_KEYS', 'signing-key'],
  ['ERR_JWS_SIGNATURE_VERIFICATION_FAILED', 'signature'],
]);
