import { X509Certificate } from 'node:crypto';
import type { CertificateIdentity } from '@sallyport/core';
import { matchSpiffeId, parseSpiffeId } from './certificate-spiffe.ts';

/** What is read of a client certificate, once for a connection. The TLS layer has verified its chain; nothing here does. */
export interface ClientCertificate {
  /** SHA-256 of the DER form, lower-case hex. */
  readonly fingerprint: string;
  /** The SPIFFE ID, where the certificate is a valid X.509-SVID leaf: exactly one URI name, with a path, and not a CA. */
  readonly spiffeId: string | null;
  /** Epoch milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Reading takes OpenSSL some 30 µs; a connection hands in the same object with every request. */
const READ = new WeakMap<X509Certificate | Uint8Array, ClientCertificate>();

/** Reads a DER certificate (`tlsSocket.getPeerX509Certificate()` or its `.raw`), each object once. Null where it is no certificate. */
export function readCertificate(certificate: X509Certificate | Uint8Array): ClientCertificate | null {
  const known = READ.get(certificate);
  if (known !== undefined) return known;
  const parsed = certificate instanceof X509Certificate ? certificate : parse(certificate);
  if (parsed === null) return null;
  const read: ClientCertificate = {
    fingerprint: normaliseFingerprint(parsed.fingerprint256),
    spiffeId: readSpiffeId(parsed),
    notBefore: parsed.validFromDate.getTime(),
    notAfter: parsed.validToDate.getTime(),
  };
  READ.set(certificate, read);
  return read;
}

/**
 * The identity a verified certificate maps to, or null for none. Where several fit, the most exact wins: a fingerprint before an exact
 * SPIFFE ID before the longest prefix; between equals the first. An identity with both a fingerprint and a SPIFFE ID needs both, one
 * with neither fits nothing.
 */
export function identifyCertificate(
  certificate: ClientCertificate,
  identities: readonly CertificateIdentity[],
): CertificateIdentity | null {
  let best: CertificateIdentity | null = null;
  let bestScore = -1;
  for (const identity of identities) {
    const score = fit(identity, certificate);
    if (score > bestScore) {
      best = identity;
      bestScore = score;
    }
  }
  return best;
}

function fit(identity: CertificateIdentity, certificate: ClientCertificate): number {
  const { fingerprint, spiffeId } = identity;
  if (fingerprint !== null && normaliseFingerprint(fingerprint) !== certificate.fingerprint) return -1;
  if (spiffeId === null) return fingerprint === null ? -1 : Number.POSITIVE_INFINITY;
  const score = certificate.spiffeId === null ? -1 : matchSpiffeId(spiffeId, certificate.spiffeId);
  return score !== -1 && fingerprint !== null ? Number.POSITIVE_INFINITY : score;
}

/** `AB:CD:…` as OpenSSL prints it, or plain hex in any case. */
function normaliseFingerprint(text: string): string {
  return text.replaceAll(':', '').toLowerCase();
}

function parse(der: Uint8Array): X509Certificate | null {
  try {
    return new X509Certificate(der);
  } catch {
    // OpenSSL refused the bytes: not a certificate, which is the answer.
    return null;
  }
}

/** X.509-SVID, sections 2 and 4: exactly one URI name; a leaf's ID has a path; a CA certificate is no workload's. */
function readSpiffeId(certificate: X509Certificate): string | null {
  const names = uriNames(certificate.subjectAltName ?? '');
  const only = names?.[0];
  if (names?.length !== 1 || only === undefined || certificate.ca) return null;
  const id = parseSpiffeId(only);
  return id !== null && id.path !== '' ? only : null;
}

/**
 * The URI names in Node's text form of a subjectAltName: `DNS:a.example, URI:spiffe://a/b, DNS:"x\u002c y"`. A value that could be
 * mistaken for the syntax is a JSON string there. Null where the text does not follow that form.
 */
function uriNames(text: string): string[] | null {
  const element = /([A-Za-z0-9 ]+):(?:"((?:[^"\\]|\\.)*)"|([^",]*))(?:, |$)/y;
  const names: string[] = [];
  while (element.lastIndex < text.length) {
    const match = element.exec(text);
    if (match === null) return null;
    // A quoted value holds a character that no SPIFFE ID may have; it counts as a name all the same.
    if (match[1] === 'URI') names.push(match[3] ?? '');
  }
  return names;
}
