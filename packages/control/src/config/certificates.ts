import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { Config } from './config.ts';
import { Findings, type Path } from './problem.ts';
import { resolveSecret, SecretError, type SecretSource } from './secret.ts';

const SOON = 14 * 86_400_000;

/**
 * Reads the certificates, keys and authorities of a configuration as TLS will. References that lead nowhere are passed over here.
 * `now` is epoch milliseconds.
 */
export function checkCertificates(config: Config, source: SecretSource, now: number): Pick<Findings, 'problems' | 'warnings'> {
  const findings = new Findings();
  if (config.tls !== null) {
    checkPair(config.tls.cert, config.tls.key, ['tls'], source, now, findings);
    checkAuthorities(config.tls.clientCa, ['tls', 'clientCa'], source, findings);
  }
  const peers: [Path, { readonly ca: string | null; readonly cert: string | null; readonly key: string | null } | null][] = [
    ...config.upstreams.map(({ tls }, index): [Path, typeof tls] => [['upstreams', index, 'tls'], tls]),
    ...config.audit.exporters.map(({ tls }, index): [Path, typeof tls] => [['audit', 'exporters', index, 'tls'], tls]),
  ];
  for (const [path, tls] of peers) {
    if (tls === null) continue;
    if (tls.cert !== null && tls.key !== null) checkPair(tls.cert, tls.key, path, source, now, findings);
    checkAuthorities(tls.ca, [...path, 'ca'], source, findings);
  }
  return findings;
}

function checkPair(cert: string, key: string, path: Path, source: SecretSource, now: number, findings: Findings): void {
  const certificate = readCertificate(textOf(cert, source), [...path, 'cert'], findings);
  const privateKey = readKey(textOf(key, source), [...path, 'key'], findings);
  if (certificate === null) return;
  checkValidity(certificate, [...path, 'cert'], now, findings);
  if (privateKey !== null && !certificate.checkPrivateKey(privateKey)) {
    findings.problem([...path, 'key'], 'the private key of the certificate', 'the key of another one');
  }
}

function checkValidity(certificate: X509Certificate, path: Path, now: number, findings: Findings): void {
  const from = certificate.validFromDate;
  const to = certificate.validToDate;
  if (to.getTime() <= now) findings.problem(path, 'a certificate that is valid', `one that ended at ${to.toISOString()}`, 'renew it');
  else if (from.getTime() > now)
    findings.problem(path, 'a certificate that is valid', `one that begins at ${from.toISOString()}`, 'check the clock of this machine');
  else if (to.getTime() - now < SOON) findings.warn(path, `the certificate ends at ${to.toISOString()}`, 'renew it, then reload');
}

function checkAuthorities(reference: string | null, path: Path, source: SecretSource, findings: Findings): void {
  const text = reference === null ? null : textOf(reference, source);
  if (text === null) return;
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g);
  if (blocks === null) findings.problem(path, 'PEM certificates', 'something else');
  for (const block of blocks ?? []) if (readCertificate(block, path, findings) === null) return;
}

function textOf(reference: string, source: SecretSource): string | null {
  try {
    return resolveSecret(reference, source).value;
  } catch (error) {
    if (error instanceof SecretError) return null; // reported where references are checked
    throw error;
  }
}

function readCertificate(text: string | null, path: Path, findings: Findings): X509Certificate | null {
  if (text === null) return null;
  try {
    return new X509Certificate(text);
  } catch {
    // OpenSSL's message would repeat its own internals, and there is nothing else it can mean.
    findings.problem(path, 'a PEM certificate', 'something else');
    return null;
  }
}

function readKey(text: string | null, path: Path, findings: Findings): KeyObject | null {
  if (text === null) return null;
  try {
    return createPrivateKey(text);
  } catch {
    findings.problem(path, 'a PEM private key without a passphrase', 'something else');
    return null;
  }
}
