import { requestBytes } from './rawclient.ts';

/**
 * Requests that mean different things to different HTTP readers, or that no reader may take (RFC 9112, RFC 9110). Each is built
 * around one harmless, authorised request, so that what is refused is refused for its framing.
 */
export interface HostileRequest {
  readonly name: string;
  readonly why: string;
  /**
   * What a safe server does. `refuse`: a 4xx (or 501, 505) and the connection closed. `refuse-or-once`: refuse, or answer the one
   * request it unambiguously is; never treat any of the body as a second request.
   */
  readonly expect: 'refuse' | 'refuse-or-once';
  readonly bytes: Buffer;
}

export interface HarmlessRequest {
  readonly path: string;
  readonly host: string;
  /** Complete header lines' names and values, credentials included; no framing headers, no `host`. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** Path of a request smuggled inside a body; if the upstream or the ledger ever sees it, the attack worked. */
  readonly smuggledPath: string;
}

const LARGE_HEADER = 200_000; // bytes; above any sensible limit
const MANY_HEADERS = 5_000;

/** The table, built around `harmless`. */
export function hostileRequests(harmless: HarmlessRequest): readonly HostileRequest[] {
  const { path, host, headers, body, smuggledPath } = harmless;
  const length = Buffer.byteLength(body);
  const json: readonly (readonly [string, string])[] = [['content-type', 'application/json'], ...headers];
  const lines = json.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const smuggled = `GET ${smuggledPath} HTTP/1.1\r\nhost: ${host}\r\n\r\n`;
  const chunked = `${length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  /** A head with the usual headers and `framing` lines, then `content`, all as they are. */
  const post = (framing: string, content: string, start = `POST ${path} HTTP/1.1`): Buffer =>
    Buffer.from(`${start}\r\nhost: ${host}\r\n${lines}${framing}\r\n${content}`, 'latin1');
  const lengthLine = `content-length: ${length}\r\n`;
  const rows: [name: string, why: string, expect: HostileRequest['expect'], bytes: Buffer][] = [
    // Two readers, two lengths.
    [
      'CL.TE',
      'RFC 9112 6.1: both lengths given',
      'refuse',
      post(`content-length: ${chunked.length + smuggled.length}\r\ntransfer-encoding: chunked\r\n`, chunked + smuggled),
    ],
    [
      'TE.CL',
      'RFC 9112 6.1: both lengths given',
      'refuse',
      post('transfer-encoding: chunked\r\ncontent-length: 4\r\n', chunked + smuggled),
    ],
    [
      'two different lengths',
      'RFC 9112 6.3',
      'refuse',
      post(`content-length: ${length}\r\ncontent-length: ${length + 5}\r\n`, body + smuggled),
    ],
    ['the same length twice', 'RFC 9112 6.3', 'refuse-or-once', post(lengthLine + lengthLine, body)],
    ['list of lengths', 'RFC 9112 6.3', 'refuse', post(`content-length: ${length}, ${length + 5}\r\n`, body + smuggled)],
    ['length with a sign', 'RFC 9110 8.6', 'refuse', post(`content-length: +${length}\r\n`, body)],
    ['negative length', 'RFC 9110 8.6', 'refuse', post('content-length: -1\r\n', body)],
    ['hexadecimal length', 'RFC 9110 8.6', 'refuse', post(`content-length: 0x${length.toString(16)}\r\n`, body)],
    ['length beyond 64 bits', 'RFC 9110 8.6', 'refuse', post('content-length: 18446744073709551617\r\n', body)],
    ['empty length', 'RFC 9110 8.6', 'refuse', post('content-length:\r\n', body)],
    ['length with inner space', 'RFC 9110 8.6', 'refuse', post('content-length: 1 0\r\n', body)],
    // Transfer codings hidden from one of two readers.
    ['chunked not last', 'RFC 9112 6.1', 'refuse', post('transfer-encoding: chunked, identity\r\n', chunked)],
    ['another coding under chunked', 'RFC 9112 6.1', 'refuse', post('transfer-encoding: gzip, chunked\r\n', chunked)],
    ['empty coding before chunked', 'RFC 9112 7', 'refuse', post('transfer-encoding: , chunked\r\n', chunked)],
    ['chunked twice', 'RFC 9112 6.1', 'refuse', post('transfer-encoding: chunked, chunked\r\n', chunked)],
    ['coding with a prefix', 'RFC 9112 6.1', 'refuse', post('transfer-encoding: xchunked\r\n', chunked)],
    ['coding in quotes', 'RFC 9112 7', 'refuse', post('transfer-encoding: "chunked"\r\n', chunked)],
    ['coding behind a vertical tab', 'RFC 9110 5.5', 'refuse', post('transfer-encoding:\x0bchunked\r\n', chunked)],
    ['two coding headers', 'RFC 9112 6.1', 'refuse', post('transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n', chunked)],
    [
      'chunked in HTTP/1.0',
      'RFC 9112 6.1: 1.0 has no chunked',
      'refuse',
      post('transfer-encoding: chunked\r\n', chunked, `POST ${path} HTTP/1.0`),
    ],
    // Chunk framing.
    ['chunk size with a sign', 'RFC 9112 7.1', 'refuse', post('transfer-encoding: chunked\r\n', `+${chunked}`)],
    ['chunk size with 0x', 'RFC 9112 7.1', 'refuse', post('transfer-encoding: chunked\r\n', `0x${chunked}`)],
    [
      'chunk size beyond 64 bits',
      'RFC 9112 7.1',
      'refuse',
      post('transfer-encoding: chunked\r\n', `fffffffffffffffff${length.toString(16)}\r\n${body}\r\n0\r\n\r\n`),
    ],
    [
      'chunk extension of 100 kB',
      'RFC 9112 7.1.1: limit extensions',
      'refuse',
      post('transfer-encoding: chunked\r\n', `${length.toString(16)};a=${'b'.repeat(100_000)}\r\n${body}\r\n0\r\n\r\n`),
    ],
    [
      'chunk extension ended by LF',
      'RFC 9112 7.1.1: two readers end the line at different bytes',
      'refuse',
      post('transfer-encoding: chunked\r\n', `${length.toString(16)};a\n${body}\r\n0\r\n\r\n`),
    ],
    [
      'chunk longer than its size',
      'RFC 9112 7.1',
      'refuse',
      post('transfer-encoding: chunked\r\n', `${(length - 1).toString(16)}\r\n${body}\r\n0\r\n\r\n`),
    ],
    ['chunk ended by LF', 'RFC 9112 7.1', 'refuse', post('transfer-encoding: chunked\r\n', `${length.toString(16)}\r\n${body}\n0\r\n\r\n`)],
    [
      'framing in trailers',
      'RFC 9110 6.5.1: framing may not be in a trailer',
      'refuse-or-once',
      post('transfer-encoding: chunked\r\n', `${length.toString(16)}\r\n${body}\r\n0\r\ncontent-length: 5\r\n\r\n`),
    ],
    // Lines.
    ['space before the colon', 'RFC 9112 5.1', 'refuse', post(`content-length : ${length}\r\n`, body)],
    ['tab before the colon', 'RFC 9112 5.1', 'refuse', post(`content-length\t: ${length}\r\n`, body)],
    ['folded header', 'RFC 9112 5.2', 'refuse-or-once', post(`${lengthLine}x-a: b\r\n c\r\n`, body)],
    ['folded transfer-encoding', 'RFC 9112 5.2', 'refuse-or-once', post('transfer-encoding:\r\n chunked\r\n', chunked)],
    ['first header folded', 'RFC 9112 2.2', 'refuse', post(lengthLine, body, `POST ${path} HTTP/1.1\r\n x-a: b`)],
    ['bare CR in a value', 'RFC 9112 2.2', 'refuse', post(`${lengthLine}x-a: b\rtransfer-encoding: chunked\r\n`, body)],
    [
      'bare LF ends a header',
      'RFC 9112 2.2: may be accepted, both readers must agree',
      'refuse-or-once',
      post(`x-a: b\n${lengthLine}`, body),
    ],
    [
      'bare LF everywhere',
      'RFC 9112 2.2',
      'refuse-or-once',
      Buffer.from(post(lengthLine, body).toString('latin1').replaceAll('\r\n', '\n'), 'latin1'),
    ],
    ['NUL in a value', 'RFC 9110 5.5', 'refuse', post(`${lengthLine}x-a: b\0c\r\n`, body)],
    ['NUL in a name', 'RFC 9110 5.1', 'refuse', post(`${lengthLine}x\0a: b\r\n`, body)],
    ['control character in a value', 'RFC 9110 5.5', 'refuse', post(`${lengthLine}x-a: b\x08c\r\n`, body)],
    ['empty header name', 'RFC 9110 5.1', 'refuse', post(`${lengthLine}: b\r\n`, body)],
    ['header without a colon', 'RFC 9112 5', 'refuse', post(`${lengthLine}no colon here\r\n`, body)],
    ['header name outside ASCII', 'RFC 9110 5.1', 'refuse', post(`${lengthLine}x-\xe9: b\r\n`, body)],
    // Size.
    ['one header too long', 'larger than any limit', 'refuse', post(`${lengthLine}x-a: ${'a'.repeat(LARGE_HEADER)}\r\n`, body)],
    ['too many headers', 'more than any limit', 'refuse', post(lengthLine + 'x-a: b\r\n'.repeat(MANY_HEADERS), body)],
    ['target too long', 'RFC 9112 3: 414', 'refuse', post(lengthLine, body, `POST ${path}?${'a'.repeat(LARGE_HEADER)} HTTP/1.1`)],
    // Request line.
    ['unknown method', 'RFC 9110 9.1', 'refuse', post(lengthLine, body, `PWN ${path} HTTP/1.1`)],
    ['lower-case method', 'RFC 9110 9.1: methods are case-sensitive', 'refuse', post(lengthLine, body, `post ${path} HTTP/1.1`)],
    ['method with a control character', 'RFC 9112 3.1', 'refuse', post(lengthLine, body, `PO\x01ST ${path} HTTP/1.1`)],
    ['two spaces after the method', 'RFC 9112 3', 'refuse-or-once', post(lengthLine, body, `POST  ${path} HTTP/1.1`)],
    ['no version', 'RFC 9112 3: HTTP/0.9', 'refuse', post(lengthLine, body, `POST ${path}`)],
    ['version 2.0 in 1.1 framing', 'RFC 9112 2.3', 'refuse', post(lengthLine, body, `POST ${path} HTTP/2.0`)],
    ['version 9.9', 'RFC 9112 2.3', 'refuse', post(lengthLine, body, `POST ${path} HTTP/9.9`)],
    ['space in the target', 'RFC 9112 3.2', 'refuse', post(lengthLine, body, `POST ${path} x HTTP/1.1`)],
    ['NUL in the target', 'RFC 9112 3.2', 'refuse', post(lengthLine, body, `POST ${path}\0 HTTP/1.1`)],
    ['CONNECT', 'RFC 9110 9.3.6: no tunnel here', 'refuse', Buffer.from(`CONNECT ${host}:443 HTTP/1.1\r\nhost: ${host}:443\r\n\r\n`)],
    [
      'TRACE',
      'RFC 9110 9.3.8: would echo credentials',
      'refuse',
      Buffer.from(`TRACE ${path} HTTP/1.1\r\nhost: ${host}\r\n${lines}\r\n`, 'latin1'),
    ],
    [
      'absolute target of another host',
      'RFC 9112 3.2.2: the target, not Host, names the server',
      'refuse-or-once',
      post(lengthLine, body, `POST http://internal.example${path} HTTP/1.1`),
    ],
    ['authority target', 'RFC 9112 3.2.3: for CONNECT only', 'refuse', post(lengthLine, body, `POST ${host}:80 HTTP/1.1`)],
    ['no host', 'RFC 9112 3.2', 'refuse', Buffer.from(`POST ${path} HTTP/1.1\r\n${lines}${lengthLine}\r\n${body}`, 'latin1')],
    ['two hosts', 'RFC 9112 3.2', 'refuse', post(`host: other.example\r\n${lengthLine}`, body)],
    [
      'upgrade to h2c',
      'RFC 9113 3.1: no longer a thing',
      'refuse-or-once',
      post(`${lengthLine}connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n`, body),
    ],
    [
      'upgrade to websocket',
      'no such service',
      'refuse-or-once',
      post(
        `${lengthLine}connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n`,
        body,
      ),
    ],
    [
      'HTTP/2 preface in the clear',
      'h2 is over TLS only',
      'refuse',
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1'),
    ],
    ['TLS hello in the clear', 'not HTTP', 'refuse', Buffer.from('16030100a5010000a10303', 'hex')],
    [
      'credential hidden in connection',
      'RFC 9110 7.6.1: naming a header in Connection must not disarm it',
      'refuse-or-once',
      post(`${lengthLine}connection: close, authorization, x-api-key, x-request-id\r\n`, body),
    ],
  ];
  return rows.map(([name, why, expect, bytes]) => ({ name, why, expect, bytes }));
}

/** `count` copies of the harmless request written back to back: each must be answered, in order (RFC 9112 section 9.3.2). */
export function pipelined(harmless: HarmlessRequest, count: number): Buffer {
  const { path, headers, body } = harmless;
  const one = requestBytes({ target: path, headers: [['content-type', 'application/json'], ...headers], body });
  return Buffer.concat(Array.from({ length: count }, () => one));
}
