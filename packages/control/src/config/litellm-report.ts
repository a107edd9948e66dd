import { formatPath, type Path } from './problem.ts';

export interface ImportNote {
  /** Where in the LiteLLM file. */
  readonly path: string;
  /** Where it went, or why it could not go anywhere. Never repeats a value of the file that could be a secret. */
  readonly note: string;
}

/** What became of every key of the file: each is either carried over or dropped with the reason. */
export class ImportReport {
  readonly carried: ImportNote[] = [];
  readonly dropped: ImportNote[] = [];

  carry(path: Path, note: string): void {
    this.carried.push({ path: formatPath(path), note });
  }

  drop(path: Path, note: string): void {
    this.dropped.push({ path: formatPath(path), note });
  }
}

export const NO_COUNTERPART = 'has no counterpart';

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The pairs of a mapping; none where it is something else, which is reported. */
export function pairs(value: unknown, path: Path, report: ImportReport): [string, unknown][] {
  if (isMapping(value)) return Object.entries(value);
  if (value !== null && value !== undefined) report.drop(path, 'is not a mapping');
  return [];
}

/** The items of a list; none where it is something else, which is reported. */
export function items(value: unknown, path: Path, report: ImportReport): unknown[] {
  if (Array.isArray(value)) return value;
  if (value !== null && value !== undefined) report.drop(path, 'is not a list');
  return [];
}

export function member(value: unknown, key: string): unknown {
  return isMapping(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** Whole numbers, also as texts, as LiteLLM takes them; null for anything else. */
export function wholeNumber(value: unknown): number | null {
  const number = typeof value === 'string' && /^[0-9]{1,15}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number > 0 ? number : null;
}

const VARIABLE = /^os\.environ\/([A-Za-z_][A-Za-z0-9_]{0,127})$/;

/** The variable of `os.environ/NAME`; null for anything else. */
export function variableOf(value: unknown): string | null {
  return typeof value === 'string' ? (VARIABLE.exec(value)?.[1] ?? null) : null;
}
