import type { Clock, Upstream } from '@sallyport/core';
import type { Egress } from '@sallyport/egress';
import { buildConnector, Pool } from 'undici';
import { UpstreamHealth } from './health.ts';
import { HttpCall } from './http-call.ts';
import { joinWrites } from './one-write.ts';
import { tlsOptions } from './pinning.ts';
import type { UpstreamSecrets } from './secrets.ts';
import { type OnGone, Slots } from './slots.ts';

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
/** Longest wait for a concurrency slot, milliseconds. */
const SLOT_WAIT = 30_000;

/** A connected inference server: a pool of connections, its slots, its health. Redirects are never followed (undici follows none by itself). */
export class ConnectedUpstream implements AsyncDisposable {
  readonly settings: Upstream;
  readonly secrets: UpstreamSecrets;
  readonly health: UpstreamHealth;
  readonly #pool: Pool;
  readonly #slots: Slots;
  readonly #basePath: string;
  readonly #authorization: readonly string[];
  readonly #clock: Clock;
  /** Exchanges that hold a slot or wait for one here. */
  #users = 0;
  #unused: PromiseWithResolvers<void> | null = null;

  /**
   * `predecessor` is what was connected under this name before. Where it is the same server its slots and health go on being counted:
   * a change of a credential or a timeout neither lets more calls in than the server takes nor forgets that it is down.
   */
  constructor(settings: Upstream, secrets: UpstreamSecrets, egress: Egress, clock: Clock, predecessor: ConnectedUpstream | null = null) {
    const url = new URL(settings.url);
    const same = predecessor !== null && isSameServer(settings, predecessor.settings) ? predecessor : null;
    const limit = settings.maxConcurrency ?? Number.POSITIVE_INFINITY;
    this.settings = settings;
    this.secrets = secrets;
    this.health = same?.health ?? new UpstreamHealth();
    this.#slots = same === null ? new Slots(limit, SLOT_WAIT) : same.#slots;
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

  /** Takes a concurrency slot, or waits for one. Rejects with `concurrency_exceeded`. */
  acquire(onGone: OnGone): Slot | Promise<Slot> {
    this.#users += 1;
    const waiting = this.#slots.take(onGone);
    if (waiting === null) return new Slot(() => this.#release());
    return waiting.then(
      () => new Slot(() => this.#release()),
      (error: unknown) => {
        this.#leave();
        throw error;
      },
    );
  }

  /** Makes the number of slots that of the settings. For the one in use, once it is: a predecessor may share them. */
  activate(): void {
    this.#slots.resize(this.settings.maxConcurrency ?? Number.POSITIVE_INFINITY);
  }

  /** Starts one attempt. Whether to try again is the caller's decision (`HttpCall.failure`). */
  call(request: UpstreamRequest): HttpCall {
    const call = new HttpCall(this.settings.timeouts.total);
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

  #release(): void {
    this.#slots.release();
    this.#leave();
  }

  #leave(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#unused?.resolve();
  }
}

/** A slot that is held until it is disposed. */
class Slot implements Disposable {
  #release: (() => void) | null;

  constructor(release: () => void) {
    this.#release = release;
  }

  [Symbol.dispose](): void {
    const release = this.#release;
    this.#release = null;
    release?.();
  }
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
