import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { quote } from './problem.ts';

export const PEPPER_BYTES = 32;
const PEPPER_FILE = 'pepper';

/** The directory an installation keeps its data in, opened and found safe. */
export interface Home {
  /** Absolute, symbolic links resolved. */
  readonly directory: string;
  /** HMAC key over API keys, change records and the snapshot file. Losing it makes every API key invalid. */
  readonly pepper: KeyObject;
  /** True where this call made the pepper: the first start. */
  readonly created: boolean;
  readonly warnings: readonly string[];
}

/** A home that cannot be used safely. The message says what to do. */
export class HomeError extends Error {
  override readonly name: string = 'HomeError';
}

/**
 * Opens or makes the home: the directory 0700, in it the pepper, 32 random bytes, 0600. Two processes may do this at once: one makes
 * the pepper, both get the same. A directory that is readable by others is closed; one that others can write is refused, because what
 * lies in it could have been put there by anybody.
 * @throws HomeError
 */
export function openHome(path: string): Home {
  const directory = openDirectory(resolve(path));
  const warnings = openParents(directory);
  for (let attempt = 0; attempt < 3; attempt++) {
    const known = readPepper(join(directory, PEPPER_FILE));
    if (known !== null) return { directory, pepper: createSecretKey(known), created: false, warnings };
    const made = makePepper(directory);
    if (made !== null) return { directory, pepper: createSecretKey(made), created: true, warnings };
  }
  throw new HomeError(`${quote(join(directory, PEPPER_FILE))} appears and disappears: is something else changing this directory?`);
}

function openDirectory(path: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const directory = realpathSync(path);
    const stats = statSync(directory);
    if (!stats.isDirectory()) throw new HomeError(`${quote(path)} is not a directory`);
    checkOwner(stats, directory);
    if (hasModes && (stats.mode & 0o022) !== 0) {
      throw new HomeError(`${quote(directory)} can be written by others (mode ${octal(stats)}): check what lies in it, then run chmod 700`);
    }
    if (hasModes && (stats.mode & 0o055) !== 0) chmodSync(directory, 0o700);
    return directory;
  } catch (error) {
    throw asHomeError(error, `${quote(path)} cannot be used`);
  }
}

const hasModes: boolean = process.platform !== 'win32';

function octal(stats: Stats): string {
  return (stats.mode & 0o777).toString(8);
}

function checkOwner(stats: Stats, path: string): void {
  const user = process.geteuid?.();
  if (user !== undefined && stats.uid !== user) {
    throw new HomeError(
      `${quote(path)} belongs to user ${stats.uid}, this process runs as user ${user}: run as its owner, or set SALLYPORT_HOME`,
    );
  }
}

/** Whoever can write a parent directory can put another home in the place of this one, unless the sticky bit keeps them from it. */
function openParents(directory: string): string[] {
  if (!hasModes) return [];
  const warnings: string[] = [];
  for (let path = dirname(directory); ; path = dirname(path)) {
    const stats = statSync(path);
    if ((stats.mode & 0o022) !== 0 && (stats.mode & 0o1000) === 0) {
      warnings.push(`${quote(path)}, above the home, can be written by others (mode ${octal(stats)}): they could replace the home`);
    }
    if (path === dirname(path)) return warnings;
  }
}

function readPepper(path: string): Buffer | null {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw asHomeError(error, `${quote(path)} cannot be read`);
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new HomeError(`${quote(path)} is not a regular file`);
    checkOwner(stats, path);
    if (hasModes && (stats.mode & 0o077) !== 0) {
      throw new HomeError(
        `${quote(path)} is open to others (mode ${octal(stats)}): run chmod 600, and consider new API keys if they may have read it`,
      );
    }
    const bytes = Buffer.alloc(PEPPER_BYTES + 1);
    const length = readSync(descriptor, bytes, 0, bytes.length, 0);
    if (length !== PEPPER_BYTES) {
      throw new HomeError(
        `${quote(path)} is damaged: put it back from a backup (without one every API key has to be made anew: remove it)`,
      );
    }
    return bytes.subarray(0, PEPPER_BYTES);
  } finally {
    closeSync(descriptor);
  }
}

/** Null where another process was first. The file appears under its name only when its bytes are on disk: a link is made whole or not at all. */
function makePepper(directory: string): Buffer | null {
  const path = join(directory, PEPPER_FILE);
  const draft = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  const pepper = randomBytes(PEPPER_BYTES);
  try {
    const descriptor = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      writeSync(descriptor, pepper);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    try {
      linkSync(draft, path);
    } finally {
      unlinkSync(draft);
    }
    syncDirectory(directory);
    return pepper;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return null;
    throw asHomeError(error, `${quote(path)} cannot be made`);
  }
}

/** Makes a new name last over a power loss. */
export function syncDirectory(directory: string): void {
  // Windows neither allows nor needs this.
  if (!hasModes) return;
  const descriptor = openSync(directory, constants.O_RDONLY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function asHomeError(error: unknown, what: string): HomeError {
  if (error instanceof HomeError) return error;
  return new HomeError(`${what} (${errorCode(error) || 'unknown error'})`, { cause: error });
}
