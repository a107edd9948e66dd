import { realpathSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { COST } from '../limits.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';

/** The cache of the Hugging Face Hub: a snapshot is a directory of links to blobs beside it, which are named by their digests. */
const SNAPSHOT = /^(.*[\\/](?:models|datasets|spaces)--[^\\/]+)[\\/]snapshots[\\/]/;

const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG']);

/**
 * A file that a model on disk names beside itself: where its links lead, by the names alone; it is never opened. `location` holds no `..`,
 * `end` is the last byte that is read from it. A backslash is a part of a name on some systems: both readings are looked up. Nothing is said of a file that is not there: models are scanned without their data, too.
 */
export function checkNeighbour(piece: Piece, location: string, end: number, offset: number): void {
  const { directory } = piece.run;
  if (directory === null || piece.depth > 0) return;
  for (const path of new Set([location, location.replaceAll('\\', '/')])) checkPath(piece, directory, path, end, offset);
}

function checkPath(piece: Piece, directory: string, location: string, end: number, offset: number): void {
  piece.run.spend(COST.attempt);
  let home: string;
  let real: string;
  let status: Stats;
  try {
    home = realpathSync.native(directory);
    real = realpathSync.native(join(home, location));
    status = statSync(real);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (ABSENT.has(code)) return;
    // A ring of links, or a place that may not be looked at.
    piece.report('source-unreadable', `external data at ${quote(location)}: ${code}`, offset);
    return;
  }
  if (![home, ...stores(directory, basename(piece.name))].some((place) => real.startsWith(place.endsWith(sep) ? place : place + sep)))
    piece.report('onnx-linked-data', `external data at ${quote(location)} is outside of the directory of the model`, offset);
  else if (status.nlink > 1) piece.report('onnx-hard-link', `external data at ${quote(location)} has ${status.nlink} names`, offset);
  if (end > status.size) piece.report('onnx-external-size', `external data at ${quote(location)} ends before byte ${end}`, offset);
}

/** Other places that data may be linked from: the blobs of a cache of the Hub, and where the model itself is linked from. */
function stores(directory: string, model: string): readonly string[] {
  const cache = SNAPSHOT.exec(join(resolve(directory), sep))?.[1];
  const blobs = cache === undefined ? null : realOf(join(cache, 'blobs'));
  const own = realOf(join(directory, model));
  return [blobs, own === null ? null : dirname(own)].filter((place) => place !== null);
}

function realOf(path: string): string | null {
  try {
    return realpathSync.native(path);
  } catch {
    return null;
  }
}
