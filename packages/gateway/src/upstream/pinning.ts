import { createHash, X509Certificate } from 'node:crypto';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import type { Upstream } from '@sallyport/core';

/** Reads what a secret reference (`env:NAME`, `file:/path`) points at. */
export type ResolveSecret = (reference: string) => string;

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
export function tlsOptions(upstream: Upstream, resolve: ResolveSecret): TlsOptions {
  const tls = upstream.tls;
  const options: TlsOptions = { minVersion: 'TLSv1.2', rejectUnauthorized: true };
  if (tls === null) return options;
  if (tls.ca !== null) options.ca = resolve(tls.ca);
  if (tls.cert !== null) options.cert = resolve(tls.cert);
  if (tls.key !== null) options.key = resolve(tls.key);
  if (tls.serverName !== null) options.servername = tls.serverName;
  if (tls.pins.length > 0) {
    const pins = new Set(tls.pins);
    options.checkServerIdentity = (host, certificate) => checkServerIdentity(host, certificate) ?? checkPin(certificate, pins);
  }
  return options;
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
