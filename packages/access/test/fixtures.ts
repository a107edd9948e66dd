import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import type { CertificateIdentity, Clock, Issuer, KeyRecord, Principal, Random, Role, Snapshot } from '@sallyport/core';
import { Fault } from '@sallyport/core';
import { createApiKey, digestApiKey } from '../src/index.ts';

export const random: Random = { bytes: (length) => randomBytes(length) };
export const pepper: KeyObject = createSecretKey(Buffer.alloc(32, 7));

/** Stands still unless told otherwise. Both readings move together. */
export class TestClock implements Clock {
  time: number = Date.UTC(2026, 0, 15, 12);
  now(): number {
    return this.time;
  }
  monotonic(): number {
    return this.time;
  }
  advance(milliseconds: number): void {
    this.time += milliseconds;
  }
}

export interface MintedKey {
  readonly record: KeyRecord;
  readonly key: string;
}

export function mintKey(overrides: Partial<KeyRecord> = {}): MintedKey {
  const { id, key } = createApiKey(random, 'live');
  const record: KeyRecord = {
    id,
    name: 'test key',
    digests: [{ hmac: digestApiKey(pepper, key), until: null }],
    principal: `app-${id}`,
    kind: 'application',
    tenant: 'acme',
    user: null,
    team: null,
    roles: ['user'],
    models: null,
    allowedIps: null,
    expiresAt: null,
    revokedAt: null,
    limits: [],
    ...overrides,
  };
  return { record, key };
}

type AccessSnapshot = Pick<Snapshot, 'keys' | 'roles' | 'issuers' | 'certificateIdentities'>;

export function snapshotOf(parts: {
  readonly keys?: readonly KeyRecord[];
  readonly roles?: readonly Role[];
  readonly issuers?: readonly Issuer[];
  readonly identities?: readonly CertificateIdentity[];
}): AccessSnapshot {
  return {
    keys: new Map((parts.keys ?? []).map((key) => [key.id, key])),
    roles: new Map((parts.roles ?? []).map((role) => [role.name, role])),
    issuers: parts.issuers ?? [],
    certificateIdentities: parts.identities ?? [],
  };
}

export function identity(overrides: Partial<CertificateIdentity> = {}): CertificateIdentity {
  return {
    name: 'batch',
    spiffeId: 'spiffe://acme.example/batch',
    fingerprint: null,
    principal: 'workload-batch',
    tenant: 'acme',
    roles: ['inference-only'],
    models: null,
    ...overrides,
  };
}

export function principalOfKey(record: KeyRecord): Principal {
  return {
    id: record.principal,
    kind: record.kind,
    tenant: record.tenant,
    user: record.user,
    team: record.team,
    roles: record.roles,
    credential: { kind: 'api-key', id: record.id, expiresAt: record.expiresAt },
  };
}

export interface Refusal {
  readonly code: string;
  readonly detail: string | null;
  readonly message: string;
}

/** The fault that `act` ends in, thrown or rejected. Anything else, no fault included, fails the test. */
export async function faultOf(act: () => unknown): Promise<Refusal> {
  try {
    await act();
  } catch (error) {
    if (error instanceof Fault) return { code: error.code, detail: error.detail, message: error.message };
    throw error;
  }
  throw new Error('expected a Fault, and nothing was thrown');
}

/** The operator's reason of that fault. */
export async function reasonOf(act: () => unknown): Promise<string | null> {
  return (await faultOf(act)).detail;
}
