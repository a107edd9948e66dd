import { join } from 'node:path';
import { FAILURE_REASONS, type FailureReason } from './failure.ts';
import { readIfPresent } from './files.ts';

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

/** The gap that a mark tells of; null where it tells of none, or is not there. What is no mark of ours is one too: somebody had a reason. */
export async function readGap(path: string): Promise<Gap | null> {
  const text = (await readIfPresent(path))?.toString('latin1').trim() ?? '';
  if (text === '') return null;
  return parseGap(text) ?? { reason: 'io', since: 0, refused: 0 };
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
