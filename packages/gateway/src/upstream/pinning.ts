import { createHash, X509Certificate } from 'node:crypto';
import { checkServerIdentity, createSecureContext, type PeerCertificate } from 'node:tls';
import type { Upstream } from '@sallyport/core';
import type { UpstreamSecrets } from './secrets.ts';

/** The TLS options Sallyport sets; everything else stays Node's default. */
export interface TlsOptions {
  minVersion: 'TLSv1.2';
  rejectUnauthorized: true;
  ca?: string;
  cert?: string;
  key?: string;
  servername?: string;
  checkServerIdentity?: (host: string, certificate: PeerCertificate) => Error | undefined;
}

/**
 * TLS options for an upstream: its chain is always verified, its name always checked, and where pins are configured one of them must
 * match the leaf's SubjectPublicKeyInfo (`sha256/BASE64`, RFC 7469 section 2.4).
 */
export function tlsOptions(upstream: Upstream, secrets: UpstreamSecrets): TlsOptions {
  const tls = upstream.tls;
  const options: TlsOptions = { minVersion: 'TLSv1.2', rejectUnauthorized: true };
  if (tls === null) return options;
  if (secrets.ca !== null) options.ca = secrets.ca;
  if (secrets.cert !== null) options.cert = secrets.cert;
  if (secrets.key !== null) options.key = secrets.key;
  if (tls.serverName !== null) options.servername = tls.serverName;
  if (tls.pins.length > 0) {
    const pins = new Set(tls.pins);
    options.checkServerIdentity = (host, certificate) => checkServerIdentity(host, certificate) ?? checkPin(certificate, pins);
  }
  return options;
}

/** Throws OpenSSL's error for certificates and keys that cannot be used, which undici would meet at the first connection. */
export function checkTls(upstream: Upstream, secrets: UpstreamSecrets): void {
  const { ca, cert, key } = tlsOptions(upstream, secrets);
  createSecureContext({
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  });
}

function checkPin(certificate: PeerCertificate, pins: ReadonlySet<string>): Error | undefined {
  const spki = new X509Certificate(certificate.raw).publicKey.export({ type: 'spki', format: 'der' });
  const pin = `sha256/${createHash('sha256').update(spki).digest('base64')}`;
  return pins.has(pin) ? undefined : new PinMismatch();
}

/** The upstream's key is not one of the pinned ones. */
export class PinMismatch extends Error {
  override readonly name = 'PinMismatch';
  readonly code = 'ERR_SALLYPORT_PIN_MISMATCH';

  constructor() {
    super("the upstream's public key matches none of the configured pins");
  }
}
