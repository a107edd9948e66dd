import { refuse, refuseRequest } from './authenticate-fault.ts';

/** A credential as presented: attacker's data of bounded length, its shape recognised and nothing else checked. */
export interface PresentedCredential {
  readonly kind: 'api-key' | 'jwt';
  readonly value: string;
}

/** Longest header value that is looked at, in characters. A JWT with many groups takes 2-6 KB. */
const MAX_CREDENTIAL_LENGTH = 8192;
/** The only headers that can carry a credential (contract: HTTP, data plane). Identity headers, cookies and query strings never count. */
const CREDENTIAL_HEADERS: readonly string[] = ['authorization', 'x-api-key', 'api-key'];

const BEARER = /^bearer +([^ ].*)$/i;
/** RFC 7515, section 7.1: three base64url parts; the last is empty for an unsecured token, which is refused later by name. */
const COMPACT_JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/;

/**
 * The one place where a request's credential is found, for every route and header.
 * `rawHeaders` is Node's flat list of names and values (`IncomingMessage.rawHeaders`, `Http2ServerRequest.rawHeaders`): only this form
 * still shows a header that was sent twice.
 * Returns null where no credential header is present.
 * @throws Fault `invalid_request` for repeated headers, two different credentials, or a `Connection` header that lists one of them;
 * `invalid_api_key` for another scheme, an empty or an oversized value.
 */
export function extractCredential(rawHeaders: readonly string[]): PresentedCredential | null {
  let found: string | null = null;
  let seen = 0;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    // Lengths first: most headers are dismissed without making a lower-case copy.
    if (name.length !== 13 && name.length !== 9 && name.length !== 7 && name.length !== 10) continue;
    const lower = name.toLowerCase();
    const text = rawHeaders[index + 1] ?? '';
    if (lower === 'connection') {
      checkConnection(text);
      continue;
    }
    const which = CREDENTIAL_HEADERS.indexOf(lower);
    if (which === -1) continue;
    if ((seen & (1 << which)) !== 0) {
      throw refuseRequest('repeated-header', lower, `Send the ${lower} header once.`);
    }
    seen |= 1 << which;
    const value = readValue(lower, text.trim());
    if (found !== null && found !== value) {
      throw refuseRequest('two-credentials', lower, 'Two different credentials were sent; send one, in one header.');
    }
    found = value;
  }
  if (found === null) return null;
  return { kind: COMPACT_JWS.test(found) ? 'jwt' : 'api-key', value: found };
}

function readValue(header: string, text: string): string {
  if (text.length > MAX_CREDENTIAL_LENGTH)
    throw refuse('oversize', `The ${header} header is longer than ${MAX_CREDENTIAL_LENGTH} characters.`);
  if (text === '') throw refuse('malformed', `The ${header} header is empty; it must hold an API key.`);
  if (header !== 'authorization') return text;
  const token = BEARER.exec(text)?.[1];
  if (token !== undefined) return token;
  throw refuse('scheme', 'The authorization header must read "Bearer " followed by an API key or a token.');
}

/**
 * A credential listed as a hop-by-hop header is one that a proxy on the way was asked to drop: what we see and what the proxy judged
 * may then differ (CVE-2025-64484, CVE-2025-48865). No honest client sends it.
 */
function checkConnection(text: string): void {
  for (const option of text.toLowerCase().split(',')) {
    const name = option.trim();
    if (CREDENTIAL_HEADERS.includes(name)) {
      throw refuseRequest('hop-by-hop-credential', 'connection', `The connection header must not list ${name}.`);
    }
  }
}
