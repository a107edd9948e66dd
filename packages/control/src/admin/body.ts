import type { IncomingMessage } from 'node:http';
import { Fault } from '@sallyport/core';
import { parseStrictJson } from './json.ts';

export const MAX_BODY_BYTES = 1_048_576;

const JSON_MEDIA_TYPE = /^application\/json(?:\s*;\s*charset\s*=\s*"?utf-8"?)?$/i;

/**
 * The JSON value of a request's body; an empty body is an empty object. Throws `Fault`: `unsupported_media_type`,
 * `request_too_large`, `invalid_request`, `client_closed_request`.
 */
export async function readBody(request: IncomingMessage): Promise<unknown> {
  if (request.headers['content-encoding'] !== undefined) {
    throw new Fault('unsupported_media_type', 'Send the body without content-encoding.', { param: 'content-encoding' });
  }
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    // Not destroyed on the way out: the refusal still has to be sent over the same socket.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      if (!(chunk instanceof Buffer)) throw new TypeError('The request stream was given an encoding');
      length += chunk.length;
      if (length > MAX_BODY_BYTES) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof Fault || error instanceof TypeError) throw error;
    throw new Fault('client_closed_request', 'The request ended before its body did.', { cause: error });
  }
  if (length === 0) return {};
  if (!JSON_MEDIA_TYPE.test(request.headers['content-type'] ?? '')) {
    throw new Fault('unsupported_media_type', 'The body must be application/json.', { param: 'content-type' });
  }
  return parseStrictJson(Buffer.concat(chunks, length));
}

/** Whether a request announces a body at all. */
export function hasBody(request: IncomingMessage): boolean {
  return request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
}

/** Whether what a request announces is no more than what would be read of it. */
export function isSmall(request: IncomingMessage): boolean {
  return request.headers['transfer-encoding'] === undefined && Number(request.headers['content-length'] ?? 0) <= MAX_BODY_BYTES;
}

function tooLarge(): Fault {
  return new Fault('request_too_large', 'The body must be 1 MB at most.');
}
