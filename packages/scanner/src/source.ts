import { closeSync, constants, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Bytes with random access. Reads are synchronous, so that a parser is a plain loop; a scan of a large file belongs into a worker.
 * `read` gives up to `length` bytes, fewer only at the end, and may share memory with the source: never write into it.
 */
export interface ByteSource {
  readonly size: number;
  read(offset: number, length: number): Buffer;
  /** Fills `target` from `offset` without allocating; gives the number of bytes. */
  readInto(offset: number, target: Buffer): number;
}

export interface ClosableSource extends ByteSource, Disposable {}

export function bufferSource(bytes: Buffer): ByteSource {
  return {
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, Math.min(bytes.length, offset + length)),
    readInto: (offset, target) => bytes.copy(target, 0, offset, offset + target.length),
  };
}

/** The bytes `[start, end)` of another source; what lies beyond its end is cut. */
export function sliceSource(source: ByteSource, start: number, end: number = source.size): ByteSource {
  const from = Math.min(Math.max(start, 0), source.size);
  const size = Math.max(0, Math.min(end, source.size) - from);
  return {
    size,
    read: (offset, length) => source.read(from + offset, Math.max(0, Math.min(length, size - offset))),
    readInto: (offset, target) =>
      source.readInto(from + offset, target.length > size - offset ? target.subarray(0, Math.max(0, size - offset)) : target),
  };
}

const PAGE = 2 ** 16;

function descriptorSource(descriptor: number, size: number): ByteSource {
  const readInto = (offset: number, target: Buffer): number => {
    let filled = 0;
    while (filled < target.length) {
      const count = readSync(descriptor, target, filled, target.length - filled, offset + filled);
      if (count === 0) break;
      filled += count;
    }
    return filled;
  };
  const fetch = (offset: number, length: number): Buffer => {
    const target = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - offset)));
    return target.subarray(0, readInto(offset, target));
  };
  // Formats of small messages are read a few bytes at a time; each is no system call of its own. A page is never written to again.
  let page: Buffer = Buffer.alloc(0);
  let pageStart = 0;
  return {
    size,
    read: (offset, wanted) => {
      // Who asks for more than there is gets what the page has: a small file is read once.
      const length = Math.max(0, Math.min(wanted, size - offset));
      if (length > PAGE / 4) return fetch(offset, length);
      if (offset < pageStart || offset + length > pageStart + page.length) {
        pageStart = offset;
        page = fetch(offset, PAGE);
      }
      return page.subarray(offset - pageStart, offset - pageStart + length);
    },
    readInto,
  };
}

/** Of a small file everything that will be asked for is read at once, and it is closed. */
function whole(descriptor: number, size: number): ClosableSource {
  const bytes = descriptorSource(descriptor, size).read(0, size);
  closeSync(descriptor);
  return { ...bufferSource(bytes), [Symbol.dispose]: () => undefined };
}

/** A regular file. Throws what `open` throws, and `TypeError`-free `Error` for anything that is not a regular file. */
export function openFile(path: string): ClosableSource {
  // A pipe must not keep who opens it waiting for somebody to write.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile()) throw new Error(`${path} is not a regular file`);
    if (status.size <= PAGE) return whole(descriptor, status.size);
    return { ...descriptorSource(descriptor, status.size), [Symbol.dispose]: () => closeSync(descriptor) };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/**
 * Takes decompressed bytes and gives them back as a source: in memory up to `memory` bytes, in a temporary file beyond. The file is removed
 * on `dispose`; it is created in a directory of its own that only this user may enter.
 */
export class Spool implements Disposable {
  readonly #memory: number;
  #chunks: Buffer[] = [];
  #held: number = 0;
  #descriptor: number | null = null;
  #directory: string | null = null;
  #written: number = 0;

  constructor(memory: number) {
    this.#memory = memory;
  }

  get size(): number {
    return this.#written + this.#held;
  }

  /** Keeps `chunk` itself where it fits in memory: the caller gives it away. */
  write(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    if (this.#descriptor !== null ? this.#held > 2 ** 20 : this.#held > this.#memory) this.#spill();
  }

  #spill(): void {
    if (this.#descriptor === null) {
      this.#directory = mkdtempSync(join(tmpdir(), 'sallyport-scan-'));
      this.#descriptor = openSync(join(this.#directory, 'spool'), 'wx+', 0o600);
    }
    for (const chunk of this.#chunks) {
      let done = 0;
      while (done < chunk.length) done += writeSync(this.#descriptor, chunk, done, chunk.length - done, this.#written + done);
      this.#written += chunk.length;
    }
    this.#chunks = [];
    this.#held = 0;
  }

  /** What was written. Valid until `dispose`. */
  source(): ByteSource {
    if (this.#descriptor === null) {
      const whole = this.#chunks.length === 1 && this.#chunks[0] !== undefined ? this.#chunks[0] : Buffer.concat(this.#chunks);
      this.#chunks = [whole];
      return bufferSource(whole);
    }
    this.#spill();
    return descriptorSource(this.#descriptor, this.#written);
  }

  [Symbol.dispose](): void {
    this.#chunks = [];
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    if (this.#directory !== null) rmSync(this.#directory, { recursive: true, force: true });
    this.#descriptor = null;
    this.#directory = null;
  }
}

const ZEROS: Buffer = Buffer.alloc(65_536);

/** True where every byte of `[start, end)` is zero. */
export function isZero(source: ByteSource, start: number, end: number): boolean {
  for (let offset = start; offset < end; ) {
    const chunk = source.read(offset, Math.min(ZEROS.length, end - offset));
    if (chunk.length === 0) return true;
    if (chunk.compare(ZEROS, 0, chunk.length) !== 0) return false;
    offset += chunk.length;
  }
  return true;
}
