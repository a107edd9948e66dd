import { Fault, type FaultCode } from '@sallyport/core';
import { ENDPOINTS, encodeReply, findTranslation, type JsonEdit, readExact } from '@sallyport/wire';
import type { Door } from '../door.ts';
import type { ExchangeRecord } from '../record.ts';
import type { UpstreamCall, UpstreamHead } from '../upstream/call.ts';
import { isNative } from '../upstream/capability.ts';
import { composeAnswer, composeDescription, composeTokenCount } from '../upstream/compose.ts';
import { answerDemo } from '../upstream/demo.ts';
import type { Claim } from '../upstream/fair-queue.ts';
import type { HttpCall } from '../upstream/http-call.ts';
import type { Slot } from '../upstream/slot.ts';
import type { Waited } from '../upstream/slots.ts';
import { StaticCall } from '../upstream/static-call.ts';
import { extensionsOf, TranslatedCall } from '../upstream/translated-call.ts';
import type { ConnectedUpstream, UpstreamRequest } from '../upstream/upstream.ts';
import { estimate } from './admit.ts';
import type { Destination, Instructed } from './facts.ts';
import { unlessGone } from './unless-gone.ts';

/** An answer has begun. Disposing it ends the call and frees the upstream's slot. */
export interface Forwarded extends Instructed, Disposable {
  readonly call: UpstreamCall;
  readonly head: UpstreamHead;
  /** The public name the reply is given under. */
  readonly servedAs: string;
  /** Longest time between two events of a stream, milliseconds; `Infinity` for answers of Sallyport's own. */
  readonly idle: number;
  /** The upstream is done with it: its slot is for the next, whatever the client still has to read. */
  release(): void;
  /** What the reply says of the upstream: null where it can be read, else how it ended. */
  judge(fault: Fault | null): void;
}

/**
 * Asks the destinations in their order until one begins to answer, replicas in the order of their load. Nothing was sent to the client
 * yet, so another may be asked.
 */
export async function forward(cleared: Instructed, door: Door, record: ExchangeRecord): Promise<Forwarded> {
  if (cleared.destinations.length === 0) return begun(cleared, composeAnswer(cleared), cleared.model ?? '-', null, record);
  const deadline = door.clock.monotonic() + (cleared.destinations[0]?.upstream.timeouts.total ?? 0);
  const cost = costOf(cleared);
  const destinations = door.upstreams.order(cleared.destinations, cost, callerName(cleared));
  let last: Fault | null = null;
  for (const [index, destination] of destinations.entries()) {
    if (last !== null && !mayGoOn(destination, destinations[index - 1], deadline, door)) continue;
    try {
      return await ask(cleared, destination, cost, door, record);
    } catch (error) {
      if (!(error instanceof Fault) || cleared.incoming.reply.ended !== null) throw error;
      if (anotherMayHelp(error)) last = sooner(last, error);
      // A fallback that does not take the request is one less; the client did not ask for it.
      else if (last === null) throw error;
    }
  }
  const safe = safeAnswer(cleared, door);
  if (safe === null) throw last ?? unavailable('no destination');
  record.fellBack(last?.detail ?? last?.code ?? 'no destination');
  return begun(cleared, safe, cleared.model ?? '-', null, record);
}

/** Time is left; and a replica, whose failure may be that of all, is asked within the retry budget. Another model is the operator's choice. */
function mayGoOn(next: Destination, before: Destination | undefined, deadline: number, door: Door): boolean {
  if (door.clock.monotonic() >= deadline) return false;
  return next.route.name !== before?.route.name || door.upstreams.get(next.upstream.name)?.budget.take() !== false;
}

/** Of several failures the client is told the first, with the earliest time at which one of them may be over. */
function sooner(last: Fault | null, next: Fault): Fault {
  if (last === null) return next;
  if (next.retryAfter === null || last.retryAfter === null || next.retryAfter >= last.retryAfter) return last;
  const options = { retryAfter: next.retryAfter, ...(last.detail === null ? {} : { detail: last.detail }) };
  return new Fault(last.code, last.message, options);
}

/** The route's own text in place of an answer, where the operator wrote one and the endpoint answers with a text. */
function safeAnswer({ destinations, endpoint, incoming, request, model }: Instructed, door: Door): UpstreamCall | null {
  const text = destinations[0]?.route.fallbackAnswer ?? null;
  if (text === null || model === null || endpoint.action !== 'model.infer' || endpoint.id === 'anthropic.count-tokens') return null;
  const id = incoming.id.replace(/[^A-Za-z0-9]/g, '');
  const usage = { input: 0, output: 0, cached: 0, exact: true };
  const reply = { id, model, created: door.clock.now(), text, usage, includeUsage: false };
  const { contentType, chunks } = encodeReply(endpoint.id, reply, request?.stream ?? false, [text]);
  incoming.reply.addHeaders(['x-sallyport-fallback', 'answer']);
  return new StaticCall(contentType, chunks);
}

function unavailable(detail: string): Fault {
  return new Fault('upstream_unavailable', 'The model is not available at the moment.', { detail });
}

/** Tokens the request is expected to take of a server. */
function costOf(cleared: Instructed): number {
  const { input, output } = estimate(cleared);
  return Math.max(1, input + output);
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

async function ask(
  cleared: Instructed,
  { route, upstream }: Destination,
  cost: number,
  door: Door,
  record: ExchangeRecord,
): Promise<Forwarded> {
  const moving = cleared.charge.move({ route, upstream });
  if (moving instanceof Promise) await unlessGone(cleared.incoming.reply, moving);
  record.attempt(upstream, route.target);
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
  const request = traced(translated?.request ?? compose(cleared, route.target, upstream.kind === 'anthropic'), record.traceHeaders());
  const { reply } = cleared.incoming;
  const acquired = connected.acquire({
    target: route.target,
    cost,
    caller: callerName(cleared),
    onGone: (listener) => reply.onGone(listener),
    claim: () => claimOf(cleared, cost),
  });
  const slot = acquired instanceof Promise ? await acquired : acquired;
  if (slot.waited !== null) reply.addHeaders(queueHeaders(slot.waited));
  try {
    cleared.charge.sent();
    const call = await attempt(cleared, connected, request, slot, record);
    connected.watch(call, slot);
    return await begun(cleared, translated?.reply(call) ?? call, route.name, slot, record, upstream.timeouts.idle);
  } catch (error) {
    slot[Symbol.dispose]();
    throw error;
  }
}

function traced(request: UpstreamRequest, headers: readonly string[]): UpstreamRequest {
  return headers.length === 0 ? request : { ...request, headers: [...request.headers, ...headers] };
}

function queueHeaders({ position, wait }: Waited): readonly string[] {
  return ['x-sallyport-queue-position', String(position), 'x-sallyport-queue-wait-ms', wait.toFixed(0)];
}

/** Whose failures a breaker counts together. */
function callerName({ principal }: Instructed): string {
  return `${principal.tenant}/${principal.id}`;
}

/** For whom the request waits where it has to. */
function claimOf(cleared: Instructed, cost: number): Claim {
  const { principal, snapshot } = cleared;
  const { tenants, priorities } = snapshot.fairness;
  const priority = priorities.find(({ roles }) => roles.some((role) => principal.roles.includes(role)));
  return {
    tenant: principal.tenant,
    weight: tenants.find(({ name }) => name === principal.tenant)?.weight ?? 1,
    priority: priority?.name ?? '',
    priorityWeight: priority?.weight ?? 1,
    cost,
  };
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

/** Calls until a head arrives, trying again while nothing of an answer was seen. A client that leaves ends the call at once. */
async function attempt(
  cleared: Instructed,
  upstream: ConnectedUpstream,
  request: UpstreamRequest,
  slot: Slot,
  record: ExchangeRecord,
): Promise<HttpCall> {
  const { reply } = cleared.incoming;
  upstream.budget.called();
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
      if (left <= 0 || call.failure?.retriable !== true || !upstream.budget.take()) {
        if (error instanceof Fault) slot.failed(error);
        throw error;
      }
      record.retry();
    }
  }
}

async function begun(
  cleared: Instructed,
  call: UpstreamCall,
  servedAs: string,
  slot: Slot | null,
  record: ExchangeRecord,
  idle: number = Number.POSITIVE_INFINITY,
): Promise<Forwarded> {
  const head = await call.head;
  record.resume();
  slot?.headed(head);
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
    idle,
    release: () => {
      call.abort();
      slot?.release();
    },
    judge: (fault) => {
      if (fault === null) slot?.succeeded();
      else slot?.failed(fault);
    },
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
