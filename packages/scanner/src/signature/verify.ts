import { createHash, createPublicKey, type KeyObject, verify as verifyBytes, X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import { basename, relative } from 'node:path';
import { bundleFromJSON, ValidationError } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { PolicyError, toSignedEntity, toTrustMaterial, VerificationError, Verifier } from '@sigstore/verify';
import { quote } from '../report.ts';
import { type Bundle, parseBundle } from './bundle.ts';
import { verifyChain } from './chain.ts';
import { fileOf, GIT_PATHS, type HashProgress, hashFiles, listFiles, ModelUnreadable } from './manifest.ts';
import { PAYLOAD_TYPE, parse, parseStatement, preAuthEncoding, SignatureInvalid, type Statement } from './statement.ts';

/** Whom to trust: one of a key, certificates, or a Sigstore trust root with the identity that must have signed. */
export type Trust =
  | { readonly method: 'key'; readonly publicKey: KeyObject }
  | { readonly method: 'certificate'; readonly trusted: readonly X509Certificate[]; readonly subject?: string }
  | { readonly method: 'sigstore'; readonly trustRoot: Buffer; readonly identity: string; readonly issuer: string };

export interface VerifyOptions extends HashProgress {
  readonly trust: Trust;
  /** Files that were not signed do not fail the verification (default false). */
  readonly ignoreUnsigned?: boolean;
  /** Where the bundle lies, so that it is not taken for a file of the model. */
  readonly bundlePath?: string;
  readonly now?: Date;
}

/** Who signed, as the signature itself proves it. */
export interface SignerIdentity {
  readonly method: Trust['method'];
  /** SHA-256 of the key, subject of the certificate, or identity that Sigstore attested. */
  readonly name: string;
  readonly issuer?: string;
}

export type VerifyProblem = 'signature' | 'changed' | 'missing' | 'unsigned' | 'unreadable';

export interface VerifyReport {
  readonly verified: boolean;
  readonly signer: SignerIdentity | null;
  /** SHA-256 over the digests of all parts, as the statement has it; empty where the signature does not hold. */
  readonly rootDigest: string;
  readonly resources: number;
  readonly problems: readonly { readonly problem: VerifyProblem; readonly message: string; readonly file?: string }[];
}

const CURVES: Readonly<Record<string, string>> = { prime256v1: 'sha256', secp384r1: 'sha384', secp521r1: 'sha512' };

/**
 * Verifies an OpenSSF Model Signing v1.0 bundle over a file or a directory: first the signature with what the caller trusts, then the
 * statement, then every file. Never throws for what bundle or model hold; a fault of theirs is a problem in the report.
 */
export function verifyModel(model: string, bundle: Buffer, options: VerifyOptions): VerifyReport {
  let signer: SignerIdentity;
  let statement: Statement;
  try {
    const parsed = parseBundle(bundle);
    signer = verifyBundle(parsed, options.trust, options.now);
    statement = parseStatement(parsed.payload);
  } catch (error) {
    if (!(error instanceof SignatureInvalid)) throw error;
    return refused(null, '', 0, [{ problem: 'signature', message: error.message }]);
  }
  const problems = compare(model, statement, options);
  const { rootDigest, resources } = statement;
  return problems.length > 0
    ? refused(signer, rootDigest, resources.length, problems)
    : { verified: true, signer, rootDigest, resources: resources.length, problems };
}

function refused(signer: SignerIdentity | null, root: string, resources: number, problems: VerifyReport['problems']): VerifyReport {
  return { verified: false, signer, rootDigest: root, resources, problems };
}

/** The name under which a key is known: SHA-256 of its PEM text (spec 4.1.1). */
export function keyHint(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'pem' }))
    .digest('hex');
}

/** The digest a curve signs with. Throws `SignatureInvalid` for any other key. */
export function digestOf(key: KeyObject): string {
  const digest = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (key.asymmetricKeyType !== 'ec' || digest === undefined) throw new SignatureInvalid('the key must be of P-256, P-384 or P-521');
  return digest;
}

/** Throws `SignatureInvalid` where the signature is not that of whom the caller trusts. */
export function verifyBundle(bundle: Bundle, trust: Trust, now?: Date): SignerIdentity {
  if (bundle.material.method !== trust.method)
    throw new SignatureInvalid(`the bundle is signed by ${bundle.material.method}, and ${trust.method} is what is trusted`);
  if (trust.method === 'sigstore') return verifySigstore(bundle, trust);
  const message = preAuthEncoding(PAYLOAD_TYPE, bundle.payload);
  if (trust.method === 'key') {
    const hint = keyHint(trust.publicKey);
    if (bundle.material.method === 'key' && bundle.material.hint !== '' && bundle.material.hint !== hint)
      throw new SignatureInvalid('the bundle names another key');
    if (!verifyBytes(digestOf(trust.publicKey), message, trust.publicKey, bundle.signature))
      throw new SignatureInvalid('the signature is not valid');
    return { method: 'key', name: hint };
  }
  const leaf = verifyChain(bundle.material.method === 'certificate' ? bundle.material.chain : [], trust.trusted, now);
  if (!verifyBytes(digestOf(leaf.publicKey), message, leaf.publicKey, bundle.signature))
    throw new SignatureInvalid('the signature is not valid');
  const subject = leaf.subject.replaceAll('\n', ', ');
  if (trust.subject !== undefined && trust.subject !== subject)
    throw new SignatureInvalid(`the certificate is of ${quote(subject)}, and ${quote(trust.subject)} is what is trusted`);
  return { method: 'certificate', name: subject, issuer: leaf.issuer.replaceAll('\n', ', ') };
}

/** By the Sigstore project's own verifier: certificate, transparency log, time, all against the trust root that the caller has. */
function verifySigstore(bundle: Bundle, trust: Trust & { method: 'sigstore' }): SignerIdentity {
  try {
    // Duplicate keys are refused before the library sees the text, as the bundle's own were.
    parse(trust.trustRoot, 'the trust root');
    const material = toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(trust.trustRoot.toString('utf8'))));
    const entity = toSignedEntity(bundleFromJSON(JSON.parse(bundle.text)));
    const { identity } = new Verifier(material, { tlogThreshold: 1, ctlogThreshold: 1 }).verify(entity);
    const name = identity?.subjectAlternativeName ?? '';
    const issuer = identity?.extensions?.issuer ?? '';
    // The library reads an identity as a pattern, unanchored; here it is a name.
    if (name !== trust.identity || issuer !== trust.issuer)
      throw new SignatureInvalid(
        `signed by ${quote(name)} of ${quote(issuer)}, and ${quote(trust.identity)} of ${quote(trust.issuer)} is what is trusted`,
      );
    return { method: 'sigstore', name, issuer };
  } catch (error) {
    if (error instanceof SignatureInvalid) throw error;
    if (error instanceof VerificationError || error instanceof PolicyError || error instanceof ValidationError)
      throw new SignatureInvalid(`Sigstore: ${quote(error.message, 200)}`);
    // The library parses certificates and log entries of the bundle, and throws its own errors and plain ones for what it cannot read.
    if (error instanceof Error)
      throw new SignatureInvalid(`Sigstore: the bundle or the trust root cannot be read (${quote(error.message, 120)})`);
    throw error;
  }
}

function compare(model: string, statement: Statement, options: VerifyOptions): VerifyReport['problems'] {
  const { serialization, resources } = statement;
  const problems: { problem: VerifyProblem; message: string; file?: string }[] = [];
  try {
    const single = statSync(model).isFile();
    const own = options.bundlePath === undefined ? [] : [relative(model, options.bundlePath).replaceAll('\\', '/')];
    const ignorePaths = [...serialization.ignorePaths, ...GIT_PATHS, ...own];
    const there = listFiles(model, { allowSymlinks: serialization.allowSymlinks, ignorePaths });
    const signed = new Set(resources.map(({ name }) => fileOf(name, serialization.method)));
    // Older signers call a model of one file `.`; no signer's name of the file itself is a promise about it.
    if (single && signed.size === 1) for (const name of signed) if (name === '.' || name === basename(model)) signed.add(basename(model));
    const known = there.filter((file) => signed.has(file));
    const actual = new Map(hashFiles(model, known, serialization, options).map(({ name, digest }) => [name, digest]));
    for (const { name, digest } of resources) {
      const found = actual.get(single && name === '.' ? basename(model) : name);
      const file = fileOf(name, serialization.method);
      if (found === undefined) problems.push({ problem: 'missing', message: `${quote(name)} was signed and is not there`, file });
      else if (found !== digest) problems.push({ problem: 'changed', message: `${quote(name)} is not what was signed`, file });
      actual.delete(single && name === '.' ? basename(model) : name);
    }
    for (const name of actual.keys())
      problems.push({ problem: 'changed', message: `${quote(name)} is longer than what was signed`, file: name });
    if (options.ignoreUnsigned !== true)
      for (const file of there)
        if (!signed.has(file) && !isEmptyShard(model, file, statement))
          problems.push({ problem: 'unsigned', message: `${quote(file)} was not signed`, file });
  } catch (error) {
    if (error instanceof ModelUnreadable)
      problems.push({ problem: 'unreadable', message: `${quote(error.path)} ${error.message}`, file: error.path });
    else if (error instanceof Error && 'syscall' in error) problems.push({ problem: 'unreadable', message: quote(error.message, 200) });
    else throw error;
  }
  return problems;
}

/** Files without a byte have no shard, and so no resource. */
function isEmptyShard(model: string, file: string, { serialization }: Statement): boolean {
  return serialization.method === 'shards' && hashFiles(model, [file], serialization).length === 0;
}

/** A public key in PEM or DER, as a file has it. Throws `SignatureInvalid`. */
export function readPublicKey(text: Buffer): KeyObject {
  try {
    return createPublicKey(text);
  } catch {
    throw new SignatureInvalid('the public key cannot be read: PEM is expected');
  }
}

/** Every certificate of a PEM file. Throws `SignatureInvalid`. */
export function readCertificates(pem: Buffer): X509Certificate[] {
  const blocks = pem.toString('latin1').match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new SignatureInvalid('the file holds no PEM certificate');
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    throw new SignatureInvalid('a certificate of the file cannot be read');
  }
}
