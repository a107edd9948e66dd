import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import { Fault, type HttpSettings, type Source } from '@sallyport/core';
import type { Reply } from './reply.ts';

/** A request as it came off the wire: every field but `id`, `source` and `startedAt` is the client's (attacker's) data. */
export interface Incoming {
  readonly id: string;
  readonly method: string;
  /** `2` where it came over HTTP/2, else what an HTTP/1 client claims. */
  readonly httpVersion: string;
  /** Path without the query, which is never forwarded and never carries a credential. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly source: Source;
  /** DER of a verified client certificate, or null. */
  readonly clientCertificate: Buffer | null;
  /** Monotonic milliseconds. */
  readonly startedAt: number;
  readonly reply: Reply;
  /** Reads the body once. Throws `request_too_large`, `request_timeout` or `client_closed_request`. */
  body(settings: HttpSettings): Promise<Buffer>;
  /** Whether the whole request was read off the connection. */
  complete(): boolean;
}

const EMPTY = Buffer.alloc(0);

/** A whole body may take this many times the longest pause in it. */
export const BODY_PAUSES = 10;

/** Collects a body of at most `maxBodyBytes` that never pauses longer than `bodyTimeout`, nor takes `BODY_PAUSES` times that in all. A declared length over the bound is refused before a byte is read. */
export function readBody(request: IncomingMessage | Http2ServerRequest, reply: Reply, settings: HttpSettings): Promise<Buffer> {
  const declared = request.headers['content-length'];
  if (declared !== undefined && Number(declared) > settings.maxBodyBytes) return Promise.reject(tooLarge(settings));
  if (declared === '0') return Promise.resolve(EMPTY);
  if (request.headers.expect !== undefined) reply.continue();
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let size = 0;
  const until = performance.now() + settings.bodyTimeout * BODY_PAUSES;
  const stop = (settle: () => void): void => {
    clearTimeout(pause);
    forget();
    request.removeListener('data', onData);
    request.removeListener('end', onEnd);
    settle();
  };
  const fail = (fault: Fault): void => stop(() => reject(fault));
  const onData = (chunk: Buffer): void => {
    size += chunk.length;
    if (size > settings.maxBodyBytes) {
      request.pause();
      fail(tooLarge(settings));
      return;
    }
    chunks.push(chunk);
    // While it keeps coming only the whole time counts; once it pauses, the timer ends it.
    if (performance.now() > until) late();
    else pause.refresh();
  };
  const onEnd = (): void => stop(() => resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size)));
  const late = (): void => fail(new Fault('request_timeout', 'The request body did not arrive in time.'));
  const pause = setTimeout(late, settings.bodyTimeout);
  const forget = reply.onGone(fail);
  request.on('data', onData);
  request.on('end', onEnd);
  return promise;
}

function tooLarge(settings: HttpSettings): Fault {
  return new Fault('request_too_large', `The request body is larger than ${settings.maxBodyBytes} bytes.`);
}
