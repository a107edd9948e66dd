import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { constants, zstdCompress, zstdDecompress, zstdDecompressSync } from 'node:zlib';

/*
 * A compressed segment is a row of Zstandard frames (RFC 8878), each of the entries of one tile, so that a reader of one entry decompresses
 * a few hundred kilobytes instead of the segment (docs/decisions/2026-11-28-frames.md). Segments of before are one frame.
 *
 * Node's decompressor stops after the first frame and does not look at what follows. So the frames are told apart here, and a file with
 * anything else in it is refused: no tool may show entries in a segment that verification has not seen.
 */

/** A compressed segment is not a row of whole Zstandard frames. */
export class MalformedFrames extends Error {
  override readonly name: string = 'MalformedFrames';
}

export interface Frame {
  readonly bytes: Buffer;
  /** Where it ends in the file. */
  readonly end: number;
}

/** Bytes past which a compressed segment, or what it holds, is refused: well above the longest that is written (`LONGEST_SEGMENT`). */
export const LONGEST_CONTENT: number = 64 << 20;
const CHUNK = 1 << 20;

/** The frames of a compressed segment, whole. The bytes are as trustworthy as the disk. @throws {MalformedFrames} */
export async function* readFrames(handle: FileHandle): AsyncGenerator<Frame> {
  let rest: Buffer = Buffer.alloc(0);
  let position = 0;
  let walk = new FrameWalk();
  for await (const chunk of handle.createReadStream({ highWaterMark: CHUNK, autoClose: false }) as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    if (position + rest.length > LONGEST_CONTENT) throw new MalformedFrames('it is too long');
    let start = 0;
    for (let end = walk.end(rest, start); end !== null; end = walk.end(rest, start)) {
      yield { bytes: rest.subarray(start, end), end: position + end };
      start = end;
      walk = new FrameWalk();
    }
    position += start;
    rest = rest.subarray(start);
  }
  if (rest.length > 0) throw new MalformedFrames('the last frame is not whole');
  if (position === 0) throw new MalformedFrames('there is no frame');
}

/** Sizes of the fields that two bits of a frame header stand for. */
const DICTIONARY_ID = [0, 1, 2, 4] as const;
const CONTENT_SIZE = [0, 2, 4, 8] as const;
const MAGIC = 0xfd2f_b528;
const RLE = 1;
const RESERVED = 3;

/** Looks for the end of a frame whose bytes come piece by piece. It goes on where it stopped: a hostile one has millions of empty blocks. */
class FrameWalk {
  /** Bytes of the frame, from its start, that are accounted for. */
  #at = 0;
  #last = false;
  #checksum = 0;

  /** As `frameEnd`. `bytes` hold, from `start` on, what there is of the frame. */
  end(bytes: Buffer, start: number): number | null {
    if (this.#at === 0 && !this.#header(bytes, start)) return null;
    while (!this.#last) {
      const at = start + this.#at;
      if (bytes.length < at + 3) return null;
      const header = bytes.readUIntLE(at, 3);
      const type = (header >> 1) & 3;
      if (type === RESERVED) throw new MalformedFrames('a block has a type that does not exist');
      this.#last = (header & 1) === 1;
      this.#at += 3 + (type === RLE ? 1 : header >> 3);
    }
    const end = start + this.#at + this.#checksum;
    return bytes.length < end ? null : end;
  }

  #header(bytes: Buffer, start: number): boolean {
    if (bytes.length < start + 5) return false;
    if (bytes.readUInt32LE(start) !== MAGIC) throw new MalformedFrames('there is something between the frames');
    const descriptor = bytes[start + 4] ?? 0;
    const single = (descriptor & 0x20) !== 0;
    const contentSize = descriptor >> 6 === 0 && single ? 1 : (CONTENT_SIZE[descriptor >> 6] ?? 0);
    this.#at = 5 + (single ? 0 : 1) + (DICTIONARY_ID[descriptor & 3] ?? 0) + contentSize;
    this.#checksum = (descriptor & 0x04) === 0 ? 0 : 4;
    return true;
  }
}

/**
 * Where the frame that starts at `start` ends (RFC 8878 section 3.1.1); null where `bytes` do not hold all of it. Skippable frames are
 * not taken: the ledger writes none. @throws {MalformedFrames}
 */
export function frameEnd(bytes: Buffer, start: number): number | null {
  return new FrameWalk().end(bytes, start);
}

const decompress = promisify(zstdDecompress);
const compress = promisify(zstdCompress);

/** What one frame holds. @throws {MalformedFrames} where it is damaged, or holds more than `longest` bytes */
export async function decompressFrame(frame: Buffer, longest: number = LONGEST_CONTENT): Promise<Buffer> {
  const options = { chunkSize: CHUNK / 2, maxOutputLength: longest };
  try {
    // A tenth of a millisecond, and thrice that by way of another thread; the main one is not to wait all the same.
    return isMainThread ? await decompress(frame, options) : zstdDecompressSync(frame, options);
  } catch (error) {
    throw new MalformedFrames('a frame is damaged', { cause: error });
  }
}

/** One frame of the lines. */
export function compressFrame(lines: Buffer): Promise<Buffer> {
  const params = { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 };
  return compress(lines, { params, pledgedSrcSize: lines.length, chunkSize: CHUNK / 16 });
}
