import { Fault } from '@sallyport/core';
import { ENDPOINTS, findTranslation, type JsonEdit, readExact } from '@sallyport/wire';
import type { Door } from '../door.ts';
import type { UpstreamCall } from '../upstream/call.ts';
import { isNative } from '../upstream/capability.ts';
import { extensionsOf, TranslatedCall } from '../upstream/translated-call.ts';
import type { UpstreamRequest } from '../upstream/upstream.ts';
import type { Destination, Instructed } from './facts.ts';

/** What a server is sent, and its answer in the client's dialect. */
export interface Encoded {
  readonly request: UpstreamRequest;
  /** Null where the server speaks the client's dialect. */
  readonly reply: ((call: UpstreamCall) => UpstreamCall) | null;
}

/** The request in the words of a destination's server. `further`: headers of a trace, flat. Throws where the server has no words for it. */
export function encode(cleared: Instructed, destination: Destination, further: readonly string[], door: Door): Encoded {
  const { upstream, route } = destination;
  if (!isNative(upstream.kind, cleared.endpoint.id)) {
    const { request, reply } = translate(cleared, destination, door);
    return { request: traced(request, further), reply };
  }
  return { request: traced(compose(cleared, route.target, upstream.kind === 'anthropic'), further), reply: null };
}

function traced(request: UpstreamRequest, headers: readonly string[]): UpstreamRequest {
  return headers.length === 0 ? request : { ...request, headers: [...request.headers, ...headers] };
}

/** The client's bytes, with the upstream's model name and the guard's edits spliced in; headers of our own making. */
function compose(cleared: Instructed, target: string, anthropic: boolean): UpstreamRequest {
  const { endpoint, request, incoming } = cleared;
  const headers = [
    'accept',
    request?.stream === true ? (endpoint.reply?.streamType ?? '*/*') : 'application/json',
    'x-request-id',
    incoming.id,
  ];
  if (anthropic) headers.push('anthropic-version', anthropicVersion(incoming.headers['anthropic-version']));
  if (request === null) return { method: endpoint.method, path: endpoint.path, headers, body: null };
  const document = cleared.instruction?.document ?? request.json;
  const edits: JsonEdit[] = cleared.instruction === null ? [...cleared.edits] : [];
  if (request.model !== target) edits.push({ path: request.modelPath, value: target });
  headers.push('content-type', 'application/json');
  return {
    method: endpoint.method,
    path: endpoint.path,
    headers,
    body: document.edit(edits),
  };
}

/** The request in the words of a server that does not speak the client's dialect, and its answer in the client's. */
function translate(
  cleared: Instructed,
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
  const told = cleared.instruction === null ? value : readExact(cleared.instruction.document, []);
  const body = translation.request(told, { model: route.target, stream, extensions: extensionsOf(upstream.kind) });
  const upstreamType = (stream ? translation.streamType : null) ?? 'application/json';
  const clientType = (stream ? endpoint.reply?.streamType : null) ?? 'application/json';
  const headers = ['accept', upstreamType, 'x-request-id', incoming.id, 'content-type', 'application/json'];
  if (upstream.kind === 'anthropic') headers.push('anthropic-version', anthropicVersion(undefined));
  const context = {
    id: incoming.id.replace(/[^A-Za-z0-9]/g, ''),
    model: route.name,
    created: Math.trunc(door.clock.now()),
    // The client's own words: an answer that repeats its request must not repeat our instructions.
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
