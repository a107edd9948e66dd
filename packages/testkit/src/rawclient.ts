import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { type RawResponse, readResponse } from './rawresponse.ts';

export interface RawTarget {
  readonly port: number;
  /** Defaults to 127.0.0.1. */
  readonly host?: string;
  /** Connect to this Unix socket instead. */
  readonly socketPath?: string;
  readonly tls?: ConnectionOptions;
}

/** A bare connection: sends exactly the bytes it is given, and reads what comes back as strictly as HTTP/1.1 allows. */
export class RawConnection implements AsyncDisposable {
  /** How the peer ended the connection: with a FIN or with a reset. Pending while it has not. */
  readonly closed: Promise<'end' | 'reset'>;
  readonly socket: Socket;
  readonly #chunks: Buffer[] = [];
  readonly #watchers = new Set<() => void>();
  #taken = 0;
  #ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      const end = (how: 'end' | 'reset'): void => {
        this.#ended = true;
        this.#wake();
        resolve(how);
      };
      socket.on('end', () => end('end')).on('error', () => end('reset'));
      socket.on('close', () => end('reset'));
    });
  }

  /** Rejects where the connection or the TLS handshake fails. */
  static async open(target: RawTarget): Promise<RawConnection> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { port, host = '127.0.0.1', socketPath, tls } = target;
    const address = socketPath === undefined ? { port, host } : { path: socketPath };
    // A client may end its side first; what the server then does is under test. (TLS ends both sides at once.)
    const plain = { ...address, allowHalfOpen: true };
    const secure: ConnectionOptions = { ALPNProtocols: ['http/1.1'], ...tls, ...address };
    const socket = tls === undefined ? connect(plain, resolve) : connectTls(secure, resolve);
    socket.once('error', reject);
    await promise;
    socket.off('error', reject);
    return new RawConnection(socket);
  }

  /** Everything received so far. */
  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** What was received after the last response `next` returned. */
  get unread(): Buffer {
    return this.received.subarray(this.#taken);
  }

  /** Sends bytes as they are; a string is Latin-1, one byte a character. Settles when the kernel has them, or the peer has gone. */
  async send(bytes: Buffer | string): Promise<void> {
    const buffer = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
    await new Promise<void>((resolve) => this.socket.write(buffer, () => resolve()));
  }

  /** Sends `size` bytes every `everyMs` until all is sent or the peer has closed; returns how many were sent. */
  async trickle(bytes: Buffer | string, size: number, everyMs: number): Promise<number> {
    const buffer = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
    let sent = 0;
    for (; sent < buffer.length && !this.#ended; sent += size) {
      await this.send(buffer.subarray(sent, sent + size));
      await sleep(everyMs);
    }
    return Math.min(sent, buffer.length);
  }

  /**
   * The next complete response; interim (1xx) ones count. `method` is that of the request it answers. Rejects after `timeoutMs`,
   * where the peer closes first, and with `MalformedResponse` where it is none.
   */
  async next(method: string = 'POST', timeoutMs: number = 10_000): Promise<RawResponse> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const response = readResponse(this.unread, method, this.#ended);
      if (response !== null) {
        this.#taken += response.raw.length;
        return response;
      }
      if (this.#ended) throw new Error('the connection closed without a response');
      await this.#change(deadline - performance.now());
    }
  }

  /** Waits until the bytes received contain `text`. */
  async waitFor(text: string, timeoutMs: number = 10_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!this.received.includes(text)) {
      if (this.#ended) throw new Error(`the connection closed before ${JSON.stringify(text)} came`);
      await this.#change(deadline - performance.now());
    }
  }

  /** Waits for the peer to close. Rejects after `timeoutMs`. */
  async waitForClose(timeoutMs: number = 10_000): Promise<'end' | 'reset'> {
    const deadline = performance.now() + timeoutMs;
    while (!this.#ended) await this.#change(deadline - performance.now());
    return this.closed;
  }

  /** Ends our side only (FIN). */
  finish(): void {
    this.socket.end();
  }

  /** Leaves at once with a reset (RST). */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.socket.closed) return;
    const closed = new Promise<void>((resolve) => this.socket.once('close', () => resolve()));
    this.socket.destroy();
    await closed;
  }

  #wake(): void {
    for (const wake of this.#watchers) wake();
    this.#watchers.clear();
  }

  async #change(withinMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#watchers.add(resolve);
    const timer = setTimeout(() => reject(new Error('nothing came in time')), Math.max(0, withinMs));
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(resolve);
    }
  }
}

export interface RawRequest {
  readonly method?: string;
  readonly target: string;
  /** Given in order and written as they are; `host` and the body's length are added only where `automatic` is not false. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: Buffer | string;
  readonly automatic?: boolean;
}

/** The bytes of one request. A string body is UTF-8. */
export function requestBytes(request: RawRequest): Buffer {
  const { method = 'POST', target, headers = [], body = '', automatic = true } = request;
  const content = typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
  const all: (readonly [string, string])[] = automatic
    ? [['host', 'localhost'], ...headers, ...(method === 'GET' ? [] : ([['content-length', String(content.length)]] as const))]
    : [...headers];
  const head = `${method} ${target} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), content]);
}

/** Sends one request over a connection of its own and returns the response. */
export async function rawExchange(target: RawTarget, bytes: Buffer | string, method: string = 'POST'): Promise<RawResponse> {
  await using connection = await RawConnection.open(target);
  await connection.send(bytes);
  return await connection.next(method);
}
