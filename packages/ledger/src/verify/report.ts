import type { Gap } from '../gap.ts';

/** What can be wrong with a log; docs/ledger.md tells each with its likely cause. */
export type ProblemCode =
  | 'altered'
  | 'missing'
  | 'cut'
  | 'reordered'
  | 'duplicated'
  | 'inserted'
  | 'forked'
  | 'rolled-back'
  | 'old-checkpoint'
  | 'no-checkpoint'
  | 'bad-checkpoint'
  | 'unknown-key'
  | 'witness'
  | 'clock'
  | 'tile'
  | 'unreadable';

export interface Problem {
  readonly code: ProblemCode;
  /** Name of the log's directory: its writer. */
  readonly log: string;
  /** The entry that is wrong, or the first of several; null where the trouble is not one of entries. */
  readonly seq: number | null;
  /** The entry after the last wrong one, where more than one is. */
  readonly until: number | null;
  /** Relative to the log's directory. */
  readonly file: string;
  /** From 1; null where the file has no lines or the line is not there. */
  readonly line: number | null;
  readonly message: string;
}

export interface Cosigned {
  /** Entries that it covers. */
  readonly size: number;
  /** The latest cosignature, epoch milliseconds, and how long ago that was. */
  readonly time: number;
  readonly age: number;
}

export interface LogReport {
  readonly log: string;
  readonly origin: string | null;
  /** Entries found, and the first of them (more than 0 after retention). */
  readonly entries: number;
  readonly first: number;
  /** Time of the first and last entry. */
  readonly from: string | null;
  readonly to: string | null;
  /** The newest checkpoint that holds: what it covers cannot be changed without notice. */
  readonly checkpoint: {
    readonly size: number;
    readonly root: string;
    readonly time: number | null;
    readonly witnesses: readonly string[];
    /** The newest checkpoint that those witnesses cosigned, which may be an old one: nobody vouches for what came later. Null where none did. */
    readonly cosigned: Cosigned | null;
  } | null;
  /** Whole entries after that checkpoint. A crash leaves some; only the hash chain protects them. */
  readonly unsealed: number;
  /** Bytes after the last whole line: a write that is under way, or that a crash cut short. The next start sets them aside. */
  readonly unfinished: number;
  /** `trusted`: checked against keys that the caller gave; `self-asserted`: only against those lying beside the log. */
  readonly keys: 'trusted' | 'self-asserted';
  readonly problems: readonly Problem[];
  /**
   * Entries that were refused since a time and are on record nowhere yet: a running process tries to recover, or one ended before it did. The
   * mark that says so is not signed. Null where there is none.
   */
  readonly gap: Gap | null;
}

/** What the files of entries, tiles and checkpoints of a log tell. */
export type FilesReport = Omit<LogReport, 'gap'>;

export interface LedgerReport {
  /** No log has a problem. */
  readonly ok: boolean;
  readonly entries: number;
  readonly logs: readonly LogReport[];
}

/** Problems kept for one log: a thoroughly damaged one would otherwise fill memory with its report. */
export const MAX_PROBLEMS = 1000;

export class Problems {
  readonly #log: string;
  readonly list: Problem[] = [];

  constructor(log: string) {
    this.#log = log;
  }

  add(code: ProblemCode, message: string, at: { seq?: number; until?: number; file: string; line?: number }): void {
    if (this.list.length >= MAX_PROBLEMS) return;
    this.list.push({ code, log: this.#log, seq: at.seq ?? null, until: at.until ?? null, file: at.file, line: at.line ?? null, message });
  }
}
