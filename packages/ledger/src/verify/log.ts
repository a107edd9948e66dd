import { availableParallelism } from 'node:os';
import { basename, join, relative } from 'node:path';
import { type Checkpoint, openCheckpoint, type SignedCheckpoint } from '../checkpoint.ts';
import { COSIGNED, isCode, readIfPresent } from '../files.ts';
import { MalformedFrames } from '../frames.ts';
import { MalformedNote } from '../note.ts';
import { listSegments, type Segment } from '../segment.ts';
import { readSegment } from '../segment-read.ts';
import { readTile, TILE_WIDTH, type Tile, TreeEdge, tilePath } from '../tiles.ts';
import { type FilesReport, type LogReport, Problems } from './report.ts';
import { Scans } from './scans.ts';
import type { SoundStretch } from './stretch.ts';
import { collectTargets, type LogChecks, type Target, timeOf } from './targets.ts';
import { TrustedTiles } from './tiles.ts';
import { Walk } from './walk.ts';

/** Closed segments that are worth starting threads for: some 50 MiB. */
const WORTH_THREADS = 3;

/** How often a log is begun anew of which retention removed a segment meanwhile. */
const ATTEMPTS = 3;

/** Verifies one log from its files alone. Imports nothing that writes one. */
export async function verifyLog(directory: string, checks: LogChecks): Promise<FilesReport> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await verifyOnce(directory, checks, attempt < ATTEMPTS);
    } catch (error) {
      if (!(error instanceof RemovedMeanwhile) && (!isCode(error, 'ENOENT') || attempt === ATTEMPTS)) throw error;
    }
  }
}

/** Retention removed segments between two looks. */
class RemovedMeanwhile extends Error {
  override readonly name: string = 'RemovedMeanwhile';
}

async function verifyOnce(directory: string, checks: LogChecks, mayBeginAnew: boolean): Promise<FilesReport> {
  const problems = new Problems(basename(directory));
  const before = await listSegments(directory);
  const targets = await collectTargets(directory, checks, problems);
  const newest = targets.at(-1)?.signed ?? null;
  const segments = await listSegments(directory);
  const start = segments[0]?.first ?? 0;
  // The removal may be on record after the checkpoint that was read, where it does not count.
  if (mayBeginAnew && start !== (before[0]?.first ?? 0)) throw new RemovedMeanwhile();
  const tiles = newest === null ? null : await TrustedTiles.open(directory, newest.checkpoint);
  const edge = await startingEdge(directory, start, problems);
  const { walk, unfinished } = await walkSegments(directory, segments, edge, tiles, targets, checks, problems);
  if (tiles !== null && walk.rooted) await compareUnfinished(walk, tiles, problems);
  await reportEnd(directory, segments, walk, newest, checks, problems);
  const witnessed = targets.find(({ file }) => file === COSIGNED)?.signed ?? newest;
  const holds = newest !== null && !problems.list.some(({ code }) => code === 'forked' || code === 'cut');
  return {
    log: basename(directory),
    origin: checks.origin,
    entries: walk.lines,
    first: start,
    from: walk.from,
    to: walk.to,
    checkpoint: holds ? describe(newest, witnessed ?? newest, checks) : null,
    unsealed: Math.max(0, walk.next - (newest?.checkpoint.size ?? 0)),
    unfinished,
    keys: checks.keys.trust,
    problems: problems.list,
  };
}

function describe(
  { checkpoint, signatures }: SignedCheckpoint,
  witnessed: SignedCheckpoint,
  { keys, now }: LogChecks,
): LogReport['checkpoint'] {
  const { size, root } = checkpoint;
  const cosignatures = witnessed.signatures.filter(({ key }) => keys.witnesses.includes(key));
  const time = timeOf(cosignatures);
  return {
    size,
    root: root.toString('base64'),
    time: timeOf(signatures),
    witnesses: [...new Set(cosignatures.map(({ key }) => key.name))],
    cosigned: time === null ? null : { size: witnessed.checkpoint.size, time, age: Math.max(0, now - time) },
  };
}

/** The tree before the first segment: empty, or after retention what the tiles hold. */
async function startingEdge(directory: string, start: number, problems: Problems): Promise<TreeEdge | null> {
  try {
    return await TreeEdge.load(start, (level, index, width) => readTile(directory, level, index, width));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    problems.add('tile', `the tiles over the entries before ${start} are missing: ${error.message}`, { file: 'tile' });
    return null;
  }
}

async function walkSegments(
  directory: string,
  segments: readonly Segment[],
  edge: TreeEdge | null,
  tiles: TrustedTiles | null,
  targets: readonly Target[],
  checks: LogChecks,
  problems: Problems,
): Promise<{ walk: Walk; unfinished: number }> {
  const last = segments.at(-1);
  let unfinished = 0;
  const start = segments[0]?.first ?? 0;
  const filled: Tile[] = [];
  const covered = targets.at(-1)?.signed.checkpoint.size ?? 0;
  let due = targets.findIndex(({ signed }) => signed.checkpoint.size >= start);
  let held = start;
  let comparing: Promise<void> = Promise.resolve();
  const walk: Walk = new Walk(start, edge ?? new TreeEdge(), tiles, covered, problems, {
    filled: (tile) => filled.push(tile),
    grown: (size) => {
      for (let target = targets[due]; target !== undefined && target.signed.checkpoint.size === size; target = targets[++due]) {
        if (checkTarget(target, walk, held, checks, problems)) held = size;
      }
    },
  });
  if (edge === null) walk.rooted = false;
  while (due >= 0 && targets[due]?.signed.checkpoint.size === start) {
    const target = targets[due++];
    if (target !== undefined && start > 0) checkTarget(target, walk, 0, checks, problems);
  }
  const closed = segments.slice(0, -1);
  await using scans = new Scans(closed, checks.threads ?? (closed.length < WORTH_THREADS ? 0 : availableParallelism()));
  for (const [i, segment] of segments.entries()) {
    const file = relative(directory, segment.path);
    let line = 0;
    const take = async (lines: readonly string[]): Promise<void> => {
      for (const text of lines) {
        const judged = walk.take(text, file, ++line);
        if (judged !== null) await judged;
      }
      // The disk looks up these tiles while the next block is hashed.
      await comparing;
      comparing = compareTiles(directory, filled.splice(0), covered, tiles, problems);
      // Awaited above or below; an error of the walk in between must not leave this one unhandled.
      comparing.catch(() => {});
    };
    const stretch = await scans.of(i);
    const between = targets.some(({ signed: { checkpoint } }) => isWithin(checkpoint.size, stretch));
    if (stretch !== null && !between && walk.skip(stretch)) {
      line = stretch.count;
      await take(stretch.rest);
      checks.progress(line);
      continue;
    }
    try {
      for await (const { lines, rest } of readSegment(segment)) {
        await take(lines);
        if (rest.length > 0 && segment === last && !segment.compressed) unfinished = rest.length;
        else if (rest.length > 0)
          problems.add('altered', `${rest.length} bytes after the last line of a closed segment`, { file, line: line + 1 });
        checks.progress(lines.length);
      }
    } catch (error) {
      if (!(error instanceof MalformedFrames)) throw error;
      problems.add('unreadable', `the segment cannot be decompressed after line ${line}`, { seq: walk.next, file, line: line + 1 });
    }
  }
  await walk.end();
  await comparing;
  await compareTiles(directory, filled.splice(0), covered, tiles, problems);
  return { walk, unfinished };
}

/** Whether a checkpoint of this size ends inside the stretch, where the tree of that size is not to be had. */
function isWithin(size: number, stretch: SoundStretch | null): boolean {
  return stretch !== null && size > stretch.first && size < stretch.first + stretch.count;
}

/** Whether the tree rebuilt so far has the signed root; `held` is the largest size at which it was known to. */
function checkTarget({ signed, file }: Target, walk: Walk, held: number, checks: LogChecks, problems: Problems): boolean {
  const { checkpoint, signatures } = signed;
  if (!walk.rooted) return false;
  if (!walk.edge.root().equals(checkpoint.root)) {
    problems.add('forked', `entries ${held} to ${checkpoint.size - 1} are not those that were signed`, {
      seq: held,
      until: checkpoint.size,
      file,
    });
    return false;
  }
  const time = timeOf(signatures);
  // A checkpoint is signed within the second that its time states.
  if (time !== null && walk.to !== null && Date.parse(walk.to) > time + 1000 + checks.clockTolerance) {
    problems.add('clock', `entry ${checkpoint.size - 1} is dated ${walk.to}, after it was signed`, { seq: checkpoint.size - 1, file });
  }
  return true;
}

/**
 * Tiles on the disk against those of the rebuilt tree, as far as a checkpoint covers them (a running log writes the others later).
 * Where the signed tiles differ, they name the entry.
 */
async function compareTiles(
  directory: string,
  rebuilt: readonly Tile[],
  covered: number,
  trusted: TrustedTiles | null,
  problems: Problems,
): Promise<void> {
  for (const { level, index, bytes } of rebuilt) {
    if ((index + 1) * TILE_WIDTH ** (level + 1) > covered) continue;
    const stored = await readTile(directory, level, index, TILE_WIDTH);
    if (stored?.equals(bytes) === true) continue;
    const file = tilePath(level, index);
    const signed = await trusted?.tile(level, index);
    if (signed == null) {
      problems.add('tile', stored === null ? 'the tile is missing' : 'the tile is not that of the entries', { file });
    } else if (level === 0) {
      let at = 0;
      while (signed.subarray(at * 32, at * 32 + 32).equals(bytes.subarray(at * 32, at * 32 + 32))) at++;
      const seq = index * TILE_WIDTH + at;
      reportFork(seq, file, problems);
    }
  }
}

function reportFork(seq: number, file: string, problems: Problems): void {
  problems.add('forked', `entry ${seq} is the first of its tile that is not as it was signed; the chain after it was computed anew`, {
    seq,
    file,
  });
}

/** The same for the unfinished tile at the end of the log. */
async function compareUnfinished(walk: Walk, trusted: TrustedTiles, problems: Problems): Promise<void> {
  const end = Math.min(walk.edge.size, trusted.size);
  for (let seq = Math.floor(end / TILE_WIDTH) * TILE_WIDTH; seq < end; seq++) {
    const [found, signed] = [walk.edge.recent(seq), await trusted.leaf(seq)];
    if (found === null || signed === null || found === signed) continue;
    reportFork(seq, tilePath(0, Math.floor(seq / TILE_WIDTH), trusted.size % TILE_WIDTH), problems);
    return;
  }
}

async function reportEnd(
  directory: string,
  segments: readonly Segment[],
  walk: Walk,
  newest: SignedCheckpoint | null,
  checks: LogChecks,
  problems: Problems,
): Promise<void> {
  const last = segments.at(-1);
  const file = last === undefined ? 'segments' : relative(directory, last.path);
  const start = segments[0]?.first ?? 0;
  if (start > walk.retained) {
    problems.add('missing', `entries ${walk.retained} to ${start - 1} were removed, and not by the ledger's own retention`, {
      seq: walk.retained,
      until: start,
      file: 'segments',
    });
  }
  if (newest !== null && newest.checkpoint.size > walk.next) {
    const known = await readIfPresent(join(directory, 'checkpoint'));
    const own = known === null ? null : sizeOf(known.toString(), checks);
    const size = newest.checkpoint.size;
    const code = own === null || own <= walk.next ? 'rolled-back' : 'cut';
    const message =
      code === 'cut'
        ? `entries ${walk.next} to ${size - 1} are cut off: the checkpoint covers ${size}`
        : `the log ends at ${walk.next}, and ${size} entries were signed: an older state was put in its place`;
    problems.add(code, message, { seq: walk.next, until: size, file });
  }
  if (walk.to !== null && Date.parse(walk.to) > checks.now + checks.clockTolerance) {
    problems.add('clock', `entry ${walk.next - 1} is dated ${walk.to}, which is yet to come`, { seq: walk.next - 1, file });
  }
  if (newest !== null && newest.checkpoint.size <= walk.next) await checkPartialTiles(directory, newest.checkpoint, problems);
}

/** The size that the log's own checkpoint states, or null where it does not parse. */
function sizeOf(note: string, { keys }: LogChecks): number | null {
  try {
    return openCheckpoint(note, keys.log).checkpoint.size;
  } catch (error) {
    if (error instanceof MalformedNote) return null;
    throw error;
  }
}

async function checkPartialTiles(directory: string, checkpoint: Checkpoint, problems: Problems): Promise<void> {
  if ((await TrustedTiles.open(directory, checkpoint)) !== null) return;
  problems.add('tile', `the unfinished tiles of the checkpoint of size ${checkpoint.size} are missing or altered`, { file: 'tile' });
}
