import { Fault, type Usage } from '@sallyport/core';

/** The head of an upstream's answer: the few facts the gateway acts on. Nothing else of an upstream's headers is kept. */
export interface UpstreamHead {
  readonly status: number;
  /** Media type in lower case without parameters, or null. */
  readonly mediaType: string | null;
  /** Whole seconds of a `retry-after` header, or null. */
  readonly retryAfter: number | null;
}

/**
 * One request to an upstream and its answer, read by pulling: what is not pulled is not read from the socket for long, so a slow
 * client slows its upstream and nobody else. Disposing it before the end aborts it, which closes the upstream's connection.
 */
export interface UpstreamCall extends Disposable {
  /** Resolves with the final (not 1xx) head. Rejects with a `Fault`. */
  readonly head: Promise<UpstreamHead>;
  /** A chunk that is already here, or undefined. */
  take(): Buffer | undefined;
  /** The next chunk, or null at the end. Rejects with a `Fault` where the answer breaks off. One call at a time. */
  next(): Promise<Buffer | null>;
  /** Where the answer was translated: tokens as the upstream counted them, which the client's dialect cannot always say. */
  readonly usage?: Usage | null;
  /** Ends the call now, for `why` where it is not that nobody waits for it any more. Idempotent. */
  abort(why?: Fault): void;
}

/** Reads the rest of an answer, up to `limit` bytes. Throws `Fault('upstream_error')` beyond it. */
export async function readAll(call: UpstreamCall, limit: number): Promise<Buffer> {
  const first = await call.next();
  if (first === null) return Buffer.alloc(0);
  let size = first.length;
  let rest: Buffer[] | null = null;
  for (;;) {
    if (size > limit) {
      call.abort();
      throw new Fault('upstream_error', 'The model server sent a reply that is too large.', { detail: `reply over ${limit} bytes` });
    }
    const chunk = await call.next();
    if (chunk === null) return rest === null ? first : Buffer.concat(rest, size);
    rest ??= [first];
    rest.push(chunk);
    size += chunk.length;
  }
}
