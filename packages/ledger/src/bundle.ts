import { join } from 'node:path';
import { openCheckpoint } from './checkpoint.ts';
import { logDirectory, readIfPresent } from './files.ts';
import { parseLine } from './line.ts';
import { NoProof } from './proof.ts';
import { listSegments } from './segment.ts';
import { readSegment } from './segment-read.ts';
import { TILE_WIDTH } from './tiles.ts';

/**
 * Entry bundle `index` as c2sp.org/tlog-tiles serves it at `tile/entries/<N>[.p/<W>]`: each entry's leaf (its line without `hash`) after
 * its length as a big-endian uint16. Holds what the newest checkpoint covers of it: 256 entries, or fewer in the last bundle.
 * @throws {NoProof} where the checkpoint covers none of it, or retention removed it
 */
export async function entryBundle(directory: string, writer: string, index: number): Promise<Buffer> {
  const log = logDirectory(directory, writer);
  const note = (await readIfPresent(join(log, 'checkpoint')))?.toString();
  if (note === undefined) throw new NoProof(`${writer} has no checkpoint`);
  const start = index * TILE_WIDTH;
  const end = Math.min(start + TILE_WIDTH, openCheckpoint(note, []).checkpoint.size);
  const segment = (await listSegments(log)).findLast(({ first }) => first <= start);
  if (start >= end || segment === undefined) throw new NoProof(`${writer} has no bundle ${index}`);
  const parts: Buffer[] = [];
  let seq = segment.first;
  for await (const { lines } of readSegment(segment)) {
    for (const line of lines.slice(Math.max(0, start - seq), Math.max(0, end - seq))) parts.push(...prefixed(line));
    seq += lines.length;
    if (seq >= end) return Buffer.concat(parts);
  }
  throw new NoProof(`${writer} lacks entries of bundle ${index}`);
}

function prefixed(line: string): [Buffer, Buffer] {
  const entry = parseLine(line);
  if (entry === null) throw new NoProof('a line of the bundle is not an entry');
  const leaf = Buffer.from(entry.leaf);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(leaf.length);
  return [length, leaf];
}
