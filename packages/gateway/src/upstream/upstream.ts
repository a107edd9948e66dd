import type { Clock, Upstream } from '@sallyport/core';
import { buildConnector, Pool } from 'undici';
import { UpstreamHealth } from './health.ts';
import { HttpCall } from './http-call.ts';
import { joinWrites } from './one-write.ts';
import { type ResolveSecret, tlsOptions } from './pinning.ts';
import { Slots } from './slots.ts';

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
  readonly health: UpstreamHealth = new UpstreamHealth();
  readonly #pool: Pool;
  readonly #slots: Slots | null;
  readonly #basePath: string;
  readonly #authorization: readonly string[];
  readonly #clock: Clock;

  constructor(settings: Upstream, resolve: ResolveSecret, clock: Clock) {
    const url = new URL(settings.url);
    this.settings = settings;
    this.#clock = clock;
    this.#basePath = url.pathname.replace(/\/+$/, '');
    this.#slots = settings.maxConcurrency === null ? null : new Slots(settings.maxConcurrency, SLOT_WAIT);
    this.#authorization = authorization(settings, resolve);
    this.#pool = new Pool(url.origin, {
      connections: settings.connections,
      pipelining: 1,
      headersTimeout: settings.timeouts.firstByte,
      bodyTimeout: settings.timeouts.idle,
      keepAliveTimeout: KEEP_ALIVE,
      maxHeaderSize: MAX_HEADER_BYTES,
      allowH2: false,
      connect: joining(
        buildConnector({
          ...tlsOptions(settings, resolve),
          timeout: settings.timeouts.connect,
          ...(settings.socketPath === null ? {} : { socketPath: settings.socketPath }),
        }),
      ),
    });
  }

  /** Waits for a concurrency slot, or returns null where the upstream has no limit. */
  acquire(onGone: (listener: () => void) => () => void): Promise<Disposable> | null {
    return this.#slots === null ? null : this.#slots.acquire(onGone);
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
    await this.#slots?.idle();
    await this.#pool.close();
  }

  /** Cuts running calls. */
  async destroy(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** undici's own connector, whose sockets send a request in one write. */
function joining(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) =>
    connect(options, (...result) => {
      if (result[0] === null) joinWrites(result[1]);
      callback(...result);
    });
}

function authorization(settings: Upstream, resolve: ResolveSecret): readonly string[] {
  if (settings.credential === null) return [];
  const secret = resolve(settings.credential);
  if (!/^[\x21-\x7e]{1,4096}$/.test(secret)) {
    throw new TypeError(`the credential of upstream ${settings.name} holds characters that a header cannot carry`);
  }
  return settings.kind === 'anthropic' ? ['x-api-key', secret] : ['authorization', `Bearer ${secret}`];
}
