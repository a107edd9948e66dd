import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { FAILURE_REASONS, type FailureReason } from './failure.ts';
import { isCode } from './files.ts';

/** A stretch in which entries were refused. It may have ended with the process. */
export interface Gap {
  readonly reason: FailureReason;
  /** Epoch milliseconds. */
  readonly since: number;
  /** Entries that were not recorded, as far as was written down: no fewer. */
  readonly refused: number;
}

/** The mark of a log, in its directory. */
export function gapPath(log: string): string {
  return join(log, 'gap');
}

/** Bytes of the file at all times. Overwriting them takes no room, so that a full disk can be told of, and they lie in one sector. */
export const GAP_LENGTH = 512;

/**
 * The gap that a mark tells of; null where it tells of none, or is not there. What is no mark of ours is one too: somebody had a reason.
 * Rejects with the system's error where it is no file that can be read; a link is none, for what it leads to would be written over.
 */
export async function readGap(path: string): Promise<Gap | null> {
  let file: FileHandle;
  try {
    file = await openMark(path, constants.O_RDONLY);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
  await using mark = file;
  // One byte more: what is longer is no mark of ours.
  const { buffer, bytesRead } = await mark.read(Buffer.alloc(GAP_LENGTH + 1), 0, GAP_LENGTH + 1, 0);
  const text = buffer.toString('latin1', 0, bytesRead).trim();
  if (text === '' && bytesRead <= GAP_LENGTH) return null;
  return parseGap(text) ?? { reason: 'io', since: 0, refused: 0 };
}

/** Opens a mark that is there, and nothing that a link of its name leads to. `access` of `constants`. */
export function openMark(path: string, access: number): Promise<FileHandle> {
  // Windows has no such flag.
  return open(path, access | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
}

/** Two gaps as one, of which the earlier gives the reason. */
export function joinGaps(a: Gap | null, b: Gap | null): Gap | null {
  if (a === null || b === null) return a ?? b;
  const earlier = a.since <= b.since ? a : b;
  return { ...earlier, refused: a.refused + b.refused };
}

function parseGap(text: string): Gap | null {
  try {
    const { reason: word, since: time, refused }: Record<string, unknown> = JSON.parse(text);
    const reason = FAILURE_REASONS.find((known) => known === word);
    const since = typeof time === 'string' ? Date.parse(time) : Number.NaN;
    if (reason === undefined || Number.isNaN(since) || !Number.isSafeInteger(refused) || Number(refused) < 0) return null;
    return { reason, since, refused: Number(refused) };
  } catch {
    return null;
  }
}
