import { createServer, type IncomingMessage, type Server, ServerResponse, STATUS_CODES } from 'node:http';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { createSecureContext, type TLSSocket } from 'node:tls';
import { Fault, type FaultCode, type HttpSettings, type Logger } from '@sallyport/core';
import { renderFault } from '@sallyport/wire';
import { Crowds } from './crowds.ts';
import { MAX_HEADERS, SECURITY_HEADERS } from './headers.ts';
import { BODY_PAUSES } from './incoming.ts';
import { joinWrites } from './one-write.ts';
import { Http1Writer, Http2Writer, type Writer } from './writer.ts';

/** Server certificate and trust for client certificates, as PEM. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | null;
  /** `request` takes a client certificate where one is offered, `require` refuses connections without. */
  readonly clientAuth: 'none' | 'request' | 'require';
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}

/** Called for each request; never rejects. */
export type Handler = (request: IncomingMessage | Http2ServerRequest, writer: Writer, socket: Socket) => void;

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly http: HttpSettings;
  readonly tls: TlsMaterial | null;
  readonly handler: Handler;
  /** Connections an address may hold open, `Infinity` for one that is not bounded. Asked once a connection. */
  readonly connectionsOf: (address: string) => number;
  readonly logger: Logger;
}

/** TLS 1.2 suites with forward secrecy and AEAD only (RFC 9325 section 4.2); TLS 1.3 suites are Node's. */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_AES_128_GCM_SHA256',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** How often slow connections are looked for, milliseconds. */
const CONNECTION_CHECK = 1_000;
/** Answers that may wait for another on an HTTP/1.1 connection: Node hands over whatever a client pipelines, at once. */
const MAX_PIPELINED = 32;
/** Connections held at a time; beyond it new ones are closed, which keeps a flood of idle ones from taking every file descriptor. */
const MAX_CONNECTIONS = 10_000;
/** HTTP/2 streams one connection may have open. */
const MAX_STREAMS = 100;

/** The gateway's port: HTTP/1.1 in the clear, or HTTP/1.1 and HTTP/2 over TLS on the same port. */
export class Listener {
  readonly #server: Server | Http2SecureServer;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<{ close(): void; destroy(): void }>();
  /** HTTP/1.1 connections on which no request has come yet. */
  readonly #fresh = new Set<Socket>();
  /** The newest answer of each HTTP/1.1 connection. */
  readonly #answers = new WeakMap<Socket, ServerResponse>();
  /** How many answers wait for another on their HTTP/1.1 connection; only for connections that ever had some. */
  readonly #pipelined = new WeakMap<Socket, number>();
  readonly #crowds: Crowds;
  readonly #options: ListenerOptions;
  #clientCa: string | null;
  #draining = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#crowds = new Crowds(options.connectionsOf, options.logger);
    this.#clientCa = options.tls?.clientCa ?? null;
    this.#server = options.tls === null ? this.#plain() : this.#secure(options.tls);
    this.#server.maxConnections = MAX_CONNECTIONS;
    const secure = options.tls !== null;
    this.#server.on('connection', (socket: Socket) => {
      if (this.#crowds.admit(socket)) this.#track(socket, !secure);
    });
    // A second object for the same connection, once its handshake is done.
    if (secure) this.#server.on('secureConnection', (socket: TLSSocket) => this.#track(socket, socket.alpnProtocol !== 'h2'));
    this.#server.on('clientError', (error: Error, socket: Socket) => this.#onParseError(error, socket));
    // Without a listener Node would drop the connection without a word.
    this.#server.on('connect', (request: IncomingMessage | Http2ServerRequest, peer: Socket | Http2ServerResponse) => {
      if (peer instanceof Http2ServerResponse) this.#options.handler(request, new Http2Writer(peer), request.socket);
      else refuseConnection(peer, new Fault('method_not_allowed', 'There is no tunnel here.'));
    });
  }

  /** Resolves when the port is bound. Rejects with Node's error (`EADDRINUSE`, ...). */
  listen(): Promise<AddressInfo> {
    const { promise, resolve, reject } = Promise.withResolvers<AddressInfo>();
    this.#server.once('error', reject);
    this.#server.listen({ host: this.#options.host, port: this.#options.port, backlog: 1024 }, () => {
      this.#server.removeListener('error', reject);
      this.#server.on('error', (error: Error) => this.#options.logger.error('listener.error', { reason: error.message }));
      const address = this.#server.address();
      if (address === null || typeof address === 'string') reject(new TypeError('the listener has no address'));
      else resolve(address);
    });
    return promise;
  }

  /**
   * New connections get the new certificate; open ones and their streams go on. Whether client certificates are asked for is fixed at
   * the start, and so are their authorities where `tls` asks otherwise: without any, Node would take the system's.
   */
  setTls(tls: TlsMaterial): void {
    const started = this.#options.tls;
    if (started === null || !('setSecureContext' in this.#server)) return;
    const clientCa = tls.clientAuth === started.clientAuth ? tls.clientCa : this.#clientCa;
    this.#server.setSecureContext(secureContext({ ...tls, clientCa }));
    this.#clientCa = clientCa;
  }

  /** Stops accepting, lets running requests end, and cuts what is left after `timeout` milliseconds. */
  async drain(timeout: number): Promise<void> {
    this.#draining = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#fresh) socket.destroySoon();
    for (const session of this.#sessions) session.close();
    // An answer that had begun before the drain has promised to keep its connection alive.
    for (const socket of this.#sockets) {
      const answer = this.#answers.get(socket);
      if (answer === undefined) continue;
      if (!answer.writableFinished) answer.once('finish', () => socket.destroySoon());
      // What is left of a refused body is thrown away as it comes; nobody waits for its end now.
      else if (!answer.req.complete) socket.destroy();
    }
    const timer = setTimeout(() => this.destroy(), timeout);
    await closed;
    clearTimeout(timer);
  }

  destroy(): void {
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  #plain(): Server {
    const server = createServer(this.#http1Options(), (request, response) => this.#onHttp1(request, response));
    this.#configureHttp1(server);
    return server;
  }

  #secure(tls: TlsMaterial): Http2SecureServer {
    const server = createSecureServer({
      ...this.#http1Options(),
      ...secureContext(tls),
      allowHTTP1: true,
      requestCert: tls.clientAuth !== 'none',
      rejectUnauthorized: tls.clientAuth === 'require',
      settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: this.#options.http.maxHeaderBytes },
      maxSessionMemory: 10,
      handshakeTimeout: this.#options.http.headersTimeout,
    });
    const onRequest = (request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse): void => {
      if (response instanceof ServerResponse) this.#onHttp1(request, response);
      else this.#options.handler(request, new Http2Writer(response), request.socket);
    };
    server.on('request', onRequest);
    server.on('checkContinue', onRequest);
    server.on('checkExpectation', onRequest);
    server.on('session', (session) => {
      this.#sessions.add(session);
      closeWhenIdle(session, this.#options.http.keepAliveTimeout);
      if (this.#draining) session.close();
      session.once('close', () => this.#sessions.delete(session));
      session.on('error', () => undefined); // a broken peer; its streams report themselves
    });
    // The HTTP/1.1 half of a secure server takes its time-outs as properties, like a plain one.
    Object.assign(server, this.#timeouts());
    return server;
  }

  #http1Options(): {
    maxHeaderSize: number;
    insecureHTTPParser: false;
    requireHostHeader: false;
    connectionsCheckingInterval: number;
    noDelay: true;
  } {
    return {
      maxHeaderSize: this.#options.http.maxHeaderBytes,
      insecureHTTPParser: false,
      // A missing host is refused like every other unsound head, in `receive`.
      requireHostHeader: false,
      connectionsCheckingInterval: CONNECTION_CHECK,
      noDelay: true,
    };
  }

  #timeouts(): { headersTimeout: number; requestTimeout: number; keepAliveTimeout: number; maxHeadersCount: number } {
    const http = this.#options.http;
    return {
      headersTimeout: http.headersTimeout,
      requestTimeout: http.headersTimeout + http.bodyTimeout * BODY_PAUSES,
      keepAliveTimeout: http.keepAliveTimeout,
      // One more than is allowed: what is beyond it Node drops in silence, and `receive` must see that there was more.
      maxHeadersCount: MAX_HEADERS + 1,
    };
  }

  #configureHttp1(server: Server): void {
    Object.assign(server, this.#timeouts());
    // The body is asked for only once the caller is known (`readBody` sends the 100); other expectations are refused in `receive`.
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => this.#onHttp1(request, response);
    server.on('checkContinue', onRequest);
    server.on('checkExpectation', onRequest);
  }

  #onHttp1(request: IncomingMessage | Http2ServerRequest, response: ServerResponse): void {
    const { socket } = request;
    // Behind the last answer of its connection: what comes there is thrown away.
    if (socket.writableEnded) return;
    const before = this.#answers.get(socket);
    this.#fresh.delete(socket);
    this.#answers.set(socket, response);
    if (before !== undefined && !before.writableFinished && !this.#mayPipeline(socket, response)) {
      socket.destroy();
      return;
    }
    this.#options.handler(request, new Http1Writer(response), socket);
  }

  /** Counts an answer that has to wait for another on its connection; false where too many do. Clients that pipeline are rare. */
  #mayPipeline(socket: Socket, response: ServerResponse): boolean {
    const waiting = (this.#pipelined.get(socket) ?? 0) + 1;
    this.#pipelined.set(socket, waiting);
    response.once('close', () => this.#pipelined.set(socket, (this.#pipelined.get(socket) ?? 1) - 1));
    return waiting <= MAX_PIPELINED;
  }

  /** What came could not be parsed as HTTP/1.1. Nothing of it is repeated. */
  #onParseError(error: Error, socket: Socket): void {
    const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
    const answer = this.#answers.get(socket);
    const settled = answer === undefined || answer.writableFinished;
    // The error is in the body of the request whose turn it is, and its answer has not begun.
    const ours = answer !== undefined && answer.socket === socket && !answer.headersSent && !answer.req.complete;
    // Anywhere else an answer is under way on this connection: another in the middle of it would be taken for its text. A socket that
    // is not tracked never got through its TLS handshake, so nothing can be said on it.
    if (code === 'ECONNRESET' || !socket.writable || !(settled || ours) || !this.#sockets.has(socket)) socket.destroy();
    else refuseConnection(socket, parserFault(code));
  }

  #track(socket: Socket, speaksHttp1: boolean): void {
    this.#sockets.add(socket);
    if (speaksHttp1) {
      this.#fresh.add(socket);
      // A piece of a stream is written with its length before it and a line end behind: three parts, which cost a quarter of a stream's time.
      joinWrites(socket);
    }
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#fresh.delete(socket);
    });
    // Its handshake was under way when the drain began.
    if (this.#draining && speaksHttp1) socket.destroySoon();
  }
}

/** Ends an HTTP/2 connection on which nothing moved for `timeout` milliseconds and no request is open; Node leaves them open for ever. */
function closeWhenIdle(session: ServerHttp2Session, timeout: number): void {
  let streams = 0;
  session.on('stream', (stream) => {
    streams += 1;
    stream.once('close', () => {
      streams -= 1;
    });
  });
  // Whatever moves on the connection, the end of its last request too, starts the time anew.
  session.setTimeout(timeout, () => {
    // Not `close`, which waits for a request whose head has begun, for ever if need be.
    if (streams === 0) session.destroy();
  });
}

/** Throws OpenSSL's error where certificate, key and authorities cannot be used together. */
export function checkMaterial(tls: TlsMaterial): void {
  createSecureContext(secureContext(tls));
}

function secureContext(tls: TlsMaterial): {
  cert: string;
  key: string;
  ca?: string;
  minVersion: 'TLSv1.2' | 'TLSv1.3';
  ciphers: string;
  honorCipherOrder: true;
} {
  return {
    cert: tls.cert,
    key: tls.key,
    ...(tls.clientCa === null ? {} : { ca: tls.clientCa }),
    minVersion: tls.minVersion,
    ciphers: CIPHERS,
    honorCipherOrder: true,
  };
}

/** What the HTTP parser refused, by its code (llhttp's `HPE_*`, Node's `ERR_HTTP_*`). */
const PARSER_FAULTS: ReadonlyMap<string, readonly [code: FaultCode, message: string]> = new Map([
  ['HPE_HEADER_OVERFLOW', ['headers_too_large', 'The request line and headers are too large.']],
  ['ERR_HTTP_REQUEST_TIMEOUT', ['request_timeout', 'The request did not arrive in time.']],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', ['request_too_large', 'The chunk extensions of the request are too large.']],
]);

function parserFault(parserCode: string): Fault {
  const [code, message] = PARSER_FAULTS.get(parserCode) ?? ['invalid_request', 'The request is not well-formed HTTP.'];
  return new Fault(code, message);
}

/** Answers on the bare connection, where there is no request to answer, and closes it. */
function refuseConnection(socket: Socket, fault: Fault): void {
  const { body } = renderFault('openai', fault, '');
  const lines = ['content-type: application/json', `content-length: ${Buffer.byteLength(body)}`, 'connection: close'];
  for (let i = 0; i + 1 < SECURITY_HEADERS.length; i += 2) lines.push(`${SECURITY_HEADERS[i]}: ${SECURITY_HEADERS[i + 1]}`);
  socket.on('error', () => undefined); // a peer that has gone already is told nothing
  socket.end(`HTTP/1.1 ${fault.status} ${STATUS_CODES[fault.status] ?? 'Error'}\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
  // A peer that keeps its half open is not waited for.
  socket.destroySoon();
}
