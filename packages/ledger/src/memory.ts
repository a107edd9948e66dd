import { randomBytes } from 'node:crypto';
import { open, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { isCode, logDirectory, makeDirectory, readIfPresent, syncDirectory, WRITER_NAME } from './files.ts';
import { verifyConsistency } from './merkle.ts';
import { MalformedNote } from './note.ts';
import { NoProof, proveConsistency } from './proof.ts';

/*
 * What was signed, kept outside the ledger's own directory: without it a log, or all of them, could be taken away and nothing left
 * would tell. One file for each log, named like it, holding its newest signed checkpoint; the signature is what protects its content.
 */

/** A log that there was, and the signed checkpoint (note) it had when last seen. */
export interface RememberedLog {
  readonly log: string;
  readonly note: string;
}

/**
 * `remembered`: the memory has the log's newest checkpoint. `nothing`: the log has none yet. `contradicts`: the log does not continue
 * what is remembered (it is shorter, another, or damaged); the memory stays as it is, so that verification goes on to say so.
 */
export type Remembering = 'remembered' | 'nothing' | 'contradicts';

/** A running log replaces unfinished tiles while they are read. */
const ATTEMPTS = 3;

/** Brings the memory of one log up to date. Called by the process that writes the log. Rejects with the system's error. */
export async function rememberLog(memory: string, directory: string, writer: string): Promise<Remembering> {
  if (!WRITER_NAME.test(writer)) throw new RangeError('ledger writer must match [a-z0-9][a-z0-9._-]{0,63}');
  const path = join(memory, writer);
  const before = (await readIfPresent(path))?.toString() ?? null;
  const note = before === null ? await newestOf(directory, writer) : await continuing(before, directory, writer);
  if (note === null) return before === null ? 'nothing' : 'contradicts';
  if (note !== before) await replace(memory, path, note);
  return 'remembered';
}

/** Every remembered log, by name. Empty where there is no memory. */
export async function readMemory(memory: string): Promise<RememberedLog[]> {
  const names = await readdir(memory).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  });
  const logs = names.filter((name) => WRITER_NAME.test(name) && !name.endsWith(DRAFT)).sort();
  return Promise.all(logs.map(async (log) => ({ log, note: await readFile(join(memory, log), 'utf8') })));
}

const DRAFT = '.new';

async function newestOf(directory: string, writer: string): Promise<string | null> {
  return (await readIfPresent(join(logDirectory(directory, writer), 'checkpoint')))?.toString() ?? null;
}

/** The log's newest checkpoint, or null where it does not continue `before`. */
async function continuing(before: string, directory: string, writer: string): Promise<string | null> {
  const earlier = opened(before);
  if (earlier === null) return null;
  for (let attempt = 1; ; attempt++) {
    try {
      const { proof, checkpoint: note } = await proveConsistency(directory, writer, earlier.size);
      const later = opened(note);
      const same = later !== null && later.origin === earlier.origin && verifyConsistency(earlier, later, proof);
      return same ? note : null;
    } catch (error) {
      if (!(error instanceof NoProof) && !(error instanceof MalformedNote)) throw error;
      if (attempt >= ATTEMPTS) return null;
    }
  }
}

function opened(note: string): Checkpoint | null {
  try {
    return openCheckpoint(note, []).checkpoint;
  } catch (error) {
    if (error instanceof MalformedNote) return null;
    throw error;
  }
}

/** Under a draft name of its own: the next process may take the log over while this one writes its last. */
async function replace(memory: string, path: string, note: string): Promise<void> {
  await makeDirectory(memory);
  const draft = `${path}.${randomBytes(6).toString('hex')}${DRAFT}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(note);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await rename(draft, path);
  await syncDirectory(memory);
}
