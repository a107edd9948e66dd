import { globSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type FileReport, type FileVerdict, Spool, scanFile, scanPath, toSarif, VERDICTS } from '@sallyport/scanner';
import { Command } from 'commander';
import { EXIT, plain, print, table, UsageError } from '../terminal.ts';
import { VERSION } from '../version.ts';

interface ScanOptions {
  readonly json?: boolean;
  readonly sarif?: boolean;
  readonly failOn: string;
}

const STDIN_MEMORY = 64 * 2 ** 20;
const MEBIBYTE = 2 ** 20;

export function modelsCommand(): Command {
  const models = new Command('models').description('model files: what is in them');
  models
    .command('scan')
    .description('judge model files without loading them. Exits with 1 where a verdict is at or above --fail-on')
    .argument('<path...>', 'files, directories or glob patterns; - for stdin')
    .option('--json', 'print one JSON object a file')
    .option('--sarif', 'print one SARIF 2.1.0 log')
    .option('--fail-on <verdict>', `the least verdict that fails: ${VERDICTS.slice(1).join(', ')}, or never`, 'not-scanned')
    .addHelpText(
      'after',
      '\nExample:\n  $ sallyport models scan ./models --fail-on suspicious\n  $ cat model.pt | sallyport models scan - --json',
    )
    .action(async (paths: string[], options: ScanOptions) => {
      const threshold = parseThreshold(options.failOn);
      if (options.json === true && options.sarif === true) throw new UsageError('models scan: give --json or --sarif, not both');
      const reports: FileReport[] = [];
      const progress = new Progress();
      for (const path of expand(paths)) {
        const report = path === '-' ? await scanStdin() : await scanPath(path, { onProgress: (bytes) => progress.show(path, bytes) });
        progress.clear();
        reports.push(report);
        if (options.json === true) print(JSON.stringify(report));
        else if (options.sarif !== true) print(describe(report));
      }
      if (options.sarif === true) print(JSON.stringify(toSarif(reports, VERSION)));
      else if (options.json !== true) print(summary(reports));
      process.exitCode = reports.some(({ verdict }) => VERDICTS.indexOf(verdict) >= threshold) ? EXIT.refused : EXIT.done;
    });
  return models;
}

/** The place in the order of verdicts from which on a scan fails. */
function parseThreshold(text: string): number {
  if (text === 'never') return VERDICTS.length;
  const index = VERDICTS.map(String).indexOf(text);
  if (index < 1) throw new UsageError(`--fail-on: expected ${VERDICTS.slice(1).join(', ')} or never, got ${text}`);
  return index;
}

/** Every file that is meant, each once. A path that exists is itself, whatever characters it has; else it is a pattern. */
function expand(paths: readonly string[]): string[] {
  const files = new Set<string>();
  for (const path of paths) {
    const status = path === '-' ? undefined : statSync(path, { throwIfNoEntry: false });
    if (path === '-' || status?.isFile() === true) files.add(path);
    else if (status?.isDirectory() === true) for (const file of walk(path)) files.add(file);
    else if (status !== undefined) throw new UsageError(`${path}: neither a file nor a directory`);
    else {
      const found = /[*?[{]/.test(path) ? globSync(path) : [];
      if (found.length === 0) throw new UsageError(`${path}: no such file or directory, and no file matches it`);
      for (const file of found.sort()) if (statSync(file, { throwIfNoEntry: false })?.isFile() === true) files.add(file);
    }
  }
  return [...files];
}

/** Files below a directory, sorted. Links to files are followed, as loaders do (the Hub's cache is made of them); links to directories are not. */
function* walk(directory: string): Generator<string> {
  const entries = readdirSync(directory, { withFileTypes: true }).sort((one, other) => (one.name < other.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    // A link to nothing is a file that cannot be read, and the scan says so.
    else if (entry.isFile() || (entry.isSymbolicLink() && statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true)) yield path;
  }
}

async function scanStdin(): Promise<FileReport> {
  using spool = new Spool(STDIN_MEMORY);
  for await (const chunk of process.stdin) spool.write(Buffer.from(chunk as Buffer));
  return await scanFile(spool.source(), { path: '-' });
}

function describe({ path, format, verdict, findings }: FileReport): string {
  const lines = findings.map(({ severity, rule, message, offset }) =>
    plain(`    ${severity.padEnd(8)} ${rule}: ${message}${offset === undefined ? '' : ` (at byte ${offset})`}`),
  );
  return [plain(`${verdict.padEnd(12)} ${path} (${format})`), ...lines].join('\n');
}

function summary(reports: readonly FileReport[]): string {
  const counts = new Map<FileVerdict, number>();
  for (const { verdict } of reports) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  const rows = VERDICTS.filter((verdict) => counts.has(verdict)).map((verdict) => [verdict, String(counts.get(verdict))]);
  return `\n${table(['VERDICT', 'FILES'], rows)}`;
}

/** One line on stderr, where that is a terminal, for files that take long enough to wonder. */
class Progress {
  readonly #terminal: boolean = process.stderr.isTTY === true;
  readonly #start: number = performance.now();
  #shown: boolean = false;
  #last: number = 0;
  #file: string = '';
  #fileStart: number = 0;

  show(path: string, bytes: number): void {
    const now = performance.now();
    if (path !== this.#file) {
      this.#file = path;
      this.#fileStart = this.#last === 0 ? this.#start : now;
    }
    if (!this.#terminal || now - this.#last < 200) return;
    this.#last = now;
    this.#shown = true;
    const speed = bytes / MEBIBYTE / Math.max(0.001, (now - this.#fileStart) / 1000);
    process.stderr.write(`\r\x1b[2K${plain(path)}: ${(bytes / MEBIBYTE).toFixed(0)} MiB, ${speed.toFixed(0)} MiB/s`);
  }

  clear(): void {
    if (this.#shown) process.stderr.write('\r\x1b[2K');
    this.#shown = false;
  }
}
