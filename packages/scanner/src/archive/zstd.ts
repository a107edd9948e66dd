import { type ByteSource, sliceSource } from '../source.ts';
import { decodeZlib } from './deflate.ts';
import { Damaged, type Output } from './output.ts';

export const ZSTD = 0xfd2fb528;
/** First of sixteen: a frame to be skipped, of zstd and of lz4 alike (RFC 8878, 3.1.2). */
const SKIPPED = 0x184d2a50;
const SKIPPED_HEAD = 8;
/** Bytes of the fields of a frame header by their flags (RFC 8878, 3.1.1.1). */
const DICTIONARY_ID: readonly number[] = [0, 1, 2, 4];
const CONTENT_SIZE: readonly number[] = [0, 2, 4, 8];
const RLE = 1;

/** What frames to be skipped hold: decoders pass over it, other readers of the file do not. */
export type Skipped = { readonly start: number; readonly end: number }[];

export function isSkippedFrame(magic: number): boolean {
  return (magic & 0xfffffff0) === SKIPPED;
}

/**
 * Frames of zstd one after another (RFC 8878, 3.1), of which node:zlib reads one. Gives the number of bytes read, and appends to `skipped`.
 * Throws `Damaged`, and `LimitReached` from the output.
 */
export async function decodeZstd(source: ByteSource, output: Output, skipped: Skipped): Promise<number> {
  let position = 0;
  while (position + 4 <= source.size) {
    const head = source.read(position, SKIPPED_HEAD);
    const magic = head.readUInt32LE(0);
    if (isSkippedFrame(magic)) {
      if (head.length < SKIPPED_HEAD) throw new Damaged('a zstd frame is cut off');
      const start = position + SKIPPED_HEAD;
      position = start + head.readUInt32LE(4);
      skipped.push({ start, end: Math.min(position, source.size) });
      output.startStream();
      if (position > source.size) throw new Damaged('a zstd frame is cut off');
    } else if (magic === ZSTD) {
      output.startStream();
      const end = frameEnd(source, position);
      await decodeZlib('zstd', sliceSource(source, position, end), output);
      if (end > source.size) throw new Damaged('a zstd frame is cut off');
      position = end;
    } else break;
  }
  return position;
}

/** Where the frame at `start` ends by its headers, which may be behind the end of the source. */
function frameEnd(source: ByteSource, start: number): number {
  const flags = source.read(start + 4, 1)[0] ?? 0;
  const single = (flags & 0x20) !== 0;
  const size = single && flags >> 6 === 0 ? 1 : (CONTENT_SIZE[flags >> 6] ?? 0);
  let at = start + 5 + (single ? 0 : 1) + (DICTIONARY_ID[flags & 3] ?? 0) + size;
  for (;;) {
    const block = source.read(at, 3);
    if (block.length < 3) return source.size + 1;
    const header = block.readUIntLE(0, 3);
    at += 3 + (((header >> 1) & 3) === RLE ? 1 : header >> 3);
    if ((header & 1) !== 0) return at + ((flags & 4) !== 0 ? 4 : 0);
  }
}
