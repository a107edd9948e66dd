import { globSync, readdirSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import {
  attestScan,
  DEFAULT_LIMITS,
  type FileReport,
  type FileVerdict,
  parseSuppressions,
  readPrivateKey,
  SignatureInvalid,
  Spool,
  type Suppression,
  SuppressionsInvalid,
  scanFile,
  scanPaths,
  suppress,
  toJunit,
  toSarif,
  VERDICTS,
} from '@sallyport/scanner';
import type { Command } from 'commander';
import { hasHome } from '../installation.ts';
import { EXIT, plain, print, table, UsageError } from '../terminal.ts';
import { VERSION } from '../version.ts';
import { Progress } from './models-progress.ts';
import { recordFindings } from './models-record.ts';
import { globalOptions } from './options.ts';

interface ScanOptions {
  readonly json?: boolean;
  readonly sarif?: boolean;
  readonly junit?: boolean;
  readonly failOn: string;
  readonly suppressions?: string;
  readonly threads?: string;
  readonly record: boolean;
  readonly attest?: string;
  readonly attestKey?: string;
}

const STDIN_MEMORY = DEFAULT_LIMITS.memory;

export function addScan(models: Command): void {
  models
    .command('scan')
    .description('judge model files without loading them. Exits with 1 where a verdict is at or above --fail-on')
    .argument('<path...>', 'files, directories or glob patterns; - for stdin')
    .option('--json', 'print one JSON object a file')
    .option('--sarif', 'print one SARIF 2.1.0 log')
    .option('--junit', 'print one JUnit XML document')
    .option('--fail-on <verdict>', `the least verdict that fails: ${VERDICTS.slice(1).join(', ')}, or never`, 'not-scanned')
    .option('--suppressions <file>', 'findings that were reviewed, by digest, with reason and expiry (docs/scanner.md)')
    .option('--threads <number>', 'threads to scan on; default: one a core')
    .option('--attest <file>', 'write a signed in-toto attestation of each verdict, one bundle a line; needs --attest-key')
    .option('--attest-key <file>', 'private key (PEM) that signs the attestations')
    .option('--no-record', 'do not write findings to the ledger of the installation')
    .addHelpText(
      'after',
      '\nExample:\n  $ sallyport models scan ./models --fail-on suspicious\n  $ cat model.pt | sallyport models scan - --json',
    )
    .action(scan);
}

async function scan(paths: string[], options: ScanOptions, command: Command): Promise<void> {
  const failOn = parseThreshold(options.failOn);
  const formats = [options.json, options.sarif, options.junit].filter((wanted) => wanted === true);
  if (formats.length > 1) throw new UsageError('models scan: give one of --json, --sarif and --junit');
  if ((options.attest === undefined) !== (options.attestKey === undefined))
    throw new UsageError('models scan: --attest and --attest-key go together');
  const suppressions = readSuppressions(options.suppressions);
  const key = options.attestKey === undefined ? null : attestationKey(options.attestKey);
  const attestations: Buffer[] = [];
  const reports: FileReport[] = [];
  const files = expand(paths);
  const progress = new Progress(files);
  for await (const scanned of scanAll(files, parseThreads(options.threads), progress)) {
    const report = suppressions.length === 0 ? scanned : suppress(scanned, suppressions, DEFAULT_LIMITS.findings);
    progress.done();
    reports.push(report);
    // What the rules found, not what was accepted for a while: an attestation does not expire.
    if (key !== null && scanned.sha256 !== '') attestations.push(attestScan(scanned, { privateKey: key }));
    if (options.json === true) print(JSON.stringify(report));
    else if (formats.length === 0) print(describe(report));
  }
  progress.clear();
  if (options.sarif === true) print(JSON.stringify(toSarif(reports, VERSION)));
  else if (options.junit === true) print(toJunit(reports, failOn));
  else if (options.json !== true) print(summary(reports));
  if (options.attest !== undefined) writeFileSync(options.attest, `${attestations.map(String).join('\n')}\n`);
  if (options.record && hasHome(globalOptions(command).place)) await recordFindings(command, reports);
  const threshold = failOn === 'never' ? VERDICTS.length : VERDICTS.indexOf(failOn);
  process.exitCode = reports.some(({ verdict }) => VERDICTS.indexOf(verdict) >= threshold) ? EXIT.refused : EXIT.done;
}

async function* scanAll(files: readonly string[], threads: number | null, progress: Progress): AsyncGenerator<FileReport> {
  const onProgress = (bytes: number): void => progress.add(bytes);
  yield* scanPaths(
    files.filter((file) => file !== '-'),
    { onProgress, ...(threads === null ? {} : { threads }) },
  );
  if (files.includes('-')) yield await scanStdin();
}

function readSuppressions(path: string | undefined): Suppression[] {
  if (path === undefined) return [];
  try {
    return parseSuppressions(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof SuppressionsInvalid) throw new UsageError(`${path}: ${error.message}`);
    throw error;
  }
}

function attestationKey(path: string): ReturnType<typeof readPrivateKey> {
  try {
    return readPrivateKey(readFileSync(path), process.env['SALLYPORT_KEY_PASSPHRASE']);
  } catch (error) {
    if (error instanceof SignatureInvalid) throw new UsageError(`--attest-key: ${error.message}`);
    throw error;
  }
}

function parseThreads(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^[1-9]\d?$/.test(text)) throw new UsageError(`--threads: expected a number from 1 to 99, got ${text}`);
  return Number(text);
}

/** The verdict from which on a scan fails. */
function parseThreshold(text: string): FileVerdict | 'never' {
  if (text === 'never') return text;
  const verdict = VERDICTS.slice(1).find((known) => known === text);
  if (verdict === undefined) throw new UsageError(`--fail-on: expected ${VERDICTS.slice(1).join(', ')} or never, got ${text}`);
  return verdict;
}

/** Every file that is meant, each once. A path that exists is itself, whatever characters it has; else it is a pattern. */
export function expand(paths: readonly string[]): string[] {
  const files = new Set<string>();
  for (const path of paths) {
    const status = path === '-' ? undefined : statSync(path, { throwIfNoEntry: false });
    if (path === '-' || status?.isFile() === true) files.add(path);
    else if (status?.isDirectory() === true) for (const file of walk(path)) files.add(file);
    else if (status !== undefined) throw new UsageError(`${path}: neither a file nor a directory`);
    else {
      const found = /[*?[{]/.test(path) ? globSync(path) : [];
      if (found.length === 0) throw new UsageError(`${path}: no such file or directory, and no file matches it`);
      for (const match of found.sort())
        if (statSync(match, { throwIfNoEntry: false })?.isDirectory() === true) for (const file of walk(match)) files.add(file);
        else files.add(named(match));
    }
  }
  return [...files];
}

/** A file that is called as stdin is called on the command line. */
function named(path: string): string {
  return path === '-' ? './-' : path;
}

/**
 * Files below a directory, sorted. Links to files are followed, as loaders do (the Hub's cache is made of them). A directory that is linked is
 * there under its own name as well; one outside is given itself, and the scan says that it cannot be read.
 */
function* walk(directory: string, root: string = realpathSync(directory)): Generator<string> {
  const entries = readdirSync(directory, { withFileTypes: true }).sort((one, other) => (one.name < other.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* walk(path, root);
    else if (entry.isFile() || (entry.isSymbolicLink() && !isDirectoryBelow(path, root))) yield named(path);
  }
}

/** False for a link to nothing: that is a file that cannot be read. */
function isDirectoryBelow(link: string, root: string): boolean {
  if (statSync(link, { throwIfNoEntry: false })?.isDirectory() !== true) return false;
  const real = realpathSync(link);
  return real === root || real.startsWith(join(root, sep));
}

async function scanStdin(): Promise<FileReport> {
  using spool = new Spool(STDIN_MEMORY);
  for await (const chunk of process.stdin) spool.write(Buffer.from(chunk as Buffer));
  return await scanFile(spool.source(), { path: '-' });
}

function describe(report: FileReport): string {
  const { path, format, verdict, findings } = report;
  const lines = findings.map(({ severity, rule, message, offset }) =>
    plain(`    ${severity.padEnd(8)} ${rule}: ${message}${offset === undefined ? '' : ` (at byte ${offset})`}`),
  );
  const accepted = 'suppressed' in report && Array.isArray(report.suppressed) ? report.suppressed.length : 0;
  const note = accepted === 0 ? '' : `, ${accepted} suppressed`;
  return [plain(`${verdict.padEnd(12)} ${path} (${format}${note})`), ...lines].join('\n');
}

function summary(reports: readonly FileReport[]): string {
  const counts = new Map<FileVerdict, number>();
  for (const { verdict } of reports) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  const rows = VERDICTS.filter((verdict) => counts.has(verdict)).map((verdict) => [verdict, String(counts.get(verdict))]);
  return `\n${table(['VERDICT', 'FILES'], rows)}`;
}
