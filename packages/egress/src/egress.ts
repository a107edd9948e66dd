import { lookup as systemLookup } from 'node:dns/promises';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { AddressList, type EgressSettings, type Logger } from '@sallyport/core';
import { Agent, buildConnector, fetch as undiciFetch, request as undiciRequest } from 'undici';
import type { EgressAnswer, EgressRequest } from './answer.ts';
import { canonicalHost, Destinations, type NamedServer } from './destinations.ts';
import { EgressRefused } from './refusal.ts';
import { type HttpProxy, openTunnel } from './tunnel.ts';

/** All addresses of a name. */
export type Resolve = (host: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;

export interface EgressOptions {
  readonly settings: EgressSettings;
  readonly resolveSecret: (reference: string) => string;
  readonly logger: Logger;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
}

/** TLS of one server, as Node takes it; certificates are always verified. */
export interface TlsOptions {
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly checkServerIdentity?: (host: string, certificate: PeerCertificate) => Error | undefined;
}

/** Milliseconds to connect, a proxy's tunnel and TLS included. */
const CONNECT_TIMEOUT = 10_000;
const REQUEST_TIMEOUT = 10_000;
const MAX_BYTES = 1_048_576;

/** No proxy and nothing beyond what the configuration names elsewhere. */
export const NO_EGRESS_SETTINGS: EgressSettings = { hosts: [], networks: [], proxy: null };

/**
 * The one way out for everything Sallyport itself calls. A connection is made only to a host the configuration names, at an address that
 * was checked after the name was resolved: the socket is opened to that very address, so a name that resolves otherwise a moment later
 * changes nothing (DNS rebinding). Redirects are not followed. Certificates are always verified.
 *
 * Through a proxy the name is resolved by the proxy; the host is checked, and an address written out is.
 */
export class Egress implements AsyncDisposable {
  readonly #resolveSecret: (reference: string) => string;
  readonly #resolve: Resolve;
  readonly #logger: Logger;
  readonly #named = new Map<string, readonly NamedServer[]>();
  readonly #agent: Agent;
  #settings: EgressSettings;
  #destinations: Destinations;
  #proxy: HttpProxy | null;
  #direct: AddressList;

  /** Throws where the proxy's credential cannot be read. */
  constructor(options: EgressOptions) {
    this.#resolveSecret = options.resolveSecret;
    this.#resolve = options.resolve ?? ((host) => systemLookup(host, { all: true }));
    this.#logger = options.logger;
    this.#settings = options.settings;
    this.#destinations = new Destinations(options.settings, []);
    this.#proxy = this.#readProxy(options.settings);
    this.#direct = new AddressList(options.settings.proxy?.except ?? []);
    this.#agent = new Agent({ connect: this.connector(), pipelining: 1, allowH2: false });
  }

  /** Takes up changed settings for new connections. Throws where the proxy's credential cannot be read; nothing has changed then. */
  configure(settings: EgressSettings): void {
    this.#proxy = this.#readProxy(settings);
    this.#direct = new AddressList(settings.proxy?.except ?? []);
    this.#settings = settings;
    this.#rebuild();
  }

  /** The servers a part of the configuration names (`upstreams`, `issuers`, ...), in place of those it named before. */
  name(owner: string, servers: Iterable<NamedServer>): void {
    this.#named.set(owner, [...servers]);
    this.#rebuild();
  }

  /** A connector for undici's pools and agents: everything that goes over them is checked at each new connection. */
  connector(tls: TlsOptions = {}, timeout: number = CONNECT_TIMEOUT): buildConnector.connector {
    // A resolver's callback is not told the port, so there is a connector for each; of one server there is one.
    const byPort = new Map<string, buildConnector.connector>();
    const connectorOf = (port: string): buildConnector.connector => {
      let connect = byPort.get(port);
      if (connect === undefined) {
        connect = buildConnector({ minVersion: 'TLSv1.2', ...tls, ...PINNED, timeout, lookup: this.#lookup(port) });
        byPort.set(port, connect);
      }
      return connect;
    };
    return (options, callback) => {
      const port = options.port === '' ? (options.protocol === 'https:' ? '443' : '80') : options.port;
      try {
        this.#destinations.checkHost(options.hostname, port);
      } catch (error) {
        callback(this.#told(error), null);
        return;
      }
      if (!this.#isProxied(options.hostname)) {
        connectorOf(port)(options, (...result) => {
          if (result[0] === null) callback(...this.#verified(options.hostname, port, result[1]));
          else callback(...result);
        });
        return;
      }
      this.#tunnel(options.hostname, port, timeout).then(
        (socket) => {
          if (options.protocol === 'https:') connectorOf(port)({ ...options, httpSocket: socket }, callback);
          else callback(null, socket);
        },
        (error: unknown) => callback(this.#told(error), null),
      );
    };
  }

  /** A bare TCP connection, or one with TLS. Rejects with `EgressRefused` or Node's error. The caller ends the socket. */
  connect(host: string, port: number, tls: TlsOptions | null = null, timeout: number = CONNECT_TIMEOUT): Promise<Socket> {
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    const protocol = tls === null ? 'http:' : 'https:';
    this.connector(tls ?? {}, timeout)({ hostname: host, host, protocol, port: String(port) }, (error, socket) => {
      if (error === null) resolve(socket);
      else reject(error);
    });
    return promise;
  }

  /** The addresses at which a named host may be reached, for datagrams: send to one of these, not to the name. Rejects with `EgressRefused`. */
  async addressesOf(host: string, port: number): Promise<readonly { readonly address: string; readonly family: number }[]> {
    try {
      this.#destinations.checkHost(host, port);
    } catch (error) {
      throw this.#told(error);
    }
    return await this.#allowed(canonicalHost(host), String(port));
  }

  /**
   * One request and its whole answer.
   * @throws EgressRefused, also for a redirect and for an answer over `maxBytes`; undici's and Node's errors for connections that fail
   */
  async request(url: string, options: EgressRequest = {}): Promise<EgressAnswer> {
    const limit = options.maxBytes ?? MAX_BYTES;
    const timeout = AbortSignal.timeout(options.timeout ?? REQUEST_TIMEOUT);
    const answer = await undiciRequest(url, {
      dispatcher: this.#agent,
      method: options.method ?? 'GET',
      headers: options.headers ?? {},
      body: options.body ?? null,
      signal: options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]),
    });
    answer.body.on('error', () => undefined); // of a body that is left unread; a reader is told by its iterator
    try {
      if (isRedirect(answer.statusCode) && options.redirect !== 'return')
        throw new EgressRefused('redirect', `${new URL(url).host} redirects (${answer.statusCode})`);
      const chunks: Buffer[] = [];
      let size = 0;
      // A stranger's bytes: bounded before anybody parses them.
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > limit) throw new EgressRefused('size', `${new URL(url).host} sent more than ${limit} bytes`);
        chunks.push(chunk);
      }
      return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks, size) };
    } finally {
      answer.body.destroy();
    }
  }

  /** `fetch` for libraries that take one. A redirect rejects. Bodies are not bounded: the library has to. */
  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const target = input instanceof Request ? input.url : input;
    const options = input instanceof Request ? { method: input.method, headers: Object.fromEntries(input.headers), ...init } : init;
    const answer = await undiciFetch(target, { ...(options as object), dispatcher: this.#agent, redirect: 'error' });
    return answer as unknown as Response;
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  #rebuild(): void {
    this.#destinations = new Destinations(this.#settings, [...this.#named.values()].flat());
  }

  #readProxy({ proxy }: EgressSettings): HttpProxy | null {
    if (proxy === null) return null;
    return { url: new URL(proxy.url), credential: proxy.credential === null ? null : this.#resolveSecret(proxy.credential) };
  }

  /** Addresses written out that lie in `proxy.except`, and this machine, are reached directly; so are names and domains listed there. */
  #isProxied(hostname: string): boolean {
    if (this.#proxy === null) return false;
    const host = canonicalHost(hostname);
    const except = this.#settings.proxy?.except ?? [];
    const isListed = except.some((entry) => host === entry || (entry.startsWith('*.') && host.endsWith(entry.slice(1))));
    return !isListed && !this.#direct.has(host) && host !== 'localhost' && host !== '::1' && !host.startsWith('127.');
  }

  #tunnel(hostname: string, port: string, timeout: number): Promise<Socket> {
    if (this.#proxy === null) return Promise.reject(new EgressRefused('proxy', 'no proxy is configured any more'));
    return openTunnel(this.#proxy, canonicalHost(hostname), port, timeout);
  }

  #lookup(port: string): LookupFunction {
    return (hostname, options, callback) => {
      this.#allowed(canonicalHost(hostname), port).then(
        (addresses) => {
          const [first] = addresses;
          if (options.all === true || first === undefined) callback(null, [...addresses]);
          else callback(null, first.address, first.family);
        },
        (error: NodeJS.ErrnoException) => callback(error, []),
      );
    };
  }

  /** What the name resolves to now and may be reached; never empty. A name whose every address is refused is refused. */
  async #allowed(host: string, port: string): Promise<{ address: string; family: number }[]> {
    const found = isIP(host) === 0 ? await this.#resolve(host) : [{ address: host, family: isIP(host) }];
    const allowed: { address: string; family: number }[] = [];
    let refused: unknown = new EgressRefused('host', `${host} has no address`);
    for (const { address, family } of found) {
      try {
        this.#destinations.checkAddress(host, address, port);
        allowed.push({ address, family });
      } catch (error) {
        refused = error;
      }
    }
    if (allowed.length === 0) throw this.#told(refused);
    return allowed;
  }

  /** The peer the socket really has, whatever led to it. */
  #verified(hostname: string, port: string, socket: Socket | TLSSocket): [null, Socket | TLSSocket] | [Error, null] {
    try {
      this.#destinations.checkAddress(hostname, socket.remoteAddress ?? '', port);
      return [null, socket];
    } catch (error) {
      socket.destroy();
      return [this.#told(error), null];
    }
  }

  #told(error: unknown): Error {
    if (error instanceof EgressRefused) this.#logger.warn('egress.refused', { reason: error.reason, message: error.message });
    return error instanceof Error ? error : new TypeError('a value that is no error was thrown');
  }
}

/** What no caller changes. */
const PINNED = { rejectUnauthorized: true, allowH2: false, autoSelectFamily: true } as const;

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400 && status !== 304;
}
