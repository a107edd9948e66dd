import { type KeyObject, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncDirectory } from '../config/home.ts';
import { SnapshotError } from './build.ts';
import { deserializeSnapshot, type StoredSnapshot, serializeSnapshot } from './file.ts';

export const SNAPSHOT_FILE = 'snapshot.json';
/** Some million keys: V8 holds no longer text in one string. */
const MAX_FILE_BYTES = 512 * 1024 * 1024;
const DRAFT_LIFETIME = 60_000;

/**
 * The last snapshot on disk, so that a gateway can start while its database is away. Written whole or not at all: a temporary file,
 * `fsync`, `rename`, `fsync` of the directory. Mode 0600.
 */
export class SnapshotCache {
  readonly path: string;
  readonly #pepper: KeyObject;

  constructor(path: string, pepper: KeyObject) {
    this.path = path;
    this.#pepper = pepper;
  }

  /** Null where there is no file. @throws SnapshotError where it is damaged, changed, too large or open to others */
  async read(): Promise<StoredSnapshot | null> {
    let file: FileHandle;
    try {
      file = await open(this.path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null;
      throw new SnapshotError(`the file cannot be read (${errorCode(error)})`, { cause: error });
    }
    try {
      const stats = await file.stat();
      if (!stats.isFile()) throw new SnapshotError('not a regular file');
      if (stats.size > MAX_FILE_BYTES) throw new SnapshotError('the file is too large');
      return deserializeSnapshot(await file.readFile('utf8'), this.#pepper);
    } finally {
      await file.close();
    }
  }

  async write(stored: StoredSnapshot): Promise<void> {
    const text = serializeSnapshot(stored, this.#pepper);
    const draft = `${this.path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`;
    try {
      const file = await open(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, this.path);
    } catch (error) {
      await removeIfThere(draft);
      throw error;
    }
    syncDirectory(dirname(this.path));
  }

  /** Removes what writers left behind that were killed in between; a file younger than a minute may still be one in progress. */
  async sweep(): Promise<void> {
    const directory = dirname(this.path);
    const prefix = `${basename(this.path)}.`;
    for (const name of await readdir(directory)) {
      if (!name.startsWith(prefix) || !name.endsWith('.tmp')) continue;
      const { mtimeMs } = await stat(join(directory, name));
      if (Date.now() - mtimeMs > DRAFT_LIFETIME) await removeIfThere(join(directory, name));
    }
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
