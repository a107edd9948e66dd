import { Fault } from '@sallyport/core';
import { findEndpoint } from '@sallyport/wire';
import type { Compiled } from '../compiled.ts';
import { checkOrigin } from '../http/cors.ts';
import { MAX_HEADERS, SINGLE_HEADERS } from '../http/headers.ts';
import type { Incoming } from '../http/incoming.ts';
import type { Received } from './facts.ts';

const SPOKEN_VERSIONS: ReadonlySet<string> = new Set(['1.0', '1.1', '2']);

/** Finds the endpoint and refuses heads that two readers could read differently. Looks at nothing but the head. */
export function receive(incoming: Incoming, compiled: Compiled): Received {
  const found = findEndpoint(incoming.method, incoming.path);
  if (found === null) throw new Fault('not_found', 'There is no such endpoint.');
  if (found === 'method-not-allowed') throw new Fault('method_not_allowed', 'The endpoint does not take this method.');
  checkProtocol(incoming);
  checkHeaders(incoming.rawHeaders);
  const cors = checkOrigin(incoming.headers.origin, compiled.snapshot.http.corsOrigins);
  incoming.reply.addHeaders(cors.headers);
  if (!cors.allowed) throw new Fault('forbidden', 'This origin may not call the gateway. An operator can list it under http.corsOrigins.');
  if (found.endpoint.parse !== null) checkBodyHeaders(incoming, found.endpoint.dialect === 'ollama');
  return { incoming, compiled, snapshot: compiled.snapshot, endpoint: found.endpoint, pathModel: found.model ?? null };
}

/** What HTTP itself asks of a head (RFC 9112 sections 2.3, 3.2 and 6.1, RFC 9110 section 10.1.1) and the parser lets pass. */
function checkProtocol({ httpVersion, headers }: Incoming): void {
  if (!SPOKEN_VERSIONS.has(httpVersion)) throw new Fault('invalid_request', 'The gateway speaks HTTP/1.1 and, over TLS, HTTP/2.');
  if (httpVersion === '1.1' && (headers.host ?? '') === '')
    throw new Fault('invalid_request', 'The header host is missing.', { param: 'host' });
  const coding = headers['transfer-encoding'];
  // A proxy in front that undoes another coding would have read another body.
  if (coding !== undefined && (httpVersion === '1.0' || coding.toLowerCase() !== 'chunked')) {
    throw new Fault('invalid_request', 'Of transfer codings only chunked is accepted, in HTTP/1.1.', { param: 'transfer-encoding' });
  }
  if (headers.expect !== undefined && headers.expect.toLowerCase() !== '100-continue') {
    throw new Fault('expectation_failed', 'Only `Expect: 100-continue` is supported.');
  }
}

function checkHeaders(rawHeaders: readonly string[]): void {
  if (rawHeaders.length > 2 * MAX_HEADERS) {
    throw new Fault('headers_too_large', `A request may have at most ${MAX_HEADERS} headers.`);
  }
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase();
    if (!SINGLE_HEADERS.has(name)) continue;
    if (seen.has(name)) throw new Fault('invalid_request', `The header ${name} was sent more than once.`, { param: name });
    seen.add(name);
  }
}

/** Ollama's own clients send no content type, and curl's `-d` sends a form's; both mean JSON there. Everywhere else JSON must be said. */
function checkBodyHeaders(incoming: Incoming, lenient: boolean): void {
  const encoding = incoming.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new Fault('unsupported_media_type', 'Compressed request bodies are not accepted.', { param: 'content-encoding' });
  }
  const type = incoming.headers['content-type'];
  const essence = type === undefined ? '' : (type.split(';', 1)[0] ?? '').trim().toLowerCase();
  if (essence === 'application/json') return;
  if (lenient && (essence === '' || essence === 'application/x-www-form-urlencoded')) return;
  throw new Fault('unsupported_media_type', 'The content-type must be application/json.', { param: 'content-type' });
}
