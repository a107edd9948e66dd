import { markdownTable } from './table.ts';

/** What a suite found, for people and for programs. */

/** One measured subject. `problem` says why its figures are missing or not to be trusted. */
export interface Row {
  readonly peer: string;
  readonly problem: string | null;
}

export interface Table {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** The measurements themselves, unrounded. */
  readonly data: readonly Row[];
}

export interface Report {
  readonly command: string;
  readonly date: string;
  readonly machine: string;
  readonly versions: string;
  readonly tables: Table[];
}

export function markdown(report: Report): string {
  const head = `\`${report.command}\`, ${report.date}\n${report.machine}\n${report.versions}\n`;
  return `${head}${report.tables.map(tableText).join('')}`;
}

/** One table, for suites that print each as soon as they have it. */
export function tableText({ title, header, rows, data }: Table): string {
  const notes = data.flatMap(({ peer, problem }) => (problem === null ? [] : `\n${peer}: ${problem.trim().split('\n')[0]}`));
  return `\n### ${title}\n\n${markdownTable(header, rows)}\n${notes.join('')}\n`;
}

export function json(report: Report): string {
  return `${JSON.stringify(report, jsonNumbers, 2)}\n`;
}

/** The unrounded data only; JSON has no NaN. */
function jsonNumbers(key: string, value: unknown): unknown {
  if (key === 'rows' || key === 'header') return undefined;
  return typeof value === 'number' && !Number.isFinite(value) ? null : value;
}
