import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import { describe, it } from 'node:test';
import type { KeyRecord, Principal } from '@sallyport/core';
import {
  AUTHENTICATION_REASONS,
  Authenticator,
  type ClientCertificate,
  createApiKey,
  digestApiKey,
  JwksCache,
  type Presented,
} from '../src/index.ts';
import { faultOf, identity, mintKey, pepper, principalOfKey, random, reasonOf, snapshotOf, TestClock } from './fixtures.ts';

const clock = new TestClock();
const jwks = new JwksCache({ fetch: () => Promise.reject(new Error('no issuer is configured')) }, clock);
const elsewhere = { ip: '203.0.113.9' };

const certificate: ClientCertificate = {
  fingerprint: 'ab'.repeat(32),
  spiffeId: 'spiffe://acme.example/batch',
  notBefore: clock.time - 1_000,
  notAfter: clock.time + 3_600_000,
};

function authenticator(parts: Parameters<typeof snapshotOf>[0]): Authenticator {
  return new Authenticator(snapshotOf(parts), { pepper, clock, jwks });
}

function byKey(value: string): Presented {
  return { credential: { kind: 'api-key', value }, certificate: null };
}

describe('API key authentication', () => {
  it('makes a principal of a valid key, at once and not by a promise', () => {
    const { record, key } = mintKey({ user: 'u1', team: 'red', roles: ['user', 'auditor'] });
    assert.deepEqual(authenticator({ keys: [record] }).authenticate(byKey(key), elsewhere), principalOfKey(record));
  });

  /** What is wrong, the reason the operator sees, and whether the client may be told. */
  const refusals: readonly [string, (key: string) => string, Partial<KeyRecord>, string][] = [
    ['text of another shape', () => 'sk-not-ours', {}, 'malformed'],
    ['a wrong checksum', (key) => key.slice(0, -1) + (key.endsWith('0') ? '1' : '0'), {}, 'bad-checksum'],
    ['an unknown id', () => createApiKey(random, 'live').key, {}, 'unknown'],
    ['a revoked key', (key) => key, { revokedAt: clock.time - 1 }, 'revoked'],
    ['an expired key', (key) => key, { expiresAt: clock.time }, 'expired'],
    ['another address', (key) => key, { allowedIps: ['198.51.100.0/24', '2001:db8::/32'] }, 'address'],
    ['an empty address list', (key) => key, { allowedIps: [] }, 'address'],
    ['an address list of nonsense', (key) => key, { allowedIps: ['everywhere', '203.0.113.9/99'] }, 'address'],
    ['no digest at all', (key) => key, { digests: [] }, 'wrong-secret'],
  ];
  for (const [what, present, overrides, reason] of refusals) {
    it(`refuses ${what}: ${reason}`, async () => {
      const { record, key } = mintKey(overrides);
      const fault = await faultOf(() => authenticator({ keys: [record] }).authenticate(byKey(present(key)), elsewhere));
      assert.deepEqual([fault.code, fault.detail], ['invalid_api_key', reason]);
    });
  }

  it('refuses the right id with another secret: wrong-secret', async () => {
    const { record, key } = mintKey();
    const digests = [{ hmac: digestApiKey(pepper, mintKey().key), until: null }];
    assert.equal(
      await reasonOf(() => authenticator({ keys: [{ ...record, digests }] }).authenticate(byKey(key), elsewhere)),
      'wrong-secret',
    );
  });

  it('gives one message for every well-formed key that is not accepted, so that an id cannot be probed', async () => {
    const wrong = mintKey({ digests: [] });
    const revoked = mintKey({ revokedAt: 1 });
    const expired = mintKey({ expiresAt: 1 });
    const bound = mintKey({ allowedIps: ['198.51.100.1'] });
    const auth = authenticator({ keys: [wrong.record, revoked.record, expired.record, bound.record] });
    const messages = new Set<string>();
    for (const { key } of [wrong, revoked, expired, bound, mintKey()]) {
      messages.add((await faultOf(() => auth.authenticate(byKey(key), elsewhere))).message);
    }
    assert.equal(messages.size, 1);
  });

  it('accepts a bound key from its addresses, mapped IPv6 included', () => {
    const { record, key } = mintKey({ allowedIps: ['198.51.100.0/24', '2001:db8::/32'] });
    const auth = authenticator({ keys: [record] });
    for (const ip of ['198.51.100.77', '::ffff:198.51.100.77', '::ffff:c633:644d', '2001:db8:1::1']) {
      assert.deepEqual(auth.authenticate(byKey(key), { ip }), principalOfKey(record), ip);
    }
  });

  it('accepts both secrets while a rotation overlaps, and then the new one only', async () => {
    const overlap = new TestClock();
    const old = mintKey();
    const rotated = createApiKey(random, 'live');
    const digests = [
      { hmac: digestApiKey(pepper, rotated.key), until: null },
      { hmac: digestApiKey(pepper, old.key), until: overlap.time + 60_000 },
    ];
    const record = { ...old.record, digests };
    const auth = new Authenticator(snapshotOf({ keys: [record] }), { pepper, clock: overlap, jwks });
    assert.deepEqual(auth.authenticate(byKey(old.key), elsewhere), principalOfKey(record));
    overlap.advance(60_000);
    assert.equal(await reasonOf(() => auth.authenticate(byKey(old.key), elsewhere)), 'expired');
  });

  it('A1: text of an attack is refused by its shape, before anything is looked up (CVE-2026-42208)', async () => {
    const { record, key } = mintKey();
    const lookedUp: string[] = [];
    const keys = new Map([[record.id, record]]);
    const watched: ReadonlyMap<string, KeyRecord> = Object.assign(new Map(keys), {
      get(id: string) {
        lookedUp.push(id);
        return keys.get(id);
      },
    });
    const auth = new Authenticator({ ...snapshotOf({}), keys: watched }, { pepper, clock, jwks });
    const payloads = [
      "' OR '1'='1",
      "sp_live_' OR 1=1 --",
      `${key}' UNION SELECT * FROM keys --`,
      `${key};DROP TABLE keys`,
      `sp_live_${"' OR 1=1--".padEnd(12, '-')}_${'a'.repeat(49)}`,
      'sp_live___proto____aaaa',
      '../../etc/passwd',
      `${key}\u0000`,
      '{"$gt":""}',
    ];
    for (const payload of payloads) {
      const fault = await faultOf(() => auth.authenticate(byKey(payload), elsewhere));
      assert.deepEqual([fault.code, fault.detail], ['invalid_api_key', 'malformed'], payload);
      assert.ok(!fault.message.includes(payload));
    }
    assert.deepEqual(lookedUp, []);
  });

  it('wants a pepper of 32 bytes', () => {
    const short = createSecretKey(Buffer.alloc(31, 1));
    assert.throws(() => new Authenticator(snapshotOf({}), { pepper: short, clock, jwks }), RangeError);
  });

  it('says how to authenticate where nothing was presented', async () => {
    const fault = await faultOf(() => authenticator({}).authenticate({ credential: null, certificate: null }, elsewhere));
    assert.deepEqual([fault.code, fault.detail], ['invalid_api_key', 'missing']);
    assert.match(fault.message, /Authorization: Bearer/);
  });

  it('keeps its reasons in one closed vocabulary', () => {
    assert.equal(new Set(AUTHENTICATION_REASONS).size, AUTHENTICATION_REASONS.length);
    for (const reason of AUTHENTICATION_REASONS) assert.match(reason, /^[a-z-]+$/);
  });
});

describe('client certificate authentication', () => {
  const workload: Principal = {
    id: 'workload-batch',
    kind: 'workload',
    tenant: 'acme',
    user: null,
    team: null,
    roles: ['inference-only'],
    credential: { kind: 'client-certificate', id: certificate.fingerprint, expiresAt: certificate.notAfter, admittedBy: 'batch' },
  };

  it('makes a workload of a certificate that maps to an identity', () => {
    const auth = authenticator({ identities: [identity()] });
    assert.deepEqual(auth.authenticate({ credential: null, certificate }, elsewhere), workload);
    assert.deepEqual(auth.authenticate({ credential: null, certificate }, elsewhere), workload);
  });

  it('refuses an unmapped, an ended and a future certificate, on a kept connection too', async () => {
    const later = new TestClock();
    const auth = new Authenticator(snapshotOf({ identities: [identity()] }), { pepper, clock: later, jwks });
    const unmapped = { ...certificate, fingerprint: 'cd'.repeat(32), spiffeId: null };
    assert.equal(await reasonOf(() => auth.authenticate({ credential: null, certificate: unmapped }, elsewhere)), 'certificate-unknown');
    assert.deepEqual(auth.authenticate({ credential: null, certificate }, elsewhere), workload);
    later.advance(3_600_000);
    assert.equal(await reasonOf(() => auth.authenticate({ credential: null, certificate }, elsewhere)), 'expired');
    later.advance(-3_700_000);
    assert.equal(await reasonOf(() => auth.authenticate({ credential: null, certificate }, elsewhere)), 'not-yet-valid');
  });

  it('lets the key decide where both are presented, within one tenant', () => {
    const { record, key } = mintKey();
    const auth = authenticator({ keys: [record], identities: [identity()] });
    const both: Presented = { credential: { kind: 'api-key', value: key }, certificate };
    assert.deepEqual(auth.authenticate(both, elsewhere), principalOfKey(record));
  });

  it('refuses a key that comes over the certificate of another tenant', async () => {
    const { record, key } = mintKey({ tenant: 'umbrella' });
    const auth = authenticator({ keys: [record], identities: [identity()] });
    const both: Presented = { credential: { kind: 'api-key', value: key }, certificate };
    assert.equal(await reasonOf(() => auth.authenticate(both, elsewhere)), 'certificate-conflict');
    const withoutIdentity = authenticator({ keys: [record] });
    assert.deepEqual(withoutIdentity.authenticate(both, elsewhere), principalOfKey(record));
  });

  it('never falls back to the certificate where the key is refused', async () => {
    const auth = authenticator({ identities: [identity()] });
    const both: Presented = { credential: { kind: 'api-key', value: mintKey().key }, certificate };
    assert.equal(await reasonOf(() => auth.authenticate(both, elsewhere)), 'unknown');
  });
});
