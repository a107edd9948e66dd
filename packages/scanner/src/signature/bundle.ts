import { at, type Json } from '../format/json.ts';
import { PAYLOAD_TYPE, parse, SignatureInvalid } from './statement.ts';

export const MEDIA_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const MEDIA = /^application\/vnd\.dev\.sigstore\.bundle(?:\.v0\.3)?\+json(?:;version=0\.[123])?$/;
const SIZE_LIMIT = 64 * 2 ** 20;

/** What a bundle says verifies it: the hint of a key, a chain of certificates (DER, leaf first), or a Sigstore certificate. */
export type Material =
  | { readonly method: 'key'; readonly hint: string }
  | { readonly method: 'certificate'; readonly chain: readonly Buffer[] }
  | { readonly method: 'sigstore' };

/** A Sigstore bundle over a DSSE envelope (OpenSSF Model Signing v1.0, 4). Nothing in it is trusted yet. */
export interface Bundle {
  readonly material: Material;
  readonly payload: Buffer;
  readonly signature: Buffer;
  /** The bundle as it was read, for the Sigstore library. */
  readonly text: string;
}

/** Throws `SignatureInvalid`. */
export function parseBundle(bytes: Buffer): Bundle {
  if (bytes.length > SIZE_LIMIT) throw new SignatureInvalid(`the bundle has more than ${SIZE_LIMIT} bytes`);
  const document = parse(bytes, 'the bundle');
  const media = at(document, 'mediaType');
  if (typeof media !== 'string' || !MEDIA.test(media)) throw new SignatureInvalid('mediaType is not that of a Sigstore bundle');
  const envelope = at(document, 'dsseEnvelope');
  if (envelope === undefined) throw new SignatureInvalid('the bundle has no dsseEnvelope');
  const signatures = at(envelope, 'signatures');
  const [first] = Array.isArray(signatures) ? signatures : [];
  if (!Array.isArray(signatures) || signatures.length !== 1) throw new SignatureInvalid('the envelope needs exactly one signature');
  if (at(envelope, 'payloadType') !== PAYLOAD_TYPE) throw new SignatureInvalid(`payloadType must be ${PAYLOAD_TYPE}`);
  return {
    material: parseMaterial(at(document, 'verificationMaterial')),
    payload: decode(at(envelope, 'payload'), 'payload'),
    signature: decode(at(first, 'sig'), 'sig'),
    text: bytes.toString('utf8'),
  };
}

function parseMaterial(material: Json | undefined): Material {
  if (!(material instanceof Map)) throw new SignatureInvalid('the bundle has no verificationMaterial');
  const ways = ['publicKey', 'x509CertificateChain', 'certificate'].filter((way) => material.has(way));
  if (ways.length !== 1)
    throw new SignatureInvalid('verificationMaterial needs exactly one of publicKey, x509CertificateChain, certificate');
  if (material.has('publicKey')) {
    const hint = at(material, 'publicKey', 'hint') ?? '';
    const raw = at(material, 'publicKey', 'rawBytes');
    if (typeof hint !== 'string' || (hint === '' && typeof raw !== 'string')) throw new SignatureInvalid('publicKey has no hint');
    return { method: 'key', hint };
  }
  if (material.has('x509CertificateChain')) {
    const certificates = at(material, 'x509CertificateChain', 'certificates');
    if (!Array.isArray(certificates) || certificates.length === 0) throw new SignatureInvalid('the certificate chain is empty');
    if (certificates.length > 16) throw new SignatureInvalid('the certificate chain has more than 16 certificates');
    return { method: 'certificate', chain: certificates.map((entry) => decode(at(entry, 'rawBytes'), 'rawBytes')) };
  }
  const entries = at(material, 'tlogEntries');
  if (!Array.isArray(entries) || entries.length === 0) throw new SignatureInvalid('a Sigstore bundle needs an entry of a transparency log');
  return { method: 'sigstore' };
}

function decode(value: Json | undefined, what: string): Buffer {
  if (typeof value !== 'string' || value === '' || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(value))
    throw new SignatureInvalid(`${what} is not base64`);
  return Buffer.from(value, 'base64');
}
