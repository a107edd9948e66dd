import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type Http2ServerResponse } from 'node:http2';
import { Socket } from 'node:net';

/** The few things an answer needs of a connection, the same for HTTP/1.1 and HTTP/2. */
export interface Writer {
  /** Sends `100 Continue` (RFC 9110 section 10.1.1). */
  continue(): void;
  /** Headers are a flat list of names and values. */
  head(status: number, headers: readonly string[]): void;
  /** Returns false where the caller should wait for `drain`. */
  write(chunk: Buffer): boolean;
  /** The last bytes. A client that takes nothing of what is left for `timeout` milliseconds is cut. */
  end(body: Buffer | null, timeout: number): void;
  /** Breaks the answer off so that it cannot be taken for a complete one. */
  cut(): void;
  /** The answer to come is the last of its connection. Its head has `connection: close` then. */
  last(): void;
  onClose(listener: () => void): void;
  onDrain(listener: () => void): () => void;
}

/** Up to this size head and body leave in one write, which saves a system call on most answers. Bytes. */
const ONE_WRITE = 16 * 1024;

/** How long the rest of a refused request is read and thrown away, milliseconds. */
const LINGER = 5_000;

export class Http1Writer implements Writer {
  readonly #response: ServerResponse;
  /** Where chunks go once the head has left; null where Node has to write them: before that, in HTTP/1.0, behind another answer. */
  #socket: Socket | null = null;

  constructor(response: ServerResponse) {
    this.#response = response;
    // A write to a connection the client has reset emits an error; the close that follows is what is acted on.
    response.on('error', () => undefined);
  }

  continue(): void {
    this.#response.writeContinue();
  }

  head(status: number, headers: readonly string[]): void {
    this.#response.writeHead(status, headers as string[]);
  }

  write(chunk: Buffer): boolean {
    if (this.#socket !== null) return chunk.length === 0 || this.#socket.write(framed(chunk));
    const response = this.#response;
    const more = response.write(chunk);
    // What is written from here on is one write of one buffer; Node makes four parts of a chunk and joins them a tick later.
    if (response.headersSent && response.chunkedEncoding) this.#socket = response.socket;
    return more;
  }

  end(body: Buffer | null, timeout: number): void {
    // Counts as long as nothing moves on the connection; the server's keep-alive time takes its place once all was sent.
    this.#response.setTimeout(timeout);
    if (body === null) this.#response.end();
    else if (body.length <= ONE_WRITE) this.#response.end(body.toString('latin1'), 'latin1');
    else this.#response.end(body);
  }

  cut(): void {
    this.#response.destroy();
  }

  last(): void {
    const { req } = this.#response;
    if (!req.complete) lingerInstead(req);
  }

  onClose(listener: () => void): void {
    this.#response.on('close', listener);
  }

  onDrain(listener: () => void): () => void {
    // What the answer itself was told to wait for, it waits for on its connection.
    const source = this.#socket ?? this.#response;
    source.on('drain', listener);
    return () => source.removeListener('drain', listener);
  }
}

/**
 * To close upon bytes that nobody read resets the connection, and a client that is still sending loses the answer it is refused with. So
 * the answer is ended, and what still comes is thrown away until the client has seen that (RFC 9112 section 9.6). Node has no option for
 * it: `destroySoon` is what it calls on the socket behind a last answer.
 */
function lingerInstead(request: IncomingMessage): void {
  const { socket } = request;
  socket.destroySoon = () => {
    socket.end();
    if (request.complete || socket.destroyed) {
      Socket.prototype.destroySoon.call(socket);
      return;
    }
    request.resume();
    const timer = setTimeout(() => socket.destroy(), LINGER);
    socket.once('close', () => clearTimeout(timer));
  };
}

/** A chunk with its size before and its line end behind it (RFC 9112 section 7.1). */
function framed(chunk: Buffer): Buffer {
  const size = chunk.length.toString(16);
  const start = size.length + 2;
  const frame = Buffer.allocUnsafe(start + chunk.length + 2);
  frame.write(size, 0, 'latin1');
  frame[start - 2] = frame[start + chunk.length] = 0x0d;
  frame[start - 1] = frame[start + chunk.length + 1] = 0x0a;
  chunk.copy(frame, start);
  return frame;
}

export class Http2Writer implements Writer {
  readonly #response: Http2ServerResponse;
  #closing = false;

  constructor(response: Http2ServerResponse) {
    this.#response = response;
    response.on('error', () => undefined);
  }

  continue(): void {
    this.#response.writeContinue();
  }

  head(status: number, headers: readonly string[]): void {
    const record: Record<string, string> = {};
    for (let i = 0; i + 1 < headers.length; i += 2) {
      const name = headers[i] ?? '';
      // RFC 9113 section 8.2.2: connection-specific fields do not exist in HTTP/2.
      if (name !== 'connection') record[name] = headers[i + 1] ?? '';
    }
    this.#response.writeHead(status, record);
  }

  write(chunk: Buffer): boolean {
    return this.#response.write(chunk);
  }

  end(body: Buffer | null, timeout: number): void {
    this.#response.setTimeout(timeout, () => this.cut());
    if (body === null) this.#response.end();
    else this.#response.end(body);
    // RFC 9113 section 8.1: the answer is whole, the rest of the request is not wanted. Without this its stream would stay open.
    if (this.#closing) this.#response.stream.close(constants.NGHTTP2_NO_ERROR);
  }

  cut(): void {
    this.#response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  last(): void {
    this.#closing = true;
  }

  onClose(listener: () => void): void {
    this.#response.on('close', listener);
  }

  onDrain(listener: () => void): () => void {
    this.#response.on('drain', listener);
    return () => this.#response.removeListener('drain', listener);
  }
}
