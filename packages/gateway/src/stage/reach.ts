import { Fault } from '@sallyport/core';
import type { EndListener } from '../http/reply.ts';
import type { UpstreamCall, UpstreamHead } from '../upstream/call.ts';
import type { Claim } from '../upstream/fair-queue.ts';
import type { HttpCall } from '../upstream/http-call.ts';
import type { Slot } from '../upstream/slot.ts';
import type { Waited } from '../upstream/slots.ts';
import type { ConnectedUpstream, UpstreamRequest } from '../upstream/upstream.ts';
import type { Encoded } from './encode.ts';
import type { Destination, Instructed } from './facts.ts';

/** Who asks a server: what ends the asking, and who is told how it goes. */
export interface Asker {
  /** Why nothing is to be asked any more, or null. */
  readonly ended: Fault | null;
  /** Whether an answer begins with its first byte, and not with its head, which some servers send before they have anything to say. */
  readonly untilByte: boolean;
  /** Another server is asked the same: this one is not asked again. */
  readonly isSecond: boolean;
  onGone(listener: EndListener): () => void;
  queued(waited: Waited): void;
  sent(): void;
  headed(accepted: boolean): void;
  retried(): void;
}

/** A server that has begun to answer, and not with a refusal. */
export interface Reached {
  readonly destination: Destination;
  readonly call: UpstreamCall;
  readonly head: UpstreamHead;
  readonly slot: Slot;
}

/**
 * Asks one server until it begins to answer, trying again while nothing of an answer was seen. Throws or rejects with the fault otherwise;
 * its slot is free then.
 */
export async function reach(
  cleared: Instructed,
  { destination, connected, cost }: { readonly destination: Destination; readonly connected: ConnectedUpstream; readonly cost: number },
  { request, reply }: Encoded,
  asker: Asker,
): Promise<Reached> {
  const acquired = connected.acquire({
    target: destination.route.target,
    cost,
    caller: callerName(cleared),
    tenant: cleared.principal.tenant,
    onGone: (listener) => asker.onGone(listener),
    claim: () => claimOf(cleared, cost),
  });
  const slot = acquired instanceof Promise ? await acquired : acquired;
  if (slot.waited !== null) asker.queued(slot.waited);
  try {
    asker.sent();
    const http = await attempt(connected, request, slot, asker);
    connected.watch(http, slot);
    const call = reply?.(http) ?? http;
    const head = await call.head;
    slot.headed(head);
    asker.headed(head.status < 300);
    if (head.status >= 300) {
      call.abort();
      throw refusedByUpstream(head);
    }
    if (asker.untilByte) await begins(http, slot);
    return { destination, call, head, slot };
  } catch (error) {
    slot[Symbol.dispose]();
    throw error;
  }
}

/** Calls until a head arrives. Whoever leaves ends the call at once. */
async function attempt(connected: ConnectedUpstream, request: UpstreamRequest, slot: Slot, asker: Asker): Promise<HttpCall> {
  if (!asker.isSecond) connected.budget.called();
  for (let left = asker.isSecond ? 0 : connected.settings.retries; ; left -= 1) {
    const { ended } = asker;
    if (ended !== null) throw ended;
    const call = connected.call(request);
    asker.onGone((why) => call.abort(why));
    try {
      await call.head;
      return call;
    } catch (error) {
      call.abort();
      if (left <= 0 || call.failure?.retriable !== true || !connected.budget.take()) {
        if (error instanceof Fault) slot.failed(error);
        throw error;
      }
      asker.retried();
    }
  }
}

async function begins(call: HttpCall, slot: Slot): Promise<void> {
  try {
    await call.firstByte();
  } catch (error) {
    if (error instanceof Fault) slot.failed(error);
    throw error;
  }
}

export function queueHeaders({ position, wait }: Waited): readonly string[] {
  return ['x-sallyport-queue-position', String(position), 'x-sallyport-queue-wait-ms', wait.toFixed(0)];
}

/** Whose failures a breaker counts together. */
export function callerName({ principal }: Instructed): string {
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
