/** A SPIFFE ID taken apart. `path` begins with `/`, or is empty for the trust domain itself. */
export interface SpiffeId {
  readonly trustDomain: string;
  readonly path: string;
}

const SCHEME = 'spiffe://';
/** SPIFFE-ID, section 2.3: all conforming implementations support 2048 bytes; longer ones are not to be made. */
const MAX_ID_BYTES = 2048;
/** SPIFFE-ID, section 2.1: at most 255 bytes of lower-case letters, digits, dots, dashes and underscores. No port, no user info. */
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
/** SPIFFE-ID, section 2.2: non-empty segments of letters, digits, dots, dashes and underscores; no percent-encoding, query or fragment. */
const SEGMENT = /^[A-Za-z0-9._-]+$/;

/** Reads a SPIFFE ID by the SPIFFE-ID specification. Null where it breaks a rule; nothing is normalised, because two spellings of one name are two names. */
export function parseSpiffeId(text: string): SpiffeId | null {
  // Every character the rules allow is one byte, so counting UTF-16 units is enough.
  if (text.length > MAX_ID_BYTES || !text.startsWith(SCHEME)) return null;
  const rest = text.slice(SCHEME.length);
  const slash = rest.indexOf('/');
  const trustDomain = slash === -1 ? rest : rest.slice(0, slash);
  const path = slash === -1 ? '' : rest.slice(slash);
  if (!TRUST_DOMAIN.test(trustDomain)) return null;
  if (path === '') return { trustDomain, path };
  const segments = path.slice(1).split('/');
  return segments.every((segment) => SEGMENT.test(segment) && segment !== '.' && segment !== '..') ? { trustDomain, path } : null;
}

/**
 * How well `pattern` (an exact SPIFFE ID, or one that ends in `/*` and stands for everything below) fits `id`: the pattern's length
 * where it fits, an exact one counting most; -1 where it does not. `/*` stands for one or more whole segments, so `spiffe://a/b/*`
 * fits neither `spiffe://a/b` nor `spiffe://a/bc`. Both must be valid; a malformed pattern fits nothing.
 */
export function matchSpiffeId(pattern: string, id: string): number {
  if (!pattern.endsWith('/*')) return pattern === id && parseSpiffeId(pattern) !== null ? Number.MAX_SAFE_INTEGER : -1;
  const base = pattern.slice(0, -2);
  if (parseSpiffeId(base) === null) return -1;
  return id.length > base.length + 1 && id.startsWith(`${base}/`) ? base.length : -1;
}
