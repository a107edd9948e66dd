import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer, Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { AddressList } from '@sallyport/access';
import { type Clock, Fault, type Logger, type Principal, type Random, type Source } from '@sallyport/core';
import type { Store } from '@sallyport/store';
import type { Actor, RecordEntry } from '../service/ports.ts';
import type { ControlService } from '../service/service.ts';
import { type Authenticate, bearerToken } from './authenticate.ts';
import { hasBody, isSmall, readBody } from './body.ts';
import { checkOrigin, isLoopbackHost, loopbackOrigins, securityHeaders } from './browser.ts';
import { failedAuthentication, sourceOf } from './caller.ts';
import { FailureBudget } from './failure-budget.ts';
import { PROBLEM_TYPE, problemOf } from './problem.ts';
import type { Plane, RenderMetrics, Route, SnapshotStatus } from './route.ts';
import { MethodFault, Router } from './router.ts';
import { adminRoutes } from './routes.ts';
import type { RiskBoard } from './routes-risk.ts';

export interface AdminServerOptions {
  readonly service: ControlService;
  readonly store: Store;
  readonly authenticate: Authenticate;
  /** Null as long as there is no snapshot. Default: this process runs no gateway, and is ready without. */
  readonly snapshotStatus?: () => SnapshotStatus | null;
  /** Default: this process runs no gateway. */
  readonly risk?: RiskBoard;
  readonly metrics: RenderMetrics;
  /** Lets programs of this machine read `/metrics` without a key where the listener is on loopback; elsewhere it has no effect. */
  readonly metricsPublic?: boolean;
  readonly record: RecordEntry;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly version: string;
  /** Origins of the console, besides the listener's own on loopback: `https://sallyport.example.org`. */
  readonly origins?: readonly string[];
  /** CIDR blocks of proxies whose `x-forwarded-for` is believed. */
  readonly trustedProxies?: readonly string[];
  readonly tls?: SecureContextOptions & { readonly minVersion: 'TLSv1.2' | 'TLSv1.3' };
  /** Failed authentications an address has a minute. */
  readonly failuresPerMinute?: number;
}

export interface AdminServer {
  readonly server: Server;
  listen(host: string, port: number): Promise<AddressInfo>;
  /** Takes new certificates for connections from now on. Throws where the listener has no TLS. */
  reloadTls(context: SecureContextOptions): void;
  /** Lets requests finish for `drain` milliseconds, then ends what is left. */
  close(drain?: number): Promise<void>;
}

const FAILURES_PER_MINUTE = 20;
const DRAIN = 5_000;

/** Times in milliseconds, sizes in bytes: an admin request is small and a client that is slow with it is not one of ours. */
const LIMITS: ServerOptions = {
  maxHeaderSize: 16_384,
  headersTimeout: 10_000,
  requestTimeout: 20_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 2_000,
  insecureHTTPParser: false,
  requireHostHeader: true,
};
const MAX_CONNECTIONS = 256;
const MAX_HEADERS = 64;
const MAX_REQUESTS_PER_SOCKET = 1_000;

export function createAdminServer(options: AdminServerOptions): AdminServer {
  return new NodeAdminServer(options);
}

class NodeAdminServer implements AdminServer {
  readonly server: Server;
  readonly #options: AdminServerOptions;
  readonly #plane: Plane;
  readonly #router: Router;
  readonly #budget: FailureBudget;
  readonly #proxies: AddressList;
  readonly #headers: Readonly<Record<string, string>>;
  /** The answer that a socket waits for. */
  readonly #pending = new WeakMap<Socket, ServerResponse>();
  #origins: ReadonlySet<string>;

  constructor(options: AdminServerOptions) {
    this.#options = options;
    const { service, store, snapshotStatus, metrics, clock, version } = options;
    const risk = options.risk ?? null;
    this.#plane = {
      service,
      store,
      snapshotStatus: snapshotStatus ?? null,
      metrics,
      risk: () => risk,
      product: { version, startedAt: clock.now() },
      now: () => clock.now(),
    };
    this.#router = new Router(adminRoutes(version));
    this.#budget = new FailureBudget(options.failuresPerMinute ?? FAILURES_PER_MINUTE);
    this.#proxies = new AddressList(options.trustedProxies ?? []);
    this.#headers = securityHeaders(options.tls !== undefined);
    this.#origins = new Set(options.origins ?? []);
    const listener = (request: IncomingMessage, response: ServerResponse): void => void this.#serve(request, response);
    this.server =
      options.tls === undefined ? createHttpServer(LIMITS, listener) : createHttpsServer({ ...LIMITS, ...options.tls }, listener);
    this.server.maxConnections = MAX_CONNECTIONS;
    this.server.maxHeadersCount = MAX_HEADERS;
    this.server.maxRequestsPerSocket = MAX_REQUESTS_PER_SOCKET;
    this.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
      this.#refuse(request, response, this.#newId(), new Fault('expectation_failed', 'The only expectation that is met is 100-continue.'));
    });
    this.server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => this.#refuseSocket(error, socket));
  }

  async listen(host: string, port: number): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('The admin listener has no TCP address');
    const scheme = this.#options.tls === undefined ? 'http' : 'https';
    this.#origins = new Set([...(this.#options.origins ?? []), ...loopbackOrigins(scheme, address.address, address.port)]);
    return address;
  }

  reloadTls(context: SecureContextOptions): void {
    if (!(this.server instanceof HttpsServer)) throw new Error('The admin listener has no TLS');
    this.server.setSecureContext(context);
  }

  async close(drain: number = DRAIN): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeIdleConnections();
    const timer = setTimeout(() => this.server.closeAllConnections(), drain);
    await closed;
    clearTimeout(timer);
  }

  /** The straight line of an admin request: match, judge the browser, identify, authorise, read, do, answer. */
  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = this.#newId();
    const started = this.#options.clock.monotonic();
    const { socket } = request;
    this.#pending.set(socket, response);
    response.once('close', () => this.#pending.delete(socket));
    let route: Route | null = null;
    let principal: Principal | null = null;
    try {
      const match = this.#router.match(request.method ?? '', request.url ?? '');
      route = match.route;
      checkOrigin(request.headers, this.#origins);
      const actor = await this.#actor(request, route, id);
      principal = actor?.principal ?? null;
      const body = await takeBody(request, route);
      const answer = await route.run(
        { plane: this.#plane, params: match.params, query: match.query, accept: request.headers.accept, body },
        actor,
      );
      this.#send(response, id, answer.status, answer.contentType ?? route.contentType, answer.body);
    } catch (error) {
      this.#refuse(request, response, id, this.#faultOf(error, id));
    }
    this.#options.logger.info('admin.request', {
      id,
      route: route?.id ?? null,
      status: response.statusCode,
      principal: principal?.id ?? null,
      milliseconds: Math.round(this.#options.clock.monotonic() - started),
    });
  }

  /** Null only for what anybody may see. */
  async #actor(request: IncomingMessage, route: Route, id: string): Promise<Actor | null> {
    if (route.action === null || (route.mayBeOpen === true && this.#metricsOpen(request))) return null;
    const source = sourceOf(request, this.#proxies);
    const principal = await this.#identify(request, source, id);
    const actor: Actor = { principal, source, request: id };
    await this.#options.service.authorise(actor, route.action, {
      kind: RESOURCE_OF[route.action.split('.')[0] ?? ''] ?? 'config',
      name: '*',
    });
    return actor;
  }

  async #identify(request: IncomingMessage, source: Source, id: string): Promise<Principal> {
    const { clock, authenticate, record, logger } = this.#options;
    const wait = this.#budget.waitFor(source.ip, clock.monotonic());
    if (wait > 0) throw new Fault('rate_limit_exceeded', 'Too many failed authentications from this address.', { retryAfter: wait });
    try {
      return await authenticate(bearerToken(request.rawHeaders), source);
    } catch (error) {
      if (error instanceof Fault && error.code === 'invalid_api_key') {
        this.#budget.fail(source.ip, clock.monotonic());
        await record(failedAuthentication(id, source, error)).catch((failure: unknown) => {
          // Refused is refused, recorded or not.
          logger.error('admin.record_failed', { id, reason: failure instanceof Error ? failure.name : typeof failure });
        });
      }
      throw error;
    }
  }

  /**
   * A page in a browser of this machine reaches loopback too, under a name that was pointed at it (DNS rebinding): the browser then says
   * that name in `Host`, so any but loopback's own takes a key.
   */
  #metricsOpen(request: IncomingMessage): boolean {
    const local = request.socket.localAddress ?? '';
    const reached = local === '::1' || local === '::ffff:127.0.0.1' || local.startsWith('127.');
    return this.#options.metricsPublic === true && reached && isLoopbackHost(request.headers.host);
  }

  #faultOf(error: unknown, id: string): Fault {
    if (error instanceof Fault) {
      if (error.status >= 500) this.#options.logger.warn('admin.fault', { id, code: error.code, detail: error.detail });
      return error;
    }
    // Not the message: it may quote what the client sent. The frames say where.
    const frames = error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)) : [];
    this.#options.logger.error('admin.defect', {
      id,
      error: error instanceof Error ? error.name : typeof error,
      frames: frames.slice(0, 8),
    });
    return new Fault('internal_error', 'Something went wrong here. The request id helps to find out what.');
  }

  #refuse(request: IncomingMessage, response: ServerResponse, id: string, fault: Fault): void {
    if (response.headersSent || response.destroyed) {
      // Nobody is there to read it; the status is for the log.
      if (!response.headersSent) response.statusCode = fault.status;
      response.destroy();
      return;
    }
    if (fault.code === 'invalid_api_key') response.setHeader('www-authenticate', 'Bearer realm="sallyport"');
    if (fault.retryAfter !== null) response.setHeader('retry-after', fault.retryAfter);
    if (fault instanceof MethodFault) response.setHeader('allow', fault.allow);
    // node:http reads and drops what is left of the body. Where that may be more than a little, the connection ends with the answer.
    if (!request.complete && !isSmall(request)) response.setHeader('connection', 'close');
    this.#send(response, id, fault.status, PROBLEM_TYPE, problemOf(fault, id));
  }

  #send(response: ServerResponse, id: string, status: number, contentType: string, body: unknown): void {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    response.writeHead(status, {
      ...this.#headers,
      'content-type': contentType,
      'content-length': Buffer.byteLength(text),
      'x-request-id': id,
    });
    response.end(text);
  }

  /** For what is no HTTP request, or one that is too large or too slow. */
  #refuseSocket(error: NodeJS.ErrnoException, socket: Socket): void {
    const pending = this.#pending.get(socket);
    const fault = new Fault(SOCKET_FAULTS[error.code ?? ''] ?? 'invalid_request', 'The request could not be read.');
    const id = this.#newId();
    if (pending !== undefined && !pending.req.complete && !pending.headersSent) {
      // Whoever reads the body waits for a request that node:http has given up on.
      pending.once('close', () => pending.req.destroy());
      this.#refuse(pending.req, pending, id, fault);
      return;
    }
    // Garbage behind a request that is being answered: nothing may get in front of that answer or into it.
    if (pending !== undefined || !socket.writable || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const body = JSON.stringify(problemOf(fault, id));
    const head = Object.entries({
      ...this.#headers,
      'content-type': PROBLEM_TYPE,
      'content-length': String(Buffer.byteLength(body)),
      'x-request-id': id,
      connection: 'close',
    });
    socket.end(
      `HTTP/1.1 ${fault.status} ${problemOf(fault, id).title}\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
    );
  }

  #newId(): string {
    return Buffer.from(this.#options.random.bytes(16)).toString('hex');
  }
}

const SOCKET_FAULTS: Readonly<Record<string, 'headers_too_large' | 'request_timeout'>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** What an action is about, by its first word. */
const RESOURCE_OF: Readonly<Record<string, 'key' | 'user' | 'role' | 'policy' | 'config' | 'metrics'>> = {
  key: 'key',
  user: 'user',
  role: 'role',
  policy: 'policy',
  config: 'config',
  metrics: 'metrics',
};

async function takeBody(request: IncomingMessage, route: Route): Promise<unknown> {
  if (route.schemas.body !== null) return readBody(request);
  if (hasBody(request)) throw new Fault('invalid_request', 'This route takes no body.');
  return null;
}
