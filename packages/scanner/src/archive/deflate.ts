import { once } from 'node:events';
import * as zlib from 'node:zlib';
import { type ByteSource, sliceSource } from '../source.ts';
import { Damaged, type Output } from './output.ts';

/** What node:zlib decompresses. */
export type ZlibKind = 'raw' | 'zlib' | 'zstd' | 'brotli';

const CHUNK = 2 ** 18;
/** Bytes within which a stream may end, so that no stream of node:zlib is set up for it. */
const LAST_SMALL = 2 ** 16;
const SMALL: readonly number[] = [2 ** 10, LAST_SMALL];
const SMALL_CHUNK = 2 ** 13;
const OPEN: Readonly<Record<ZlibKind, () => zlib.Inflate | zlib.InflateRaw | zlib.ZstdDecompress | zlib.BrotliDecompress>> = {
  raw: () => zlib.createInflateRaw({ chunkSize: CHUNK }),
  zlib: () => zlib.createInflate({ chunkSize: CHUNK }),
  zstd: () => zlib.createZstdDecompress({ chunkSize: CHUNK }),
  brotli: () => zlib.createBrotliDecompress({ chunkSize: CHUNK }),
};

/**
 * Decompresses into `output` and gives the number of bytes read of `source`; what follows the stream is the caller's to look at.
 * Throws `Damaged` where the stream is invalid, and `LimitReached` from the output.
 */
export async function decodeZlib(kind: ZlibKind, source: ByteSource, output: Output): Promise<number> {
  if (kind !== 'brotli') {
    for (const length of SMALL) {
      // What ends within the second is no use to try within the first.
      if (length < source.size && source.size <= LAST_SMALL) continue;
      const quick = decodeSmall(kind, source.read(0, length), output);
      if (quick !== null) return quick;
      if (source.size <= length) break;
    }
  }
  const stream = OPEN[kind]();
  let failure: Error | null = null;
  let ended = false;
  stream.on('error', (error: Error) => {
    failure ??= error;
  });
  stream.on('end', () => {
    ended = true;
  });
  stream.on('data', (chunk: Buffer) => {
    if (failure !== null) return;
    try {
      output.write(chunk);
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
    }
  });
  const closed = once(stream, 'close').catch(() => undefined); // an error is kept in `failure`
  const broken = (): Error | null => failure;
  const over = (): boolean => ended;
  try {
    for (let offset = 0; offset < source.size && broken() === null && !over(); offset += CHUNK) {
      const chunk = Buffer.from(source.read(offset, CHUNK));
      await Promise.race([closed, new Promise<void>((resolve) => stream.write(chunk, () => resolve()))]);
    }
    if (broken() === null && !over()) {
      stream.end();
      await closed;
    }
  } catch (error) {
    failure ??= error instanceof Error ? error : new Error(String(error));
  } finally {
    stream.destroy();
  }
  const error = broken();
  if (error === null) return Math.min(stream.bytesWritten, source.size);
  throw 'code' in error ? new Damaged(`the compressed stream is invalid (${String(error.code)})`) : error;
}

/** A stream that ends within a few bytes at once; null where it is longer, its output is too large for that, or it is not sound. */
function decodeSmall(kind: Exclude<ZlibKind, 'brotli'>, bytes: Buffer, output: Output): number | null {
  const inflate = { raw: zlib.inflateRawSync, zlib: zlib.inflateSync, zstd: zlib.zstdDecompressSync }[kind];
  let result: { buffer: Buffer; engine: { bytesWritten: number } };
  try {
    // Members of a gzip file may be a few bytes each.
    result = inflate(bytes, { chunkSize: SMALL_CHUNK, maxOutputLength: 2 ** 23, info: true } as object) as typeof result & Buffer;
  } catch {
    // Damaged or large: the streaming path keeps what comes out before the fault and says which of both it is.
    return null;
  }
  output.write(result.buffer);
  return result.engine.bytesWritten;
}

const FLAG = { checksum: 2, extra: 4, name: 8, comment: 16 } as const;
const TRAILER = 8;

/** Members of a gzip file one after another (RFC 1952). What follows the last is left to the caller, which node:zlib would refuse or drop. */
export async function decodeGzip(source: ByteSource, output: Output): Promise<number> {
  let position = 0;
  do {
    output.startStream();
    const start = gzipData(source, position);
    position = start + (await decodeZlib('raw', sliceSource(source, start), output)) + TRAILER;
  } while (source.read(position, 3).toString('latin1') === '\x1f\x8b\x08');
  return Math.min(position, source.size);
}

/** Where the deflate stream of the member at `position` begins. */
function gzipData(source: ByteSource, position: number): number {
  const head = source.read(position, 12);
  if (head.length < 12) throw new Damaged('the gzip header is cut off');
  const flags = head[3] ?? 0;
  let at = position + 10 + ((flags & FLAG.extra) !== 0 ? 2 + head.readUInt16LE(10) : 0);
  for (const flag of [FLAG.name, FLAG.comment]) {
    if ((flags & flag) === 0) continue;
    const length = source.read(at, 65_536).indexOf(0);
    if (length < 0) throw new Damaged('the gzip header is cut off');
    at += length + 1;
  }
  return at + ((flags & FLAG.checksum) !== 0 ? 2 : 0);
}
