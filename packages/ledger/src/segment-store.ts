import { constants as fsConstants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LedgerUnavailable } from './failure.ts';
import { isCode, syncDirectory } from './files.ts';

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
  /** `create` makes a file that is not there. Its name is durable then, whoever made it. */
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
      }
      try {
        // Also of one that is there: whoever made it may have been stopped before its name was durable.
        if (create) await syncDirectory(dirname(path));
      } catch (error) {
        await handle.close();
        throw error;
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
      // No file system is known to do so; the event loop would never end.
      if (bytesWritten === 0) throw new LedgerUnavailable('io');
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
