import { Fault } from '@sallyport/core';
import { HSTS, SECURITY_HEADERS } from './headers.ts';
import type { Writer } from './writer.ts';

/**
 * Bytes handed over at once. A client is cut where it takes less than about this much within the write timeout, whatever the size of the
 * whole answer; what it has not taken waits in one buffer, not in the connection's.
 */
const SLICE = 64 * 1024;

/** Told why the exchange has to end before its answer is whole. */
export type EndListener = (why: Fault) => void;

/** The answer to one request. Counts nothing and decides nothing: it writes, waits for the client, and knows when the client has left. */
export class Reply {
  readonly #writer: Writer;
  readonly #secure: boolean;
  readonly #writeTimeout: number;
  #listeners: Set<EndListener> | null = null;
  #stopped: Fault | null = null;
  #state: 'open' | 'headed' | 'finished' | 'gone' = 'open';
  #closing = false;
  /** Further headers every answer to this request carries (CORS, limits), flat. */
  readonly #extra: string[] = [];

  /** `secure`: over TLS. `writeTimeout`: milliseconds a client may leave a full buffer unread. */
  constructor(writer: Writer, options: { readonly secure: boolean; readonly writeTimeout: number }) {
    this.#writer = writer;
    this.#secure = options.secure;
    this.#writeTimeout = options.writeTimeout;
    writer.onClose(() => this.#closed());
  }

  /** True once a head was written: from here on a fault can only be told in the stream. */
  get headed(): boolean {
    return this.#state !== 'open';
  }

  get gone(): boolean {
    return this.#state === 'gone';
  }

  get finished(): boolean {
    return this.#state === 'finished';
  }

  /** Why the exchange has to end before its answer is whole: its client left, or it was stopped. Null as long as it may go on. */
  get ended(): Fault | null {
    if (this.#stopped !== null) return this.#stopped;
    return this.#state === 'gone' ? cancelled() : null;
  }

  /**
   * Ends an exchange that has an answer under way: everything that waits for it is told `why`. The client is still there, so its dialect's
   * error can be sent. Of several reasons the first stands; a finished answer stays as it is.
   */
  stop(why: Fault): void {
    if (this.#stopped !== null || this.#state === 'finished' || this.#state === 'gone') return;
    this.#stopped = why;
    this.#tell(why);
  }

  /** Calls `listener` when the client leaves before the answer is finished, or the exchange is stopped. Returns the unsubscription. */
  onGone(listener: EndListener): () => void {
    if (this.#state === 'gone') {
      // Later, as for one who leaves: the subscriber has its unsubscription before it is called.
      queueMicrotask(() => listener(cancelled()));
      return () => undefined;
    }
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
    return () => this.#listeners?.delete(listener);
  }

  /** Headers every answer to this request carries from now on. */
  addHeaders(headers: readonly string[]): void {
    this.#extra.push(...headers);
  }

  /** The connection ends with this answer (HTTP/1.1; HTTP/2 writers drop the header): its request was not read to the end, or the server drains. */
  closeAfter(): void {
    this.#closing = true;
    this.#writer.last();
  }

  /** Tells a client that waits for it to send the body. */
  continue(): void {
    if (this.#state === 'open') this.#writer.continue();
  }

  /** Head and whole body. Returns null where all of it was handed over, else a promise to wait for, as `write` does. */
  send(status: number, contentType: string | null, headers: readonly string[], body: Buffer): Promise<void> | null {
    if (this.#state !== 'open') return null;
    // RFC 9110 section 8.6: no length where there can be no content.
    const length = status === 204 ? null : body.length;
    this.#state = body.length <= SLICE ? 'finished' : 'headed';
    this.#head(status, contentType, headers, length);
    if (this.#state === 'finished') {
      this.#writer.end(body, this.#writeTimeout);
      return null;
    }
    return this.#writeSlices(body).then(() => this.end());
  }

  /** Head of an answer whose length is not known yet. */
  begin(status: number, contentType: string | null, headers: readonly string[]): void {
    if (this.#state !== 'open') return;
    this.#state = 'headed';
    this.#head(status, contentType, headers, null);
  }

  /** Writes a chunk. Returns null where more may follow at once, else a promise to wait for; it rejects when the client leaves or stalls. */
  write(chunk: Buffer): Promise<void> | null {
    if (chunk.length > SLICE) return this.#writeSlices(chunk);
    if (this.#state !== 'headed') return Promise.reject(cancelled());
    return this.#writer.write(chunk) ? null : this.#drained();
  }

  /** Ends a begun answer. */
  end(): void {
    if (this.#state !== 'headed') return;
    this.#state = 'finished';
    this.#writer.end(null, this.#writeTimeout);
  }

  /** Cuts the connection (HTTP/2: the stream): what was sent must not look complete. */
  cut(): void {
    if (this.#state === 'gone') return;
    this.#writer.cut();
  }

  #head(status: number, contentType: string | null, headers: readonly string[], length: number | null): void {
    const all = SECURITY_HEADERS.concat(this.#secure ? HSTS : [], this.#extra, headers);
    if (length !== null) all.push('content-length', String(length));
    if (contentType !== null) all.push('content-type', contentType);
    if (this.#closing) all.push('connection', 'close');
    this.#writer.head(status, all);
  }

  async #writeSlices(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; at += SLICE) {
      const wait = this.write(bytes.subarray(at, at + SLICE));
      if (wait !== null) await wait;
    }
  }

  #drained(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      forget();
      ignore();
      act();
    };
    const timer = setTimeout(() => {
      settle(() => reject(new Fault('client_closed_request', 'The reply was not read in time.', { detail: 'slow reader' })));
      this.cut();
    }, this.#writeTimeout);
    const forget = this.onGone((why) => settle(() => reject(why)));
    const ignore = this.#writer.onDrain(() => settle(resolve));
    return promise;
  }

  #closed(): void {
    if (this.#state === 'finished') return;
    this.#state = 'gone';
    if (this.#listeners !== null) this.#tell(cancelled());
  }

  #tell(why: Fault): void {
    const listeners = this.#listeners;
    this.#listeners = null;
    for (const listener of listeners ?? []) listener(why);
  }
}

function cancelled(): Fault {
  return new Fault('client_closed_request', 'The request was cancelled.');
}
