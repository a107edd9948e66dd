/**
 * Headers on every answer of the data plane, flat as `writeHead` takes them. An API answer is never a document: nothing may run, frame,
 * embed or cache it. Sources: OWASP Secure Headers; CSP Level 3; Fetch (CORP); HTML (COOP).
 */
export const SECURITY_HEADERS: readonly string[] = [
  'content-security-policy',
  "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'x-content-type-options',
  'nosniff',
  'x-frame-options',
  'DENY',
  'referrer-policy',
  'no-referrer',
  'permissions-policy',
  'camera=(), geolocation=(), microphone=()',
  'cross-origin-opener-policy',
  'same-origin',
  'cross-origin-resource-policy',
  'same-origin',
  'cache-control',
  'no-store',
];

/** Only over TLS: RFC 6797 section 7.2 forbids it on plain HTTP. Two years. */
export const HSTS: readonly string[] = ['strict-transport-security', 'max-age=63072000; includeSubDomains'];

/** Header fields one request may have. */
export const MAX_HEADERS = 100;

/** Request headers that must not come twice: two values could be read differently by the next in line. Others may. */
export const SINGLE_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'x-api-key',
  'api-key',
  'content-type',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'origin',
  'expect',
]);
