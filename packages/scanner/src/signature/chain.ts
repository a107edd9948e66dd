import { X509Certificate } from 'node:crypto';
import { X509Certificate as Fields } from '@sigstore/core';
import { SignatureInvalid } from './statement.ts';

const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
/** Names that a CA may certify (RFC 5280, 4.2.1.10). */
const NAME_CONSTRAINTS = '2.5.29.30';
const DEPTH = 8;

/**
 * Builds a path from the leaf to a certificate that is trusted, and gives the leaf (RFC 5280, 6.1, as far as signing needs it: signatures,
 * validity of every certificate now, basic constraints and path length, key usage). A CA with name constraints is not followed, since they
 * are not evaluated. Throws `SignatureInvalid`. Revocation is not asked for: verification is offline.
 */
export function verifyChain(chain: readonly Buffer[], trusted: readonly X509Certificate[], now: Date = new Date()): X509Certificate {
  const [leaf, ...intermediates] = chain.map(read);
  if (leaf === undefined) throw new SignatureInvalid('the certificate chain is empty');
  checkValidity(leaf, now);
  const fields = Fields.parse(Buffer.from(leaf.raw));
  const usage = fields.extKeyUsage;
  if (usage !== undefined && !usage.digitalSignature) throw new SignatureInvalid('the certificate is not for digital signatures');
  const extended = leaf.keyUsage;
  if (extended !== undefined && !extended.includes(CODE_SIGNING)) throw new SignatureInvalid('the certificate is not for signing code');
  if (usage === undefined && extended === undefined)
    throw new SignatureInvalid('the certificate says neither digitalSignature nor codeSigning');
  if (!reaches(leaf, intermediates, trusted, now, 0)) {
    const constrained = [...intermediates, ...trusted].some(hasNameConstraints);
    const hint = constrained ? ' (a CA with name constraints is not followed: they are not evaluated)' : '';
    throw new SignatureInvalid(`no path leads from the certificate to a trusted one${hint}`);
  }
  return leaf;
}

function reaches(
  certificate: X509Certificate,
  intermediates: readonly X509Certificate[],
  trusted: readonly X509Certificate[],
  now: Date,
  depth: number,
): boolean {
  if (trusted.some((anchor) => anchor.raw.equals(certificate.raw))) return true;
  if (depth >= DEPTH) return false;
  if (trusted.some((anchor) => issued(anchor, certificate, now, depth))) return true;
  return intermediates.some(
    (issuer) =>
      !issuer.raw.equals(certificate.raw) &&
      issued(issuer, certificate, now, depth) &&
      reaches(
        issuer,
        intermediates.filter((other) => other !== issuer),
        trusted,
        now,
        depth + 1,
      ),
  );
}

function issued(issuer: X509Certificate, certificate: X509Certificate, now: Date, depth: number): boolean {
  if (!issuer.ca || !isValid(issuer, now) || !certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) return false;
  if (hasNameConstraints(issuer)) return false;
  const fields = Fields.parse(Buffer.from(issuer.raw));
  if (fields.extKeyUsage?.keyCertSign === false) return false;
  const limit = fields.extBasicConstraints?.pathLenConstraint;
  return limit === undefined || limit >= BigInt(depth);
}

function hasNameConstraints(certificate: X509Certificate): boolean {
  return Fields.parse(Buffer.from(certificate.raw)).extension(NAME_CONSTRAINTS) !== undefined;
}

function read(der: Buffer): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch {
    throw new SignatureInvalid('a certificate of the chain cannot be read');
  }
}

function isValid(certificate: X509Certificate, now: Date): boolean {
  return certificate.validFromDate <= now && now <= certificate.validToDate;
}

function checkValidity(certificate: X509Certificate, now: Date): void {
  if (!isValid(certificate, now))
    throw new SignatureInvalid(`the certificate is valid from ${certificate.validFrom} to ${certificate.validTo} only`);
}
