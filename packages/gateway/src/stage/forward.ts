import { Fault } from '@sallyport/core';
import { encodeReply } from '@sallyport/wire';
import type { Door } from '../door.ts';
import type { EndListener } from '../http/reply.ts';
import type { ExchangeRecord } from '../record.ts';
import type { UpstreamCall, UpstreamHead } from '../upstream/call.ts';
import { isNative } from '../upstream/capability.ts';
import { composeAnswer, composeDescription, composeTokenCount } from '../upstream/compose.ts';
import { answerDemo } from '../upstream/demo.ts';
import { anotherMayHelp } from '../upstream/failure.ts';
import type { Waited } from '../upstream/slots.ts';
import { StaticCall } from '../upstream/static-call.ts';
import { estimate } from './admit.ts';
import { encode } from './encode.ts';
import type { Destination, Instructed } from './facts.ts';
import { type Others, othersOf, reachEither } from './hedge.ts';
import { type Asker, callerName, queueHeaders, type Reached, reach } from './reach.ts';
import { unlessGone } from './unless-gone.ts';

/** An answer has begun. Disposing it ends the call and frees the upstream's slot. */
export interface Forwarded extends Instructed, Disposable {
  readonly call: UpstreamCall;
  readonly head: UpstreamHead;
  /** The public name the reply is given under. */
  readonly servedAs: string;
  /** Longest time between two events of a stream, milliseconds; `Infinity` for answers of Sallyport's own. */
  readonly idle: number;
  /**
   * The upstream is done with it, all of it (`isWhole`) or as far as it is wanted: its slot is for the next, whatever the client still has to
   * read.
   */
  release(isWhole: boolean): void;
  /** What the reply says of the upstream: null where it can be read, else how it ended. */
  judge(fault: Fault | null): void;
}

/**
 * Asks the destinations in their order until one begins to answer, replicas in the order of their load. Nothing was sent to the client
 * yet, so another may be asked.
 */
export async function forward(cleared: Instructed, door: Door, record: ExchangeRecord): Promise<Forwarded> {
  if (cleared.destinations.length === 0) return begun(cleared, composeAnswer(cleared), cleared.model ?? '-', record);
  const deadline = door.clock.monotonic() + (cleared.destinations[0]?.upstream.timeouts.total ?? 0);
  const cost = costOf(cleared);
  const destinations = door.upstreams.order(cleared.destinations, cost, callerName(cleared));
  let last: Fault | null = null;
  /** Asked beside another, which is once. */
  let second: Destination | null = null;
  for (const [index, destination] of destinations.entries()) {
    if (destination === second) continue;
    if (last !== null && !mayGoOn(destination, destinations[index - 1], deadline, door)) continue;
    try {
      const others = index === 0 ? othersOf(cleared, destination, destinations, door, (asked) => (second = asked)) : null;
      return await ask(cleared, destination, { cost, others }, door, record);
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
  return begun(cleared, safe, cleared.model ?? '-', record);
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

async function ask(
  cleared: Instructed,
  destination: Destination,
  { cost, others }: { readonly cost: number; readonly others: Others | null },
  door: Door,
  record: ExchangeRecord,
): Promise<Forwarded> {
  const { route, upstream } = destination;
  const moving = cleared.charge.move(destination);
  if (moving instanceof Promise) await unlessGone(cleared.incoming.reply, moving);
  record.attempt(upstream, route.target);
  if (cleared.endpoint.id === 'ollama.show' && !isNative(upstream.kind, 'ollama.show'))
    return begun(cleared, composeDescription(cleared), route.name, record);
  if (upstream.kind === 'demo') return begun(cleared, answerDemo(cleared, route, door), route.name, record);
  const connected = door.upstreams.get(upstream.name);
  if (connected === undefined)
    throw new Fault('upstream_unavailable', 'The model is not available at the moment.', { detail: 'not connected' });
  if (cleared.endpoint.id === 'anthropic.count-tokens' && !isNative(upstream.kind, 'anthropic.count-tokens'))
    return begun(cleared, composeTokenCount(estimate(cleared).input), route.name, record);
  const server = { destination, connected, cost };
  const encoded = encode(cleared, destination, record.traceHeaders(), door);
  const reached =
    others === null
      ? await reach(cleared, server, encoded, new Client(cleared, record))
      : await reachEither(cleared, { server, encoded, others }, door, record);
  return answering(cleared, reached);
}

/** The client's own asking. */
class Client implements Asker {
  readonly untilByte = false;
  readonly isSecond = false;
  readonly #cleared: Instructed;
  readonly #record: ExchangeRecord;

  constructor(cleared: Instructed, record: ExchangeRecord) {
    this.#cleared = cleared;
    this.#record = record;
  }

  get ended(): Fault | null {
    return this.#cleared.incoming.reply.ended;
  }

  onGone(listener: EndListener): () => void {
    return this.#cleared.incoming.reply.onGone(listener);
  }

  queued(waited: Waited): void {
    this.#cleared.incoming.reply.addHeaders(queueHeaders(waited));
  }

  sent(): void {
    this.#cleared.charge.sent();
  }

  headed(accepted: boolean): void {
    this.#record.time.resume();
    this.#cleared.charge.headed(accepted);
  }

  retried(): void {
    this.#record.retry();
  }
}

/** The answer of a server. */
function answering(cleared: Instructed, { destination, call, head, slot }: Reached): Forwarded {
  return {
    ...cleared,
    call,
    head,
    servedAs: destination.route.name,
    idle: destination.upstream.timeouts.idle,
    release: (isWhole) => {
      call.abort();
      slot.release(isWhole);
    },
    judge: (fault) => {
      if (fault === null) slot.succeeded();
      else slot.failed(fault);
    },
    [Symbol.dispose]: () => {
      call.abort();
      slot[Symbol.dispose]();
    },
  };
}

/** An answer of Sallyport's own. */
async function begun(cleared: Instructed, call: UpstreamCall, servedAs: string, record: ExchangeRecord): Promise<Forwarded> {
  const head = await call.head;
  record.time.resume();
  cleared.charge.headed(true);
  return {
    ...cleared,
    call,
    head,
    servedAs,
    idle: Number.POSITIVE_INFINITY,
    release: () => call.abort(),
    judge: () => undefined,
    [Symbol.dispose]: () => call.abort(),
  };
}
