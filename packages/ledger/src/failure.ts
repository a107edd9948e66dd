import { isCode } from './files.ts';

export const FAILURE_REASONS = ['disk-full', 'read-only', 'permission', 'io', 'log-removed', 'lock-lost', 'overloaded', 'closed'] as const;
export type FailureReason = (typeof FAILURE_REASONS)[number];

/** The entry is not in the log: the act it records must not be answered, unless policy says otherwise. */
export class LedgerUnavailable extends Error {
  override readonly name: string = 'LedgerUnavailable';
  readonly reason: FailureReason;

  constructor(reason: FailureReason, options?: ErrorOptions) {
    super(`the ledger cannot record: ${reason}`, options);
    this.reason = reason;
  }
}

/** Whether the operating system refused something. */
export function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

const REASONS: ReadonlyMap<string, FailureReason> = new Map([
  ['ENOSPC', 'disk-full'],
  ['EDQUOT', 'disk-full'],
  ['EFBIG', 'disk-full'],
  ['EROFS', 'read-only'],
  ['EACCES', 'permission'],
  ['EPERM', 'permission'],
  ['ENOENT', 'log-removed'],
]);

/** Why an append, or a system call on its behalf, failed. */
export function reasonOf(error: unknown): FailureReason {
  if (error instanceof LedgerUnavailable) return error.reason;
  for (const [code, reason] of REASONS) if (isCode(error, code)) return reason;
  return 'io';
}
