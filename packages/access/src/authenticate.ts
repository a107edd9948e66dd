import type { KeyObject } from 'node:crypto';
import type { CertificateIdentity, Clock, KeyRecord, Principal, Snapshot, Source } from '@sallyport/core';
import { AddressList } from './address.ts';
import { refuse, refuseKey, refuseToken } from './authenticate-fault.ts';
import { type ClientCertificate, identifyCertificate } from './certificate.ts';
import type { PresentedCredential } from './credential.ts';
import { TokenVerifier, type VerifiedToken } from './jwt.ts';
import type { JwksCache } from './jwt-keys.ts';
import { parseApiKey } from './key.ts';
import { KeyVerifier } from './key-digest.ts';

export interface AuthenticatorOptions {
  /** The key under which API keys are digested; from outside the database. At least 32 bytes. */
  readonly pepper: KeyObject;
  readonly clock: Clock;
  /** Shared by all snapshots of a process. */
  readonly jwks: JwksCache;
}

/** Everything a call proves itself with. */
export interface Presented {
  /** From `extractCredential`. */
  readonly credential: PresentedCredential | null;
  /** From `readCertificate`, of a certificate whose chain the TLS layer verified (`tlsSocket.authorized`); else null. */
  readonly certificate: ClientCertificate | null;
}

export type AuthenticatorSnapshot = Pick<Snapshot, 'keys' | 'issuers' | 'certificateIdentities'>;

const MAX_CERTIFICATES = 10_000;

/** Turns what a call presents into a principal, by one snapshot. Make a new one with each snapshot: its caches die with it. */
export class Authenticator {
  readonly #keys: ReadonlyMap<string, KeyRecord>;
  readonly #identities: readonly CertificateIdentity[];
  readonly #tokens: TokenVerifier;
  readonly #verifier: KeyVerifier;
  readonly #clock: Clock;
  readonly #addresses = new Map<string, AddressList>();
  readonly #identified = new Map<string, CertificateIdentity | null>();

  /** @throws RangeError for a pepper that is too short */
  constructor(snapshot: AuthenticatorSnapshot, options: AuthenticatorOptions) {
    this.#keys = snapshot.keys;
    this.#identities = snapshot.certificateIdentities;
    this.#tokens = new TokenVerifier(snapshot.issuers, options.jwks, options.clock);
    this.#verifier = new KeyVerifier(options.pepper);
    this.#clock = options.clock;
  }

  /**
   * The caller. A promise only for a token that was not verified before.
   * A key or token decides who the caller is; a certificate presented with it must not map to an identity of another tenant.
   * @throws Fault `invalid_api_key` (its `detail` is an `AuthenticationReason`); `not_ready` where a token's issuer is out of reach.
   * The promise rejects with the same.
   */
  authenticate(presented: Presented, source: Pick<Source, 'ip'>): Principal | Promise<Principal> {
    const { credential, certificate } = presented;
    if (credential === null) return this.#byCertificate(certificate);
    if (credential.kind === 'api-key') return this.#accompanied(this.#byKey(credential.value, source.ip), certificate);
    const verified = this.#tokens.verify(credential.value);
    return verified instanceof Promise ? verified.then((token) => this.#byToken(token, certificate)) : this.#byToken(verified, certificate);
  }

  #byKey(text: string, ip: string): Principal {
    const parsed = parseApiKey(text);
    if (parsed === 'not-a-key')
      throw refuse('malformed', 'This is not an API key of this service: a key begins with sp_live_ or sp_test_.');
    if (parsed === 'bad-checksum') throw refuse('bad-checksum', 'The API key was copied or typed wrongly: its checksum does not fit.');
    const key = this.#keys.get(parsed.id);
    const now = this.#clock.now();
    // Always verified, whether the id exists or not, so that the time taken does not tell.
    const outcome = this.#verifier.verify(text, key?.digests ?? null, now);
    if (key === undefined) throw refuseKey('unknown');
    if (outcome === 'mismatch') throw refuseKey('wrong-secret');
    if (key.revokedAt !== null) throw refuseKey('revoked');
    if (outcome === 'ended' || (key.expiresAt !== null && key.expiresAt <= now)) throw refuseKey('expired');
    if (key.allowedIps !== null && !this.#addressList(key.id, key.allowedIps).has(ip)) throw refuseKey('address');
    return {
      id: key.principal,
      kind: key.kind,
      tenant: key.tenant,
      user: key.user,
      team: key.team,
      roles: key.roles,
      credential: { kind: 'api-key', id: key.id, expiresAt: key.expiresAt },
    };
  }

  #byToken(token: VerifiedToken, certificate: ClientCertificate | null): Principal {
    if (token.certificate !== null && token.certificate !== certificate?.fingerprint) throw refuseToken('binding');
    return this.#accompanied(token.principal, certificate);
  }

  #byCertificate(certificate: ClientCertificate | null): Principal {
    if (certificate === null) {
      throw refuse('missing', 'No credential was sent. Send an API key as "Authorization: Bearer sp_live_…", or as x-api-key.');
    }
    const identity = this.#identity(certificate);
    if (identity === null) throw refuse('certificate-unknown', 'The client certificate is not known here, and no API key was sent.');
    const now = this.#clock.now();
    if (certificate.notBefore > now) throw refuse('not-yet-valid', 'The client certificate is not valid yet.');
    if (certificate.notAfter <= now) throw refuse('expired', 'The client certificate has expired.');
    return {
      id: identity.principal,
      kind: 'workload',
      tenant: identity.tenant,
      user: null,
      team: null,
      roles: identity.roles,
      credential: { kind: 'client-certificate', id: certificate.fingerprint, expiresAt: certificate.notAfter, admittedBy: identity.name },
    };
  }

  #accompanied(principal: Principal, certificate: ClientCertificate | null): Principal {
    const identity = certificate === null ? null : this.#identity(certificate);
    if (identity === null || identity.tenant === principal.tenant) return principal;
    throw refuse('certificate-conflict', 'The credential and the client certificate belong to different tenants.');
  }

  #identity(certificate: ClientCertificate): CertificateIdentity | null {
    const known = this.#identified.get(certificate.fingerprint);
    if (known !== undefined) return known;
    const identity = identifyCertificate(certificate, this.#identities);
    if (this.#identified.size >= MAX_CERTIFICATES) this.#identified.clear();
    this.#identified.set(certificate.fingerprint, identity);
    return identity;
  }

  #addressList(id: string, cidrs: readonly string[]): AddressList {
    let list = this.#addresses.get(id);
    if (list === undefined) {
      list = new AddressList(cidrs);
      this.#addresses.set(id, list);
    }
    return list;
  }
}
