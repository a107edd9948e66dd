import { isAscii, isUtf8 } from 'node:buffer';
import { type FileHandle, open } from 'node:fs/promises';
import { isCode } from './files.ts';
import { decompressFrame, frameEnd, LONGEST_CONTENT, MalformedFrames, readFrames } from './frames.ts';
import { contentLength, type Segment } from './segment.ts';
import { TILE_WIDTH } from './tiles.ts';

/** Whole lines of a segment, without their newlines. */
export interface LineBlock {
  readonly lines: readonly string[];
  /** The same as bytes, one of a newline between two lines, where each is a character; else null. Whoever reads the block may write over them. */
  readonly ascii: Buffer | null;
  /** What follows the last newline of the file: bytes of an unfinished write. Only in the last block. */
  readonly rest: Buffer;
  /** Where the frame ends in the file whose lines these are, no more and no less; null where they are not those of a frame. */
  readonly frameEnd: number | null;
}

const NEWLINE = 0x0a;
const NOTHING = Buffer.alloc(0);

/** Bytes without a newline that no entry has. They are passed on as a line, which nothing takes for an entry, so that memory stays bounded. */
const LONGEST_LINE = 1 << 18;

/** Reads a segment in blocks of about a mebibyte, or a frame. The bytes are as trustworthy as the disk. @throws {MalformedFrames} */
export async function* readSegment(segment: Segment): AsyncGenerator<LineBlock> {
  let rest: Buffer = NOTHING;
  for await (const { bytes, end: boundary } of readChunks(segment)) {
    const end = bytes.lastIndexOf(NEWLINE);
    if (end < 0) {
      rest = Buffer.concat([rest, bytes]);
      if (rest.length <= LONGEST_LINE) continue;
      yield { ...decodeLines(rest), rest: NOTHING, frameEnd: null };
      rest = NOTHING;
      continue;
    }
    const whole = rest.length === 0 && end === bytes.length - 1;
    const lines = rest.length === 0 ? bytes.subarray(0, end) : Buffer.concat([rest, bytes.subarray(0, end)]);
    yield { ...decodeLines(lines), rest: NOTHING, frameEnd: whole ? boundary : null };
    rest = Buffer.from(bytes.subarray(end + 1));
  }
  if (rest.length > 0) yield { lines: [], ascii: null, rest, frameEnd: null };
}

/** A frame of a compressed segment: where it ends in the file, and its lines in the segment. */
export interface FramePlace {
  readonly end: number;
  readonly lines: number;
}

/**
 * The lines at the given positions (ascending, from 0) of a compressed segment. Only the frames that have some are read.
 * @throws {MalformedFrames} no frame ends where `frames` says
 */
export async function* readLinesAt({ path }: Segment, positions: readonly number[], frames: readonly FramePlace[]): AsyncGenerator<string> {
  await using handle = await open(path, 'r');
  let [next, start, first] = [0, 0, 0];
  for (const { end, lines } of frames) {
    const from = next;
    while (next < positions.length && (positions[next] ?? 0) < lines) next += 1;
    if (next > from) yield* pickLines(await readFrame(handle, start, end), first, positions.slice(from, next));
    [start, first] = [end, lines];
  }
}

async function readFrame(handle: FileHandle, start: number, end: number): Promise<Buffer> {
  const bytes = Buffer.alloc(Math.max(0, Math.min(end - start, LONGEST_CONTENT)));
  await handle.read(bytes, 0, bytes.length, start);
  if (frameEnd(bytes, 0) !== end - start) throw new MalformedFrames('a frame is not where the index has it');
  return decompressFrame(bytes);
}

/** Lines decoded alone: the others are only counted. `first` is the position of the first line of `bytes`. */
function* pickLines(bytes: Buffer, first: number, positions: readonly number[]): Generator<string> {
  let line = first;
  let start = 0;
  for (const position of positions) {
    for (; line < position; line += 1) start = bytes.indexOf(NEWLINE, start) + 1;
    yield* decodeLines(bytes.subarray(start, bytes.indexOf(NEWLINE, start))).lines;
  }
}

interface Chunk {
  readonly bytes: Buffer;
  /** Where its frame ends in the file; null in a plain segment. */
  readonly end: number | null;
}

/** The bytes of a segment, decompressed. */
async function* readChunks(segment: Segment): AsyncGenerator<Chunk> {
  // Opened first: once open, a segment that is compressed meanwhile stays readable.
  const { handle, compressed } = await openSegment(segment);
  await using file = handle;
  if (compressed) return yield* decompressed(file);
  const end = await contentLength(file);
  if (end === 0) return;
  const stream: AsyncIterable<Buffer> = file.createReadStream({ highWaterMark: 1 << 20, end: end - 1, autoClose: false });
  for await (const bytes of stream) yield { bytes, end: null };
}

/** No entry has fewer bytes. */
export const SHORTEST_LINE = 400;
/** What a frame holds at least that another one follows: the entries of a tile. */
const SHORTEST_FRAME: number = TILE_WIDTH * SHORTEST_LINE;

/**
 * One frame is decompressed while the one before it is looked at. A small file may claim to hold a great deal, in a million frames: a
 * segment as long as none is written, or in more frames than its entries have, is read no further.
 */
async function* decompressed(file: FileHandle): AsyncGenerator<Chunk> {
  let ahead: Promise<Chunk> | null = null;
  let left = LONGEST_CONTENT;
  try {
    for await (const { bytes, end } of readFrames(file)) {
      // Of the frame before the one in work the length is known; two are never decompressed at once.
      const ready: Chunk | null = ahead === null ? null : await ahead;
      ahead = null;
      if (ready !== null) {
        left -= ready.bytes.length;
        if (ready.bytes.length < SHORTEST_FRAME) throw new MalformedFrames('a frame is not of the entries of a tile');
      }
      const next: Promise<Chunk> = decompressFrame(bytes, left).then((content) => ({ bytes: content, end }));
      // Awaited in the next round, or not at all where the reader stops early.
      next.catch(() => {});
      ahead = next;
      if (ready !== null) yield ready;
    }
  } catch (error) {
    // What came before the damage is still told.
    if (error instanceof MalformedFrames && ahead !== null) yield await ahead;
    throw error;
  }
  if (ahead !== null) yield await ahead;
}

async function openSegment({ path, compressed }: Segment): Promise<{ handle: FileHandle; compressed: boolean }> {
  try {
    return { handle: await open(path, 'r'), compressed };
  } catch (error) {
    if (compressed || !isCode(error, 'ENOENT')) throw error;
    return { handle: await open(`${path}.zst`, 'r'), compressed: true };
  }
}

/** Lines as text. One that is not UTF-8 is decoded byte for byte instead, so that its hash cannot match by way of a replacement character. */
function decodeLines(bytes: Buffer): Pick<LineBlock, 'lines' | 'ascii'> {
  if (isAscii(bytes)) return { lines: decodeAscii(bytes), ascii: bytes };
  if (isUtf8(bytes)) return { lines: bytes.toString().split('\n'), ascii: null };
  const lines = bytes.toString('latin1').split('\n');
  return { lines: lines.map((line) => decodeUtf8(line) ?? line), ascii: null };
}

function decodeUtf8(latin1: string): string | null {
  const bytes = Buffer.from(latin1, 'latin1');
  return isUtf8(bytes) ? bytes.toString() : null;
}

/** Characters decoded at once: a longer text lies outside the young generation, where it takes four times as long. */
const PIECE = 60_000;

function decodeAscii(bytes: Buffer): string[] {
  if (bytes.length <= PIECE) return bytes.toString('latin1').split('\n');
  const lines: string[] = [];
  for (let start = 0; start <= bytes.length; ) {
    const far = start + PIECE;
    const last = far >= bytes.length ? -1 : bytes.lastIndexOf(NEWLINE, far);
    const end = last < start ? bytes.length : last;
    for (const line of bytes.toString('latin1', start, end).split('\n')) lines.push(line);
    start = end + 1;
  }
  return lines;
}
