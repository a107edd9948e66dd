/** CORS is off unless an origin is listed: the Fetch standard's protocol, without wildcards, credentials or reflection of anything else. */
export interface CorsAnswer {
  readonly allowed: boolean;
  readonly headers: readonly string[];
}

const NONE: CorsAnswer = { allowed: true, headers: [] };
const REFUSED: CorsAnswer = { allowed: false, headers: ['vary', 'origin'] };

/** Request headers a browser client may send: credentials, content type and the SDKs' own markers, which the gateway ignores. */
const ALLOWED_HEADERS =
  'authorization, x-api-key, api-key, content-type, accept, anthropic-version, anthropic-beta, anthropic-dangerous-direct-browser-access, ' +
  'x-stainless-arch, x-stainless-lang, x-stainless-os, x-stainless-package-version, x-stainless-retry-count, x-stainless-runtime, ' +
  'x-stainless-runtime-version, x-stainless-timeout, x-stainless-helper-method';

const EXPOSED_HEADERS =
  'x-request-id, retry-after, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, ' +
  'x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens';

/** Decides for an `Origin` header value (attacker's data; compared, never echoed unless listed). */
export function checkOrigin(origin: string | undefined, allowed: readonly string[]): CorsAnswer {
  if (origin === undefined) return NONE;
  if (!allowed.includes(origin)) return REFUSED;
  return {
    allowed: true,
    headers: ['access-control-allow-origin', origin, 'access-control-expose-headers', EXPOSED_HEADERS, 'vary', 'origin'],
  };
}

/** Extra headers of an answer to an allowed preflight. */
export const PREFLIGHT_HEADERS: readonly string[] = [
  'access-control-allow-methods',
  'GET, POST, DELETE',
  'access-control-allow-headers',
  ALLOWED_HEADERS,
  'access-control-max-age',
  '600',
];
