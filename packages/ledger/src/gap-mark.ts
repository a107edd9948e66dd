import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isCode, makeDirectory, syncDirectory } from './files.ts';
import { GAP_LENGTH, type Gap, openMark, readGap } from './gap.ts';

/** Milliseconds that are waited for it. */
const PATIENCE = 1000;
const BLANK: Buffer = Buffer.from(`${' '.repeat(GAP_LENGTH - 1)}\n`);

/**
 * Says on the disk that entries are being refused, where the log itself cannot: a process that ends before the log takes entries again
 * would leave no trace of it. Written in each of several places, for the disk that refuses the log may refuse this too. Nobody signs it:
 * it is for the next start, which makes it a signed entry. Nothing here rejects.
 */
export class GapMark {
  readonly #paths: readonly string[];
  #writing: Promise<void> = Promise.resolve();

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  /** Makes room for the mark, and answers the one that an earlier process left; null where there is none. */
  async prepare(): Promise<Gap | null> {
    let left: Gap | null = null;
    for (const path of this.#paths) {
      // What cannot be read is not blanked: it may tell of a gap the next time.
      const gap = await readGap(path).catch(() => undefined);
      if (gap === null) await blank(path).catch(() => undefined);
      else if (gap !== undefined && (left === null || gap.refused > left.refused)) left = gap;
    }
    return left;
  }

  /**
   * Marks a gap, or that there is none. Resolves when that is durable wherever it can be, or has taken too long: a disk that hangs is not
   * to hold up who goes on without.
   */
  set(gap: Gap | null): Promise<void> {
    return Promise.race([this.#write(gap === null ? BLANK : spelled(gap)), delay(PATIENCE, undefined, { ref: false })]);
  }

  /** Resolves when nothing is being written. */
  settled(): Promise<void> {
    return this.#writing;
  }

  #write(bytes: Buffer): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      for (const path of this.#paths) await overwrite(path, bytes).catch(() => undefined);
    });
    return this.#writing;
  }
}

function spelled({ reason, since, refused }: Gap): Buffer {
  const text = JSON.stringify({ reason, since: new Date(since).toISOString(), refused });
  return Buffer.from(`${text.padEnd(GAP_LENGTH - 1)}\n`);
}

async function blank(path: string): Promise<void> {
  await makeDirectory(dirname(path));
  await overwrite(path, BLANK);
  await syncDirectory(dirname(path));
}

async function overwrite(path: string, bytes: Buffer): Promise<void> {
  let file: FileHandle;
  try {
    file = await openMark(path, constants.O_RDWR);
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
    file = await open(path, 'wx', 0o600);
  }
  try {
    await file.write(bytes, 0, bytes.length, 0);
    // What is longer is no mark of ours, and its end would be taken for a gap at every start.
    if ((await file.stat()).size > GAP_LENGTH) await file.truncate(GAP_LENGTH);
    await file.datasync();
  } finally {
    await file.close();
  }
}
