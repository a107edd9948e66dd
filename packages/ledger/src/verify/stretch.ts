import { hash as hashOf } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HASH_MEMBER } from '../entry.ts';
import { parseLine } from '../line.ts';
import { HASH_SIZE, leafHash, perfectRoot } from '../merkle.ts';
import { RETENTION, retainedBy } from '../retention-entry.ts';
import type { Segment } from '../segment.ts';
import { readSegment } from '../segment-read.ts';
import { TILE_WIDTH, tilePath } from '../tiles.ts';

/**
 * Lines from the beginning of a segment in which nothing is wrong by themselves: each an entry with its hash, the numbers and links
 * without a gap, no time before the one before. Whether they follow what came before them, and are what was signed, is not said.
 */
export interface SoundStretch {
  readonly first: number;
  /** A multiple of a tile. */
  readonly count: number;
  /** What the first entry follows, and the hash of the last one (hex). */
  readonly prev: string;
  readonly hash: string;
  /** `time` of the first and the last. */
  readonly from: string;
  readonly to: string;
  /** `until` of the last entry of retention among them, 0 where there is none. */
  readonly retained: number;
  /** Leaf hashes, and the root of each tile of them. */
  readonly leaves: Uint8Array<ArrayBuffer>;
  readonly roots: Uint8Array<ArrayBuffer>;
  /** For each tile 1 where the stored one is of these leaves; else it has to be looked at. */
  readonly stored: Uint8Array<ArrayBuffer>;
  /** The lines after it. */
  readonly rest: readonly string[];
}

/** Whether the ledger itself wrote the line: it records a clock that went back, and dates a new opening by the new clock. */
export function isLedgersOwn(line: string): boolean {
  return line.startsWith('{"action":"ledger.');
}

/**
 * `leafHash` of the line that is `length` bytes from `at`, which are written over: the head moves to the tail, over the member `hash`.
 * What is text already need not be made bytes again.
 */
function hashInPlace(bytes: Buffer, at: number, length: number, head: number): string {
  const leaf = at + HASH_MEMBER - 1;
  bytes.copyWithin(leaf + 1, at, at + head);
  bytes[leaf] = 0;
  return hashOf('sha256', bytes.subarray(leaf, at + length), 'hex');
}

/** Null where anything is out of order: then every line has to be looked at with what is around it. Throws where it cannot be read. */
export async function scanSegment(segment: Segment): Promise<SoundStretch | null> {
  const hashes: string[] = [];
  const tail: string[] = [];
  let [prev, from, last, hash, time] = ['', '', '', '', ''];
  let [retained, next] = [0, segment.first];
  for await (const { lines, ascii, rest } of readSegment(segment)) {
    if (rest.length > 0) return null;
    let at = 0;
    for (const line of lines) {
      const entry = parseLine(line);
      if (entry === null || entry.seq !== next) return null;
      if ((ascii === null ? leafHash(entry.leaf) : hashInPlace(ascii, at, line.length, entry.head)) !== entry.hash) return null;
      at += line.length + 1;
      if (next === segment.first) [prev, from] = [entry.prev, entry.time];
      else if (entry.prev !== hash || (entry.time < time && !isLedgersOwn(line))) return null;
      hash = entry.hash;
      time = entry.time;
      next++;
      hashes.push(hash);
      tail.push(line);
      if (tail.length < 2 * TILE_WIDTH || hashes.length % TILE_WIDTH !== 0) continue;
      // The first tile of the two is now certain to lie before the last one.
      for (const sure of tail.splice(0, TILE_WIDTH)) {
        if (sure.startsWith(RETENTION)) retained = Math.max(retained, retainedBy(sure));
        last = sure;
      }
    }
  }
  const count = hashes.length - tail.length;
  const end = parseLine(last);
  if (end === null) return null;
  const leaves = Buffer.from(hashes.slice(0, count).join(''), 'hex');
  const roots = Buffer.alloc((count / TILE_WIDTH) * HASH_SIZE);
  const stored = new Uint8Array(count / TILE_WIDTH);
  for (let tile = 0; tile * TILE_WIDTH < count; tile++) {
    const start = tile * TILE_WIDTH * HASH_SIZE;
    perfectRoot(leaves, start, TILE_WIDTH).copy(roots, tile * HASH_SIZE);
    if (isStored(segment, tile, leaves.subarray(start, start + TILE_WIDTH * HASH_SIZE))) stored[tile] = 1;
  }
  return {
    first: segment.first,
    count,
    prev,
    hash: end.hash,
    from,
    to: end.time,
    retained,
    leaves: Uint8Array.from(leaves),
    roots: Uint8Array.from(roots),
    stored,
    rest: tail,
  };
}

/** Whether the tile on the disk has these leaves. Asked without waiting: a thread has nothing else to do, and it takes a fifth of the time. */
function isStored({ first, path }: Segment, tile: number, leaves: Buffer): boolean {
  try {
    return readFileSync(join(dirname(dirname(path)), tilePath(0, first / TILE_WIDTH + tile))).equals(leaves);
  } catch {
    // Not there, or not to be read: the walk will say so.
    return false;
  }
}
