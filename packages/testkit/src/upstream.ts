import {
  createServer as createHttpServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { IssuedCertificate } from './certificates.ts';

/** What a scripted upstream does with one request. It may use the well-formed `response` or write to the bare `socket`. */
export type Behaviour = (exchange: UpstreamExchange) => void | Promise<void>;

/** A request as the upstream saw it. Times are `performance.now()` milliseconds. */
export interface RecordedRequest {
  readonly method: string;
  /** The request target exactly as received. */
  readonly target: string;
  /** Names and values alternating, in order, as received. */
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingHttpHeaders;
  readonly connection: RecordedConnection;
  readonly arrivedAt: number;
  /** Settles with the whole body; rejects where the client left before it was complete. */
  readonly body: Promise<Buffer>;
  /** What of the body has come so far. */
  readonly bodySoFar: Buffer;
  /** When the client closed before the reply was complete; null while it has not. */
  readonly leftAt: number | null;
  /** Settles with `leftAt`; stays pending where the client got its whole reply. */
  readonly left: Promise<number>;
}

export interface RecordedConnection {
  readonly id: number;
  /** Every byte the client sent (after TLS). */
  readonly received: Buffer;
  readonly openedAt: number;
  readonly closedAt: number | null;
  readonly closed: Promise<number>;
  /** What the client proved of itself under TLS: the certificate's SHA-256 fingerprint in lower-case hex, or null. */
  readonly clientFingerprint: string | null;
  /** The name the client asked for (SNI), or null. */
  readonly serverName: string | null;
}

export interface UpstreamExchange {
  readonly request: RecordedRequest;
  readonly response: ServerResponse;
  readonly socket: Socket;
  /** Aborts when the client leaves or the upstream closes: every wait of a behaviour hangs on it. */
  readonly signal: AbortSignal;
}

export interface UpstreamOptions {
  readonly behaviour?: Behaviour;
  readonly tls?: {
    readonly certificate: IssuedCertificate;
    /** PEM of the authority whose client certificates are demanded. */
    readonly clientAuthority?: string;
  };
  /** Listen on this Unix socket instead of a TCP port of 127.0.0.1. */
  readonly socketPath?: string;
}

/**
 * A scripted inference server on node:http, which parses what it is sent; what it answers is up to the script, malformed bytes
 * included. Records every request and connection. `close` fails with whatever a script threw.
 */
export class ScriptedUpstream implements AsyncDisposable {
  /** What is done with every request that `once` has nothing for. */
  behaviour: Behaviour;
  readonly requests: Request[] = [];
  readonly connections: Connection[] = [];
  readonly url: string;
  readonly port: number;
  readonly socketPath: string | null;
  readonly #server: Server | HttpsServer;
  readonly #queue: Behaviour[] = [];
  readonly #waiting: ((request: RecordedRequest) => void)[] = [];
  readonly #bySocket = new WeakMap<Socket, Connection>();
  readonly #closing = new AbortController();
  readonly #failures: unknown[] = [];
  #taken = 0;

  private constructor(server: Server | HttpsServer, options: UpstreamOptions) {
    this.#server = server;
    this.behaviour = options.behaviour ?? (({ response }) => void response.writeHead(404).end());
    const address = server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
    this.socketPath = options.socketPath ?? null;
    this.url = `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1${this.port === 0 ? '' : `:${this.port}`}`;
    server.on(options.tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => this.#connected(socket));
    server.on('request', (request, response) => this.#received(request, response));
    // A script may well provoke this; the connection ends and is recorded as such.
    server.on('clientError', (_error, socket) => socket.destroy());
    server.on('tlsClientError', (_error: Error, socket: TLSSocket) => socket.destroy());
  }

  static async start(options: UpstreamOptions = {}): Promise<ScriptedUpstream> {
    const http = { keepAliveTimeout: 60_000, requestTimeout: 0, headersTimeout: 0, maxHeaderSize: 1_048_576 };
    const server = options.tls === undefined ? createHttpServer(http) : createHttpsServer({ ...http, ...tlsOptions(options.tls) });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    if (options.socketPath === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(options.socketPath, resolve);
    await promise;
    return new ScriptedUpstream(server, options);
  }

  /** Queues a behaviour for the next request; several are used in order. */
  once(...behaviours: readonly Behaviour[]): void {
    this.#queue.push(...behaviours);
  }

  /** The next request nobody has taken yet, waiting for it where need be. */
  next(): Promise<RecordedRequest> {
    const request = this.requests[this.#taken++];
    if (request !== undefined) return Promise.resolve(request);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  get openConnections(): number {
    return this.connections.filter((connection) => connection.closedAt === null).length;
  }

  /** New connections are shown another certificate; existing ones go on. Throws `TypeError` for an upstream without TLS. */
  useCertificate(certificate: IssuedCertificate): void {
    if (!('setSecureContext' in this.#server)) throw new TypeError('this upstream does not speak TLS');
    this.#server.setSecureContext({ cert: certificate.cert, key: certificate.key });
  }

  /** Ends every connection and the listener. Throws an `AggregateError` of what scripts threw. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#server.closeAllConnections();
    for (const connection of this.connections) connection.socket.destroy();
    if (this.#server.listening) await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    if (this.#failures.length > 0) throw new AggregateError(this.#failures, 'a scripted behaviour failed');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #connected(socket: Socket): void {
    socket.setNoDelay(true);
    const connection = new Connection(this.connections.length, socket);
    this.connections.push(connection);
    this.#bySocket.set(socket, connection);
  }

  #received(message: IncomingMessage, response: ServerResponse): void {
    const connection = this.#bySocket.get(message.socket);
    if (connection === undefined) throw new Error('a request came over an unknown connection');
    const request = new Request(message, response, connection);
    const waiting = this.#waiting.shift();
    this.requests.push(request);
    if (waiting !== undefined) waiting(request);
    const signal = AbortSignal.any([request.leaving, this.#closing.signal]);
    const behaviour = this.#queue.shift() ?? this.behaviour;
    Promise.resolve()
      .then(() => behaviour({ request, response, socket: message.socket, signal }))
      .catch((error: unknown) => {
        // A wait that ended because the client left is no failure of the script.
        if (signal.aborted) return;
        this.#failures.push(error);
        message.socket.destroy();
      });
  }
}

class Connection implements RecordedConnection {
  readonly id: number;
  readonly socket: Socket;
  readonly openedAt: number = performance.now();
  readonly closed: Promise<number>;
  readonly clientFingerprint: string | null;
  readonly serverName: string | null;
  readonly #received: Buffer[] = [];
  closedAt: number | null = null;

  constructor(id: number, socket: Socket) {
    this.id = id;
    this.socket = socket;
    const tls = socket instanceof TLSSocket ? socket : null;
    const fingerprint = tls?.getPeerCertificate().fingerprint256;
    this.clientFingerprint = fingerprint === undefined ? null : fingerprint.replaceAll(':', '').toLowerCase();
    this.serverName = tls === null || typeof tls.servername !== 'string' ? null : tls.servername;
    socket.on('data', (chunk: Buffer) => this.#received.push(chunk));
    socket.on('error', () => {}); // a reset; 'close' follows and is recorded
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.closedAt = performance.now();
        resolve(this.closedAt);
      });
    });
  }

  get received(): Buffer {
    return Buffer.concat(this.#received);
  }
}

class Request implements RecordedRequest {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingHttpHeaders;
  readonly connection: RecordedConnection;
  readonly arrivedAt: number = performance.now();
  readonly body: Promise<Buffer>;
  readonly left: Promise<number>;
  leftAt: number | null = null;
  readonly #chunks: Buffer[] = [];
  readonly #leaving = new AbortController();

  constructor(message: IncomingMessage, response: ServerResponse, connection: Connection) {
    this.method = message.method ?? '';
    this.target = message.url ?? '';
    this.rawHeaders = message.rawHeaders;
    this.headers = message.headers;
    this.connection = connection;
    message.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    const body = Promise.withResolvers<Buffer>();
    message.on('end', () => body.resolve(this.bodySoFar));
    message.on('error', body.reject);
    connection.closed.then(() => body.reject(new Error('the client left before its body was complete')));
    body.promise.catch(() => {}); // whoever awaits `body` is told; whoever does not need not know
    this.body = body.promise;
    const left = Promise.withResolvers<number>();
    this.left = left.promise;
    connection.closed.then((at) => {
      if (response.writableFinished) return;
      this.leftAt = at;
      this.#leaving.abort();
      left.resolve(at);
    });
  }

  get bodySoFar(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }
}

function tlsOptions(tls: NonNullable<UpstreamOptions['tls']>): {
  cert: string;
  key: string;
  ca?: string;
  requestCert: boolean;
  rejectUnauthorized: boolean;
} {
  const demand = tls.clientAuthority !== undefined;
  return {
    cert: tls.certificate.cert,
    key: tls.certificate.key,
    ...(tls.clientAuthority === undefined ? {} : { ca: tls.clientAuthority }),
    requestCert: demand,
    rejectUnauthorized: demand,
  };
}
