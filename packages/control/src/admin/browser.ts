import type { IncomingHttpHeaders } from 'node:http';
import { Fault } from '@sallyport/core';

/**
 * Refuses a request that a page of another site made. `origins` are the console's own, from configuration: the `Host` header says
 * nothing, because a page whose name was pointed at this machine (DNS rebinding) controls it.
 * `Sec-Fetch-Site` is set by browsers and cannot be set by pages (Fetch Metadata).
 */
export function checkOrigin(headers: IncomingHttpHeaders, origins: ReadonlySet<string>): void {
  const origin = headers.origin;
  if (origin !== undefined && !origins.has(origin)) throw crossSite();
  const site = headers['sec-fetch-site'];
  if (site === undefined || site === 'same-origin' || site === 'none') return;
  throw crossSite();
}

function crossSite(): Fault {
  return new Fault('forbidden', 'The admin API does not answer pages of other sites.', { detail: 'cross-site' });
}

/** The origins of a listener that only this machine can reach; empty for any other, whose name only its operator knows. */
export function loopbackOrigins(scheme: 'http' | 'https', host: string, port: number): readonly string[] {
  if (host !== '127.0.0.1' && host !== '::1' && host !== 'localhost') return [];
  return ['127.0.0.1', '[::1]', 'localhost'].map((name) => `${scheme}://${name}:${port}`);
}

/** Whether a `Host` header (RFC 9110, 7.2) names this machine's loopback, with any port. */
export function isLoopbackHost(host: string | undefined): boolean {
  return host !== undefined && /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(?::\d{1,5})?$/i.test(host);
}

const HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

const HSTS = 'max-age=31536000';

/** On every answer, errors included. HSTS only where there is TLS (RFC 6797, 7.2). */
export function securityHeaders(tls: boolean): Readonly<Record<string, string>> {
  return tls ? { ...HEADERS, 'strict-transport-security': HSTS } : HEADERS;
}
