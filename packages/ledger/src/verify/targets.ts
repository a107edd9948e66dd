import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckpoint, type SignedCheckpoint, type VerifierKey } from '../checkpoint.ts';
import { COSIGNED, isCode, readIfPresent } from '../files.ts';
import { MalformedNote } from '../note.ts';
import type { LogReport, Problems } from './report.ts';

export interface LogKeys {
  /** Keys of the log itself, and of witnesses. */
  readonly log: readonly VerifierKey[];
  readonly witnesses: readonly VerifierKey[];
  /** Witnesses that have to have cosigned the newest checkpoint. */
  readonly quorum: number;
  readonly trust: LogReport['keys'];
}

export interface LogChecks {
  readonly origin: string;
  readonly keys: LogKeys;
  /** Signed checkpoints (notes) seen earlier, of any log. */
  readonly known: readonly string[];
  /** Epoch milliseconds; entries dated later are wrong. */
  readonly now: number;
  /** Milliseconds. */
  readonly clockTolerance: number;
  /** Threads that scan closed segments; null leaves it to their number. */
  readonly threads: number | null;
  progress(entries: number): void;
}

/** A signed root that the log has to have at that size. */
export interface Target {
  readonly signed: SignedCheckpoint;
  readonly file: string;
}

/** Epoch milliseconds of the latest signature that carries a time. */
export function timeOf(signatures: SignedCheckpoint['signatures']): number | null {
  const times = signatures.flatMap(({ seconds }) => (seconds === null ? [] : [seconds * 1000]));
  return times.length === 0 ? null : Math.max(...times);
}

/** The checkpoints that hold, by size; what is wrong with the others is reported. */
export async function collectTargets(directory: string, checks: LogChecks, problems: Problems): Promise<Target[]> {
  const targets: Target[] = [];
  const current = await readIfPresent(join(directory, 'checkpoint'));
  const take = (bytes: Buffer, file: string): SignedCheckpoint | null => {
    const signed = openSigned(bytes.toString(), checks, problems, file);
    if (signed !== null) targets.push({ signed, file });
    return signed;
  };
  const newest = current === null ? null : take(current, 'checkpoint');
  if (current === null) problems.add('no-checkpoint', 'the log has no checkpoint: nothing vouches for its entries', { file: 'checkpoint' });
  for (const name of await namesIn(join(directory, 'checkpoints'))) {
    const file = join('checkpoints', name);
    const bytes = await readIfPresent(join(directory, file));
    const kept = bytes === null ? null : take(bytes, file);
    if (kept !== null && newest !== null && kept.checkpoint.size > newest.checkpoint.size) {
      problems.add(
        'old-checkpoint',
        `the checkpoint of size ${newest.checkpoint.size} is older than the kept one of size ${kept.checkpoint.size}`,
        {
          seq: newest.checkpoint.size,
          file: 'checkpoint',
        },
      );
    }
  }
  const witnessed = await readIfPresent(join(directory, COSIGNED));
  const cosigned = witnessed === null ? null : take(witnessed, COSIGNED);
  if (cosigned !== null && newest !== null && cosigned.checkpoint.size > newest.checkpoint.size) {
    problems.add('old-checkpoint', `the checkpoint of size ${newest.checkpoint.size} is older than the cosigned one`, {
      seq: newest.checkpoint.size,
      file: 'checkpoint',
    });
  }
  checkQuorum(cosigned ?? newest, checks.keys, problems);
  for (const [i, note] of checks.known.entries()) {
    // Known checkpoints may be of other logs, and are given by the caller: one of this log has to hold.
    if (note.startsWith(`${checks.origin}\n`)) take(Buffer.from(note), `known checkpoint ${i + 1}`);
  }
  targets.sort((a, b) => a.signed.checkpoint.size - b.signed.checkpoint.size);
  checkPairs(targets, problems);
  return targets;
}

/** Two checkpoints of one size with different roots are a fork whatever the files say; an earlier tree signed later is a clock set back. */
function checkPairs(targets: readonly Target[], problems: Problems): void {
  for (const [i, { signed, file }] of targets.entries()) {
    const before = targets[i - 1];
    if (before === undefined) continue;
    const { size, root } = signed.checkpoint;
    if (before.signed.checkpoint.size === size && !before.signed.checkpoint.root.equals(root)) {
      problems.add('forked', `two signed checkpoints of size ${size} differ: the log was shown in two versions (${before.file})`, {
        file,
        until: size,
      });
    }
    const [earlier, later] = [timeOf(before.signed.signatures), timeOf(signed.signatures)];
    if (earlier !== null && later !== null && later < earlier && before.signed.checkpoint.size < size) {
      problems.add('clock', `the checkpoint of size ${size} was signed before the smaller one of size ${before.signed.checkpoint.size}`, {
        file,
      });
    }
  }
}

function checkQuorum(newest: SignedCheckpoint | null, { witnesses, quorum }: LogKeys, problems: Problems): void {
  if (quorum === 0 || newest === null) return;
  const names = new Set(newest.signatures.filter(({ key }) => witnesses.includes(key)).map(({ key }) => key.name));
  if (names.size < quorum) {
    problems.add('witness', `${names.size} of the ${quorum} required witnesses cosigned the checkpoint`, { file: 'checkpoint' });
  }
}

/** The checkpoint, or null where it does not hold. */
function openSigned(note: string, { keys, origin }: LogChecks, problems: Problems, file: string): SignedCheckpoint | null {
  try {
    const signed = openCheckpoint(note, [...keys.log, ...keys.witnesses]);
    if (signed.checkpoint.origin !== origin) throw new MalformedNote('it is of another log');
    const types = new Set(signed.signatures.filter(({ key }) => keys.log.includes(key)).map(({ key }) => key.type));
    // One signature of each type there is a key for: breaking one algorithm, or dropping its line, must not be enough.
    if (keys.log.length > 0 && keys.log.every(({ type }) => types.has(type))) return signed;
    problems.add(
      'unknown-key',
      types.size === 0 ? 'the checkpoint is not signed by a trusted key' : 'the checkpoint lacks the signature of a trusted key',
      { file },
    );
  } catch (error) {
    if (!(error instanceof MalformedNote)) throw error;
    problems.add('bad-checkpoint', `the checkpoint does not hold: ${error.message}`, { file });
  }
  return null;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => /^[0-9]{16}$/.test(name)).sort();
  } catch (error) {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  }
}
