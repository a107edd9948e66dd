import { Fault, type FaultCode } from '@sallyport/core';
import { ENDPOINTS, findTranslation, type JsonEdit, readExact } from '@sallyport/wire';
import type { Door } from '../door.ts';
import type { ExchangeRecord } from '../record.ts';
import type { UpstreamCall, UpstreamHead } from '../upstream/call.ts';
import { isNative } from '../upstream/capability.ts';
import { composeAnswer, composeDescription, composeTokenCount } from '../upstream/compose.ts';
import { answerDemo } from '../upstream/demo.ts';
import type { HttpCall } from '../upstream/http-call.ts';
import { extensionsOf, TranslatedCall } from '../upstream/translated-call.ts';
import type { ConnectedUpstream, UpstreamRequest } from '../upstream/upstream.ts';
import { estimate } from './admit.ts';
import type { Cleared, Destination } from './facts.ts';

/** An answer has begun. Disposing it ends the call and frees the upstream's slot. */
export interface Forwarded extends Cleared, Disposable {
  readonly call: UpstreamCall;
  readonly head: UpstreamHead;
  /** The public name the reply is given under. */
  readonly servedAs: string;
}

/** Asks the destinations in their order until one begins to answer. Nothing was sent to the client yet, so another may be asked. */
export async function forward(cleared: Cleared, door: Door, record: ExchangeRecord): Promise<Forwarded> {
  if (cleared.destinations.length === 0) return begun(cleared, composeAnswer(cleared), cleared.model ?? '-', null, record);
  let last: Fault | null = null;
  for (const destination of cleared.destinations) {
    try {
      return await ask(cleared, destination, door, record);
    } catch (error) {
      if (!(error instanceof Fault) || cleared.incoming.reply.ended !== null) throw error;
      if (anotherMayHelp(error)) last = error;
      // A fallback that does not take the request is one less; the client did not ask for it.
      else if (last === null) throw error;
    }
  }
  throw last ?? unavailable('no destination');
}

function unavailable(detail: string): Fault {
  return new Fault('upstream_unavailable', 'The model is not available at the moment.', { detail });
}

/** Its server is away, slow, broken, or has no slot free. */
const HELPED_BY_ANOTHER: ReadonlySet<FaultCode> = new Set([
  'upstream_unavailable',
  'upstream_timeout',
  'upstream_error',
  'concurrency_exceeded',
]);

function anotherMayHelp(fault: Fault): boolean {
  return HELPED_BY_ANOTHER.has(fault.code);
}

async function ask(cleared: Cleared, { route, upstream }: Destination, door: Door, record: ExchangeRecord): Promise<Forwarded> {
  await cleared.charge.move({ route, upstream });
  record.attempt(upstream);
  if (upstream.kind === 'demo') return begun(cleared, answerDemo(cleared, route, door), route.name, null, record);
  const connected = door.upstreams.get(upstream.name);
  if (connected === undefined)
    throw new Fault('upstream_unavailable', 'The model is not available at the moment.', { detail: 'not connected' });
  if (cleared.endpoint.id === 'anthropic.count-tokens' && !isNative(upstream.kind, cleared.endpoint.id)) {
    return begun(cleared, composeTokenCount(estimate(cleared).input), route.name, null, record);
  }
  const isTranslated = !isNative(upstream.kind, cleared.endpoint.id);
  if (isTranslated && cleared.endpoint.id === 'ollama.show') return begun(cleared, composeDescription(cleared), route.name, null, record);
  const translated = isTranslated ? translate(cleared, { route, upstream }, door) : null;
  const request = translated?.request ?? compose(cleared, route.target, upstream.kind === 'anthropic');
  const slot = await connected.acquire((listener) => cleared.incoming.reply.onGone(listener));
  try {
    cleared.charge.sent();
    const call = await attempt(cleared, connected, request, record);
    return await begun(cleared, translated?.reply(call) ?? call, route.name, slot, record);
  } catch (error) {
    slot?.[Symbol.dispose]();
    throw error;
  }
}

/** The client's bytes, with the upstream's model name and the guard's edits spliced in; headers of our own making. */
function compose(cleared: Cleared, target: string, anthropic: boolean): UpstreamRequest {
  const { endpoint, request, incoming } = cleared;
  const headers = [
    'accept',
    request?.stream === true ? (endpoint.reply?.streamType ?? '*/*') : 'application/json',
    'x-request-id',
    incoming.id,
  ];
  if (anthropic) headers.push('anthropic-version', anthropicVersion(incoming.headers['anthropic-version']));
  if (request === null) return { method: endpoint.method, path: endpoint.path, headers, body: null };
  const edits: JsonEdit[] = [...cleared.edits];
  if (request.model !== target) edits.push({ path: request.modelPath, value: target });
  headers.push('content-type', 'application/json');
  return {
    method: endpoint.method,
    path: endpoint.path,
    headers,
    body: edits.length === 0 ? request.json.bytes : request.json.edit(edits),
  };
}

/** The request in the words of a server that does not speak the client's dialect, and its answer in the client's. */
function translate(
  cleared: Cleared,
  { route, upstream }: Destination,
  door: Door,
): { readonly request: UpstreamRequest; reply(call: UpstreamCall): UpstreamCall } {
  const { endpoint, request, incoming, edits } = cleared;
  const translation = findTranslation(endpoint.id, (other) => isNative(upstream.kind, other));
  const target = ENDPOINTS.find((other) => other.id === translation?.to);
  if (translation === null || target === undefined || request === null) {
    throw new Fault('invalid_request', 'The server of this model does not offer this endpoint. Use another endpoint or another model.', {
      param: 'model',
      detail: `${upstream.kind} has no ${endpoint.id}`,
    });
  }
  const stream = request.stream && translation.streamType !== null;
  const value = readExact(request.json, edits);
  const body = translation.request(value, { model: route.target, stream, extensions: extensionsOf(upstream.kind) });
  const upstreamType = (stream ? translation.streamType : null) ?? 'application/json';
  const clientType = (stream ? endpoint.reply?.streamType : null) ?? 'application/json';
  const headers = ['accept', upstreamType, 'x-request-id', incoming.id, 'content-type', 'application/json'];
  if (upstream.kind === 'anthropic') headers.push('anthropic-version', anthropicVersion(undefined));
  const context = {
    id: incoming.id.replace(/[^A-Za-z0-9]/g, ''),
    model: route.name,
    created: Math.trunc(door.clock.now()),
    request: value,
  };
  return {
    request: { method: target.method, path: target.path, headers, body },
    reply: (call) => new TranslatedCall(call, translation.openReply(context), { stream, upstreamType, clientType }),
  };
}

/** The one client header that changes how an Anthropic body is read; a date, nothing else. */
function anthropicVersion(value: string | string[] | undefined): string {
  return typeof value === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(value) ? value : '2023-06-01';
}

/** Calls until a head arrives, trying again while nothing of an answer was seen. A client that leaves ends the call at once. */
async function attempt(cleared: Cleared, upstream: ConnectedUpstream, request: UpstreamRequest, record: ExchangeRecord): Promise<HttpCall> {
  const { reply } = cleared.incoming;
  for (let left = upstream.settings.retries; ; left -= 1) {
    const { ended } = reply;
    if (ended !== null) throw ended;
    const call = upstream.call(request);
    reply.onGone((why) => call.abort(why));
    try {
      await call.head;
      return call;
    } catch (error) {
      call.abort();
      if (left <= 0 || call.failure?.retriable !== true) throw error;
      record.attempt(upstream.settings);
    }
  }
}

async function begun(
  cleared: Cleared,
  call: UpstreamCall,
  servedAs: string,
  slot: Disposable | null,
  record: ExchangeRecord,
): Promise<Forwarded> {
  const head = await call.head;
  record.resume();
  cleared.charge.headed(head.status < 300);
  if (head.status >= 300) {
    call.abort();
    throw refusedByUpstream(head);
  }
  return {
    ...cleared,
    call,
    head,
    servedAs,
    [Symbol.dispose]: () => {
      call.abort();
      slot?.[Symbol.dispose]();
    },
  };
}

/** What an upstream's status means for the client. Its text is never passed on: it may name hosts, paths, or somebody's prompt. */
function refusedByUpstream({ status, retryAfter }: UpstreamHead): Fault {
  const detail = `upstream status ${status}`;
  const retry = retryAfter === null ? {} : { retryAfter };
  if (status === 400 || status === 422) return new Fault('invalid_request', 'The model server did not accept the request.', { detail });
  if (status === 404) return new Fault('model_not_found', 'The model server does not have this model.', { param: 'model', detail });
  if (status === 413) return new Fault('request_too_large', 'The request is too large for the model server.', { detail });
  if (status === 429 || status === 503)
    return new Fault('upstream_unavailable', 'The model server is busy. Try again later.', { detail, ...retry });
  if (status === 408 || status === 504) return new Fault('upstream_timeout', 'The model server did not answer in time.', { detail });
  return new Fault('upstream_error', 'The model server could not answer.', { detail });
}
