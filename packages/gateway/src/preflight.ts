import { Fault } from '@sallyport/core';
import { renderFault } from '@sallyport/wire';
import type { Compiled } from './compiled.ts';
import { checkOrigin, PREFLIGHT_HEADERS } from './http/cors.ts';
import type { Incoming } from './http/incoming.ts';

/** Answers a CORS preflight (Fetch standard, CORS protocol) for listed origins; anything else gets a plain 403 without CORS headers. */
export function answerPreflight(incoming: Incoming, compiled: Compiled): void {
  const { headers, reply } = incoming;
  const cors = checkOrigin(headers.origin, compiled.snapshot.http.corsOrigins);
  if (!incoming.complete()) reply.closeAfter();
  reply.addHeaders(cors.headers);
  if (headers.origin === undefined || !cors.allowed || headers['access-control-request-method'] === undefined) {
    const fault = new Fault('forbidden', 'This origin may not call the gateway. An operator can list it under http.corsOrigins.');
    reply.send(fault.status, 'application/json', [], Buffer.from(renderFault('openai', fault, incoming.id).body));
    return;
  }
  reply.send(204, null, PREFLIGHT_HEADERS, Buffer.alloc(0));
}
