import { isAscii, isUtf8 } from 'node:buffer';
import { createWriteStream, constants as fsConstants } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { isCode, syncDirectory } from './files.ts';

/** A file of consecutive entries, one a line. */
export interface Segment {
  /** `seq` of its first entry. */
  readonly first: number;
  readonly path: string;
  readonly compressed: boolean;
}

/** A segment's file name without its suffix. */
export function segmentName(first: number): string {
  return String(first).padStart(16, '0');
}

export function segmentPath(log: string, first: number): string {
  return join(log, 'segments', `${segmentName(first)}.jsonl`);
}

/** In order. Where a crash left a segment both plain and compressed, the plain one counts. */
export async function listSegments(log: string): Promise<Segment[]> {
  const names = await readdir(join(log, 'segments')).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  });
  const segments = new Map<number, Segment>();
  for (const name of names.sort()) {
    const [, digits, suffix] = /^([0-9]{16})\.jsonl(\.zst)?$/.exec(name) ?? [];
    if (digits === undefined) continue;
    const first = Number(digits);
    // Sorted, the plain name comes before the compressed one.
    if (!segments.has(first)) segments.set(first, { first, path: join(log, 'segments', name), compressed: suffix !== undefined });
  }
  return [...segments.values()].sort((a, b) => a.first - b.first);
}

/** Whole lines of a segment, without their newlines. */
export interface LineBlock {
  readonly lines: readonly string[];
  /** What follows the last newline of the file: bytes of an unfinished write. Only in the last block. */
  readonly rest: Buffer;
}

const NEWLINE = 0x0a;
const NOTHING = Buffer.alloc(0);

/** Bytes without a newline that no entry has. They are passed on as a line, which nothing takes for an entry, so that memory stays bounded. */
const LONGEST_LINE = 1 << 18;

/** Reads a segment in blocks of about a mebibyte. The bytes are as trustworthy as the disk. */
export async function* readSegment(segment: Segment): AsyncGenerator<LineBlock> {
  let rest: Buffer = NOTHING;
  for await (const chunk of readChunks(segment)) {
    const end = chunk.lastIndexOf(NEWLINE);
    if (end < 0) {
      rest = Buffer.concat([rest, chunk]);
      if (rest.length <= LONGEST_LINE) continue;
      yield { lines: decodeLines(rest), rest: NOTHING };
      rest = NOTHING;
      continue;
    }
    yield { lines: decodeLines(Buffer.concat([rest, chunk.subarray(0, end)])), rest: NOTHING };
    rest = Buffer.from(chunk.subarray(end + 1));
  }
  if (rest.length > 0) yield { lines: [], rest };
}

/** The lines at the given positions (ascending, from 0), decoded alone: the others are only counted. */
export async function* readLinesAt(segment: Segment, positions: readonly number[]): AsyncGenerator<string> {
  let line = 0;
  let wanted = 0;
  let begun: Buffer[] = [];
  for await (const chunk of readChunks(segment)) {
    let start = 0;
    while (wanted < positions.length) {
      const end = chunk.indexOf(NEWLINE, start);
      const isWanted = line === positions[wanted];
      if (end < 0) {
        if (isWanted) begun.push(Buffer.from(chunk.subarray(start)));
        break;
      }
      if (isWanted) {
        yield* decodeLines(Buffer.concat([...begun, chunk.subarray(start, end)]));
        begun = [];
        wanted += 1;
      }
      start = end + 1;
      line += 1;
    }
    if (wanted === positions.length) return;
  }
}

/** The bytes of a segment, decompressed. */
async function* readChunks(segment: Segment): AsyncGenerator<Buffer> {
  // Opened first: once open, a segment that is compressed meanwhile stays readable.
  const { handle, compressed } = await openSegment(segment);
  const end = compressed ? Number.POSITIVE_INFINITY : await contentLength(handle);
  if (end === 0) return void (await handle.close());
  const file = handle.createReadStream({ highWaterMark: 1 << 20, end: end - 1 });
  yield* compressed ? decompressed(file) : (file as AsyncIterable<Buffer>);
}

const ZEROS = Buffer.alloc(1 << 16);

/**
 * Length of a plain segment without the zeros at its end. Its writer puts some there ahead of its lines (`OpenSegment`), and a crash leaves
 * them; no entry has a zero. Zeros that something follows are part of it.
 */
export async function contentLength(handle: FileHandle): Promise<number> {
  let { size } = await handle.stat();
  const buffer = Buffer.allocUnsafe(ZEROS.length);
  while (size > 0) {
    const start = Math.max(0, size - buffer.length);
    const { bytesRead } = await handle.read(buffer, 0, size - start, start);
    const bytes = buffer.subarray(0, bytesRead);
    if (!bytes.equals(ZEROS.subarray(0, bytesRead))) {
      let last = bytesRead - 1;
      while (bytes[last] === 0) last--;
      return start + last + 1;
    }
    size = start;
  }
  return 0;
}

async function openSegment({ path, compressed }: Segment): Promise<{ handle: FileHandle; compressed: boolean }> {
  try {
    return { handle: await open(path, 'r'), compressed };
  } catch (error) {
    if (compressed || !isCode(error, 'ENOENT')) throw error;
    return { handle: await open(`${path}.zst`, 'r'), compressed: true };
  }
}

/** Lets decompression run ahead while a block is looked at. */
const READ_AHEAD = { chunkSize: 1 << 20, highWaterMark: 4 << 20 };

async function* decompressed(file: NodeJS.ReadableStream & AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const stream = createZstdDecompress(READ_AHEAD);
  const fed = pipeline(file, stream);
  // A damaged file fails the pipeline and, with it, the iteration below; `fed` is awaited so that neither goes unseen.
  fed.catch(() => {});
  for await (const chunk of stream) yield chunk;
  await fed;
}

/** Lines as text. One that is not UTF-8 is decoded byte for byte instead, so that its hash cannot match by way of a replacement character. */
function decodeLines(bytes: Buffer): string[] {
  if (isAscii(bytes)) return bytes.toString('latin1').split('\n');
  if (isUtf8(bytes)) return bytes.toString().split('\n');
  return bytes
    .toString('latin1')
    .split('\n')
    .map((line) => {
      const raw = Buffer.from(line, 'latin1');
      return isUtf8(raw) ? raw.toString() : line;
    });
}

/**
 * Replaces a closed segment by its compressed form. A crash at any point leaves the plain file, or both.
 * Readers that have the plain file open keep reading it.
 */
export async function compressSegment(segment: Segment): Promise<void> {
  if (segment.compressed) return;
  const target = `${segment.path}.zst`;
  const draft = `${target}.new`;
  const output = createWriteStream(draft, { mode: 0o600, flush: true });
  const compress = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 } });
  await using input = await open(segment.path, 'r');
  const end = await contentLength(input);
  await pipeline(end === 0 ? [] : input.createReadStream({ end: end - 1 }), compress, output);
  await rename(draft, target);
  await syncDirectory(dirname(target));
  await rm(segment.path);
}

/** The open segment's file. The port exists so that tests can fail the disk. */
export interface SegmentFile {
  /** Writes all of it. */
  write(bytes: Buffer, length: number, position: number): Promise<void>;
  /** Returns once what was written is on the disk. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  /** Length in bytes, or null where the file was unlinked under us. */
  length(): Promise<number | null>;
  close(): Promise<void>;
}

export interface SegmentStore {
  /** `create` makes a file that is not there, and its name durable. */
  open(path: string, create: boolean): Promise<SegmentFile>;
}

/** How an append becomes durable. Without a sync, a power cut loses acknowledged entries; a killed process does not. */
export type SyncMode = 'fdatasync' | 'unsafe-none';

/**
 * `O_DSYNC` (POSIX): a write returns when its data is on the disk, as if `fdatasync` followed, in one call instead of two. 0 where the
 * system has no such flag.
 */
const WRITE_THROUGH: number = fsConstants.O_DSYNC ?? 0;

export function diskStore(mode: SyncMode): SegmentStore {
  return {
    async open(path, create) {
      const durable = mode === 'fdatasync' ? WRITE_THROUGH : 0;
      let handle: FileHandle;
      try {
        handle = await open(path, fsConstants.O_RDWR | durable);
      } catch (error) {
        if (!create || !isCode(error, 'ENOENT')) throw error;
        handle = await open(path, fsConstants.O_RDWR | fsConstants.O_CREAT | fsConstants.O_EXCL | durable, 0o600);
        await syncDirectory(dirname(path));
      }
      return new DiskFile(handle, mode);
    },
  };
}

class DiskFile implements SegmentFile {
  readonly #handle: FileHandle;
  readonly #sync: boolean;
  readonly #syncTruncate: boolean;

  constructor(handle: FileHandle, mode: SyncMode) {
    this.#handle = handle;
    this.#sync = mode === 'fdatasync' && WRITE_THROUGH === 0;
    this.#syncTruncate = mode === 'fdatasync';
  }

  async write(bytes: Buffer, length: number, position: number): Promise<void> {
    for (let done = 0; done < length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, done, length - done, position + done);
      done += bytesWritten;
    }
  }

  async sync(): Promise<void> {
    if (this.#sync) await this.#handle.datasync();
  }

  async truncate(length: number): Promise<void> {
    await this.#handle.truncate(length);
    if (this.#syncTruncate) await this.#handle.datasync();
  }

  async length(): Promise<number | null> {
    const { nlink, size } = await this.#handle.stat();
    return nlink === 0 ? null : size;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
