import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { before, describe, it } from 'node:test';
import 'reflect-metadata'; // needed by the ASN.1 library before it loads
import * as x509 from '@peculiar/x509';
import fc from 'fast-check';
import { type ClientCertificate, identifyCertificate, matchSpiffeId, parseSpiffeId, readCertificate } from '../src/index.ts';
import { identity } from './fixtures.ts';

const VALID_IDS = [
  'spiffe://acme.example',
  'spiffe://acme.example/batch',
  'spiffe://acme.example/ns/prod/sa/batch',
  'spiffe://acme.example/...',
  'spiffe://acme.example/.hidden',
  'spiffe://acme.example/A-Z_a.z-0',
  'spiffe://a_b-c.d/x',
  'spiffe://10.1.2.3/x',
  `spiffe://${'a'.repeat(255)}/x`,
  `spiffe://acme.example/${'x'.repeat(2048 - 22)}`,
];

/** The negative cases of the SPIFFE-ID specification, sections 2.1 to 2.3. */
const INVALID_IDS = [
  '',
  'spiffe',
  'spiffe:',
  'spiffe:/acme.example/x',
  'spiffe://',
  'spiffe:///x',
  'http://acme.example/x',
  'SPIFFE://acme.example/x',
  'spiffe://ACME.example/x',
  'spiffe://acme.example/',
  'spiffe://acme.example/x/',
  'spiffe://acme.example//x',
  'spiffe://acme.example/x//y',
  'spiffe://acme.example/.',
  'spiffe://acme.example/..',
  'spiffe://acme.example/./x',
  'spiffe://acme.example/x/../y',
  'spiffe://acme.example:8443/x',
  'spiffe://user@acme.example/x',
  'spiffe://user:pass@acme.example/x',
  'spiffe://acme.example?x',
  'spiffe://acme.example/x?y',
  'spiffe://acme.example/x#y',
  'spiffe://acme.example#x',
  'spiffe://acme.example/%61',
  'spiffe://%61cme.example/x',
  'spiffe://acme.example/x y',
  'spiffe://acme.example/x\n',
  'spiffe://acme.example/x\u0000',
  'spiffe://acme.example/ü',
  'spiffe://acmé.example/x',
  'spiffe://acme.example/*',
  'spiffe://acme.example/x:y',
  'spiffe://[::1]/x',
  ' spiffe://acme.example/x',
  'spiffe://acme.example\\x',
  `spiffe://${'a'.repeat(256)}/x`,
  `spiffe://acme.example/${'x'.repeat(2048 - 21)}`,
];

describe('parseSpiffeId', () => {
  for (const id of VALID_IDS) it(`takes ${id.slice(0, 50)}`, () => assert.notEqual(parseSpiffeId(id), null));
  for (const id of INVALID_IDS) it(`refuses ${JSON.stringify(id).slice(0, 50)}`, () => assert.equal(parseSpiffeId(id), null));

  it('takes an ID apart', () => {
    assert.deepEqual(parseSpiffeId('spiffe://acme.example/ns/prod'), { trustDomain: 'acme.example', path: '/ns/prod' });
    assert.deepEqual(parseSpiffeId('spiffe://acme.example'), { trustDomain: 'acme.example', path: '' });
  });

  it('never throws, and keeps what it takes unchanged', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const parsed = parseSpiffeId(`spiffe://${text}`);
        if (parsed !== null) assert.equal(parsed.trustDomain + parsed.path, text);
      }),
    );
  });
});

describe('matchSpiffeId', () => {
  const fits: readonly [string, string, boolean][] = [
    ['spiffe://a/b', 'spiffe://a/b', true],
    ['spiffe://a/b', 'spiffe://a/b/c', false],
    ['spiffe://a/b', 'spiffe://a/B', false],
    ['spiffe://a/b/*', 'spiffe://a/b/c', true],
    ['spiffe://a/b/*', 'spiffe://a/b/c/d', true],
    ['spiffe://a/b/*', 'spiffe://a/b', false],
    ['spiffe://a/b/*', 'spiffe://a/b/', false],
    ['spiffe://a/b/*', 'spiffe://a/bc', false],
    ['spiffe://a/*', 'spiffe://a/b', true],
    ['spiffe://a/*', 'spiffe://a', false],
    ['spiffe://a/*', 'spiffe://a.evil/b', false],
    ['spiffe://a/*', 'spiffe://ab/b', false],
    ['spiffe://*', 'spiffe://a/b', false],
    ['spiffe://*/b', 'spiffe://a/b', false],
    ['*', 'spiffe://a/b', false],
    ['/*', 'spiffe://a/b', false],
    ['', 'spiffe://a/b', false],
    ['spiffe://a/b*', 'spiffe://a/bc', false],
    ['spiffe://a/*/c', 'spiffe://a/b/c', false],
    ['spiffe://a//*', 'spiffe://a//b', false],
    ['not a pattern', 'not a pattern', false],
  ];
  for (const [pattern, id, expected] of fits) {
    it(`${pattern || '(empty)'} ${expected ? 'fits' : 'does not fit'} ${id}`, () =>
      assert.equal(matchSpiffeId(pattern, id) !== -1, expected));
  }

  it('rates an exact pattern above a long prefix above a short one', () => {
    const id = 'spiffe://a/b/c';
    const [exact, long, short] = [id, 'spiffe://a/b/*', 'spiffe://a/*'].map((pattern) => matchSpiffeId(pattern, id));
    assert.ok(exact !== undefined && long !== undefined && short !== undefined && exact > long && long > short);
  });
});

describe('identifyCertificate', () => {
  const fingerprint = 'ab'.repeat(32);
  const certificate: ClientCertificate = { fingerprint, spiffeId: 'spiffe://acme.example/ns/prod/batch', notBefore: 0, notAfter: 1 };
  const colons = (fingerprint.toUpperCase().match(/../g) ?? []).join(':');

  it('takes the most exact identity, wherever it stands in the list', () => {
    const rows = [
      identity({ name: 'all', spiffeId: 'spiffe://acme.example/*' }),
      identity({ name: 'print', spiffeId: null, fingerprint: colons }),
      identity({ name: 'exact', spiffeId: 'spiffe://acme.example/ns/prod/batch' }),
      identity({ name: 'prod', spiffeId: 'spiffe://acme.example/ns/prod/*' }),
    ];
    const found: (string | undefined)[] = [];
    for (let left = [...rows]; left.length > 0; left = left.filter(({ name }) => name !== found.at(-1))) {
      found.push(identifyCertificate(certificate, left)?.name);
      assert.equal(identifyCertificate(certificate, left.toReversed())?.name, found.at(-1));
    }
    assert.deepEqual(found, ['print', 'exact', 'prod', 'all']);
  });

  it('needs both where an identity names both, and fits none that names neither', () => {
    const spiffeId = 'spiffe://acme.example/*';
    assert.equal(identifyCertificate(certificate, [identity({ spiffeId, fingerprint: 'cd'.repeat(32) })]), null);
    assert.equal(identifyCertificate({ ...certificate, spiffeId: null }, [identity({ spiffeId, fingerprint })]), null);
    assert.notEqual(identifyCertificate(certificate, [identity({ spiffeId, fingerprint })]), null);
    assert.equal(identifyCertificate(certificate, [identity({ spiffeId: null, fingerprint: null })]), null);
    assert.equal(identifyCertificate(certificate, [identity({ spiffeId: null, fingerprint: '' })]), null);
    assert.equal(identifyCertificate(certificate, []), null);
  });
});

describe('readCertificate', () => {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
  let keys: webcrypto.CryptoKeyPair;
  before(async () => {
    keys = await webcrypto.subtle.generateKey(algorithm, false, ['sign', 'verify']);
  });

  async function make(names: x509.JsonGeneralNames, ca = false): Promise<Uint8Array> {
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: '01',
      name: 'CN=workload',
      notBefore: new Date('2026-01-01T00:00:00Z'),
      notAfter: new Date('2026-02-01T00:00:00Z'),
      keys,
      signingAlgorithm: algorithm,
      extensions: [new x509.BasicConstraintsExtension(ca), ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : [])],
    });
    return new Uint8Array(certificate.rawData);
  }

  async function spiffeIdOf(names: x509.JsonGeneralNames, ca = false): Promise<string | null | undefined> {
    return readCertificate(await make(names, ca))?.spiffeId;
  }

  const id = 'spiffe://acme.example/ns/prod/batch';

  it('reads ID, fingerprint and dates of an X.509-SVID', async () => {
    const der = await make([{ type: 'url', value: id }]);
    const digest = Buffer.from(await webcrypto.subtle.digest('SHA-256', Buffer.from(der))).toString('hex');
    assert.deepEqual(readCertificate(der), {
      fingerprint: digest,
      spiffeId: id,
      notBefore: Date.UTC(2026, 0, 1),
      notAfter: Date.UTC(2026, 1, 1),
    });
  });

  it('finds the ID beside names of other kinds', async () => {
    const names: x509.JsonGeneralNames = [
      { type: 'dns', value: 'batch.acme.example' },
      { type: 'ip', value: '10.0.0.1' },
      { type: 'email', value: 'a@acme.example' },
      { type: 'url', value: id },
      { type: 'id', value: '1.2.3.4' },
      { type: 'upn', value: 'batch@acme.example' },
      { type: 'dn', value: 'CN=x, O=y' },
    ];
    assert.equal(await spiffeIdOf(names), id);
  });

  it('reads no ID from two URI names, from a CA, from a bare trust domain, or from none', async () => {
    assert.equal(
      await spiffeIdOf([
        { type: 'url', value: id },
        { type: 'url', value: 'spiffe://acme.example/other' },
      ]),
      null,
    );
    assert.equal(
      await spiffeIdOf([
        { type: 'url', value: id },
        { type: 'url', value: 'https://acme.example/' },
      ]),
      null,
    );
    assert.equal(await spiffeIdOf([{ type: 'url', value: id }], true), null);
    assert.equal(await spiffeIdOf([{ type: 'url', value: 'spiffe://acme.example' }]), null);
    assert.equal(await spiffeIdOf([{ type: 'url', value: 'https://acme.example/batch' }]), null);
    assert.equal(await spiffeIdOf([{ type: 'dns', value: 'acme.example' }]), null);
    assert.equal(await spiffeIdOf([]), null);
  });

  it('is not misled by a name that spells the text form of another (CVE-2021-44532)', async () => {
    const smuggled = [
      { type: 'dns', value: `a.example, URI:${id}` },
      { type: 'dns', value: `a.example", URI:${id}, DNS:"b` },
      { type: 'email', value: `a@b.example, URI:${id}` },
      { type: 'upn', value: `x, URI:${id}` },
      { type: 'upn', value: `x", URI:${id}` },
      { type: 'dn', value: `CN=x\\, URI:${id}` },
    ] as const;
    for (const name of smuggled) assert.equal(await spiffeIdOf([name]), null, JSON.stringify(name));
    for (const value of [`${id}, DNS:x`, `${id}"`, `${id}\u0000.evil`, `"${id}"`]) {
      assert.equal(await spiffeIdOf([{ type: 'url', value }]), null, JSON.stringify(value));
    }
    assert.equal(
      await spiffeIdOf([
        { type: 'url', value: `${id}, DNS:x` },
        { type: 'url', value: id },
      ]),
      null,
    );
  });

  it('takes bytes that are no certificate for none', () => {
    for (const bytes of [new Uint8Array(0), new Uint8Array(100), Buffer.from('-----BEGIN CERTIFICATE-----\n')]) {
      assert.equal(readCertificate(bytes), null);
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => assert.equal(readCertificate(bytes), null)));
  });
});
