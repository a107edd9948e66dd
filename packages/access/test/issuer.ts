import { createSign, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { Issuer, Principal } from '@sallyport/core';
import { Authenticator, type ClientCertificate, JwksCache, type JwksTimes } from '../src/index.ts';
import { pepper, snapshotOf, TestClock } from './fixtures.ts';

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export function rsaKey(kid: string, modulusLength: number = 2048): SigningKey {
  return { kid, ...generateKeyPairSync('rsa', { modulusLength }) };
}

export function ed25519Key(kid: string): SigningKey {
  return { kid, ...generateKeyPairSync('ed25519') };
}

export function jwk(key: SigningKey, extra: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { ...key.publicKey.export({ format: 'jwk' }), kid: key.kid, use: 'sig', ...extra };
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** A token with any header and claims, signed by hand, so that what no library would write can be written. */
export function signToken(key: SigningKey, header: Readonly<Record<string, unknown>>, claims: Readonly<Record<string, unknown>>): string {
  const input = `${part(header)}.${part(claims)}`;
  const signature =
    key.privateKey.asymmetricKeyType === 'ed25519'
      ? sign(null, Buffer.from(input), key.privateKey)
      : createSign('sha256').update(input).sign(key.privateKey);
  return `${input}.${signature.toString('base64url')}`;
}

export function withSignature(
  header: Readonly<Record<string, unknown>>,
  claims: Readonly<Record<string, unknown>>,
  signature: Buffer,
): string {
  return `${part(header)}.${part(claims)}.${signature.toString('base64url')}`;
}

export function signingInput(header: Readonly<Record<string, unknown>>, claims: Readonly<Record<string, unknown>>): string {
  return `${part(header)}.${part(claims)}`;
}

export function issuerRow(overrides: Partial<Issuer> = {}): Issuer {
  return {
    name: 'corp',
    issuer: 'https://id.corp.example',
    audience: ['sallyport'],
    algorithms: ['RS256', 'EdDSA'],
    jwksUri: 'https://id.corp.example/jwks',
    claims: { subject: 'sub', tenant: null, roles: 'groups', team: null },
    tenant: 'acme',
    roles: ['user'],
    roleMap: { 'ml-ops': 'model-manager', audit: 'auditor' },
    clockTolerance: 30,
    ...overrides,
  };
}

/** An issuer with its keys, its document server, and an authenticator that trusts it. */
export class TestIssuer {
  readonly clock: TestClock = new TestClock();
  readonly main: SigningKey;
  /** What the document server answers; an Error is an outage. */
  document: unknown;
  /** URIs that were asked for. */
  readonly fetched: string[] = [];
  readonly jwks: JwksCache;
  #rows: readonly Issuer[];
  authenticator: Authenticator;

  constructor(main: SigningKey, rows: readonly Issuer[] = [issuerRow()], times?: JwksTimes) {
    this.main = main;
    this.document = { keys: [jwk(main)] };
    this.#rows = rows;
    this.jwks = new JwksCache({ fetch: (uri) => this.#fetch(uri) }, this.clock, times);
    this.authenticator = this.#authenticator();
  }

  /** As after a configuration change: a new snapshot, the same key sets. */
  renew(rows: readonly Issuer[] = this.#rows): void {
    this.#rows = rows;
    this.authenticator = this.#authenticator();
  }

  /** Seconds since the epoch. */
  get now(): number {
    return Math.floor(this.clock.now() / 1000);
  }

  claims(overrides: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
    return { iss: 'https://id.corp.example', aud: 'sallyport', sub: 'alice', iat: this.now, exp: this.now + 3600, ...overrides };
  }

  /** A good token but for the overrides; an override of undefined leaves the claim out. */
  token(
    claims: Readonly<Record<string, unknown>> = {},
    header: Readonly<Record<string, unknown>> = {},
    key: SigningKey = this.main,
  ): string {
    const alg = key.privateKey.asymmetricKeyType === 'ed25519' ? 'EdDSA' : 'RS256';
    return signToken(key, { alg, typ: 'JWT', kid: key.kid, ...header }, this.claims(claims));
  }

  authenticate(token: string, certificate: ClientCertificate | null = null): Principal | Promise<Principal> {
    return this.authenticator.authenticate({ credential: { kind: 'jwt', value: token }, certificate }, { ip: '203.0.113.9' });
  }

  #authenticator(): Authenticator {
    return new Authenticator(snapshotOf({ issuers: this.#rows }), { pepper, clock: this.clock, jwks: this.jwks });
  }

  #fetch(uri: string): Promise<unknown> {
    this.fetched.push(uri);
    return this.document instanceof Error ? Promise.reject(this.document) : Promise.resolve(structuredClone(this.document));
  }
}
