import { realpathSync, type Stats, statSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { COST } from '../limits.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';

/** The cache of the Hugging Face Hub: a snapshot is a directory of links to blobs beside it, which are named by their digests. */
const SNAPSHOT = /^(.*[\\/](?:models|datasets|spaces)--[^\\/]+)[\\/]snapshots[\\/]/;

const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG']);

/**
 * A file that a model on disk names beside itself: where its links lead, by the names alone; it is never opened. `end` is the last byte that
 * is read from it. Nothing is said of a file that is not there: models are scanned without their data, too.
 */
export function checkNeighbour(piece: Piece, location: string, end: number, offset: number): void {
  const { directory } = piece.run;
  if (directory === null || piece.depth > 0) return;
  piece.run.spend(COST.attempt);
  const path = join(directory, location.replaceAll('\\', '/'));
  let real: string;
  let status: Stats;
  try {
    real = realpathSync(path);
    status = statSync(real);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (ABSENT.has(code)) return;
    // A ring of links, or a place that may not be looked at.
    piece.report('source-unreadable', `external data at ${quote(location)}: ${code}`, offset);
    return;
  }
  const blobs = SNAPSHOT.exec(resolve(path))?.[1];
  const homes = [realpathSync(directory), ...(blobs === undefined ? [] : [join(realpathSync(blobs), 'blobs')])];
  if (!homes.some((home) => real.startsWith(home.endsWith(sep) ? home : home + sep)))
    piece.report('onnx-linked-data', `external data at ${quote(location)} is outside of the directory of the model`, offset);
  else if (status.nlink > 1) piece.report('onnx-hard-link', `external data at ${quote(location)} has ${status.nlink} names`, offset);
  if (end > status.size) piece.report('onnx-external-size', `external data at ${quote(location)} ends before byte ${end}`, offset);
}
