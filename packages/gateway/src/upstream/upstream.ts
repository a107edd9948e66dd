import type { BreakerMessage } from '@sallyport/access';
import { type Clock, Fault, type Upstream } from '@sallyport/core';
import type { Egress } from '@sallyport/egress';
import { buildConnector, Pool } from 'undici';
import { joinWrites } from '../http/one-write.ts';
import type { BreakerState, OnBreaker } from './breaker.ts';
import { Breakers } from './breakers.ts';
import type { DrainBudget } from './drain-budget.ts';
import type { Claim } from './fair-queue.ts';
import { UpstreamHealth } from './health.ts';
import { HttpCall } from './http-call.ts';
import { tlsOptions } from './pinning.ts';
import { RetryBudget } from './retry-budget.ts';
import type { UpstreamSecrets } from './secrets.ts';
import { Slot } from './slot.ts';
import { type OnGone, type Seat, type SlotSettings, Slots, shareOf, type Waited } from './slots.ts';

/** What is sent to an upstream: a path of our own table and headers of our own making, never a client's. */
export interface UpstreamRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** Flat list of names and values. */
  readonly headers: readonly string[];
  readonly body: Buffer | null;
}

/** Header bytes accepted from an upstream. */
const MAX_HEADER_BYTES = 64 * 1024;
/** How long an idle connection is kept, milliseconds. */
const KEEP_ALIVE = 30_000;
/** Weight of the newest of the times a token took. */
const NEWEST = 0.1;
/** Milliseconds in which the pace of a server that nobody asks is forgotten to a third. */
const PACE_MEMORY = 10_000;

/** What a request asks of a server. */
export interface Ask {
  /** The server's own name of the model. */
  readonly target: string;
  /** Tokens it is expected to take, at least 1. */
  readonly cost: number;
  /** Whose request it is (`callerName`), and of which tenant. */
  readonly caller: string;
  readonly tenant: string;
  readonly onGone: OnGone;
  readonly claim: () => Claim;
}

/** What all upstreams of a process share. */
export interface UpstreamPorts {
  readonly egress: Egress;
  readonly clock: Clock;
  readonly drain: DrainBudget;
  /** Its share of every `maxConcurrency` is this process's. */
  readonly seat: Seat;
  /** `model` is the server's own name, null where it is about the server as a whole. */
  readonly onBreaker: (upstream: string, model: string | null, ...change: Parameters<OnBreaker>) => void;
}

/** A connected inference server: a pool of connections, its slots, its health. Redirects are never followed (undici follows none by itself). */
export class ConnectedUpstream implements AsyncDisposable {
  readonly settings: Upstream;
  readonly secrets: UpstreamSecrets;
  readonly health: UpstreamHealth;
  readonly budget: RetryBudget;
  readonly #pool: Pool;
  readonly #slots: Slots;
  readonly #seat: Seat;
  /** Whether the server can be reached at all. */
  readonly #reach: Breakers;
  /** By the server's own name of a model. */
  readonly #breakers: Map<string, Breakers>;
  readonly #onBreaker: (model: string | null) => OnBreaker;
  readonly #basePath: string;
  readonly #authorization: readonly string[];
  readonly #clock: Clock;
  readonly #drain: DrainBudget;
  /** Exchanges that hold a slot or wait for one here. */
  #users = 0;
  #unused: PromiseWithResolvers<void> | null = null;
  #outstanding = 0;
  #pace = 0;
  /** Monotonic milliseconds. */
  #pacedAt = 0;

  /**
   * `predecessor` is what was connected under this name before. Where it is the same server its slots, breakers and health go on being
   * counted: a change of a credential or a timeout neither lets more calls in than the server takes nor forgets that it is down.
   */
  constructor(settings: Upstream, secrets: UpstreamSecrets, ports: UpstreamPorts, predecessor: ConnectedUpstream | null = null) {
    const { egress, clock, seat } = ports;
    const url = new URL(settings.url);
    const same = predecessor !== null && isSameServer(settings, predecessor.settings) ? predecessor : null;
    this.settings = settings;
    this.secrets = secrets;
    this.health = same?.health ?? new UpstreamHealth();
    this.budget = same?.budget ?? new RetryBudget();
    this.#slots = same === null ? new Slots(slotsOf(settings, seat)) : same.#slots;
    this.#onBreaker = (model) => (state, reason, scope) => ports.onBreaker(settings.name, model, state, reason, scope);
    this.#reach = new Breakers(settings.breaker, this.#onBreaker(null));
    this.#breakers = new Map();
    if (same !== null && sameBreaker(settings, same.settings)) {
      this.#reach = same.#reach;
      this.#breakers = same.#breakers;
    }
    this.#drain = ports.drain;
    this.#seat = seat;
    this.#clock = clock;
    this.#basePath = url.pathname.replace(/\/+$/, '');
    this.#authorization = authorization(settings, secrets);
    this.#pool = new Pool(url.origin, {
      connections: settings.connections,
      pipelining: 1,
      headersTimeout: settings.timeouts.firstByte,
      bodyTimeout: settings.timeouts.idle,
      keepAliveTimeout: KEEP_ALIVE,
      maxHeaderSize: MAX_HEADER_BYTES,
      allowH2: false,
      connect: joining(connector(settings, secrets, egress)),
    });
  }

  /**
   * Takes leave of the breakers and a concurrency slot, or waits for one.
   * Throws or rejects with `upstream_unavailable` where a breaker is open, with `concurrency_exceeded` where too many wait.
   */
  acquire(ask: Ask): Slot | Promise<Slot> {
    this.#checkBreakers(ask);
    this.#users += 1;
    this.#outstanding += ask.cost;
    const waiting = this.#slots.take(ask.onGone, ask.tenant, ask.claim);
    if (waiting === null) return this.#admit(ask, null);
    return waiting.then(
      (waited) => this.#admit(ask, waited),
      (error: unknown) => {
        this.#outstanding -= ask.cost;
        this.#leave();
        throw error;
      },
    );
  }

  /** Makes the slots those of the settings. For the one in use, once it is: a predecessor may share them. */
  activate(): void {
    this.#slots.resize(slotsOf(this.settings, this.#seat));
  }

  /** Milliseconds until a call of the model may be made for the caller; 0 where one may be now. */
  wait(target: string, caller: string): number {
    const now = this.#clock.monotonic();
    return Math.max(this.#reach.wait(now, caller), this.#breakers.get(target)?.wait(now, caller) ?? 0);
  }

  /** Whether a call of the model would be made at once. */
  isReady({ target, caller, tenant }: Pick<Ask, 'target' | 'caller' | 'tenant'>): boolean {
    return this.#slots.isFree(tenant) && this.wait(target, caller) === 0;
  }

  /** Tokens of the calls that run or wait here. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Milliseconds a token of a call has taken of late; 0 where nothing is known. Fades, so that a server that was slow is tried again. */
  get pace(): number {
    return this.#pace * Math.exp((this.#pacedAt - this.#clock.monotonic()) / PACE_MEMORY);
  }

  /** The state of its breakers: the first is the server's own, the rest those of models that are not closed. */
  breakers(): { readonly model: string | null; readonly state: BreakerState }[] {
    const models = [...this.#breakers].map(([model, { state }]) => ({ model, state }));
    return [{ model: null, state: this.#reach.state }, ...models.filter(({ state }) => state !== 'closed')];
  }

  /** A probe was answered: a breaker that is open on the server may be tried at once. */
  answered(): void {
    const now = this.#clock.monotonic();
    this.#reach.hint(now);
    for (const breaker of this.#breakers.values()) breaker.hint(now);
  }

  /** Milliseconds for which its breaker, or that of a model, keeps everybody from it. */
  rests(model: string | null): number {
    return (model === null ? this.#reach : this.#breakers.get(model))?.wait(this.#clock.monotonic(), '') ?? 0;
  }

  /** What another replica has found of it, or of its `model`. */
  told({ model, news, milliseconds, reason }: Pick<BreakerMessage, 'model' | 'news' | 'milliseconds' | 'reason'>): void {
    const breaker = model === null ? this.#reach : this.#breakerOf(model);
    const now = this.#clock.monotonic();
    if (news === 'open') breaker.warn();
    else if (news === 'busy') breaker.rest(now, milliseconds, reason);
    else breaker.hint(now);
  }

  /** Frees the slot when the server has sent everything, and cuts a client that keeps it waiting for long while others wait. */
  watch(call: HttpCall, slot: Slot): void {
    if (this.settings.maxConcurrency === null) return;
    let timer: NodeJS.Timeout | undefined;
    const look = (): void => {
      if (this.#slots.waiting > 0) call.abort(tooSlow());
      else timer = setTimeout(look, this.settings.queue.slowClient);
    };
    call.onBehind = (isBehind) => {
      clearTimeout(timer);
      if (isBehind) timer = setTimeout(look, this.settings.queue.slowClient);
    };
    call.onSent = () => slot.release(true);
  }

  /** Starts one attempt. Whether to try again is the caller's decision (`HttpCall.failure`). */
  call(request: UpstreamRequest): HttpCall {
    const call = new HttpCall(this.settings.timeouts.total, this.settings.maxConcurrency === null ? null : this.#drain);
    call.onFailure = (failure) => {
      if (failure.unhealthy) this.health.failed(failure.fault.detail ?? failure.fault.code, this.#clock.now());
    };
    call.head.then(
      (head) =>
        head.status >= 500 ? this.health.failed(`status ${head.status}`, this.#clock.now()) : this.health.succeeded(this.#clock.now()),
      () => undefined, // already counted by onFailure
    );
    this.#pool.dispatch(
      {
        method: request.method,
        path: this.#basePath + request.path,
        headers: [...request.headers, ...this.#authorization],
        body: request.body,
        idempotent: false,
      },
      call,
    );
    return call;
  }

  /** Lets running calls, and those that wait for a slot, finish, then closes the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#users > 0) {
      this.#unused ??= Promise.withResolvers();
      await this.#unused.promise;
    }
    await this.#pool.close();
  }

  /** Cuts running calls. */
  async destroy(): Promise<void> {
    await this.#pool.destroy();
  }

  #checkBreakers({ target, caller }: Ask): void {
    const wait = this.wait(target, caller);
    if (wait > 0) throw this.#cutOff(wait, target);
  }

  #admit(ask: Ask, waited: Waited | null): Slot {
    const since = this.#clock.monotonic();
    const breaker = this.#breakerOf(ask.target);
    const leave = (held: number | null): void => {
      this.#outstanding -= ask.cost;
      this.#slots.release(held, ask.tenant);
      this.#leave();
    };
    const release = (isWhole: boolean): void => {
      const held = this.#clock.monotonic() - since;
      const pace = held / ask.cost;
      // What was broken off would have taken longer: that makes a server no faster, and whoever leaves early cannot draw others to it.
      if (isWhole || pace > this.#pace) {
        this.#pace = this.#pace === 0 ? pace : this.#pace + NEWEST * (pace - this.#pace);
        this.#pacedAt = since + held;
      }
      leave(held);
    };
    const reach = this.#reach.admit(since, ask.caller);
    const model = reach === null ? null : breaker.admit(since, ask.caller);
    if (reach !== null && model !== null) {
      return new Slot({ release, reach: [this.#reach, reach], model: [breaker, model], clock: this.#clock, waited });
    }
    if (reach !== null) this.#reach.abandon(reach);
    leave(null);
    throw this.#cutOff(Math.max(1, this.wait(ask.target, ask.caller)), ask.target);
  }

  #breakerOf(target: string): Breakers {
    let breaker = this.#breakers.get(target);
    if (breaker === undefined) {
      breaker = new Breakers(this.settings.breaker, this.#onBreaker(target));
      // Names come from the configuration, but for those of model management, which anybody who may manage can make up.
      if (this.#breakers.size < MAX_BREAKERS) this.#breakers.set(target, breaker);
    }
    return breaker;
  }

  #cutOff(wait: number, target: string): Fault {
    const isOpen = this.#reach.state !== 'closed' || (this.#breakers.get(target)?.state ?? 'closed') !== 'closed';
    return new Fault('upstream_unavailable', 'The model is not available at the moment. Try again later.', {
      retryAfter: Math.max(1, Math.ceil(wait / 1000)),
      detail: isOpen ? 'breaker open' : 'breaker open for the caller',
    });
  }

  #leave(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#unused?.resolve();
  }
}

/** Models of one server whose breakers are kept. */
const MAX_BREAKERS = 1_000;

function tooSlow(): Fault {
  return new Fault('client_closed_request', 'The reply was not read fast enough while others waited for the model.', {
    detail: 'slow reader',
  });
}

function slotsOf({ maxConcurrency, queue }: Upstream, seat: Seat): SlotSettings {
  return { limit: maxConcurrency === null ? Number.POSITIVE_INFINITY : shareOf(maxConcurrency, seat), ...queue };
}

function sameBreaker(a: Upstream, b: Upstream): boolean {
  return a.breaker.failures === b.breaker.failures && a.breaker.open === b.breaker.open && a.breaker.maxOpen === b.breaker.maxOpen;
}

function isSameServer(a: Upstream, b: Upstream): boolean {
  return a.kind === b.kind && a.url === b.url && a.socketPath === b.socketPath;
}

/** A Unix socket is a file the configuration names; everything else goes the way out. */
function connector(settings: Upstream, secrets: UpstreamSecrets, egress: Egress): buildConnector.connector {
  const { socketPath, timeouts } = settings;
  const tls = tlsOptions(settings, secrets);
  if (socketPath === null) return egress.connector(tls, timeouts.connect);
  return buildConnector({ ...tls, timeout: timeouts.connect, socketPath });
}

/** A connector whose sockets send a request in one write. */
function joining(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) =>
    connect(options, (...result) => {
      if (result[0] === null) joinWrites(result[1]);
      callback(...result);
    });
}

function authorization({ kind }: Upstream, { credential }: UpstreamSecrets): readonly string[] {
  if (credential === null) return [];
  return kind === 'anthropic' ? ['x-api-key', credential] : ['authorization', `Bearer ${credential}`];
}
