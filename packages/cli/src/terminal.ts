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

/** Wrong use of a command: names the option and the fix. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}
