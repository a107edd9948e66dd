import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@sallyport/core';
import { openCheckpoint, parseVerifierKey } from './checkpoint.ts';
import { isSystemError } from './failure.ts';
import { readIfPresent, replaceFile } from './files.ts';
import type { LedgerOptions } from './ledger.ts';
import { MalformedNote } from './note.ts';
import { listLogs } from './recovery.ts';
import { timeOf } from './verify/targets.ts';

/** Milliseconds without an entry that are taken for what the clock says they are, at least and at most; between them the age that is kept. */
const LEAST_TRUSTED_PAUSE = 86_400_000;
const MOST_TRUSTED_PAUSE = 31 * 86_400_000;

/** The file of a log's doubt. */
const DOUBT = 'clock';

/** What is known of the time, where the clock may be in doubt. Milliseconds. */
export interface KnownTime {
  /** What time it is at most, by the entries from before and by how long processes have run since. */
  readonly time: number;
  /** How long they have run in doubt. */
  readonly ran: number;
}

/**
 * The newest time at which an entry was signed in any log of the ledger (epoch milliseconds), 0 where there is none: what a new log has to
 * go by, which knows no time itself. Of a log that was written while the clock was in doubt, only what was believed counts, and how long
 * processes have run in that doubt goes on to be counted: each start of a replica may be a new log.
 */
export async function newestTime({ directory, signer, previousKeys = [] }: LedgerOptions): Promise<KnownTime> {
  let newest = 0;
  let ran = 0;
  for (const log of await listLogs(directory)) {
    try {
      const note = (await readIfPresent(join(log, 'checkpoint')))?.toString() ?? '';
      const origin = note.slice(0, note.indexOf('\n'));
      const keys = [...signer.verifierKeys(origin), ...previousKeys].map(parseVerifierKey);
      const signed = timeOf(openCheckpoint(note, keys).signatures) ?? 0;
      const doubt = await readDoubt(join(log, DOUBT));
      newest = Math.max(newest, Math.min(signed, doubt?.time ?? signed));
      ran = Math.max(ran, doubt?.ran ?? 0);
    } catch (error) {
      // A log that is not ours to read is none to remove from either; opening it, or verifying it, says what is wrong.
      if (!(error instanceof MalformedNote) && !isSystemError(error)) throw error;
    }
  }
  return { time: newest, ran };
}

/** An earlier process's doubt. Whoever can write the file can remove the entries too: it is only not to be wrong by accident. */
async function readDoubt(path: string): Promise<KnownTime | null> {
  const text = (await readIfPresent(path))?.toString() ?? '';
  const [, time, ran] = /^\{"time":(\d{1,15})(?:\.\d+)?,"ran":(\d{1,15})(?:\.\d+)?\}\n$/.exec(text) ?? [];
  return time === undefined || ran === undefined ? null : { time: Number(time), ran: Number(ran) };
}

/**
 * Whether retention may believe the clock: one that is wrong when a process starts must not age everything at once. While it is in doubt, time
 * counts as it passes for running processes; that is kept in a file, for the entries written meanwhile have the clock's time.
 */
export class TrustedClock {
  readonly #path: string;
  readonly #clock: Clock;
  /** Time at opening, and when that was (monotonic). */
  #time: number;
  readonly #openedAt: number;
  #doubtSince: number | null = null;
  /** How long processes ran in doubt by other logs. */
  readonly #ranElsewhere: number;
  /** How long earlier processes ran in doubt; null until the file was read. */
  #ranBefore: number | null = null;

  /**
   * `newest` is the time of the newest entry, of a new log what the others know, 0 where there is none; `known` one at which something else
   * says that the clock was right (epoch milliseconds), which ends an earlier doubt.
   */
  constructor(log: string, clock: Clock, newest: KnownTime, known: number | null) {
    this.#path = join(log, DOUBT);
    this.#clock = clock;
    this.#time = Math.max(newest.time, known ?? 0) || clock.now();
    this.#ranElsewhere = newest.ran;
    this.#openedAt = clock.monotonic();
    if (known !== null) this.#ranBefore = 0;
  }

  /**
   * Before the first entry is signed: says what time was known, where the clock is ahead of that. Another new log would believe the
   * signature else. Rejects with the system's error.
   */
  async begin(): Promise<void> {
    if (this.#ranBefore !== null || this.#clock.now() - this.#time <= LEAST_TRUSTED_PAUSE) return;
    if ((await readDoubt(this.#path)) === null) await this.#note({ time: this.#time, ran: this.#ranElsewhere });
  }

  #note(known: KnownTime): Promise<void> {
    return replaceFile(this.#path, `${JSON.stringify(known)}\n`);
  }

  /**
   * Milliseconds by which the clock is further ahead than is believed, where what is older than `before` is to be removed; 0 where it is believed:
   * also once processes have run in doubt for as long as entries are kept, for by then what was there before is that old.
   */
  async ahead(before: number): Promise<number> {
    const [now, monotonic] = [this.#clock.now(), this.#clock.monotonic()];
    this.#ranBefore ??= await this.#takeUp();
    const time = this.#time + monotonic - this.#openedAt;
    const trusted = Math.min(MOST_TRUSTED_PAUSE, Math.max(LEAST_TRUSTED_PAUSE, now - before));
    if (now - time > trusted) {
      this.#doubtSince ??= monotonic;
      const ran = this.#ranBefore + monotonic - this.#doubtSince;
      if (ran < trusted) {
        await this.#note({ time, ran });
        return Math.round(now - time);
      }
      this.#time = now - (monotonic - this.#openedAt);
    }
    this.#doubtSince = null;
    this.#ranBefore = 0;
    await rm(this.#path, { force: true });
    return 0;
  }

  /** Takes up an earlier process's doubt. */
  async #takeUp(): Promise<number> {
    const doubt = await readDoubt(this.#path);
    if (doubt === null) return this.#ranElsewhere;
    this.#time = Math.min(this.#time, doubt.time);
    return doubt.ran;
  }
}
