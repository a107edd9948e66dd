import { ConfigError, formatProblem, HomeError, SecretError, WrongPepper } from '@sallyport/control';
import { Fault } from '@sallyport/core';
import { LedgerUnavailable, LogDamaged, LogLocked, NoProof, UnreadableEntry } from '@sallyport/ledger';

/** Results go to stdout, messages to stderr, so that a pipe gets only what it asked for. */
export const EXIT = { done: 0, refused: 1, unusable: 2 } as const;

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** A result: JSON for machines, else text for people. */
export function result(json: boolean, value: unknown, text: () => string): void {
  print(json ? JSON.stringify(value) : text());
}

/** Columns as wide as their content; control characters in a cell are shown, not obeyed. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [headings, ...rows].map((row) => row.map(plain));
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)));
  return cells
    .map((row) => row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  '))
    .join('\n');
}

/** Names come from people: what a terminal would obey is escaped. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** An error as a person reads it, and the exit status it means. Defects of ours keep their stack. */
export function describeError(error: unknown): { readonly text: string; readonly exit: number } {
  if (error instanceof ConfigError)
    return { text: `The configuration cannot be used:\n${error.problems.map(formatProblem).join('\n')}`, exit: EXIT.unusable };
  if (error instanceof HomeError || error instanceof SecretError || error instanceof WrongPepper)
    return { text: error.message, exit: EXIT.unusable };
  if (error instanceof LogLocked)
    return { text: `${error.message}. Another process writes this log; give this one a name of its own (--writer).`, exit: EXIT.unusable };
  if (error instanceof LogDamaged)
    return { text: `The ledger cannot be opened: ${error.message}. Run sallyport audit verify.`, exit: EXIT.unusable };
  if (error instanceof LedgerUnavailable)
    return { text: `${error.message} (its directory: disk full, read-only or not yours?)`, exit: EXIT.unusable };
  if (error instanceof NoProof || error instanceof UnreadableEntry) return { text: error.message, exit: EXIT.refused };
  if (error instanceof UsageError) return { text: error.message, exit: EXIT.unusable };
  if (error instanceof Fault) {
    const where = error.param === null ? '' : ` (${error.param})`;
    return { text: `${error.message}${where}`, exit: error.code === 'not_ready' ? EXIT.unusable : EXIT.refused };
  }
  if (error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error)
    return { text: error.message, exit: EXIT.unusable };
  return { text: error instanceof Error ? (error.stack ?? error.message) : String(error), exit: EXIT.unusable };
}

/** Wrong use of a command: names the option and the fix. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}
