import { Fault, type Logger, type Outcome } from '@sallyport/core';
import { contentFilterReply, type Endpoint, findEndpoint, renderFault } from '@sallyport/wire';
import type { Charge } from '../charge.ts';
import type { Compiled } from '../compiled.ts';
import type { GuardPolicy } from '../guard-book.ts';
import type { Incoming } from '../http/incoming.ts';
import type { ExchangeRecord } from '../record.ts';

/** What the end of a failed exchange needs; nothing of it depends on how far the exchange came. */
export interface Refusal {
  readonly incoming: Incoming;
  readonly compiled: Compiled;
  readonly record: ExchangeRecord;
  readonly logger: Logger;
  /** True where a streaming answer was asked for. */
  readonly stream: boolean;
  readonly model: string | null;
  /** What the limits hold for it, where it came that far. */
  readonly charge: Charge | null;
  /** How it is inspected, where it came that far. */
  readonly guarding: GuardPolicy | null;
}

/** Ends an exchange that has no answer: the ledger first, then the client, in its dialect. Never throws. */
export async function refuse(error: unknown, refusal: Refusal): Promise<void> {
  const { incoming, record, logger } = refusal;
  let fault = asFault(error, incoming.id, logger);
  try {
    await record.conclude(outcomeOf(fault), fault, refusal.charge?.settle(fault) ?? null);
  } catch (failure) {
    fault = asFault(failure, incoming.id, logger);
  }
  if (fault.detail === 'ledger') logger.error('ledger.append', { request: incoming.id });
  const { reply } = incoming;
  if (reply.gone || reply.finished) return;
  if (reply.headed) {
    reply.cut();
    return;
  }
  // Of a body that was not read no end is waited for. A short one is thrown away where its sender is known and may well come again soon.
  if (!incoming.complete() && !(fault.status === 429 && record.isKnown && isShort(incoming))) reply.closeAfter();
  if (fault.code === 'content_blocked' && refusal.guarding?.settings.onBlock === 'assistant' && answerAsAssistant(refusal)) return;
  const { status, body } = renderFault(dialectOf(incoming), fault, incoming.id);
  reply.send(status, 'application/json', faultHeaders(fault, refusal), Buffer.from(body));
}

/** Bytes of a body that the HTTP server reads and throws away behind an answer. */
const SHORT_BODY = 65_536;

/** Whether the head says where the body ends, and that it is on its way. */
function isShort({ headers }: Incoming): boolean {
  const declared = headers['content-length'];
  return (
    declared !== undefined && Number(declared) <= SHORT_BODY && headers['transfer-encoding'] === undefined && headers.expect === undefined
  );
}

/** Anything but a `Fault` is a defect of ours: the log gets where, the client gets a plain 500. */
function asFault(error: unknown, request: string, logger: Logger): Fault {
  if (error instanceof Fault) return error;
  const known = error instanceof Error ? error : new TypeError('a value that is no error was thrown');
  // The message may quote what was being handled, so only the name and the stack's places are kept.
  const places = (known.stack ?? '')
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .slice(0, 8)
    .join(' < ');
  logger.error('exchange.defect', { request, error: known.name, places });
  return new Fault('internal_error', 'Something went wrong inside the gateway. The request id leads an operator to it.', {
    detail: known.name,
  });
}

function outcomeOf(fault: Fault): Outcome {
  if (fault.code === 'content_blocked') return 'blocked';
  if (fault.code === 'client_closed_request') return 'abandoned';
  return fault.status >= 500 ? 'failed' : 'refused';
}

function answerAsAssistant({ incoming, compiled, model, stream }: Refusal): boolean {
  const endpoint = endpointOf(incoming);
  if (endpoint === null || model === null) return false;
  const filtered = contentFilterReply(endpoint.id, model, stream, incoming.id, Math.floor(compiled.clock.now() / 1000));
  if (filtered === null) return false;
  incoming.reply.send(200, filtered.contentType, [], Buffer.from(filtered.body));
  return true;
}

function dialectOf(incoming: Incoming): Endpoint['dialect'] {
  const endpoint = endpointOf(incoming);
  if (endpoint !== null) return endpoint.dialect;
  if (incoming.path.startsWith('/api/')) return 'ollama';
  return incoming.path.startsWith('/v1/messages') ? 'anthropic' : 'openai';
}

function endpointOf(incoming: Incoming): Endpoint | null {
  const found = findEndpoint(incoming.method, incoming.path);
  return found === null || found === 'method-not-allowed' ? null : found.endpoint;
}

function faultHeaders(fault: Fault, { incoming, record }: Refusal): string[] {
  const headers = ['x-sallyport-overhead-ms', record.time.overhead().toFixed(2)];
  // RFC 9110 section 15.5.6: with a 405 comes what the path does take.
  if (fault.status === 405) headers.push('allow', METHODS.filter((method) => takes(incoming.path, method)).join(', '));
  if (fault.status === 401) headers.push('www-authenticate', 'Bearer realm="sallyport"');
  // The OpenAI and Anthropic clients repeat every 429 unless told that it is of no use.
  if (fault.code === 'quota_exceeded') headers.push('x-should-retry', 'false');
  if (fault.retryAfter !== null) headers.push('retry-after', String(fault.retryAfter));
  return headers;
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

function takes(path: string, method: string): boolean {
  const found = findEndpoint(method, path);
  return found !== null && found !== 'method-not-allowed';
}
