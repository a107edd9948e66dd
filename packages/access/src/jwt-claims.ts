import type { Issuer, Principal } from '@sallyport/core';
import type { JWTPayload } from 'jose';
import { refuseToken } from './authenticate-fault.ts';

/** OpenID Connect Core, section 2: a subject has at most 255 characters. */
const NAME = /^[^\p{C}\p{Zl}\p{Zp}]{1,255}$/u;
const TOKEN_ID = /^[\w.:-]{1,128}$/;
const MAX_ROLE_CLAIMS = 1024;

/** What the issuer's claims make of a caller. `digest` names the token where it has no usable `jti`. Throws Fault (`claims`). */
export function principalOf(claims: JWTPayload, issuer: Issuer, digest: string, expiresAt: number): Principal {
  const subject = requiredName(claims, issuer.claims.subject);
  const id = `${issuer.name}:${subject}`;
  // RFC 9068, section 2.2: where the client acts for itself, the subject is the client.
  const isClient = subject === claims['client_id'] || subject === claims['azp'];
  const tokenId = claims.jti;
  return {
    id,
    kind: isClient ? 'application' : 'person',
    tenant: issuer.claims.tenant === null ? issuer.tenant : requiredName(claims, issuer.claims.tenant),
    user: isClient ? null : id,
    team: issuer.claims.team === null ? null : optionalName(claims, issuer.claims.team),
    roles: rolesOf(claims, issuer),
    credential: {
      kind: 'jwt',
      id: typeof tokenId === 'string' && TOKEN_ID.test(tokenId) ? tokenId : digest,
      expiresAt,
      admittedBy: issuer.name,
    },
  };
}

/** The issuer's roles for everybody, and those its role map gives for a claim's values. Values without a row give nothing. */
function rolesOf(claims: JWTPayload, issuer: Issuer): readonly string[] {
  const roles = new Set(issuer.roles);
  for (const value of issuer.claims.roles === null ? [] : listClaim(claims, issuer.claims.roles)) {
    const role = Object.hasOwn(issuer.roleMap, value) ? issuer.roleMap[value] : undefined;
    if (role !== undefined) roles.add(role);
  }
  return [...roles];
}

/** An array of strings, or one string of words (RFC 8693, section 4.2 `scope`). Anything else is no role. */
function listClaim(claims: JWTPayload, path: string): readonly string[] {
  const value = readClaim(claims, path);
  const values: readonly unknown[] = typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value : [];
  return values.slice(0, MAX_ROLE_CLAIMS).filter((entry) => typeof entry === 'string');
}

function requiredName(claims: JWTPayload, path: string): string {
  const name = optionalName(claims, path);
  if (name === null) throw refuseToken('claims');
  return name;
}

function optionalName(claims: JWTPayload, path: string): string | null {
  const value = readClaim(claims, path);
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string' || !NAME.test(value)) throw refuseToken('claims');
  return value;
}

/** The claim of that very name (`https://example.com/roles`), or else a nested one (`realm_access.roles`). */
function readClaim(claims: JWTPayload, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = Reflect.get(value, name);
  }
  return value;
}
