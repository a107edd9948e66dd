import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Checkpoint, openCheckpoint, parseVerifierKey, type SignedCheckpoint, type VerifierKey } from './checkpoint.ts';
import { GENESIS } from './entry.ts';
import { isCode, makeDirectory, readIfPresent, replaceFile } from './files.ts';
import type { LedgerSigner } from './keys.ts';
import { type EntryLine, parseLine } from './line.ts';
import { leafHash } from './merkle.ts';
import { MalformedNote } from './note.ts';
import { keptCheckpointPath } from './publisher.ts';
import { RETENTION, retainedBy } from './retention-entry.ts';
import { contentLength, listSegments, type Segment, segmentPath } from './segment.ts';
import { readSegment } from './segment-read.ts';
import { readTile, TILE_WIDTH, type Tile, TreeEdge } from './tiles.ts';

/** The log on disk is not one that a crash can leave: somebody changed it. It is not written any further. */
export class LogDamaged extends Error {
  override readonly name: string = 'LogDamaged';
}

/** `log.json`: what a reader needs to know of a log. */
export interface LogDescription {
  readonly format: 'sallyport-ledger/1';
  readonly writer: string;
  readonly origin: string;
  /** Verifier keys, oldest first. Only as trustworthy as the disk. */
  readonly keys: readonly string[];
}

/** The end of a log: what the next entry follows. */
export interface Tip {
  readonly seq: number;
  readonly hash: string;
  /** Epoch milliseconds of the last entry, 0 where there is none. */
  readonly time: number;
}

export interface RecoveredLog {
  readonly description: LogDescription;
  readonly tip: Tip;
  readonly edge: TreeEdge;
  /** Full tiles over the entries read, to be written again. */
  readonly tiles: readonly Tile[];
  readonly published: Checkpoint | null;
  /** The segment to go on with, and the length of its whole lines. */
  readonly segment: { readonly first: number; readonly path: string; readonly length: number };
  /** Entries after the last checkpoint. */
  readonly unsealed: number;
  /** Bytes of an unfinished write that were cut off, and kept under `torn/`. */
  readonly torn: number;
}

/** Where recovery keeps what it cuts off. */
export const TORN = 'torn';

/** A write takes at most this much, and only the last write can be torn. */
export const MAX_WRITE_BYTES: number = (1 << 20) + 3 * 65_535;

/**
 * Finds the end of a log that a crash may have left at any point, and rebuilds its tree. What was acknowledged is kept, as is what was
 * written whole without having been acknowledged. Nothing is signed or truncated before the log is known to continue its last
 * checkpoint.
 * @throws {LogDamaged}
 */
export async function recoverLog(
  log: string,
  writer: string,
  signer: LedgerSigner,
  previousKeys: readonly string[],
  now: number,
): Promise<RecoveredLog> {
  await makeDirectory(join(log, 'segments'));
  await removeDrafts(join(log, 'segments'));
  const description = await describeLog(log, writer, signer);
  const keys = [...signer.verifierKeys(description.origin), ...previousKeys].map(parseVerifierKey);
  const published = await readSigned(join(log, 'checkpoint'), description.origin, keys);
  const segments = await listSegments(log);
  const { edge, scan } = await rebuild(log, segments, description.origin, keys, published?.checkpoint ?? null);
  if (scan.claimsRemoval) await expectRemovalSigned(segments, published?.checkpoint.size ?? 0);
  if (scan.torn.length > 0) {
    await replaceFile(join(log, TORN, `${String(scan.tip.seq + 1).padStart(16, '0')}-${now}.bin`), scan.torn);
  }
  return {
    description,
    tip: scan.tip,
    edge,
    tiles: scan.tiles,
    published: published?.checkpoint ?? null,
    segment: scan.segment ?? { first: scan.tip.seq + 1, path: segmentPath(log, scan.tip.seq + 1), length: 0 },
    unsealed: edge.size - (published?.checkpoint.size ?? 0),
    torn: scan.torn.length,
  };
}

/** Unfinished compressions. */
async function removeDrafts(directory: string): Promise<void> {
  for (const name of await readdir(directory)) if (name.endsWith('.new')) await rm(join(directory, name));
}

async function describeLog(log: string, writer: string, signer: LedgerSigner): Promise<LogDescription> {
  const present = await readDescription(log);
  const origin = present?.origin ?? `sallyport/${signer.fingerprint}/${writer}`;
  const mine = signer.verifierKeys(origin);
  const keys = [...(present?.keys ?? []).filter((key) => !mine.includes(key)), ...mine];
  const description: LogDescription = { format: 'sallyport-ledger/1', writer, origin, keys };
  await replaceFile(join(log, 'log.json'), `${JSON.stringify(description, null, 2)}\n`);
  return description;
}

/** Null where there is no log yet. @throws {LogDamaged} */
export async function readDescription(log: string): Promise<LogDescription | null> {
  const bytes = await readIfPresent(join(log, 'log.json'));
  if (bytes === null) return null;
  const value: unknown = parseJson(bytes.toString());
  if (!isDescription(value)) throw new LogDamaged('log.json does not describe a log');
  return value;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new LogDamaged('log.json is not JSON', { cause: error });
  }
}

function isDescription(value: unknown): value is LogDescription {
  return (
    typeof value === 'object' &&
    value !== null &&
    'format' in value &&
    value.format === 'sallyport-ledger/1' &&
    'writer' in value &&
    typeof value.writer === 'string' &&
    'origin' in value &&
    typeof value.origin === 'string' &&
    'keys' in value &&
    Array.isArray(value.keys) &&
    value.keys.every((key) => typeof key === 'string')
  );
}

/** A checkpoint of this log that one of `keys` signed; null where there is no file. @throws {LogDamaged} */
async function readSigned(path: string, origin: string, keys: readonly VerifierKey[]): Promise<SignedCheckpoint | null> {
  const bytes = await readIfPresent(path);
  if (bytes === null) return null;
  try {
    const signed = openCheckpoint(bytes.toString(), keys);
    if (signed.checkpoint.origin !== origin) throw new LogDamaged('the checkpoint is of another log');
    if (signed.signatures.length === 0) throw new LogDamaged('the checkpoint is not signed by a key of this installation');
    return signed;
  } catch (error) {
    if (error instanceof MalformedNote) throw new LogDamaged(`the checkpoint is not valid: ${error.message}`, { cause: error });
    throw error;
  }
}

async function rebuild(
  log: string,
  segments: readonly Segment[],
  origin: string,
  keys: readonly VerifierKey[],
  published: Checkpoint | null,
): Promise<{ edge: TreeEdge; scan: Scan }> {
  let end = segments.length;
  while (true) {
    const { index, edge } = await findBase(log, segments.slice(0, end), origin, keys);
    if (published !== null && published.size < edge.size) throw new LogDamaged('the checkpoint is older than one that was kept');
    const scan = await replay(segments.slice(index), edge, published);
    if (scan.tip.hash !== null) return { edge, scan: { ...scan, tip: { ...scan.tip, hash: scan.tip.hash } } };
    // Only empty segments were read: the hash of the last entry is in one before them.
    if (index === 0) throw new LogDamaged('no entry is left of the newest segments');
    end = index;
  }
}

interface Base {
  /** Index of the first segment to read again. */
  readonly index: number;
  readonly edge: TreeEdge;
}

/** The newest segment before which the tree stands on the disk under a kept checkpoint; reading starts there. */
async function findBase(log: string, segments: readonly Segment[], origin: string, keys: readonly VerifierKey[]): Promise<Base> {
  for (let index = segments.length - 1; index >= 0; index--) {
    const first = segments[index]?.first ?? 0;
    if (first === 0) return { index, edge: new TreeEdge() };
    const kept = await readSigned(keptCheckpointPath(log, first), origin, keys);
    if (kept === null || kept.checkpoint.size !== first) continue;
    const edge = await loadEdge(log, first);
    if (edge?.root().equals(kept.checkpoint.root) === true) return { index, edge };
  }
  if (segments.length > 0) throw new LogDamaged('the first segments are missing and no kept checkpoint stands for them');
  return { index: 0, edge: new TreeEdge() };
}

async function loadEdge(log: string, size: number): Promise<TreeEdge | null> {
  try {
    return await TreeEdge.load(size, (level, index, width) => readTile(log, level, index, width));
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

interface Scan<Hash = string> {
  readonly tip: Omit<Tip, 'hash'> & { readonly hash: Hash };
  readonly tiles: Tile[];
  readonly segment: { first: number; path: string; length: number } | null;
  readonly torn: Buffer;
  /** Whether an entry of retention is among those that no checkpoint covers. */
  readonly claimsRemoval: boolean;
}

/** Reads segments to their end and grows `edge` over them. @throws {LogDamaged} */
async function replay(segments: readonly Segment[], edge: TreeEdge, published: Checkpoint | null): Promise<Scan<string | null>> {
  const tiles: Tile[] = [];
  // After a kept checkpoint, the hash that the first entry read has to follow is not known.
  let tip: Scan<string | null>['tip'] = { seq: edge.size - 1, hash: edge.size === 0 ? GENESIS : null, time: 0 };
  let segment: Scan['segment'] = null;
  let torn: Buffer = Buffer.alloc(0);
  let claimsRemoval = false;
  expectRoot(edge, published);
  for (const [position, { first, path, compressed }] of segments.entries()) {
    const last = position === segments.length - 1;
    if (first !== tip.seq + 1) throw new LogDamaged(`entry ${tip.seq + 1} is missing`);
    let length = 0;
    let whole = true;
    for await (const { lines, rest } of readSegment({ first, path, compressed })) {
      for (const line of lines) {
        const entry = whole ? follow(line, tip) : null;
        if (entry === null) {
          whole = false;
          break;
        }
        tip = { seq: entry.seq, hash: entry.hash, time: Date.parse(entry.time) };
        claimsRemoval ||= entry.seq >= (published?.size ?? 0) && line.startsWith(RETENTION);
        edge.append(entry.hash, (tile) => tiles.push(tile));
        expectRoot(edge, published);
        length += Buffer.byteLength(line) + 1;
      }
      whole &&= rest.length === 0;
    }
    if (!whole) {
      if (!last || compressed) throw new LogDamaged(`entry ${tip.seq + 1} is damaged`);
      torn = await readFrom(path, length);
      if (torn.length > MAX_WRITE_BYTES) throw new LogDamaged(`entry ${tip.seq + 1} is damaged, and not by an unfinished write`);
    }
    if (last && !compressed) segment = { first, path, length };
  }
  if (published !== null && published.size > edge.size)
    throw new LogDamaged(`entries from ${edge.size} are missing: the checkpoint covers ${published.size}`);
  return { tip, tiles, segment, torn, claimsRemoval };
}

/**
 * Retention removes nothing before its entry is signed, so what is gone must be so by a signed one. Opening would sign the unsigned
 * entry too, which anybody can have appended to make a removal of his own look like the ledger's.
 */
async function expectRemovalSigned(segments: readonly Segment[], sealed: number): Promise<void> {
  const start = segments[0]?.first ?? 0;
  let retained = 0;
  // The newest say it, and a start waits for this.
  for (const segment of segments.toReversed()) {
    if (retained >= start) break;
    let seq = segment.first;
    for await (const { lines } of readSegment(segment)) {
      for (const line of lines) if (seq++ < sealed && line.startsWith(RETENTION)) retained = Math.max(retained, retainedBy(line));
    }
  }
  if (start > retained) throw new LogDamaged(`entries ${retained} to ${start - 1} are missing, and no signed entry says who removed them`);
}

/** What a plain segment has from `start` on, the zeros at its end left out. */
async function readFrom(path: string, start: number): Promise<Buffer> {
  await using handle = await open(path, 'r');
  const end = await contentLength(handle);
  return (await handle.readFile()).subarray(start, end);
}

/** The line as the entry after `tip`, or null where it is not. */
function follow(line: string, tip: Scan<string | null>['tip']): EntryLine | null {
  const entry = parseLine(line);
  if (entry === null || entry.seq !== tip.seq + 1 || (tip.hash !== null && entry.prev !== tip.hash)) return null;
  return leafHash(entry.leaf) === entry.hash ? entry : null;
}

function expectRoot(edge: TreeEdge, published: Checkpoint | null): void {
  if (published?.size === edge.size && !edge.root().equals(published.root)) {
    throw new LogDamaged(`the first ${edge.size} entries are not those of the signed checkpoint`);
  }
}

/** The log directories of a ledger, by name. */
export async function listLogs(directory: string): Promise<string[]> {
  const logs = join(directory, 'logs');
  const found = await readdir(logs, { withFileTypes: true }).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  });
  return found
    .filter((name) => name.isDirectory())
    .map((name) => join(logs, name.name))
    .sort();
}

/** Entries of a full tile: segments end on a multiple of it, so that each stands for whole tiles. */
export const SEGMENT_UNIT: number = TILE_WIDTH;
