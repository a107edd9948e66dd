import { type FileHandle, open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { openCheckpoint } from './checkpoint.ts';
import { isCode, readIfPresent, WRITER_NAME } from './files.ts';
import { MalformedNote } from './note.ts';
import { listLogs } from './recovery.ts';
import { listSegments, type Segment } from './segment.ts';
import { readSegment } from './segment-read.ts';

/** Entries that are not there any more: retention removed their segment. */
export class EntriesGone extends Error {
  override readonly name: string = 'EntriesGone';
  /** The oldest entry that is left. */
  readonly oldest: number;

  constructor(log: string, wanted: number, oldest: number) {
    super(`${log}: entries ${wanted} to ${oldest - 1} are not in the ledger any more`);
    this.oldest = oldest;
  }
}

/**
 * How many entries of each log its newest checkpoint covers, by name of the log. They are on the disk, and no crash takes them back.
 * Signatures are not verified: `verifyLedger` does.
 */
export async function sealedSizes(directory: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const log of await listLogs(directory)) if (WRITER_NAME.test(basename(log))) sizes.set(basename(log), await sealedSize(log));
  return sizes;
}

async function sealedSize(log: string): Promise<number> {
  const note = await readIfPresent(join(log, 'checkpoint'));
  if (note === null) return 0;
  try {
    return openCheckpoint(note.toString(), []).checkpoint.size;
  } catch (error) {
    if (error instanceof MalformedNote) return 0;
    throw error;
  }
}

/** Lines of one segment from where it stands: `null` where there is none at the moment. */
interface LineSource extends AsyncDisposable {
  next(most: number): Promise<readonly string[] | null>;
}

const NEWLINE = 0x0a;
const CHUNK = 1 << 18;

/**
 * Reads the lines of one log in order, from an entry on, while the log is written, rotated and compressed by another process. It reads no
 * further than the bound it is given: what lies behind may still be taken back by the writer.
 */
export class LogTail implements AsyncDisposable {
  readonly #log: string;
  /** `seq` of the next line it gives. */
  #next: number;
  /** `seq` of the next line of the source. */
  #at = 0;
  #source: LineSource | null = null;
  /** `seq` of the first line of the source's segment. */
  #first = 0;

  constructor(log: string, next: number) {
    this.#log = log;
    this.#next = next;
  }

  get next(): number {
    return this.#next;
  }

  /** Up to `count` lines from `next` on, below `until`. None where there are none yet. @throws {EntriesGone} */
  async read(until: number, count: number): Promise<string[]> {
    try {
      return await this.#read(until, count);
    } catch (error) {
      // A source that failed may stand anywhere: the next read begins anew.
      await this.#close();
      throw error;
    }
  }

  async #read(until: number, count: number): Promise<string[]> {
    const lines: string[] = [];
    while (lines.length < count && this.#next < until) {
      const source = this.#source ?? (await this.#open());
      if (source === null) break;
      const skip = this.#next - this.#at;
      const found = await source.next(skip + Math.min(count - lines.length, until - this.#next));
      if (found === null) {
        if (!(await this.#turn())) break;
        continue;
      }
      this.#at += found.length;
      if (found.length <= skip) continue;
      for (const line of found.slice(skip)) lines.push(line);
      this.#next = this.#at;
    }
    return lines;
  }

  async #open(): Promise<LineSource | null> {
    const segments = await listSegments(this.#log);
    const segment = segments.findLast(({ first }) => first <= this.#next);
    const oldest = segments[0];
    if (segment === undefined && oldest !== undefined) throw new EntriesGone(basename(this.#log), this.#next, oldest.first);
    if (segment === undefined) return null;
    this.#at = segment.first;
    this.#first = segment.first;
    this.#source = segment.compressed ? new ClosedSegment(segment) : await openPlain(segment);
    return this.#source;
  }

  /** Leaves a segment that was read to its end, where the next one is there. */
  async #turn(): Promise<boolean> {
    const segments = await listSegments(this.#log);
    // An empty one does not follow itself.
    if (this.#at === this.#first || !segments.some(({ first }) => first === this.#at)) return false;
    await this.#close();
    return true;
  }

  async #close(): Promise<void> {
    const source = this.#source;
    this.#source = null;
    await source?.[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}

class ClosedSegment implements LineSource {
  readonly #blocks: ReturnType<typeof readSegment>;
  #lines: readonly string[] = [];
  #taken = 0;

  constructor(segment: Segment) {
    this.#blocks = readSegment(segment);
  }

  async next(most: number): Promise<readonly string[] | null> {
    while (this.#taken === this.#lines.length) {
      const { value, done } = await this.#blocks.next();
      if (done === true) return null;
      this.#lines = value.lines;
      this.#taken = 0;
    }
    const lines = this.#lines.slice(this.#taken, this.#taken + most);
    this.#taken += lines.length;
    return lines;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#blocks.return(undefined);
  }
}

async function openPlain(segment: Segment): Promise<LineSource> {
  try {
    return new OpenSegment(await open(segment.path, 'r'));
  } catch (error) {
    // Compressed since it was listed.
    if (isCode(error, 'ENOENT')) return new ClosedSegment(segment);
    throw error;
  }
}

/** A segment that may still grow. Keeps the place of the first line it has not given. */
class OpenSegment implements LineSource {
  readonly #handle: FileHandle;
  readonly #buffer: Buffer = Buffer.allocUnsafe(CHUNK);
  #offset = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async next(most: number): Promise<readonly string[] | null> {
    const { bytesRead } = await this.#handle.read(this.#buffer, 0, CHUNK, this.#offset);
    const bytes = this.#buffer.subarray(0, bytesRead);
    const lines: string[] = [];
    let start = 0;
    while (lines.length < most) {
      const end = bytes.indexOf(NEWLINE, start);
      if (end < 0) break;
      lines.push(bytes.toString('utf8', start, end));
      start = end + 1;
    }
    this.#offset += start;
    if (lines.length > 0) return lines;
    // Zeros are what the writer has put ahead of its lines: nothing yet.
    if (bytesRead < CHUNK || bytes.includes(0)) return null;
    // No entry is that long. It is passed on as a line, which nothing takes for an entry.
    this.#offset += bytesRead;
    return [bytes.toString()];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#handle.close();
  }
}
