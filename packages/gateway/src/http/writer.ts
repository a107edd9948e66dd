import type { ServerResponse } from 'node:http';
import { constants, type Http2ServerResponse } from 'node:http2';

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
  onClose(listener: () => void): void;
  onDrain(listener: () => void): () => void;
}

/** Up to this size head and body leave in one write, which saves a system call on most answers. Bytes. */
const ONE_WRITE = 16 * 1024;

export class Http1Writer implements Writer {
  readonly #response: ServerResponse;

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
    return this.#response.write(chunk);
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

  onClose(listener: () => void): void {
    this.#response.on('close', listener);
  }

  onDrain(listener: () => void): () => void {
    this.#response.on('drain', listener);
    return () => this.#response.removeListener('drain', listener);
  }
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
      if (name === 'connection') this.#closing = true;
      else record[name] = headers[i + 1] ?? '';
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

  onClose(listener: () => void): void {
    this.#response.on('close', listener);
  }

  onDrain(listener: () => void): () => void {
    this.#response.on('drain', listener);
    return () => this.#response.removeListener('drain', listener);
  }
}
