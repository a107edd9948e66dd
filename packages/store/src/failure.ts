import { Fault } from '@sallyport/core';

// What a database error means to a caller: "not now", or not until an operator has seen to it (Fault `not_ready`), or a defect of ours (left as it is).

/** SQLSTATE classes and codes after which the same statement may succeed later. */
const TRANSIENT_CLASSES: ReadonlySet<string> = new Set(['08', '28', '3D', '40', '53', '55', '57', '58']);
const READ_ONLY = '25006';

/** SQLite primary result codes that speak of the machine or of another writer, not of the statement. */
const TRANSIENT_RESULTS: ReadonlyMap<number, string> = new Map([
  [5, 'busy'],
  [6, 'locked'],
  [8, 'read-only'],
  [10, 'I/O error'],
  [13, 'disk full'],
  [14, 'cannot open'],
]);
const SQLITE_BUSY = 5;
/** `SQLITE_CORRUPT` and `SQLITE_NOTADB`: the file is not, or no longer, what was written. */
const DAMAGED_RESULTS: ReadonlySet<number> = new Set([11, 26]);

/** Maps an error of `pg`. An error without an SQLSTATE comes from the socket, the pool or a time limit. */
export function postgresFailure(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const state = 'severity' in error && 'code' in error && typeof error.code === 'string' ? error.code : null;
  if (state !== null && !TRANSIENT_CLASSES.has(state.slice(0, 2)) && state !== READ_ONLY) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.message;
  return unavailable(`postgres: ${code}`, error);
}

/** Maps an error of `node:sqlite`. */
export function sqliteFailure(error: unknown): unknown {
  const result = primaryResult(error);
  if (DAMAGED_RESULTS.has(result)) {
    return new Fault('not_ready', 'The file of the SQLite database is damaged, or is not a database. Restore it from a backup.', {
      detail: 'sqlite: damaged',
      cause: error,
    });
  }
  const meaning = TRANSIENT_RESULTS.get(result);
  return meaning === undefined ? error : unavailable(`sqlite: ${meaning}`, error);
}

/** True where another connection holds the write lock of the SQLite file, so that trying again is right. */
export function isBusy(error: unknown): boolean {
  return error instanceof Fault && primaryResult(error.cause) === SQLITE_BUSY;
}

function unavailable(detail: string, cause: unknown): Fault {
  return new Fault('not_ready', 'The database cannot be reached at the moment. Try again.', { detail, cause, retryAfter: 1 });
}

function primaryResult(error: unknown): number {
  // The low byte of an extended result code is the primary one (https://www.sqlite.org/rescode.html).
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : 0;
}
