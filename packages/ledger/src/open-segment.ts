import type { LedgerOptions } from './ledger.ts';
import type { SegmentFile, SegmentStore } from './segment-store.ts';

/** Where a log's newest segment stands on the disk. */
export interface SegmentPlace {
  /** `seq` of its first entry. */
  readonly first: number;
  readonly path: string;
  /** Bytes of whole lines. */
  readonly length: number;
}

/** Length at which a segment ends, unless the options say otherwise. */
const SEGMENT_BYTES = 16 << 20;
/** What has to be written in this process before room is made: a log that grows slowly needs none. */
const BUSY_BYTES = 256 << 10;
const LEAST_ROOM = 256 << 10;
const MOST_ROOM = 4 << 20;
/** Room is made anew while there is this much left. */
const LOW_ROOM = 64 << 10;
/** A group as long as this costs more than the metadata it changes. */
const LONG_GROUP = 128 << 10;

/** The most it may be set to: with the entries that fill its last tile, a segment stays below what a reader takes (`LONGEST_CONTENT`). */
export const LONGEST_SEGMENT: number = 32 << 20;

/** @throws {RangeError} */
export function segmentBytesOf({ segmentBytes = SEGMENT_BYTES }: LedgerOptions): number {
  if (!Number.isSafeInteger(segmentBytes) || segmentBytes < 1 || segmentBytes > LONGEST_SEGMENT)
    throw new RangeError(`ledger segmentBytes must be from 1 to ${LONGEST_SEGMENT} (32 MiB)`);
  return segmentBytes;
}

/** For `OpenSegment.open`: without a sync nothing is gained by writing ahead. */
export function roomOf(options: LedgerOptions): number {
  return options.syncMode === 'unsafe-none' ? 0 : segmentBytesOf(options);
}

/**
 * The segment that is written. A write that makes a file longer is durable only once the file system's journal is, which waits for what
 * other programs do to the disk (measured on ext4: a p99 of 32 to 67 ms where a write into existing bytes has 9 to 16). So a busy segment
 * has zeros written ahead of its lines. They are no part of it: readers stop before them (`contentLength`), and they are cut off when it is
 * closed, or opened again after a crash.
 */
export class OpenSegment {
  readonly first: number;
  readonly path: string;
  readonly #file: SegmentFile;
  /** Length at which it is full, or 0 where no room is made. */
  readonly #fullAt: number;
  #length: number;
  /** Length of the file. */
  #end: number;
  #written = 0;
  #hasRoom: boolean;

  private constructor(file: SegmentFile, { first, path, length }: SegmentPlace, fullAt: number) {
    this.#file = file;
    this.first = first;
    this.path = path;
    this.#fullAt = fullAt;
    this.#length = length;
    this.#end = length;
    this.#hasRoom = fullAt > 0;
  }

  /** `fullAt` is the length it will have about; 0 makes no room. Nothing is cut yet. */
  static async open(store: SegmentStore, place: SegmentPlace, create: boolean, fullAt: number): Promise<OpenSegment> {
    return new OpenSegment(await store.open(place.path, create), place, fullAt);
  }

  /** Bytes of whole, durable lines. */
  get length(): number {
    return this.#length;
  }

  /** Writes lines after those there are. They are durable when it resolves; nothing is known of them where it rejects. */
  async append(bytes: Buffer, length: number): Promise<void> {
    await this.#file.write(bytes, length, this.#length);
    await this.#file.sync();
    this.#length += length;
    this.#written += length;
    this.#end = Math.max(this.#end, this.#length);
  }

  /** Whether the next group would do better with room made for it. */
  wantsRoom(group: number): boolean {
    return this.#hasRoom && group < LONG_GROUP && this.#written >= BUSY_BYTES && this.#end - this.#length < LOW_ROOM;
  }

  /** Writes zeros ahead. Never rejects: a disk that has no place for them is left as it was, and says so itself with the next group. */
  async makeRoom(): Promise<void> {
    const room = Math.min(Math.max(LEAST_ROOM, this.#length), MOST_ROOM);
    const end = Math.min(this.#length + room, this.#fullAt + LOW_ROOM);
    if (end <= this.#end) return;
    try {
      await this.#file.write(Buffer.alloc(end - this.#length), end - this.#length, this.#length);
      await this.#file.sync();
      this.#end = end;
    } catch {
      this.#hasRoom = false;
      await this.#file.truncate(this.#length).catch(() => undefined);
    }
  }

  /** Cuts what follows the whole lines, and makes that durable. */
  async cut(): Promise<void> {
    await this.#file.truncate(this.#length);
    await this.#file.sync();
    this.#end = this.#length;
  }

  /** Length of the file, or null where it was unlinked under us. */
  fileLength(): Promise<number | null> {
    return this.#file.length();
  }

  /**
   * Ends the segment: what is left of its room goes. A cut that fails leaves zeros, which nobody reads. Nothing is cut where `isOurs` is
   * false: what stands there may be of the process that writes the log now.
   */
  async close(isOurs: boolean = true): Promise<void> {
    if (isOurs && this.#end > this.#length) await this.#file.truncate(this.#length).catch(() => undefined);
    await this.#file.close();
  }
}
