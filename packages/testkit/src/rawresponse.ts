/** A strict HTTP/1.1 response reader (RFC 9112) for tests: what it accepts, every client accepts. */

export interface RawResponse {
  readonly version: string;
  readonly status: number;
  readonly reason: string;
  /** In order, names as sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly framing: 'none' | 'length' | 'chunked' | 'close';
  /** Transfer coding removed. */
  readonly body: Buffer;
  /** Sizes of the chunks as sent; empty where the body was not chunked. */
  readonly chunks: readonly number[];
  readonly trailers: readonly (readonly [name: string, value: string])[];
  /** Every byte of it as received. */
  readonly raw: Buffer;
  /** The values of all headers of that name, joined by `, `; null where there is none. */
  header(name: string): string | null;
}

/** The peer sent something that is not a response. */
export class MalformedResponse extends Error {
  override readonly name: string = 'MalformedResponse';
}

type HeaderList = [name: string, value: string][];

const HEADER_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x20-\x7e\x80-\xff\t]*?)[ \t]*$/;
const STATUS_LINE = /^HTTP\/(1\.[01]) ([1-5][0-9]{2})(?: ([\x20-\x7e\x80-\xff\t]*))?$/;

/**
 * Reads one response from the start of `bytes`, or returns null where it is not complete yet. `method` is that of the request
 * (a `HEAD` has no body); `ended` says that no more bytes will come. Throws `MalformedResponse`.
 */
export function readResponse(bytes: Buffer, method: string, ended: boolean): RawResponse | null {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) {
    if (ended && bytes.length > 0) throw new MalformedResponse('the connection ended inside a head');
    return null;
  }
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const match = STATUS_LINE.exec(statusLine);
  if (match === null) throw new MalformedResponse('not a status line');
  const [, version = '', code = '', reason = ''] = match;
  const status = Number(code);
  const headers = lines.map(readHeader);
  const start = headEnd + 4;
  const body = readBody(bytes, start, headers, method, status, ended);
  if (body === null) return null;
  return {
    version,
    status,
    reason,
    headers,
    ...body.content,
    raw: bytes.subarray(0, body.end),
    header: (name) => valuesOf(headers, name),
  };
}

interface Body {
  readonly content: Pick<RawResponse, 'framing' | 'body' | 'chunks' | 'trailers'>;
  readonly end: number;
}

function readBody(bytes: Buffer, start: number, headers: HeaderList, method: string, status: number, ended: boolean): Body | null {
  const plain = (framing: RawResponse['framing'], end: number): Body => ({
    content: { framing, body: bytes.subarray(start, end), chunks: [], trailers: [] },
    end,
  });
  const length = valuesOf(headers, 'content-length');
  const coding = valuesOf(headers, 'transfer-encoding');
  if (length !== null && coding !== null) throw new MalformedResponse('content-length and transfer-encoding together');
  if (length !== null && !/^[0-9]+$/.test(length)) throw new MalformedResponse('content-length is not one number');
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return plain('none', start);
  if (coding !== null) {
    if (coding.toLowerCase() !== 'chunked') throw new MalformedResponse('a transfer coding other than chunked');
    return readChunked(bytes, start, ended);
  }
  if (length !== null) {
    const end = start + Number(length);
    if (end <= bytes.length) return plain('length', end);
    if (ended) throw new MalformedResponse('the body is shorter than its content-length');
    return null;
  }
  return ended ? plain('close', bytes.length) : null;
}

function readChunked(bytes: Buffer, start: number, ended: boolean): Body | null {
  const parts: Buffer[] = [];
  const chunks: number[] = [];
  let at = start;
  const incomplete = (): null => {
    if (ended) throw new MalformedResponse('the connection ended inside a chunked body');
    return null;
  };
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return incomplete();
    const line = bytes.toString('latin1', at, lineEnd);
    if (!/^[0-9a-fA-F]{1,15}$/.test(line)) throw new MalformedResponse('not a chunk size');
    const size = Number.parseInt(line, 16);
    at = lineEnd + 2;
    if (size === 0) break;
    if (bytes.length < at + size + 2) return incomplete();
    if (bytes[at + size] !== 0x0d || bytes[at + size + 1] !== 0x0a) throw new MalformedResponse('a chunk is longer than its size');
    parts.push(bytes.subarray(at, at + size));
    chunks.push(size);
    at += size + 2;
  }
  const trailers: HeaderList = [];
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return incomplete();
    const line = bytes.toString('latin1', at, lineEnd);
    at = lineEnd + 2;
    if (line === '') return { content: { framing: 'chunked', body: Buffer.concat(parts), chunks, trailers }, end: at };
    trailers.push(readHeader(line));
  }
}

function readHeader(line: string): [string, string] {
  const match = HEADER_LINE.exec(line);
  if (match === null) throw new MalformedResponse('not a header line');
  return [match[1] ?? '', match[2] ?? ''];
}

function valuesOf(headers: HeaderList, name: string): string | null {
  const values = headers.filter(([candidate]) => candidate.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  return values.length === 0 ? null : values.join(', ');
}
