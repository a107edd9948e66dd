import type { Hedge } from '@sallyport/access';
import { Fault } from '@sallyport/core';
import type { Door } from '../door.ts';
import type { EndListener, Reply } from '../http/reply.ts';
import type { ExchangeRecord } from '../record.ts';
import { anotherMayHelp } from '../upstream/failure.ts';
import type { Waited } from '../upstream/slots.ts';
import type { ConnectedUpstream } from '../upstream/upstream.ts';
import { type Encoded, encode } from './encode.ts';
import type { Destination, Instructed } from './facts.ts';
import { type Asker, callerName, queueHeaders, type Reached, reach } from './reach.ts';
import { unlessGone } from './unless-gone.ts';

/** What may be asked beside the first replica of a model, and when. */
export interface Others {
  readonly replicas: readonly Destination[];
  /** Milliseconds. */
  readonly after: number;
  /** Under what the time to the first byte is learned; null where it is given. */
  readonly learns: string | null;
  /** Told which was asked. */
  readonly asked: (replica: Destination) => void;
}

interface Server {
  readonly destination: Destination;
  readonly connected: ConnectedUpstream;
  readonly cost: number;
}

/**
 * The replicas that may be asked beside `first`, or null where it is to be asked alone: hedging is off, nothing else serves the model, what is
 * asked is not safe to ask twice, or it is not known yet what is late. What a server would store, or what it would do elsewhere (remote
 * tools), is not safe; `/v1/responses` stores unless it is told not to.
 */
export function othersOf(
  { endpoint, request }: Instructed,
  first: Destination,
  destinations: readonly Destination[],
  door: Door,
  asked: Others['asked'],
): Others | null {
  const { hedgeAfter, name } = first.route;
  if (hedgeAfter === undefined || request === null || !REPEATABLE.has(endpoint.action) || endpoint.id === 'openai.responses') return null;
  if (request.restricted.length > 0 || request.references.some(({ kind }) => kind === 'server')) return null;
  const replicas = destinations.filter(({ route, upstream }) => route === first.route && upstream.name !== first.upstream.name);
  if (replicas.length === 0) return null;
  // A stream begins with its first word, any other answer when it is whole.
  const learns = hedgeAfter === 'p95' ? `${name}\n${endpoint.id}\n${request.stream}` : null;
  return { replicas, learns, asked, after: learns === null ? Number(hedgeAfter) : door.firstBytes.p95(learns) };
}

const REPEATABLE: ReadonlySet<string> = new Set(['model.infer', 'model.embed', 'model.rerank']);

/**
 * Asks a server, and a second one where the first is late. Whose first byte comes first is heard, the other is ended at once. What the
 * second says but an answer counts for nothing: only the first can refuse. Rejects with the fault of the first where neither answers.
 */
export async function reachEither(
  cleared: Instructed,
  { server, encoded, others }: { readonly server: Server; readonly encoded: Encoded; readonly others: Others },
  door: Door,
  record: ExchangeRecord,
): Promise<Reached> {
  const first = new FirstBranch(cleared, record, door);
  first.run(reach(cleared, server, encoded, first));
  await within(first.end, others.after);
  let second: Awaited<ReturnType<typeof askSecond>> = null;
  try {
    if (!first.isOver) second = await askSecond(cleared, server.cost, others, first, door, record);
  } catch (error) {
    first.dismiss();
    throw error;
  }
  if (second === null) await first.end;
  else {
    await Promise.race([first.end, second.branch.end]);
    if (!first.decides && second.branch.reached === null) await Promise.all([first.end, second.branch.end]);
  }
  const winner = second !== null && !first.decides && second.branch.reached !== null ? second.branch : first;
  if (others.learns !== null) {
    for (const waited of [first.waited, second?.branch.waited ?? null]) {
      if (waited !== null) door.firstBytes.observe(others.learns, waited);
    }
  }
  if (second !== null) {
    const { branch, hedge, destination } = second;
    if (winner === branch) hedge.won(first.mayHaveWorked);
    else hedge.lost(branch.mayHaveWorked);
    (winner === branch ? first : branch).dismiss();
    record.hedgeEnded(winner === branch ? 'second' : winner.reached === null ? 'none' : 'first', destination);
  }
  if (winner.reached === null) throw winner.error;
  record.time.resume();
  cleared.charge.headed(true);
  return winner.reached;
}

/** Null where no other can be asked now: none is free, a limit has no room for the input once more, or the retry budget is used up. */
async function askSecond(
  cleared: Instructed,
  cost: number,
  { replicas, asked }: Others,
  first: Branch,
  door: Door,
  record: ExchangeRecord,
): Promise<{ readonly branch: Branch; readonly hedge: Hedge; readonly destination: Destination } | null> {
  const freeAt = ({ route, upstream }: Destination): ConnectedUpstream | null => {
    const connected = door.upstreams.get(upstream.name);
    return connected?.isReady({ target: route.target, caller: callerName(cleared), tenant: cleared.principal.tenant }) === true
      ? connected
      : null;
  };
  const destination = replicas.find((one) => freeAt(one) !== null);
  if (destination === undefined) return null;
  let hedge: Hedge | null = null;
  let isAsked = false;
  try {
    const encoded = encode(cleared, destination, record.traceHeaders(), door);
    const asking = cleared.charge.hedge(destination);
    hedge = asking instanceof Promise ? await unlessGone(cleared.incoming.reply, asking, (late) => late?.lost(false)) : asking;
    if (hedge === null) return null;
    // Counters may have taken a while.
    const connected = freeAt(destination);
    if (connected !== null && !first.isOver && connected.budget.take()) {
      isAsked = true;
      asked(destination);
      record.hedged();
      const branch = new Branch(cleared, door);
      branch.run(reach(cleared, { destination, connected, cost }, encoded, branch));
      return { branch, hedge, destination };
    }
  } catch (error) {
    // Counters that are away, a replica that has no words for the request, a client that left: the first is heard all the same.
    if (!(error instanceof Fault)) throw error;
  } finally {
    if (!isAsked) hedge?.lost(false);
  }
  return null;
}

/** One of two askings of the same. */
class Branch implements Asker {
  readonly untilByte = true;
  readonly isSecond: boolean = true;
  /** Never rejects. */
  end: Promise<void> = Promise.resolve();
  reached: Reached | null = null;
  error: unknown = null;
  isOver = false;
  /** What happens to it no longer concerns the exchange. */
  protected isDismissed = false;
  readonly #reply: Reply;
  readonly #clock: Door['clock'];
  readonly #forget: () => void;
  readonly #listeners = new Set<EndListener>();
  #ended: Fault | null = null;
  #wasHeaded = false;
  /** Monotonic milliseconds; 0 while it waits for a slot. */
  #sentAt = 0;
  #waited: number | null = null;

  constructor({ incoming: { reply } }: Instructed, { clock }: Door) {
    this.#reply = reply;
    this.#clock = clock;
    this.#forget = reply.onGone((why) => this.#stop(why));
  }

  get ended(): Fault | null {
    return this.#ended ?? this.#reply.ended;
  }

  /** Whether there is nothing to hope for from another: it answers, or says what any other would. */
  get decides(): boolean {
    return this.isOver && (this.reached !== null || !(this.error instanceof Fault) || !anotherMayHelp(this.error));
  }

  /** Milliseconds from its sending to its first byte, or so far; null where there is no saying. */
  get waited(): number | null {
    if (this.isOver || this.#sentAt === 0) return this.#waited;
    return this.#clock.monotonic() - this.#sentAt;
  }

  /** Whether its server may have read the request. */
  get mayHaveWorked(): boolean {
    if (this.#sentAt === 0 || !this.isOver || this.#wasHeaded || !(this.error instanceof Fault)) return this.#sentAt !== 0;
    return this.error.code === 'upstream_timeout' || this.error.code === 'client_closed_request';
  }

  run(reaching: Promise<Reached>): void {
    this.end = reaching.then(
      (reached) => {
        this.reached = reached;
        this.isOver = true;
        this.#waited = this.#clock.monotonic() - this.#sentAt;
      },
      (error: unknown) => {
        this.error = error;
        this.isOver = true;
      },
    );
  }

  /** Nobody waits for it any more: its call is ended and its slot free at once, or as soon as it has one. */
  dismiss(): void {
    this.isDismissed = true;
    this.#forget();
    this.#stop(new Fault('client_closed_request', 'Another server has answered.', { detail: 'hedge' }));
    void this.end.then(() => {
      this.reached?.call.abort();
      this.reached?.slot[Symbol.dispose]();
    });
  }

  onGone(listener: EndListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  queued(_waited: Waited): void {}

  sent(): void {
    this.#sentAt = this.#clock.monotonic();
  }

  headed(_accepted: boolean): void {
    this.#wasHeaded = true;
  }

  retried(): void {}

  #stop(why: Fault): void {
    if (this.#ended !== null) return;
    this.#ended = why;
    for (const listener of this.#listeners) listener(why);
  }
}

/** The one that would have been asked anyway: what is charged and told of the exchange is told of it, until the second has won. */
class FirstBranch extends Branch {
  override readonly isSecond = false;
  readonly #cleared: Instructed;
  readonly #record: ExchangeRecord;

  constructor(cleared: Instructed, record: ExchangeRecord, door: Door) {
    super(cleared, door);
    this.#cleared = cleared;
    this.#record = record;
  }

  override queued(waited: Waited): void {
    if (!this.isDismissed) this.#cleared.incoming.reply.addHeaders(queueHeaders(waited));
  }

  override sent(): void {
    super.sent();
    if (!this.isDismissed) this.#cleared.charge.sent();
  }

  override headed(accepted: boolean): void {
    super.headed(accepted);
    if (!this.isDismissed) this.#cleared.charge.headed(accepted);
  }

  override retried(): void {
    this.#record.retry();
  }
}

/** Resolves when `end` does, or after so many milliseconds. */
async function within(end: Promise<void>, milliseconds: number): Promise<void> {
  if (milliseconds === Number.POSITIVE_INFINITY) return await end;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  await Promise.race([end, promise]);
  clearTimeout(timer);
}
