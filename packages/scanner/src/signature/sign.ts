import { createPrivateKey, createPublicKey, type KeyObject, sign as signBytes, type X509Certificate } from 'node:crypto';
import { basename, relative, resolve } from 'node:path';
import { MEDIA_TYPE } from './bundle.ts';
import { GIT_PATHS, type HashProgress, hashFiles, listFiles, type Serialization, SHARD_SIZE } from './manifest.ts';
import { formatStatement, PAYLOAD_TYPE, preAuthEncoding, SignatureInvalid } from './statement.ts';
import { digestOf, keyHint } from './verify.ts';

/** With what to sign: a key, or a key and its certificate chain, leaf first. */
export interface SigningMaterial {
  readonly privateKey: KeyObject;
  readonly chain?: readonly X509Certificate[];
}

export interface SignOptions extends HashProgress {
  readonly material: SigningMaterial;
  readonly method?: Serialization['method'];
  readonly hashType?: Serialization['hashType'];
  readonly shardSize?: number;
  readonly allowSymlinks?: boolean;
  /** Relative to the model. Version control is ignored in any case. */
  readonly ignorePaths?: readonly string[];
  /** Where the bundle will lie; inside the model it is ignored. */
  readonly bundlePath?: string;
}

export interface SignedModel {
  readonly bundle: Buffer;
  readonly rootDigest: string;
  readonly resources: number;
}

/**
 * Signs a file or a directory as OpenSSF Model Signing v1.0 says, by key or certificate. Keyless signing needs Fulcio and Rekor, which are
 * on the network, and is not done here. Throws `SignatureInvalid` for a key that does not fit, `ModelUnreadable` for a model that does not.
 */
export function signModel(model: string, options: SignOptions): SignedModel {
  const { material } = options;
  const inside = options.bundlePath === undefined ? '..' : relative(resolve(model), resolve(options.bundlePath)).replaceAll('\\', '/');
  const serialization: Serialization = {
    method: options.method ?? 'files',
    hashType: options.hashType ?? 'sha256',
    shardSize: options.shardSize ?? SHARD_SIZE,
    allowSymlinks: options.allowSymlinks ?? false,
    ignorePaths: [
      ...new Set([...GIT_PATHS, ...(options.ignorePaths ?? []), ...(inside === '' || inside.startsWith('..') ? [] : [inside])]),
    ],
  };
  if (serialization.hashType === 'blake3' && serialization.method === 'shards')
    throw new SignatureInvalid('blake3 is of whole files: sign without shards, or with another hash');
  const resources = hashFiles(model, listFiles(model, serialization), serialization, options);
  if (resources.length === 0) throw new SignatureInvalid('the model has no files to sign');
  const payload = formatStatement(basename(resolve(model)), serialization, resources);
  return { bundle: signPayload(payload, material), rootDigest: rootOf(payload), resources: resources.length };
}

/** A Sigstore bundle over any in-toto statement. */
export function signPayload(payload: Buffer, { privateKey, chain }: SigningMaterial): Buffer {
  const publicKey = createPublicKey(privateKey);
  if (chain !== undefined && chain[0]?.publicKey.equals(publicKey) !== true)
    throw new SignatureInvalid('the certificate is not of the private key');
  const signature = signBytes(digestOf(publicKey), preAuthEncoding(PAYLOAD_TYPE, payload), privateKey);
  const verificationMaterial =
    chain === undefined
      ? { publicKey: { hint: keyHint(publicKey) }, tlogEntries: [] }
      : { x509CertificateChain: { certificates: chain.map(({ raw }) => ({ rawBytes: raw.toString('base64') })) }, tlogEntries: [] };
  return Buffer.from(
    JSON.stringify({
      mediaType: MEDIA_TYPE,
      verificationMaterial,
      dsseEnvelope: {
        payload: payload.toString('base64'),
        payloadType: PAYLOAD_TYPE,
        signatures: [{ sig: signature.toString('base64'), keyid: '' }],
      },
    }),
  );
}

function rootOf(payload: Buffer): string {
  return (JSON.parse(payload.toString('utf8')) as { subject: [{ digest: { sha256: string } }] }).subject[0].digest.sha256;
}

/** A private key in PEM, encrypted or not. Throws `SignatureInvalid`. */
export function readPrivateKey(pem: Buffer, passphrase?: string): KeyObject {
  try {
    return createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase });
  } catch {
    throw new SignatureInvalid('the private key cannot be read: PEM is expected, with its passphrase where it is encrypted');
  }
}
