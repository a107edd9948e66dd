import { link, mkdir, readdir, readFile, stat, unlink, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '@sallyport/core';
import { isCode, replaceFile } from './files.ts';

/*
 * One writer a log. Lock files are numbered; the highest number holds the log, and a file of the highest number is never removed,
 * only marked released. A contender that finds the highest one released or its owner dead links the next number, which exactly one
 * contender can do, and then looks again: had it been late, it sees a higher number and steps back.
 */

/** Another process writes this log. */
export class LogLocked extends Error {
  override readonly name: string = 'LogLocked';
}

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** Identifies the running kernel, or null where it has no name for it. */
  readonly boot: string | null;
  /** Identifies the process numbering that `pid` belongs to, or null. */
  readonly namespace: string | null;
  /** Start time of the process in clock ticks since boot: tells it from a later process of the same number. */
  readonly start: string | null;
  readonly nonce: string;
  readonly released: boolean;
}

/** An owner that this process cannot look up refreshes its file every second; unchanged for this long, it is taken for dead. */
const LEASE_MS = 5000;

export class LogLock {
  readonly generation: number;
  readonly #directory: string;
  readonly #owner: Owner;

  private constructor(directory: string, generation: number, owner: Owner) {
    this.#directory = directory;
    this.generation = generation;
    this.#owner = owner;
  }

  /** @throws {LogLocked} */
  static async acquire(log: string, random: Random): Promise<LogLock> {
    const directory = join(log, 'lock');
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const owner = await describeSelf(Buffer.from(random.bytes(12)).toString('hex'));
    const draft = join(directory, `draft-${owner.nonce}`);
    await replaceFile(draft, JSON.stringify(owner));
    try {
      const highest = (await generations(directory)).at(-1) ?? 0;
      if (highest > 0) await expectFree(join(directory, String(highest)));
      const mine = join(directory, String(highest + 1));
      await link(draft, mine).catch((error: unknown) => {
        throw isCode(error, 'EEXIST') ? new LogLocked('another process took the log at the same moment') : error;
      });
      const present = await generations(directory);
      if (present.at(-1) !== highest + 1) {
        await unlink(mine);
        throw new LogLocked('another process took the log at the same moment');
      }
      for (const old of present) if (old <= highest) await unlink(join(directory, String(old)));
      return new LogLock(directory, highest + 1, owner);
    } finally {
      await unlink(draft);
    }
  }

  /** Says that the owner lives. False where the lock is no longer ours: another process took it for abandoned. */
  async refresh(): Promise<boolean> {
    const path = join(this.#directory, String(this.generation));
    const [present, owner] = await Promise.all([generations(this.#directory), readOwner(path)]);
    if (present.at(-1) !== this.generation || owner?.nonce !== this.#owner.nonce) return false;
    const now = new Date();
    await utimes(path, now, now);
    return true;
  }

  async release(): Promise<void> {
    const path = join(this.#directory, String(this.generation));
    const owner = await readOwner(path);
    if (owner?.nonce !== this.#owner.nonce) return;
    await replaceFile(path, JSON.stringify({ ...this.#owner, released: true }));
  }
}

async function generations(directory: string): Promise<number[]> {
  const names = await readdir(directory);
  return names
    .filter((name) => /^[1-9][0-9]{0,14}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

async function expectFree(path: string): Promise<void> {
  const owner = await readOwner(path);
  if (owner === null || owner.released) return;
  const alive = await isAlive(owner);
  if (alive === true) throw new LogLocked(`the log is written by process ${owner.pid} on ${owner.host}`);
  if (alive === false) return;
  const before = (await stat(path)).mtimeMs;
  await delay(LEASE_MS);
  const after = (await stat(path)).mtimeMs;
  if (after !== before) throw new LogLocked(`the log is written by process ${owner.pid} on ${owner.host}`);
}

/** Null where it cannot be told from here: another machine, or another process namespace. */
async function isAlive(owner: Owner): Promise<boolean | null> {
  const self = await describeSelf('');
  if (owner.host !== self.host && owner.boot !== self.boot) return null;
  if (owner.boot !== self.boot) return false;
  if (owner.namespace !== self.namespace) return null;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if (isCode(error, 'ESRCH')) return false;
    if (!isCode(error, 'EPERM')) throw error;
  }
  return owner.start === (await startTime(owner.pid));
}

async function describeSelf(nonce: string): Promise<Owner> {
  return {
    pid: process.pid,
    host: hostname(),
    boot: await readProc('/proc/sys/kernel/random/boot_id'),
    namespace: await namespaceOf('/proc/self/ns/pid'),
    start: await startTime(process.pid),
    nonce,
    released: false,
  };
}

async function namespaceOf(path: string): Promise<string | null> {
  try {
    return String((await stat(path)).ino);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

/** Field 22 of /proc/<pid>/stat; the second field may hold spaces and brackets, so counting starts after its last bracket. */
async function startTime(pid: number): Promise<string | null> {
  const text = await readProc(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

/** Null on systems without /proc, or where the process ended meanwhile. */
async function readProc(path: string): Promise<string | null> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (isCode(error, 'ENOENT') || isCode(error, 'ESRCH')) return null;
    throw error;
  }
}

async function readOwner(path: string): Promise<Owner | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
  const value: unknown = JSON.parse(text);
  if (!isOwner(value)) throw new LogLocked(`${path} is not a lock file of this ledger; move it away if no process writes the log`);
  return value;
}

function isOwner(value: unknown): value is Owner {
  return (
    typeof value === 'object' &&
    value !== null &&
    'pid' in value &&
    typeof value.pid === 'number' &&
    'host' in value &&
    typeof value.host === 'string' &&
    'nonce' in value &&
    typeof value.nonce === 'string' &&
    'released' in value &&
    typeof value.released === 'boolean' &&
    'boot' in value &&
    'namespace' in value &&
    'start' in value
  );
}
