import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { verifyModel } from '../src/index.ts';
import { SIGSTORE_BUNDLE, SIGSTORE_TRUST_ROOT } from './sigstore-vector.ts';

interface Vector {
  dsseEnvelope: { payload: string; signatures: { sig: string }[] };
  verificationMaterial: { certificate: { rawBytes: string }; tlogEntries: Entry[] };
}
interface Entry {
  integratedTime: string;
  canonicalizedBody: string;
  inclusionPromise: { signedEntryTimestamp: string };
  inclusionProof: { hashes: string[]; checkpoint: { envelope: string } };
}
interface Root {
  certificateAuthorities: object[];
  ctlogs: object[];
  tlogs: { publicKey: object }[];
}
const SIGNER = { identity: 'release@acme.example', issuer: 'https://accounts.example' };

describe('Sigstore bundles, offline, against a trust root that is supplied', () => {
  const model = mkdtempSync(join(tmpdir(), 'sigstore-'));
  after(() => rmSync(model, { recursive: true }));
  before(() => {
    writeFileSync(join(model, 'config.json'), '{}');
    writeFileSync(join(model, 'weights.bin'), Buffer.alloc(64, 7));
  });

  function verify(alter: { bundle?: (bundle: Vector) => void; root?: (root: Root) => void; signer?: Partial<typeof SIGNER> } = {}): string {
    const bundle = JSON.parse(SIGSTORE_BUNDLE) as Vector;
    const root = JSON.parse(SIGSTORE_TRUST_ROOT) as Root;
    alter.bundle?.(bundle);
    alter.root?.(root);
    const trust = { method: 'sigstore', trustRoot: Buffer.from(JSON.stringify(root)), ...SIGNER, ...alter.signer } as const;
    const { verified, signer, problems } = verifyModel(model, Buffer.from(JSON.stringify(bundle)), { trust });
    return verified ? `${signer?.method} ${signer?.name} ${signer?.issuer}` : `${problems[0]?.problem}: ${problems[0]?.message}`;
  }
  /** The same base64 with another byte in its middle. */
  const flipped = (base64: string): string => {
    const bytes = Buffer.from(base64, 'base64');
    bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
    return bytes.toString('base64');
  };

  it('the signer is whom the certificate names', () => {
    assert.equal(verify(), 'sigstore release@acme.example https://accounts.example');
  });
  it('an identity is a name and no pattern, and the issuer counts', () => {
    for (const signer of [
      { identity: 'release' },
      { identity: '.*' },
      { identity: 'release@acme-example' },
      { identity: 'someone@acme.example' },
      { issuer: 'https://accounts' },
      { issuer: 'https://other.example' },
    ])
      assert.match(verify({ signer }), /^signature: signed by release@acme\.example of https:\/\/accounts\.example/);
  });
  it('no authority, no log of certificates and no transparency log but those of the trust root', () => {
    const others: readonly ((root: Root) => void)[] = [
      (root) => root.certificateAuthorities.splice(0),
      (root) => root.ctlogs.splice(0),
      (root) => root.tlogs.splice(0),
      (root) => root.ctlogs.splice(0, 1, ...root.tlogs),
      (root) => root.tlogs.splice(0, 1, ...(root.ctlogs as Root['tlogs'])),
    ];
    for (const root of others) assert.match(verify({ root }), /^signature: Sigstore/);
    // What was trusted only before or after the signature.
    const validFor = [{ start: '2027-01-01T00:00:00Z' }, { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z' }];
    for (const time of validFor)
      for (const root of [
        (trusted: Root) => Object.assign(trusted.certificateAuthorities[0] ?? {}, { validFor: time }),
        (trusted: Root) => Object.assign(trusted.tlogs[0]?.publicKey ?? {}, { validFor: time }),
      ])
        assert.match(verify({ root }), /^signature: Sigstore/);
  });
  it('nothing that was signed, logged or certified may differ', () => {
    const changes: Readonly<Record<string, (bundle: Vector) => void>> = {
      payload: ({ dsseEnvelope }) => {
        dsseEnvelope.payload = Buffer.from(Buffer.from(dsseEnvelope.payload, 'base64').toString().replace('weights', 'weightz')).toString(
          'base64',
        );
      },
      signature: ({ dsseEnvelope: { signatures } }) => {
        for (const signature of signatures) signature.sig = flipped(signature.sig);
      },
      certificate: ({ verificationMaterial: { certificate } }) => {
        certificate.rawBytes = flipped(certificate.rawBytes);
      },
      'time of the entry': ({ verificationMaterial: { tlogEntries } }) => {
        for (const entry of tlogEntries) entry.integratedTime = String(Number(entry.integratedTime) + 86_400);
      },
      'promise of the log': ({ verificationMaterial: { tlogEntries } }) => {
        for (const { inclusionPromise } of tlogEntries)
          inclusionPromise.signedEntryTimestamp = flipped(inclusionPromise.signedEntryTimestamp);
      },
      'proof of the log': ({ verificationMaterial: { tlogEntries } }) => {
        for (const { inclusionProof } of tlogEntries) inclusionProof.hashes.push(Buffer.alloc(32, 1).toString('base64'));
      },
      'head of the log': ({ verificationMaterial: { tlogEntries } }) => {
        for (const { inclusionProof } of tlogEntries)
          inclusionProof.checkpoint.envelope = inclusionProof.checkpoint.envelope.replace('\n1\n', '\n2\n');
      },
      'what was logged': ({ verificationMaterial: { tlogEntries } }) => {
        for (const entry of tlogEntries) entry.canonicalizedBody = flipped(entry.canonicalizedBody);
      },
      'no entry': ({ verificationMaterial: { tlogEntries } }) => tlogEntries.splice(0),
    };
    for (const [what, bundle] of Object.entries(changes)) assert.match(verify({ bundle }), /^signature: /, what);
  });
  it('a file that is not what was signed', () => {
    writeFileSync(join(model, 'weights.bin'), Buffer.alloc(64, 8));
    assert.match(verify(), /^changed: weights\.bin/);
    writeFileSync(join(model, 'weights.bin'), Buffer.alloc(64, 7));
    assert.match(verify(), /^sigstore /);
  });
});
