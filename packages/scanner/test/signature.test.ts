import 'reflect-metadata';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync, webcrypto } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as x509 from '@peculiar/x509';
import {
  attestScan,
  parseChecksums,
  RULES_DIGEST,
  readCertificates,
  readPrivateKey,
  readPublishers,
  SignatureInvalid,
  type SigningMaterial,
  signModel,
  type Trust,
  verifyAttestation,
  verifyByPublishers,
  verifyChecksums,
  verifyModel,
} from '../src/index.ts';
import { parseBundle } from '../src/signature/bundle.ts';
import { signPayload } from '../src/signature/sign.ts';
import { parseStatement } from '../src/signature/statement.ts';
import { PLAIN, scanBytes } from './writers.ts';

type Json = Record<string, unknown>;
const VECTORS = process.env['SALLYPORT_OMS_VECTORS'];

describe('OpenSSF Model Signing v1.0', () => {
  let home = '';
  let model = '';
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const material: SigningMaterial = { privateKey: keys.privateKey };
  const trust: Trust = { method: 'key', publicKey: keys.publicKey };
  const problemsOf = (bundle: Buffer, by: Trust = trust): string[] =>
    verifyModel(model, bundle, { trust: by }).problems.map(({ problem }) => problem);

  before(() => {
    home = mkdtempSync(join(tmpdir(), 'oms-'));
  });
  after(() => rmSync(home, { recursive: true }));
  function fresh(): void {
    model = mkdtempSync(join(home, 'model-'));
    mkdirSync(join(model, 'sub'));
    mkdirSync(join(model, '.git'));
    writeFileSync(join(model, '.git', 'HEAD'), 'x');
    writeFileSync(join(model, 'config.json'), '{}');
    writeFileSync(join(model, 'sub', 'weights.bin'), Buffer.alloc(10_000, 7));
    writeFileSync(join(model, 'empty'), '');
  }

  for (const options of [{}, { hashType: 'blake2b' }, { hashType: 'blake3' }, { method: 'shards', shardSize: 3000 }] as const) {
    it(`signs and verifies ${JSON.stringify(options)}, and refuses what changed, is gone or came`, () => {
      fresh();
      const signed = signModel(model, { material, ...options });
      assert.deepEqual(problemsOf(signed.bundle), []);
      writeFileSync(join(model, '.git', 'HEAD'), 'y');
      writeFileSync(join(model, 'new'), 'x');
      assert.deepEqual(problemsOf(signed.bundle), ['unsigned']);
      assert.equal(verifyModel(model, signed.bundle, { trust, ignoreUnsigned: true }).verified, true);
      rmSync(join(model, 'new'));
      const weights = Buffer.alloc(10_000, 7);
      weights[9_999] = 8;
      writeFileSync(join(model, 'sub', 'weights.bin'), weights);
      assert.deepEqual(problemsOf(signed.bundle), ['changed']);
      writeFileSync(join(model, 'sub', 'weights.bin'), Buffer.alloc(12_000, 7));
      assert.ok(problemsOf(signed.bundle).includes('changed'));
      rmSync(join(model, 'config.json'));
      assert.ok(problemsOf(signed.bundle).includes('missing'));
    });
  }
  it('BLAKE3 as its authors publish it, and never of shards', () => {
    const file = join(home, 'abc');
    writeFileSync(file, 'abc');
    const { bundle } = signModel(file, { material, hashType: 'blake3' });
    const { resources } = parseStatement(parseBundle(bundle).payload);
    assert.equal(resources[0]?.digest, '6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85');
    assert.throws(() => signModel(file, { material, hashType: 'blake3', method: 'shards' }), SignatureInvalid);
  });
  it('a model of one file, and a bundle inside the model', () => {
    fresh();
    const file = join(model, 'sub', 'weights.bin');
    const single = signModel(file, { material }).bundle;
    assert.equal(verifyModel(file, single, { trust }).verified, true);
    // As older signers name it; the signature has to be theirs, and the bytes too.
    const { dsseEnvelope } = JSON.parse(single.toString()) as { dsseEnvelope: { payload: string } };
    const statement = Buffer.from(dsseEnvelope.payload, 'base64')
      .toString()
      .replace('"resources":[{"name":"weights.bin"', '"resources":[{"name":"."');
    const dotted = signPayload(Buffer.from(statement), material);
    assert.equal(verifyModel(file, dotted, { trust }).verified, true);
    assert.deepEqual(
      verifyModel(join(model, 'config.json'), dotted, { trust }).problems.map(({ problem }) => problem),
      ['changed'],
    );
    const bundlePath = join(model, 'model.sig');
    const { bundle } = signModel(model, { material, bundlePath });
    writeFileSync(bundlePath, bundle);
    assert.equal(verifyModel(model, bundle, { trust, bundlePath }).verified, true);
  });
  it('another key, a flipped bit, another method', () => {
    fresh();
    const { bundle } = signModel(model, { material });
    const other = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    assert.deepEqual(problemsOf(bundle, { method: 'key', publicKey: other.publicKey }), ['signature']);
    const document = JSON.parse(bundle.toString()) as { dsseEnvelope: { payload: string } };
    const payload = Buffer.from(document.dsseEnvelope.payload, 'base64');
    payload[payload.length - 3] = (payload[payload.length - 3] ?? 0) ^ 1;
    document.dsseEnvelope.payload = payload.toString('base64');
    assert.deepEqual(problemsOf(Buffer.from(JSON.stringify(document))), ['signature']);
    assert.deepEqual(problemsOf(bundle, { method: 'certificate', trusted: [] }), ['signature']);
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    assert.throws(() => signModel(model, { material: { privateKey: rsa.privateKey } }), SignatureInvalid);
  });
  it('a linked directory that is ignored is not taken for signed', () => {
    fresh();
    symlinkSync('sub', join(model, 'alias'));
    const { bundle } = signModel(model, { material, allowSymlinks: true });
    assert.deepEqual(problemsOf(bundle), []);
    rmSync(join(model, 'alias'));
    symlinkSync('.git', join(model, 'alias'));
    assert.deepEqual(problemsOf(bundle), ['unreadable']);
  });
  it('links are refused, and followed only inside the model where that was signed', () => {
    fresh();
    symlinkSync('config.json', join(model, 'link'));
    assert.throws(() => signModel(model, { material }), /symbolic link/);
    const { bundle } = signModel(model, { material, allowSymlinks: true });
    assert.deepEqual(problemsOf(bundle), []);
    rmSync(join(model, 'link'));
    symlinkSync(join(home, 'outside'), join(model, 'link'));
    writeFileSync(join(home, 'outside'), '{}');
    assert.deepEqual(problemsOf(bundle), ['unreadable']);
  });

  /** Statements that are signed well and say what they must not. */
  const forgeries: readonly (readonly [string, (statement: Json, predicate: Json, resources: Json[]) => void])[] = [
    ['another type of statement', (statement) => Object.assign(statement, { _type: 'https://in-toto.io/Statement/v0.1' })],
    ['another predicate', (statement) => Object.assign(statement, { predicateType: 'https://example.com/x' })],
    ['two subjects', (statement) => Object.assign(statement, { subject: [...(statement['subject'] as Json[]), { name: 'b' }] })],
    ['a digest that is not that of the resources', (_, __, resources) => Object.assign(resources[0] ?? {}, { digest: 'ab'.repeat(32) })],
    ['a path that leads outside', (_, __, resources) => Object.assign(resources[0] ?? {}, { name: '../config.json' })],
    ['an absolute path', (_, __, resources) => Object.assign(resources[0] ?? {}, { name: '/etc/passwd' })],
    ['a resource that stands twice', (_, __, resources) => resources.push({ ...resources[0] })],
    ['no resources', (_, predicate) => Object.assign(predicate, { resources: [] })],
    ['an unknown method', (_, predicate) => Object.assign(predicate['serialization'] as Json, { method: 'magic' })],
    ['an unknown hash', (_, predicate) => Object.assign(predicate['serialization'] as Json, { hash_type: 'md5' })],
    ['another algorithm than it says', (_, __, resources) => Object.assign(resources[0] ?? {}, { algorithm: 'md5' })],
  ];
  for (const [name, forge] of forgeries) {
    it(`a valid signature over ${name} is refused`, () => {
      fresh();
      const { bundle } = signModel(model, { material });
      const envelope = (JSON.parse(bundle.toString()) as { dsseEnvelope: { payload: string } }).dsseEnvelope;
      const statement = JSON.parse(Buffer.from(envelope.payload, 'base64').toString()) as Json;
      const predicate = statement['predicate'] as Json;
      forge(statement, predicate, predicate['resources'] as Json[]);
      if (name !== 'a digest that is not that of the resources') {
        const hash = createHash('sha256');
        for (const { digest } of predicate['resources'] as { digest: string }[]) hash.update(digest, 'hex');
        const [subject] = statement['subject'] as { digest?: Json }[];
        Object.assign(subject ?? {}, { digest: { sha256: hash.digest('hex') } });
      }
      const report = verifyModel(model, signPayload(Buffer.from(JSON.stringify(statement)), material), { trust });
      assert.deepEqual([report.verified, report.signer, report.problems.map(({ problem }) => problem)], [false, null, ['signature']]);
    });
  }
  it('bundles that are none', () => {
    fresh();
    const { bundle } = signModel(model, { material });
    const broken = [
      '',
      '{}',
      '[1]',
      bundle.toString().replace('v0.3', 'v9'),
      bundle.toString().replace('"dsseEnvelope"', '"other"'),
      bundle.toString().replace('"payloadType":"application/vnd.in-toto+json"', '"payloadType":"text/plain"'),
      bundle.toString().replace('"publicKey"', '"certificate"'),
      bundle.toString().replace('{"mediaType"', '{"mediaType":"x","mediaType"'),
      bundle.toString().replace('"keyid":""}', '"keyid":""},{"sig":"AAAA"}'),
    ];
    for (const text of broken) assert.deepEqual(problemsOf(Buffer.from(text)), ['signature'], text.slice(0, 60));
    for (let length = 0; length < bundle.length; length += 41) assert.deepEqual(problemsOf(bundle.subarray(0, length)), ['signature']);
  });

  it('certificates: chain, validity, purpose, subject', async () => {
    fresh();
    x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);
    const algorithm = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' };
    const pair = (): Promise<webcrypto.CryptoKeyPair> =>
      webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;
    const [rootKeys, caKeys, leafKeys] = [await pair(), await pair(), await pair()];
    const day = 86_400_000;
    const common = { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + day), signingAlgorithm: algorithm };
    const authority = [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ];
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      ...common,
      name: 'CN=root',
      keys: rootKeys,
      extensions: authority,
    });
    const issue = (
      subject: string,
      key: webcrypto.CryptoKeyPair,
      issuer: string,
      signer: webcrypto.CryptoKeyPair,
      extensions: x509.Extension[],
      dates = {},
    ): Promise<x509.X509Certificate> =>
      x509.X509CertificateGenerator.create({
        ...common,
        ...dates,
        subject,
        issuer,
        publicKey: key.publicKey,
        signingKey: signer.privateKey,
        extensions,
      });
    const purpose = [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.3']),
    ];
    const ca = await issue('CN=ca', caKeys, 'CN=root', rootKeys, authority);
    const good = await issue('CN=signer', leafKeys, 'CN=ca', caKeys, purpose);
    const trusted = readCertificates(Buffer.from(root.toString('pem')));
    const exported = await webcrypto.subtle.exportKey('pkcs8', leafKeys.privateKey);
    const privateKey = readPrivateKey(
      Buffer.from(`-----BEGIN PRIVATE KEY-----\n${Buffer.from(exported).toString('base64')}\n-----END PRIVATE KEY-----\n`),
    );
    const verify = (
      leaf: x509.X509Certificate,
      chain: x509.X509Certificate[],
      by: Partial<Trust & { method: 'certificate' }> = {},
      now?: Date,
    ): string[] => {
      const certificates = [leaf, ...chain].flatMap((certificate) => readCertificates(Buffer.from(certificate.toString('pem'))));
      const { bundle } = signModel(model, { material: { privateKey, chain: certificates } });
      const options = { trust: { method: 'certificate', trusted, ...by } as Trust, ...(now === undefined ? {} : { now }) };
      return verifyModel(model, bundle, options).problems.map(({ message }) => message);
    };
    assert.deepEqual(verify(good, [ca]), []);
    assert.deepEqual(verify(good, [ca, root], { subject: 'CN=signer' }), []);
    assert.match(verify(good, [ca], { subject: 'CN=other' })[0] ?? '', /is what is trusted/);
    assert.match(verify(good, [])[0] ?? '', /no path/);
    assert.match(verify(good, [ca], { trusted: [] })[0] ?? '', /no path/);
    assert.match(verify(good, [ca], {}, new Date(Date.now() + 2 * day))[0] ?? '', /valid from/);
    const server = [new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1'])];
    assert.match(verify(await issue('CN=signer', leafKeys, 'CN=ca', caKeys, server), [ca])[0] ?? '', /not for signing code/);
    const agreement = [new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyAgreement, true)];
    assert.match(verify(await issue('CN=signer', leafKeys, 'CN=ca', caKeys, agreement), [ca])[0] ?? '', /digital signatures/);
    // A certificate that is no authority signs another one.
    const middle = await issue('CN=middle', caKeys, 'CN=root', rootKeys, purpose);
    assert.match(verify(await issue('CN=signer', leafKeys, 'CN=middle', caKeys, purpose), [middle])[0] ?? '', /no path/);
    // permittedSubtrees: [ dNSName "example.com" ]
    const names = new x509.Extension('2.5.29.30', true, Buffer.from('3011a00f300d820b6578616d706c652e636f6d', 'hex'));
    const narrow = await issue('CN=ca', caKeys, 'CN=root', rootKeys, [...authority, names]);
    assert.match(verify(good, [narrow])[0] ?? '', /name constraints/);
  });

  it('publishers: the first whose signature it is, or nobody', () => {
    fresh();
    const { bundle } = signModel(model, { material });
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(join(home, 'a.pem'), other.publicKey.export({ type: 'spki', format: 'pem' }));
    writeFileSync(join(home, 'b.pem'), keys.publicKey.export({ type: 'spki', format: 'pem' }));
    const policy = (list: unknown): string => {
      writeFileSync(join(home, 'policy.json'), JSON.stringify({ publishers: list }));
      return join(home, 'policy.json');
    };
    const both = readPublishers(
      policy([
        { name: 'a', key: 'a.pem' },
        { name: 'b', key: 'b.pem' },
      ]),
    );
    assert.deepEqual(
      [verifyByPublishers(model, bundle, both, {}).publisher, verifyByPublishers(model, bundle, both, {}).verified],
      ['b', true],
    );
    const nobody = verifyByPublishers(model, bundle, both.slice(0, 1), {});
    assert.deepEqual([nobody.publisher, nobody.verified], [null, false]);
    for (const list of [
      [],
      [{ key: 'a.pem' }],
      [{ name: 'a' }],
      [{ name: 'a', certificates: 'a.pem' }],
      [{ name: 'a', key: 'policy.json' }],
    ])
      assert.throws(() => readPublishers(policy(list)), SignatureInvalid);
  });
  it('checksums: lists of both notations, and pointers of Git LFS', () => {
    fresh();
    const digest = (file: string): string =>
      createHash('sha256')
        .update(readFileSync(join(model, file)))
        .digest('hex');
    const lines = `${digest('config.json')}  config.json\n${digest('empty')} *./empty\nSHA256 (sub/weights.bin) = ${digest('sub/weights.bin')}\n`;
    assert.equal(verifyChecksums(model, parseChecksums(lines)).verified, true);
    assert.deepEqual(
      verifyChecksums(model, parseChecksums(lines.replace(/^.*\n/, ''))).problems.map(({ problem }) => problem),
      ['unlisted'],
    );
    assert.deepEqual(
      verifyChecksums(model, parseChecksums(`${lines}${'0'.repeat(64)}  gone`)).problems.map(({ problem }) => problem),
      ['missing'],
    );
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${digest('sub/weights.bin')}\nsize 10000\n`;
    assert.equal(verifyChecksums(join(model, 'sub', 'weights.bin'), parseChecksums(pointer)).verified, true);
    assert.equal(verifyChecksums(join(model, 'sub', 'weights.bin'), parseChecksums(pointer.replace('10000', '10001'))).verified, false);
    for (const text of ['', 'hello', `${'0'.repeat(64)}  ../x`]) assert.throws(() => parseChecksums(text), SignatureInvalid);
  });
  it('attestations bind a verdict to a digest and a rule set', async () => {
    const report = { ...(await scanBytes(PLAIN)), sha256: createHash('sha256').update(PLAIN).digest('hex') };
    const bundle = attestScan(report, material);
    const scan = verifyAttestation(bundle, trust);
    assert.deepEqual([scan.sha256, scan.verdict, scan.rulesDigest], [report.sha256, 'clean', RULES_DIGEST]);
    assert.throws(
      () => verifyAttestation(bundle, { method: 'key', publicKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey }),
      SignatureInvalid,
    );
    fresh();
    assert.throws(() => verifyAttestation(signModel(model, { material }).bundle, trust), /not the result of a scan/);
    assert.deepEqual(problemsOf(bundle), ['signature']);
  });

  it('the vectors of the specification', { skip: VECTORS === undefined ? 'SALLYPORT_OMS_VECTORS is not set' : false }, () => {
    fresh();
    const read = (name: string): string =>
      verifyModel(model, readFileSync(join(VECTORS ?? '', `${name}.bundle.json`)), { trust }).problems[0]?.message ?? '';
    // Sound bundles get as far as their signers, whom nobody here trusts.
    assert.match(read('valid/key'), /another key/);
    assert.match(read('valid/certificate'), /signed by certificate/);
    assert.match(read('valid/sigstore'), /signed by sigstore/);
    for (const name of ['empty', 'missing-envelope', 'missing-tlog-entries', 'missing-verification-material'])
      assert.doesNotMatch(read(`invalid/${name}`), /another key|signed by/);
  });
  const reference = spawnSync('model_signing', ['--version']);
  it('the reference implementation and this one verify each other', {
    skip: reference.status === 0 ? false : 'model_signing (PyPI model-signing) is not installed',
  }, () => {
    fresh();
    writeFileSync(join(home, 'key.pem'), keys.privateKey.export({ type: 'sec1', format: 'pem' }));
    writeFileSync(join(home, 'pub.pem'), keys.publicKey.export({ type: 'spki', format: 'pem' }));
    writeFileSync(join(home, 'ours.sig'), signModel(model, { material }).bundle);
    const run = (...args: string[]): number | null => spawnSync('model_signing', args, { cwd: home }).status;
    assert.equal(run('verify', 'key', model, '--public_key', 'pub.pem', '--signature', 'ours.sig'), 0);
    assert.equal(run('sign', 'key', model, '--private_key', 'key.pem', '--signature', 'theirs.sig'), 0);
    assert.deepEqual(problemsOf(readFileSync(join(home, 'theirs.sig'))), []);
  });
});
