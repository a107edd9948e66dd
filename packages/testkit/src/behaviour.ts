import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Behaviour, UpstreamExchange } from './upstream.ts';

/** Ready-made things for a `ScriptedUpstream` to do: well-behaved, slow, broken and hostile. */

type Bytes = Buffer | string;
type Headers = Readonly<Record<string, string | number | readonly string[]>>;

/** Answers at once and whole, with a `content-length`. */
export function answer(status: number, headers: Headers, body: Bytes): Behaviour {
  return async ({ request, response }) => {
    await request.body;
    response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...mutable(headers) }).end(body);
  };
}

export function answerJson(value: unknown, status: number = 200, headers: Headers = {}): Behaviour {
  return answer(status, { 'content-type': 'application/json', ...headers }, JSON.stringify(value));
}

/** Too busy: 429 or 503 with `retry-after` (RFC 9110 section 10.2.3), in seconds or as a date. */
export function overloaded(status: 429 | 503, retryAfter: string): Behaviour {
  return answerJson({ error: { message: 'overloaded, internal queue depth 42', type: 'server_error' } }, status, {
    'retry-after': retryAfter,
  });
}

/** A redirect a gateway must not follow. */
export function redirect(location: string, status: 301 | 302 | 303 | 307 | 308 = 307): Behaviour {
  return answer(status, { location }, '');
}

export interface StreamPlan {
  readonly contentType?: string;
  readonly headers?: Headers;
  /** Milliseconds between chunks. TCP may join chunks that are written together; 1 ms keeps them apart on loopback. */
  readonly delayMs?: number;
  /** After the last chunk: a clean end, no end at all, a reset, or a close that leaves the chunked body unfinished. */
  readonly ending?: 'end' | 'hang' | 'reset' | 'cut';
}

/** Streams `chunks` in chunked transfer coding, one write each. */
export function stream(chunks: readonly Bytes[], plan: StreamPlan = {}): Behaviour {
  return async (exchange) => {
    const { request, response, socket, signal } = exchange;
    await request.body;
    response.writeHead(200, { 'content-type': plan.contentType ?? 'text/event-stream', ...mutable(plan.headers ?? {}) });
    response.flushHeaders();
    for (const chunk of chunks) {
      if ((plan.delayMs ?? 0) > 0) await sleep(plan.delayMs, undefined, { signal });
      await write(exchange, chunk);
    }
    if (plan.ending === 'hang') await hang(exchange);
    else if (plan.ending === 'reset') socket.resetAndDestroy();
    else if (plan.ending === 'cut') socket.end();
    else response.end();
  };
}

/** Bytes cut at the given offsets (ascending, within the bytes). */
export function cutAt(bytes: Buffer, offsets: readonly number[]): Buffer[] {
  const edges = [0, ...offsets, bytes.length];
  return edges.slice(1).map((end, index) => bytes.subarray(edges[index], end));
}

/** Bytes cut every `size` bytes: 1 splits every event at every byte. */
export function cutEvery(bytes: Buffer, size: number): Buffer[] {
  return cutAt(
    bytes,
    Array.from({ length: Math.max(0, Math.ceil(bytes.length / size) - 1) }, (_, index) => (index + 1) * size),
  );
}

/** Takes the request and says nothing. (A server that does not even accept: `startDeafUpstream`.) */
export function hangBeforeHeaders(): Behaviour {
  return hang;
}

/** Takes the head of the request and stops reading, so that a large body backs up. */
export function hangWithoutReading(): Behaviour {
  return async (exchange) => {
    exchange.socket.pause();
    await hang(exchange);
  };
}

export function hangAfterHeaders(headers: Headers = { 'content-type': 'application/json', 'content-length': 100 }): Behaviour {
  return async (exchange) => {
    exchange.response.writeHead(200, mutable(headers)).flushHeaders();
    await hang(exchange);
  };
}

/** Sends part of a body whose `content-length` promises more. */
export function hangMidBody(part: Bytes, headers: Headers = { 'content-type': 'application/json' }): Behaviour {
  return async (exchange) => {
    exchange.response.writeHead(200, { 'content-length': Buffer.byteLength(part) + 100, ...mutable(headers) });
    await write(exchange, part);
    await hang(exchange);
  };
}

/** Sends the reply `size` bytes at a time with `everyMs` between: never idle, never done soon. */
export function drip(body: Buffer, size: number, everyMs: number, contentType: string = 'application/json'): Behaviour {
  return async (exchange) => {
    exchange.response.writeHead(200, { 'content-type': contentType, 'content-length': body.length });
    for (const piece of cutEvery(body, size)) {
      await write(exchange, piece);
      await sleep(everyMs, undefined, { signal: exchange.signal });
    }
    exchange.response.end();
  };
}

/** Resets the connection (RST) as soon as the request's head has come. */
export function reset(): Behaviour {
  return ({ socket }) => void socket.resetAndDestroy();
}

/** Closes without a word. */
export function closeEarly(): Behaviour {
  return ({ socket }) => void socket.destroy();
}

/** Sends less than the `content-length` promised, then closes. */
export function truncate(body: Bytes, missing: number = 10, contentType: string = 'application/json'): Behaviour {
  const length = Buffer.byteLength(body) + missing;
  return raw(`HTTP/1.1 200 OK\r\ncontent-type: ${contentType}\r\ncontent-length: ${length}\r\n\r\n${body}`, 'close');
}

/** Writes these very bytes to the connection instead of a reply, then closes, resets or goes on silently. */
export function raw(bytes: Bytes, then: 'close' | 'reset' | 'hang' = 'close'): Behaviour {
  return async (exchange) => {
    const { request, socket } = exchange;
    await request.body;
    const buffer = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
    await new Promise<void>((resolve) => socket.write(buffer, () => resolve()));
    if (then === 'hang') await hang(exchange);
    else if (then === 'reset') socket.resetAndDestroy();
    else socket.end();
  };
}

/** One server-sent event whose data is `bytes` long and never ends before that. Written with backpressure. */
export function hugeEvent(bytes: number): Behaviour {
  return async (exchange) => {
    const { request, response } = exchange;
    await request.body;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    await write(exchange, 'data: {"choices":[{"index":0,"delta":{"content":"');
    const block = Buffer.alloc(65_536, 'a');
    for (let sent = 0; sent < bytes; sent += block.length) await write(exchange, block.subarray(0, Math.min(block.length, bytes - sent)));
    await write(exchange, '"}}]}\n\n');
    response.end();
  };
}

/** A whole reply followed, unasked, by a second one: a client that keeps it would give it to the next request (response desynchronisation). */
export function answerTwice(body: Bytes, unasked: Bytes): Behaviour {
  const one = (content: Bytes): string =>
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(content)}\r\n\r\n${content}`;
  return raw(one(body) + one(unasked), 'hang');
}

/** Interim responses (RFC 9110 section 15.2) without end, or `count` of them before a proper reply. */
export function interimFlood(count: number, then: Bytes): Behaviour {
  const interim = 'HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n'.repeat(count);
  return raw(`${interim}HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(then)}\r\n\r\n${then}`);
}

/** Replies no HTTP/1.1 client may accept, or that mean two things to two readers. `why` cites RFC 9112 unless it says otherwise. */
export const MALFORMED_REPLIES: readonly { readonly name: string; readonly why: string; readonly bytes: Buffer }[] = [
  malformed('not HTTP at all', 'section 4: no status line', 'SSH-2.0-OpenSSH_9.2\r\n'),
  malformed('binary garbage', 'section 4', Buffer.from(Array.from({ length: 512 }, (_, index) => (index * 73 + 11) % 256))),
  malformed('HTTP/0.9 body', 'section 4: no status line', '{"choices":[]}'),
  malformed('status is not a number', 'section 4', 'HTTP/1.1 OK 200\r\ncontent-length: 2\r\n\r\n{}'),
  malformed('impossible version', 'section 2.3', 'HTTP/9.9 200 OK\r\ncontent-length: 2\r\n\r\n{}'),
  malformed(
    'length and chunked together',
    'section 6.3: the two disagree',
    'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
  ),
  malformed('two lengths', 'section 6.3', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 20\r\n\r\n{}'),
  malformed('list of lengths', 'section 6.3', 'HTTP/1.1 200 OK\r\ncontent-length: 2, 20\r\n\r\n{}'),
  malformed('negative length', 'RFC 9110 section 8.6', 'HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}'),
  malformed('length with a sign', 'RFC 9110 section 8.6', 'HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\n{}'),
  malformed('length beyond 64 bits', 'RFC 9110 section 8.6', 'HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n{}'),
  malformed('bad chunk size', 'section 7.1', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n'),
  malformed(
    'chunk size beyond 64 bits',
    'section 7.1: overflow',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n',
  ),
  malformed('unknown transfer coding', 'section 6.1', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, x-own\r\n\r\n2\r\n{}\r\n0\r\n\r\n'),
  malformed('header without a colon', 'section 5', 'HTTP/1.1 200 OK\r\nno colon here\r\ncontent-length: 2\r\n\r\n{}'),
  malformed('space before the colon', 'section 5.1', 'HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\n{}'),
  malformed('NUL in a header', 'RFC 9110 section 5.5', 'HTTP/1.1 200 OK\r\nx-a: b\0c\r\ncontent-length: 2\r\n\r\n{}'),
  malformed('bare CR in a header', 'section 2.2', 'HTTP/1.1 200 OK\r\nx-a: b\rset-cookie: a=b\r\ncontent-length: 2\r\n\r\n{}'),
  malformed(
    'one header of 1 MB',
    'longer than any limit',
    `HTTP/1.1 200 OK\r\nx-a: ${'a'.repeat(1_048_576)}\r\ncontent-length: 2\r\n\r\n{}`,
  ),
  malformed('20,000 headers', 'more than any limit', `HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(20_000)}content-length: 2\r\n\r\n{}`),
];

/** Odd but well-formed replies; each has an expected reading in a comment of the test that uses it. */
export const GARBAGE_200: Behaviour = answer(200, { 'content-type': 'application/json' }, '<html>not json</html>');
export const WRONG_TYPE_200: Behaviour = answer(200, { 'content-type': 'text/html' }, '<html><script>alert(1)</script></html>');

function malformed(name: string, why: string, bytes: Bytes): { name: string; why: string; bytes: Buffer } {
  return { name, why, bytes: typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes };
}

/** Writes and waits for room. Rejects when the client leaves. */
async function write({ response, signal }: UpstreamExchange, bytes: Bytes): Promise<void> {
  signal.throwIfAborted();
  if (!response.write(bytes)) await once(response, 'drain', { signal });
}

async function hang({ signal }: UpstreamExchange): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

function mutable(headers: Headers): Record<string, string | number | string[]> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, typeof value === 'object' ? [...value] : value]));
}
