import { logDirectory } from './files.ts';
import type { LedgerOptions } from './ledger.ts';
import { LogLocked } from './lock.ts';
import { openLedger } from './open.ts';
import { readDescription } from './recovery.ts';
import { expiredSegments, type Retention } from './retention.ts';

/**
 * `Ledger.retain` for a log that no process writes any more: it is opened where there is something to remove, and no longer than that takes:
 * what is checked, which may take minutes, is so before, for a process that starts meanwhile would not get its log. Null where there is not, where a process writes it, or where another installation signs it. The log's own time stands still, so
 * `options.knownTime` has to say that the clock is right.
 * @throws as `openLedger` and `Ledger.retain`
 */
export async function retainIdle(options: LedgerOptions, before: number): Promise<Retention | null> {
  const log = logDirectory(options.directory, options.writer);
  const description = await readDescription(log);
  // Opening a log writes into it: one of others is not touched.
  if (description === null || !options.signer.verifierKeys(description.origin).every((key) => description.keys.includes(key))) return null;
  const expired = await expiredSegments(log, before);
  if (expired.length === 0) return null;
  try {
    await using ledger = await openLedger(options);
    return await ledger.retain(before, expired);
  } catch (error) {
    if (error instanceof LogLocked) return null;
    throw error;
  }
}
