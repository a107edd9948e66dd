import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/*
 * Where a ledger's files lie, and how they reach the disk.
 *
 *   <directory>/logs/<writer>/log.json                            origin and verifier keys
 *                            /checkpoint                          newest signed checkpoint
 *                            /cosigned                            newest checkpoint that witnesses cosigned
 *                            /checkpoints/<size>                  those kept: one for each closed segment
 *                            /segments/<first seq>.jsonl[.zst]    entries, one a line; closed segments are compressed
 *                            /tile/<L>/<N>[.p/<W>]                Merkle tree, c2sp.org/tlog-tiles
 *                            /torn/<seq>-<ms>.bin                 what recovery cut from an unfinished write
 *                            /lock/<generation>                   who may write
 */

export const WRITER_NAME: RegExp = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** The file of the newest checkpoint with its witnesses' cosignatures. */
export const COSIGNED = 'cosigned';

export function logDirectory(directory: string, writer: string): string {
  return join(directory, 'logs', writer);
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** The file's bytes, or null where there is none. */
export async function readIfPresent(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

/** Makes names in `directory` durable. Windows has no such call and needs none. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using handle = await open(directory, 'r');
  await handle.sync();
}

/** Makes a directory and those above it, mode 0700, and their names durable: a file is lost with the name of any directory above it. */
export async function makeDirectory(path: string): Promise<void> {
  const whole = resolve(path);
  const first = await mkdir(whole, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = whole; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
}

/** Replaces `path` so that a reader, or a crash, sees the old bytes or the new ones. Mode 0600; directories are made as needed. */
export async function replaceFile(path: string, bytes: string | Uint8Array): Promise<void> {
  const draft = `${path}.new`;
  const handle = await createFile(draft, makeDirectory);
  try {
    await handle.writeFile(bytes);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await rename(draft, path);
  await syncDirectory(dirname(path));
}

/** Writes a file that can be made again from others, so without a sync. */
export async function writeDerived(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await createFile(path, (directory) => mkdir(directory, { recursive: true, mode: 0o700 }));
  try {
    await handle.writeFile(bytes);
  } finally {
    await handle.close();
  }
}

async function createFile(path: string, make: (directory: string) => Promise<unknown>): Promise<FileHandle> {
  try {
    return await open(path, 'w', 0o600);
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
    await make(dirname(path));
    return await open(path, 'w', 0o600);
  }
}
