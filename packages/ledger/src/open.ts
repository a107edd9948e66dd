import { dirname, resolve } from 'node:path';
import { isSystemError, LedgerUnavailable, reasonOf } from './failure.ts';
import { isCode, logDirectory, makeDirectory, syncDirectory, WRITER_NAME } from './files.ts';
import type { Ledger, LedgerOptions } from './ledger.ts';
import { LogLock } from './lock.ts';
import { OpenSegment, roomOf, segmentBytesOf } from './open-segment.ts';
import { recoverLog } from './recovery.ts';
import { diskStore } from './segment-store.ts';
import { newestTime } from './trusted-clock.ts';
import { LogWriter } from './writer.ts';

/**
 * Opens the log of one writer, recovering it where a crash left it, and records that it was opened.
 * @throws {LogLocked} another process writes it · {LogDamaged} it is not what a crash can leave · {LedgerUnavailable} the disk refuses
 */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  if (!WRITER_NAME.test(options.writer)) throw new RangeError('ledger writer must match [a-z0-9][a-z0-9._-]{0,63}');
  segmentBytesOf(options);
  const log = logDirectory(options.directory, options.writer);
  try {
    await makeDirectory(log);
    await syncNames(log);
    const lock = await LogLock.acquire(log, options.random);
    try {
      const recovered = await recoverLog(log, options.writer, options.signer, options.previousKeys ?? [], options.clock.now());
      // Before this log has an entry of its own: a new one is believed by no more than what the others know of the time.
      const newest = recovered.tip.time > 0 ? { time: recovered.tip.time, ran: 0 } : await newestTime(options);
      const store = options.store ?? diskStore(options.syncMode ?? 'fdatasync');
      const segment = await OpenSegment.open(store, recovered.segment, true, roomOf(options));
      const ledger = new LogWriter(log, options, lock, store, segment, recovered, newest);
      await ledger.start(recovered);
      return ledger;
    } catch (error) {
      await lock.release();
      throw error;
    }
  } catch (error) {
    if (!isSystemError(error)) throw error;
    // Node reports a read-only parent of a directory to be made as ENOENT.
    throw new LedgerUnavailable(isCode(error, 'ENOENT') ? 'io' : reasonOf(error), { cause: error });
  }
}

/** Also where the directories are there: who made them may have been stopped before their names were durable. */
async function syncNames(log: string): Promise<void> {
  const logs = dirname(resolve(log));
  for (const directory of [log, logs, dirname(logs)]) await syncDirectory(directory);
  try {
    await syncDirectory(dirname(dirname(logs)));
  } catch (error) {
    // What the ledger's directory lies in need not be ours to read.
    if (!isCode(error, 'EACCES')) throw error;
  }
}
