import { basename, join } from 'node:path';
import { parseVerifierKey, type VerifierKey } from '../checkpoint.ts';
import { isSystemError } from '../failure.ts';
import { type Gap, gapPath, readGap } from '../gap.ts';
import { MalformedNote } from '../note.ts';
import { LogDamaged, listLogs, readDescription } from '../recovery.ts';
import { verifyLog } from './log.ts';
import { type FilesReport, type LedgerReport, type LogReport, Problems } from './report.ts';
import type { LogKeys } from './targets.ts';

export interface VerifyOptions {
  /**
   * Verifier keys (`name+id+base64`) of the logs, obtained from somewhere else than the ledger's own directory. Without them the keys
   * beside each log are used, and the report says `self-asserted`: who can replace the whole directory can replace those too.
   */
  readonly publicKeys?: readonly string[];
  /** Signed checkpoints seen earlier: exported ones, a witness's. They uncover a rollback, which files alone cannot. */
  readonly known?: readonly string[];
  /** Of `readMemory`: logs that have to be there and to continue what is remembered of them. Read it before the logs may grow. */
  readonly remembered?: readonly { readonly log: string; readonly note: string }[];
  /** The second place of marks of gaps (`LedgerOptions.gapDirectory`). */
  readonly gapDirectory?: string;
  readonly witnesses?: readonly string[];
  /** Witnesses that have to have cosigned each log's checkpoint; 0 where not given. */
  readonly quorum?: number;
  /** Names of the logs to verify; all where not given. A named log that is not there is a problem. */
  readonly logs?: readonly string[];
  /** Epoch milliseconds. */
  readonly now?: number;
  /** Milliseconds that clocks may differ, 5000 where not given. */
  readonly clockTolerance?: number;
  /** Threads that hash ahead of the check of the chain; as many as there are processors for a large log where not given. */
  readonly threads?: number;
  /** Called with the number of entries read so far. */
  readonly onProgress?: (entries: number) => void;
}

/**
 * Verifies the logs of a ledger offline: every entry, the chain, the tree, the checkpoints and their signatures. A directory without
 * any log is not in order.
 * @throws {MalformedNote} where a key of `options` is not a verifier key
 */
export async function verifyLedger(directory: string, options: VerifyOptions = {}): Promise<LedgerReport> {
  const trusted = options.publicKeys?.map(parseVerifierKey) ?? null;
  const witnesses = (options.witnesses ?? []).map(parseVerifierKey);
  const remembered = (options.remembered ?? []).filter(({ log }) => options.logs?.includes(log) ?? true);
  const known = [...(options.known ?? []), ...remembered.map(({ note }) => note)];
  let entries = 0;
  const logs: LogReport[] = [];
  const found = (await listLogs(directory)).filter((log) => options.logs?.includes(basename(log)) ?? true);
  for (const log of found) {
    const described = await describe(log);
    if ('problem' in described) {
      logs.push(described.problem);
      continue;
    }
    const { origin, keys } = described;
    const report = await verifyLog(log, {
      origin,
      keys: {
        log: trusted?.filter(({ name }) => name === origin) ?? keys,
        witnesses,
        quorum: options.quorum ?? 0,
        trust: trusted === null ? 'self-asserted' : 'trusted',
      } satisfies LogKeys,
      known,
      now: options.now ?? Date.now(),
      clockTolerance: options.clockTolerance ?? 5000,
      threads: options.threads ?? null,
      progress: (more) => {
        entries += more;
        options.onProgress?.(entries);
      },
    });
    const places = [gapPath(log), ...(options.gapDirectory === undefined ? [] : [join(options.gapDirectory, basename(log))])];
    logs.push(await withGap(report, places));
  }
  if (options.logs === undefined) {
    const missing = new Set((trusted ?? []).map(({ name }) => name)).difference(new Set(logs.map(({ origin }) => origin ?? '')));
    for (const origin of missing) logs.push(absent(origin, 'a log of this name is trusted, and is not there'));
  }
  for (const name of options.logs ?? []) if (!found.some((log) => basename(log) === name)) logs.push(absent(name, 'there is no such log'));
  for (const { log, note } of remembered) {
    const present = logs.filter((report) => report.log === log);
    if (present.length === 0) logs.push(absent(log, 'the log is gone: its signed checkpoint is remembered'));
    else if (present.some(({ origin }) => origin !== null && !note.startsWith(`${origin}\n`))) {
      logs.push(absent(log, 'another log is in its place: the remembered checkpoint is not of this one'));
    }
  }
  if (logs.length === 0) logs.push(absent('-', 'there is no log here: nothing was ever written, or all of it is gone', 'logs'));
  return { ok: logs.every(({ problems }) => problems.length === 0), entries: logs.reduce((sum, log) => sum + log.entries, 0), logs };
}

/** The first gap that one of the marks tells of. A mark that cannot be read could hide one. */
async function withGap(report: FilesReport, places: readonly string[]): Promise<LogReport> {
  const problems = new Problems(report.log);
  let gap: Gap | null = null;
  for (const place of places) {
    try {
      gap ??= await readGap(place);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      const code = error instanceof Error && 'code' in error ? error.code : 'unknown';
      problems.add('unreadable', `the mark of a gap at ${place} is no file that can be read (${code}): remove it`, { file: 'gap' });
    }
  }
  return { ...report, gap, problems: [...report.problems, ...problems.list] };
}

/** `log.json` names the log; what it says is the attacker's as much as anything else in the directory. */
async function describe(log: string): Promise<{ origin: string; keys: VerifierKey[] } | { problem: LogReport }> {
  try {
    const description = await readDescription(log);
    if (description === null) return { problem: absent(basename(log), 'log.json is missing') };
    return { origin: description.origin, keys: description.keys.map(parseVerifierKey) };
  } catch (error) {
    if (error instanceof LogDamaged || error instanceof MalformedNote) return { problem: absent(basename(log), error.message) };
    throw error;
  }
}

function absent(log: string, message: string, file: string = 'log.json'): LogReport {
  const problems = new Problems(log);
  problems.add('unreadable', message, { file });
  return {
    log,
    origin: null,
    entries: 0,
    first: 0,
    from: null,
    to: null,
    checkpoint: null,
    unsealed: 0,
    unfinished: 0,
    keys: 'self-asserted',
    problems: problems.list,
    gap: null,
  };
}
