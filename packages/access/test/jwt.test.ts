import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import type { Principal } from '@sallyport/core';
import { type ClientCertificate, extractCredential, issuerProblems } from '../src/index.ts';
import { faultOf, reasonOf } from './fixtures.ts';
import { ed25519Key, issuerRow, jwk, rsaKey, signingInput, signToken, TestIssuer, withSignature } from './issuer.ts';

const main = rsaKey('main');
const stranger = rsaKey('main');

describe('bearer tokens', () => {
  it('makes a principal of a valid token, and answers at once the second time', async () => {
    const issuer = new TestIssuer(main);
    const token = issuer.token({ jti: 'token-1', groups: ['ml-ops', 'nobody-knows-this', 'audit'] });
    const first = issuer.authenticate(token);
    assert.ok(first instanceof Promise);
    const expected: Principal = {
      id: 'corp:alice',
      kind: 'person',
      tenant: 'acme',
      user: 'corp:alice',
      team: null,
      roles: ['user', 'model-manager', 'auditor'],
      credential: { kind: 'jwt', id: 'token-1', expiresAt: (issuer.now + 3600 + 30) * 1000, admittedBy: 'corp' },
    };
    assert.deepEqual(await first, expected);
    assert.deepEqual(issuer.authenticate(token), expected);
    assert.deepEqual(issuer.fetched, ['https://id.corp.example/jwks']);
  });

  it('verifies Ed25519 too', async () => {
    const issuer = new TestIssuer(ed25519Key('ed'));
    assert.equal((await issuer.authenticate(issuer.token())).id, 'corp:alice');
  });

  it('forgets a remembered token when it ends', async () => {
    const issuer = new TestIssuer(main);
    const token = issuer.token();
    await issuer.authenticate(token);
    issuer.clock.advance(3_629_000);
    assert.equal((await issuer.authenticate(token)).id, 'corp:alice');
    issuer.clock.advance(1_000);
    const fault = await faultOf(() => issuer.authenticate(token));
    assert.deepEqual([fault.code, fault.detail, fault.message], ['invalid_api_key', 'expired', 'The bearer token has expired.']);
  });

  it('A5: tokens that share all but their last characters stay two identities (CVE-2026-35030)', async () => {
    const issuer = new TestIssuer(main);
    const alice = issuer.token({ sub: 'alice' });
    const mallory = issuer.token({ sub: 'mallory' });
    assert.equal(alice.slice(0, 20), mallory.slice(0, 20));
    assert.equal((await issuer.authenticate(alice)).id, 'corp:alice');
    assert.equal((await issuer.authenticate(mallory)).id, 'corp:mallory');
    for (let length = 1; length < 40; length += 7) {
      const cut = alice.slice(0, -length);
      const reason = await reasonOf(() => issuer.authenticate(cut));
      // Some cuts are no base64url any more, the others are another signature.
      assert.ok(reason === 'signature' || reason === 'malformed', `cut by ${length}: ${reason}`);
    }
    const [header, , signature] = alice.split('.');
    const [, otherClaims] = mallory.split('.');
    assert.equal(await reasonOf(() => issuer.authenticate(`${header}.${otherClaims}.${signature}`)), 'signature');
  });

  it('drops what it remembers with the snapshot', async () => {
    const issuer = new TestIssuer(main);
    const token = issuer.token({ groups: ['audit'] });
    assert.deepEqual((await issuer.authenticate(token)).roles, ['user', 'auditor']);
    issuer.renew([issuerRow({ roleMap: {}, roles: ['inference-only'] })]);
    assert.deepEqual((await issuer.authenticate(token)).roles, ['inference-only']);
    issuer.renew([]);
    assert.equal(await reasonOf(() => issuer.authenticate(token)), 'issuer');
  });

  it('remembers a bounded number of tokens', async () => {
    const issuer = new TestIssuer(ed25519Key('ed'));
    const first = issuer.token({ sub: 'first' });
    await issuer.authenticate(first);
    const others = Array.from({ length: 10_000 }, (_, index) => issuer.token({ sub: `user-${index}` }));
    for (let index = 0; index < others.length; index += 500) {
      await Promise.all(others.slice(index, index + 500).map((token) => issuer.authenticate(token)));
    }
    assert.ok(issuer.authenticate(first) instanceof Promise);
    assert.ok(!(issuer.authenticate(others[9_999] ?? '') instanceof Promise));
  });
});

describe('attacks on bearer tokens', () => {
  const issuer = new TestIssuer(main);
  const pem = String(main.publicKey.export({ type: 'spki', format: 'pem' }));
  const attackerKey = rsaKey('attacker');

  function hmacToken(alg: string, secret: string | Buffer): string {
    const header = { alg, typ: 'JWT', kid: 'main' };
    const claims = issuer.claims({ sub: 'root' });
    const hash = `sha${alg.slice(2)}`;
    return withSignature(header, claims, createHmac(hash, secret).update(signingInput(header, claims)).digest());
  }

  const attacks: readonly [string, () => string, string][] = [
    ['alg none, no signature', () => withSignature({ alg: 'none', typ: 'JWT' }, issuer.claims(), Buffer.alloc(0)), 'algorithm'],
    ['alg None', () => withSignature({ alg: 'None' }, issuer.claims(), Buffer.alloc(0)), 'algorithm'],
    ['alg NONE with a signature', () => issuer.token({}, { alg: 'NONE' }), 'algorithm'],
    ['no alg', () => issuer.token({}, { alg: undefined }), 'algorithm'],
    ['alg that is a list', () => issuer.token({}, { alg: ['RS256'] }), 'algorithm'],
    ['alg of a prototype member', () => issuer.token({}, { alg: 'constructor' }), 'algorithm'],
    ['HS256 with the public key in PEM form', () => hmacToken('HS256', pem), 'algorithm'],
    [
      'HS512 with the public key in DER form',
      () => hmacToken('HS512', main.publicKey.export({ type: 'spki', format: 'der' })),
      'algorithm',
    ],
    ['HS256 with an empty key', () => hmacToken('HS256', ''), 'algorithm'],
    ['an asymmetric algorithm the issuer does not use', () => issuer.token({}, { alg: 'PS256' }), 'algorithm'],
    ['an algorithm of another key type', () => issuer.token({}, { alg: 'EdDSA' }), 'signing-key'],
    ['an empty signature', () => withSignature({ alg: 'RS256', kid: 'main' }, issuer.claims(), Buffer.alloc(0)), 'signature'],
    ['another key under the same kid', () => issuer.token({}, {}, stranger), 'signature'],
    ['another issuer', () => issuer.token({ iss: 'https://evil.example' }), 'issuer'],
    ['an issuer with a slash more', () => issuer.token({ iss: 'https://id.corp.example/' }), 'issuer'],
    ['an issuer that is a list', () => issuer.token({ iss: ['https://id.corp.example'] }), 'issuer'],
    ['no issuer', () => issuer.token({ iss: undefined }), 'issuer'],
    ['an issuer named __proto__', () => issuer.token({ iss: '__proto__' }), 'issuer'],
    ['another audience', () => issuer.token({ aud: 'another-service' }), 'audience'],
    ['no audience', () => issuer.token({ aud: undefined }), 'audience'],
    ['an audience that contains ours', () => issuer.token({ aud: 'sallyport2' }), 'audience'],
    ['an audience that is an object', () => issuer.token({ aud: { 0: 'sallyport' } }), 'audience'],
    ['an expired token', () => issuer.token({ iat: issuer.now - 7200, exp: issuer.now - 31 }), 'expired'],
    ['no end', () => issuer.token({ exp: undefined }), 'claims'],
    ['an end that is text', () => issuer.token({ exp: String(issuer.now + 60) }), 'claims'],
    ['an end in the far future', () => issuer.token({ exp: issuer.now + 90_000 }), 'lifetime'],
    ['an end in the far future, no issue time', () => issuer.token({ iat: undefined, exp: issuer.now + 90_000 }), 'lifetime'],
    ['an end beyond all numbers', () => issuer.token({ exp: 1e308 }), 'lifetime'],
    ['a long-lived token near its end', () => issuer.token({ iat: issuer.now - 1e6, exp: issuer.now + 60 }), 'lifetime'],
    ['issued in the future', () => issuer.token({ iat: issuer.now + 31 }), 'not-yet-valid'],
    ['not valid yet', () => issuer.token({ nbf: issuer.now + 31 }), 'not-yet-valid'],
    ['no subject', () => issuer.token({ sub: undefined }), 'claims'],
    ['an empty subject', () => issuer.token({ sub: '' }), 'claims'],
    ['a subject that is an object', () => issuer.token({ sub: { a: 1 } }), 'claims'],
    ['a subject with a line break', () => issuer.token({ sub: 'alice\nroot' }), 'claims'],
    ['a subject with an invisible character', () => issuer.token({ sub: 'ali\u200bce' }), 'claims'],
    ['an oversized subject', () => issuer.token({ sub: 'a'.repeat(256) }), 'claims'],
    ['a logout token', () => issuer.token({}, { typ: 'logout+jwt' }), 'type'],
    ['a security event token', () => issuer.token({}, { typ: 'secevent+jwt' }), 'type'],
    ['a typ that is an object', () => issuer.token({}, { typ: {} }), 'type'],
    ['a nested token', () => issuer.token({}, { cty: 'JWT' }), 'type'],
    ['a kid that walks a path', () => issuer.token({}, { kid: '../../../../dev/null' }), 'signing-key'],
    ['a kid with a quote', () => issuer.token({}, { kid: "x' UNION SELECT 'secret" }), 'signing-key'],
    ['a kid that is a URL', () => issuer.token({}, { kid: 'https://evil.example/jwks' }), 'signing-key'],
    ['a kid of a prototype member', () => issuer.token({}, { kid: '__proto__' }), 'signing-key'],
    ['a kid that is a number', () => issuer.token({}, { kid: 0 }), 'signing-key'],
    ['an oversized kid', () => issuer.token({}, { kid: 'k'.repeat(257) }), 'signing-key'],
    ['a key in the header', () => issuer.token({}, { jwk: jwk(attackerKey) }, { ...attackerKey, kid: 'main' }), 'signature'],
    [
      'a key set URL in the header',
      () => issuer.token({}, { jku: 'https://evil.example/jwks' }, { ...attackerKey, kid: 'main' }),
      'signature',
    ],
    [
      'a certificate URL in the header',
      () => issuer.token({}, { x5u: 'https://evil.example/c' }, { ...attackerKey, kid: 'main' }),
      'signature',
    ],
    ['a certificate in the header', () => issuer.token({}, { x5c: ['MIIB'] }, { ...attackerKey, kid: 'main' }), 'signature'],
    ['an unknown critical extension', () => issuer.token({}, { crit: ['exp2'], exp2: 1 }), 'malformed'],
    ['an empty crit', () => issuer.token({}, { crit: [] }), 'malformed'],
    ['an unencoded payload', () => issuer.token({}, { crit: ['b64'], b64: false }), 'malformed'],
    ['a token bound to a DPoP key', () => issuer.token({ cnf: { jkt: 'a'.repeat(43) } }), 'binding'],
    ['a token bound to a key and a certificate', () => issuer.token({ cnf: { 'x5t#S256': 'a'.repeat(43), jkt: 'b' } }), 'binding'],
    ['a token with a damaged binding', () => issuer.token({ cnf: null }), 'binding'],
    ['a token bound to a certificate that is not there', () => issuer.token({ cnf: { 'x5t#S256': 'a'.repeat(43) } }), 'binding'],
    ['a header that is no JSON', () => `e30x.${signingInput({}, issuer.claims()).split('.')[1]}.AAAA`, 'malformed'],
    ['claims that are no JSON', () => `${signingInput({ alg: 'RS256' }, {}).split('.')[0]}.AAAA.AAAA`, 'malformed'],
    ['claims that are a list', () => `${signingInput({ alg: 'RS256' }, {}).split('.')[0]}.W10.AAAA`, 'malformed'],
    ['a header that is a list', () => 'W10.e30.AAAA', 'malformed'],
    ['dots only in name', () => 'a.b.c', 'malformed'],
  ];
  for (const [what, make, reason] of attacks) {
    it(`${what}: ${reason}`, async () => {
      const token = make();
      const fault = await faultOf(() => issuer.authenticate(token));
      assert.deepEqual([fault.code, fault.detail], ['invalid_api_key', reason]);
      // Nothing of the token or the configuration is told.
      assert.ok(!/corp|evil|RS256|jwks/.test(fault.message), fault.message);
    });
  }

  it('asks only for the configured key set, whatever the tokens said', () => {
    assert.deepEqual([...new Set(issuer.fetched)], ['https://id.corp.example/jwks']);
  });

  it('does not even look at an oversized token', async () => {
    const token = issuer.token({ padding: 'a'.repeat(8192) });
    assert.equal(await reasonOf(() => extractCredential(['authorization', `Bearer ${token}`])), 'oversize');
  });

  it('takes a token of five parts (encrypted) for no credential it knows', async () => {
    const found = extractCredential(['authorization', 'Bearer a.b.c.d.e']);
    assert.equal(found?.kind, 'api-key');
  });
});

describe('issuer keys that prove nothing', () => {
  const small = rsaKey('small', 1024);
  const leaked = rsaKey('leaked');
  const cases: readonly [string, unknown[], string][] = [
    ['an RSA key of 1024 bits', [jwk(small)], 'small'],
    ['a key whose private half is published', [{ ...leaked.privateKey.export({ format: 'jwk' }), kid: 'leaked' }], 'leaked'],
    ['a key for encryption', [jwk(main, { use: 'enc' })], 'main'],
    ['a key for another algorithm', [jwk(main, { alg: 'PS256' })], 'main'],
    ['a key without the verify operation', [jwk(main, { key_ops: ['sign'] })], 'main'],
    ['a damaged key', [jwk(main, { n: '!' })], 'main'],
    ['a secret key', [{ kty: 'oct', kid: 'main', k: 'AAAA' }], 'main'],
    ['no key', [null, 1, 'x', {}], 'main'],
  ];
  for (const [what, keys, kid] of cases) {
    it(`refuses ${what}, and still takes a good key beside it`, async () => {
      const good = rsaKey('good');
      const issuer = new TestIssuer(good);
      issuer.document = { keys: [...keys, jwk(good)] };
      const key = [small, leaked, main].find((candidate) => candidate.kid === kid) ?? main;
      assert.equal(await reasonOf(() => issuer.authenticate(issuer.token({}, {}, key))), 'signing-key');
      assert.equal((await issuer.authenticate(issuer.token())).id, 'corp:alice');
    });
  }

  it('refuses a token without kid where two keys could be meant, and takes it where one can', async () => {
    const issuer = new TestIssuer(main);
    assert.equal((await issuer.authenticate(issuer.token({}, { kid: undefined }))).id, 'corp:alice');
    const two = new TestIssuer(main);
    two.document = { keys: [jwk(main), jwk(rsaKey('second'))] };
    assert.equal(await reasonOf(() => two.authenticate(two.token({}, { kid: undefined }))), 'signing-key');
  });

  it('refuses a token whose kid two keys share', async () => {
    const issuer = new TestIssuer(main);
    issuer.document = { keys: [jwk(main), jwk(stranger)] };
    assert.equal(await reasonOf(() => issuer.authenticate(issuer.token())), 'signing-key');
  });
});

describe('what a token says of its caller', () => {
  const nested = { subject: 'sub', tenant: 'org.id', roles: 'realm_access.roles', team: 'https://corp.example/team' } as const;
  const rows = [issuerRow({ claims: nested })];
  const good = { org: { id: 'umbrella' }, realm_access: { roles: ['audit'] }, 'https://corp.example/team': 'blue' };

  it('is read from nested and from URL-named claims', async () => {
    const issuer = new TestIssuer(main, rows);
    const { tenant, team, roles } = await issuer.authenticate(issuer.token(good));
    assert.deepEqual({ tenant, team, roles }, { tenant: 'umbrella', team: 'blue', roles: ['user', 'auditor'] });
  });

  it('must hold a tenant where the issuer says it does', async () => {
    const issuer = new TestIssuer(main, rows);
    for (const org of [undefined, {}, { id: '' }, { id: 7 }, { id: ['acme'] }, 'acme', null]) {
      assert.equal(await reasonOf(() => issuer.authenticate(issuer.token({ ...good, org }))), 'claims');
    }
  });

  it('gives no role by itself, only what the role map names', async () => {
    const issuer = new TestIssuer(main);
    for (const groups of [
      'owner',
      ['owner', 'security-admin'],
      { owner: true },
      ['__proto__', 'constructor', 'toString'],
      [['audit']],
      7,
      null,
    ]) {
      assert.deepEqual((await issuer.authenticate(issuer.token({ groups }))).roles, ['user'], JSON.stringify(groups));
    }
    assert.deepEqual((await issuer.authenticate(issuer.token({ groups: 'openid audit ml-ops' }))).roles, [
      'user',
      'auditor',
      'model-manager',
    ]);
  });

  it('is not read from what every object inherits', async () => {
    const claims = { ...nested, tenant: null, roles: '__proto__.roles', team: 'constructor.name' };
    const issuer = new TestIssuer(main, [issuerRow({ claims })]);
    const { roles, team } = await issuer.authenticate(issuer.token());
    assert.deepEqual({ roles, team }, { roles: ['user'], team: null });
  });

  it('names the caller by another claim where the issuer says so, and still wants a subject', async () => {
    const issuer = new TestIssuer(main, [issuerRow({ claims: { ...nested, tenant: null, subject: 'email' } })]);
    assert.equal((await issuer.authenticate(issuer.token({ email: 'alice@corp.example' }))).id, 'corp:alice@corp.example');
    assert.equal(await reasonOf(() => issuer.authenticate(issuer.token({ email: 'alice@corp.example', sub: undefined }))), 'claims');
  });

  it('marks a client that acts for itself as an application', async () => {
    const issuer = new TestIssuer(main);
    for (const claim of ['client_id', 'azp']) {
      const principal = await issuer.authenticate(issuer.token({ sub: 'batch-job', [claim]: 'batch-job' }));
      assert.deepEqual([principal.kind, principal.user], ['application', null]);
    }
  });

  it('names the credential by a digest where jti is missing or unfit for a log', async () => {
    const issuer = new TestIssuer(main);
    for (const jti of [undefined, '', 'a b', 'x'.repeat(129), 7, 'line\nbreak']) {
      assert.match((await issuer.authenticate(issuer.token({ jti }))).credential.id, /^[\w-]{43}$/);
    }
  });

  it('chooses among rows of one issuer by audience', async () => {
    const issuer = new TestIssuer(main, [
      issuerRow({ name: 'red', audience: ['red'], tenant: 'red' }),
      issuerRow({ name: 'blue', audience: ['blue'], tenant: 'blue' }),
    ]);
    assert.equal((await issuer.authenticate(issuer.token({ aud: ['other', 'blue'] }))).tenant, 'blue');
    assert.equal((await issuer.authenticate(issuer.token({ aud: 'red' }))).tenant, 'red');
    assert.equal(await reasonOf(() => issuer.authenticate(issuer.token({ aud: 'green' }))), 'audience');
  });

  it('binds to the client certificate it names (RFC 8705), also when remembered', async () => {
    const issuer = new TestIssuer(main);
    const certificate: ClientCertificate = { fingerprint: '5a'.repeat(32), spiffeId: null, notBefore: 0, notAfter: issuer.clock.now() + 1 };
    const thumbprint = Buffer.from(certificate.fingerprint, 'hex').toString('base64url');
    const token = issuer.token({ cnf: { 'x5t#S256': thumbprint } });
    for (let round = 0; round < 2; round++) {
      assert.equal((await issuer.authenticate(token, certificate)).id, 'corp:alice');
      assert.equal(await reasonOf(() => issuer.authenticate(token)), 'binding');
      assert.equal(await reasonOf(() => issuer.authenticate(token, { ...certificate, fingerprint: '5b'.repeat(32) })), 'binding');
    }
  });
});

describe('issuers that are set up unsafely', () => {
  const unsafe: readonly [string, Parameters<typeof issuerRow>[0], string][] = [
    ['a symmetric algorithm', { algorithms: ['HS256'] }, 'algorithms'],
    ['a symmetric algorithm among others', { algorithms: ['RS256', 'HS256'] }, 'algorithms'],
    ['the algorithm none', { algorithms: ['none'] }, 'algorithms'],
    ['no algorithm', { algorithms: [] }, 'algorithms'],
    ['no audience', { audience: [] }, 'audience'],
    ['keys fetched in the clear', { jwksUri: 'http://id.corp.example/jwks' }, 'jwksUri'],
    ['keys from a file', { jwksUri: 'file:///etc/jwks' }, 'jwksUri'],
    ['a boundless tolerance', { clockTolerance: 86_400 }, 'clockTolerance'],
    ['a tolerance that is no number', { clockTolerance: Number.NaN }, 'clockTolerance'],
  ];
  for (const [what, overrides, field] of unsafe) {
    it(`${what}: admits nobody, and says so to its author`, async () => {
      const row = issuerRow(overrides);
      const issuer = new TestIssuer(main, [row]);
      assert.equal(await reasonOf(() => issuer.authenticate(issuer.token())), 'issuer');
      assert.deepEqual(issuer.fetched, []);
      assert.ok(issuerProblems(row).every((problem) => problem.startsWith(`${field}: `)));
      assert.ok(issuerProblems(row).length > 0);
    });
  }

  it('finds nothing wrong with a good one, and with one on this machine', () => {
    assert.deepEqual(issuerProblems(issuerRow()), []);
    assert.deepEqual(issuerProblems(issuerRow({ jwksUri: 'http://127.0.0.1:8080/jwks' })), []);
  });
});

describe('elliptic curves', () => {
  it('does not take a P-256 key for an ES384 signature', async () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const issuer = new TestIssuer({ kid: 'ec', ...pair }, [issuerRow({ algorithms: ['ES256', 'ES384'] })]);
    const token = signToken(issuer.main, { alg: 'ES384', kid: 'ec' }, issuer.claims());
    assert.equal(await reasonOf(() => issuer.authenticate(token)), 'signing-key');
  });
});
