import type { Socket } from 'node:net';

/** Larger requests leave in parts, as Node would send them: copying them costs more than the second part of a write. Bytes. */
const MAX_JOINED = 64 * 1024;

/** What a Writable's `_write` is told for a buffer (Node's stream documentation, `writable._write`); the types know text encodings only. */
const BUFFER = 'buffer' as BufferEncoding;

type Part = { readonly chunk: Buffer | string; readonly encoding: BufferEncoding };

/**
 * Has a socket send what was written while corked (a request's head and body, a chunk with its frame) as one buffer. Node hands such parts to the system one by
 * one in a vector, which for a small request costs several times the copy; over TLS it is one record instead of two.
 */
export function joinWrites(socket: Socket): Socket {
  const original = socket._writev?.bind(socket);
  socket._writev = (parts: Part[], callback: (error?: Error | null) => void): void => {
    let size = 0;
    for (const { chunk, encoding } of parts) size += typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length;
    if (size > MAX_JOINED && original !== undefined) {
      original(parts, callback);
      return;
    }
    const joined = Buffer.allocUnsafe(size);
    let at = 0;
    for (const { chunk, encoding } of parts) {
      if (typeof chunk === 'string') at += joined.write(chunk, at, encoding);
      else at += chunk.copy(joined, at);
    }
    // A hex or base64 text may be shorter than it looks; what lies behind it is somebody else's memory.
    socket._write(joined.subarray(0, at), BUFFER, callback);
  };
  return socket;
}
