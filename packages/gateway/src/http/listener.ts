import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { createSecureServer, type Http2SecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { FAULT_STATUS, Fault, type FaultCode, type HttpSettings, type Logger } from '@sallyport/core';
import { renderFault } from '@sallyport/wire';
import { SECURITY_HEADERS } from './headers.ts';
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
/** Header fields of one request. */
const MAX_HEADERS = 100;
/** HTTP/2 streams one connection may have open. */
const MAX_STREAMS = 100;

/** The gateway's port: HTTP/1.1 in the clear, or HTTP/1.1 and HTTP/2 over TLS on the same port. */
export class Listener {
  readonly #server: Server | Http2SecureServer;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<{ close(): void; destroy(): void }>();
  readonly #options: ListenerOptions;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#server = options.tls === null ? this.#plain() : this.#secure(options.tls);
    this.#server.on(options.tls === null ? 'connection' : 'secureConnection', (socket: Socket) => this.#track(socket));
    this.#server.on('clientError', (error: Error, socket: Socket) => refuseConnection(error, socket));
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

  /** New connections get the new certificate; open ones and their streams go on. */
  setTls(tls: TlsMaterial): void {
    if ('setSecureContext' in this.#server) this.#server.setSecureContext(secureContext(tls));
  }

  /** Stops accepting, lets running requests end, and cuts what is left after `timeout` milliseconds. */
  async drain(timeout: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const session of this.#sessions) session.close();
    if ('closeIdleConnections' in this.#server) this.#server.closeIdleConnections();
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
    });
    const onRequest = (request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse): void => {
      if (response instanceof ServerResponse) this.#onHttp1(request, response);
      else this.#options.handler(request, new Http2Writer(response), request.socket);
    };
    server.on('request', onRequest);
    server.on('checkContinue', onRequest);
    server.on('session', (session) => {
      this.#sessions.add(session);
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
    requireHostHeader: true;
    connectionsCheckingInterval: number;
    noDelay: true;
  } {
    return {
      maxHeaderSize: this.#options.http.maxHeaderBytes,
      insecureHTTPParser: false,
      requireHostHeader: true,
      connectionsCheckingInterval: CONNECTION_CHECK,
      noDelay: true,
    };
  }

  #timeouts(): { headersTimeout: number; requestTimeout: number; keepAliveTimeout: number; maxHeadersCount: number } {
    const http = this.#options.http;
    return {
      headersTimeout: http.headersTimeout,
      requestTimeout: http.headersTimeout + http.bodyTimeout,
      keepAliveTimeout: http.keepAliveTimeout,
      maxHeadersCount: MAX_HEADERS,
    };
  }

  #configureHttp1(server: Server): void {
    Object.assign(server, this.#timeouts());
    // The body is asked for only once the caller is known: `readBody` sends the 100.
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => this.#onHttp1(request, response));
    server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
      const { status, body } = renderFault('openai', new Fault('expectation_failed', 'Only `Expect: 100-continue` is supported.'), '');
      request.resume();
      response.writeHead(status, [...SECURITY_HEADERS, 'content-type', 'application/json', 'connection', 'close']).end(body);
    });
  }

  #onHttp1(request: IncomingMessage | Http2ServerRequest, response: ServerResponse): void {
    this.#options.handler(request, new Http1Writer(response), request.socket);
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }
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
const PARSER_FAULTS: ReadonlyMap<string, FaultCode> = new Map([
  ['HPE_HEADER_OVERFLOW', 'headers_too_large'],
  ['ERR_HTTP_REQUEST_TIMEOUT', 'request_timeout'],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', 'request_too_large'],
]);

/** Answers a connection whose request could not be parsed, and closes it. Nothing of the request is repeated. */
function refuseConnection(error: Error, socket: Socket): void {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const fault = new Fault(PARSER_FAULTS.get(code) ?? 'invalid_request', 'The request is not well-formed HTTP.');
  const { body } = renderFault('openai', fault, '');
  const lines = ['content-type: application/json', `content-length: ${Buffer.byteLength(body)}`, 'connection: close'];
  for (let i = 0; i + 1 < SECURITY_HEADERS.length; i += 2) lines.push(`${SECURITY_HEADERS[i]}: ${SECURITY_HEADERS[i + 1]}`);
  socket.end(`HTTP/1.1 ${FAULT_STATUS[fault.code]} ${REASONS[fault.status] ?? 'Error'}\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
  // A peer that keeps its half open is not waited for.
  socket.destroySoon();
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Content Too Large',
  431: 'Request Header Fields Too Large',
};
