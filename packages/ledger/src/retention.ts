import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode, readIfPresent } from './files.ts';
import { parseLine } from './line.ts';
import { leafHash } from './merkle.ts';
import { keptCheckpointPath } from './publisher.ts';
import { LogDamaged, TORN } from './recovery.ts';
import { listSegments, type Segment } from './segment.ts';
import { pruneIndexes } from './segment-index.ts';
import { readSegment } from './segment-read.ts';
import { TILE_WIDTH, tilePath } from './tiles.ts';

/** What `Ledger.retain` removed: entries `from` (inclusive) to `until` (exclusive). */
export interface Retention {
  readonly segments: number;
  readonly from: number;
  readonly until: number;
  /** Milliseconds by which the clock is further ahead of the entries than retention believes; 0 where it is believed. */
  readonly clockAhead: number;
}

export interface ExpiredSegment {
  readonly segment: Segment;
  /** `seq` after its last entry. */
  readonly until: number;
}

/**
 * Closed segments from the oldest on of which every entry is older than `before` (epoch milliseconds). The open segment and the one before
 * it stay: the next entry follows one of them. Each is checked against the tiles that will stand for it alone.
 * @throws {LogDamaged}
 */
export async function expiredSegments(log: string, before: number): Promise<ExpiredSegment[]> {
  const segments = await listSegments(log);
  const expired: ExpiredSegment[] = [];
  for (const [i, segment] of segments.slice(0, -2).entries()) {
    const until = segments[i + 1]?.first ?? 0;
    if ((await readIfPresent(keptCheckpointPath(log, until))) === null) break;
    // Not the last entry's time: a clock may have gone back within the segment.
    if (Date.parse(await compareWithTiles(log, segment, until)) >= before) break;
    expired.push({ segment, until });
  }
  return expired;
}

/** What else tells of removed entries: the indexes of their segments, and what recovery cut off before then (epoch milliseconds). */
export async function removeTraces(log: string, before: number): Promise<void> {
  await pruneIndexes(log, await listSegments(log));
  const torn = join(log, TORN);
  const names = await readdir(torn).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  });
  for (const name of names) if (Number(/-([0-9]+)\.bin$/.exec(name)?.[1] ?? before) < before) await rm(join(torn, name));
}

/** The latest `time` in the segment. */
async function compareWithTiles(log: string, segment: Segment, until: number): Promise<string> {
  let next = segment.first;
  let latest = '';
  let tile: Buffer | null = null;
  for await (const { lines } of readSegment(segment)) {
    for (const line of lines) {
      const offset = (next % TILE_WIDTH) * 32;
      if (offset === 0) tile = await readIfPresent(join(log, tilePath(0, next / TILE_WIDTH)));
      const entry = parseLine(line);
      if (entry === null || entry.seq !== next || leafHash(entry.leaf) !== tile?.toString('hex', offset, offset + 32)) {
        throw new LogDamaged(`entry ${next} is not what its tile says; nothing is removed`);
      }
      if (entry.time > latest) latest = entry.time;
      next++;
    }
  }
  if (next !== until) throw new LogDamaged(`the segment from ${segment.first} does not end at ${until}; nothing is removed`);
  return latest;
}
