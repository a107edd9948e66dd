import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import {
  DEFAULT_LIMITS,
  type FileReport,
  type FileVerdict,
  parseSuppressions,
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
import { Command } from 'commander';
import { EXIT, plain, print, table, UsageError } from '../terminal.ts';
import { VERSION } from '../version.ts';
import { collect } from './collect.ts';
import { expand } from './models-files.ts';
import { Progress } from './models-progress.ts';

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
  readonly allowHost?: readonly string[];
  readonly hub: string;
  readonly maxFetch: string;
  readonly fetchDeadline: string;
}

const OUTPUT_CHUNK = 65_536;
const STDIN_MEMORY = DEFAULT_LIMITS.memory;

export function scanCommand(): Command {
  return new Command('scan')
    .description('judge model files without loading them. Exits with 1 where a verdict is at or above --fail-on')
    .argument('<path...>', 'files, directories or glob patterns; - for stdin; with --allow-host: URLs, hf://organisation/name@revision')
    .option('--json', 'print one JSON object a file')
    .option('--sarif', 'print one SARIF 2.1.0 log')
    .option('--junit', 'print one JUnit XML document')
    .option('--fail-on <verdict>', `the least verdict that fails: ${VERDICTS.slice(1).join(', ')}, or never`, 'not-scanned')
    .option('--suppressions <file>', 'findings that were reviewed, by digest, with reason and expiry (docs/scanner.md)')
    .option('--threads <number>', 'threads to scan on; default: one a core')
    .option('--attest <file>', 'write a signed in-toto attestation of each verdict, one bundle a line; needs --attest-key')
    .option('--attest-key <file>', 'private key (PEM) that signs the attestations')
    .option('--allow-host <host>', 'fetch from this host: host, host:port or *.domain (again for more)', collect)
    .option('--hub <url>', 'the Hub of hf:// names', 'https://huggingface.co')
    .option('--max-fetch <MiB>', 'most that is fetched of one file; what is not fetched whole is inconclusive at best', '64')
    .option('--fetch-deadline <seconds>', 'longest that fetching one file may take in all; then it is inconclusive', '600')
    .option('--no-record', 'do not write findings to the ledger of the installation')
    .addHelpText(
      'after',
      '\nExample:\n  $ sallyport models scan ./models --fail-on suspicious\n  $ cat model.pt | sallyport models scan - --json\n  $ sallyport models scan hf://acme/llama@main --allow-host huggingface.co --allow-host "*.hf.co" --fail-on malformed',
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
  const attestor = options.attestKey === undefined ? null : (await import('./models-attest.ts')).openAttestor(options.attestKey);
  const reports: FileReport[] = [];
  const remote = paths.filter((path) => isRemote(path));
  const files = expand(paths.filter((path) => !isRemote(path)));
  const progress = new Progress(files);
  const lines = new Lines();
  for await (const scanned of scanAll(files, remote, options, progress, command)) {
    const report = suppressions.length === 0 ? scanned : suppress(scanned, suppressions, DEFAULT_LIMITS.findings);
    progress.done();
    reports.push(report);
    // What the rules found, not what was accepted for a while: an attestation does not expire.
    attestor?.add(scanned);
    if (options.json === true) lines.add(JSON.stringify(report));
    else if (formats.length === 0) lines.add(describe(report));
  }
  lines.flush();
  progress.clear();
  if (options.sarif === true) print(JSON.stringify(toSarif(reports, VERSION)));
  else if (options.junit === true) print(toJunit(reports, failOn));
  else if (options.json !== true) print(summary(reports));
  if (options.attest !== undefined && attestor !== null) writeFileSync(options.attest, attestor.text());
  // The ledger and what opens it are loaded where there is something to write.
  const found = reports.filter(({ verdict }) => verdict !== 'clean');
  if (options.record && found.length > 0) await (await import('./models-record.ts')).recordFindings(command, found);
  const threshold = failOn === 'never' ? VERDICTS.length : VERDICTS.indexOf(failOn);
  process.exitCode = reports.some(({ verdict }) => VERDICTS.indexOf(verdict) >= threshold) ? EXIT.refused : EXIT.done;
}

async function* scanAll(
  files: readonly string[],
  remote: readonly string[],
  options: ScanOptions,
  progress: Progress,
  command: Command,
): AsyncGenerator<FileReport> {
  const threads = parseThreads(options.threads);
  const onProgress = (bytes: number): void => progress.add(bytes);
  yield* scanPaths(
    files.filter((file) => file !== '-'),
    { onProgress, ...(threads === null ? {} : { threads }) },
  );
  if (files.includes('-')) yield await scanStdin();
  if (remote.length > 0) yield* (await import('./models-remote.ts')).scanRemotes(remote, options, command);
}

/** What the file system has under that name is that. */
function isRemote(path: string): boolean {
  return /^(?:https?|hf):\/\//i.test(path) && !existsSync(path);
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

/** Lines of stdout, many to a write where they come fast. */
class Lines {
  #waiting: string = '';
  #scheduled: boolean = false;

  add(line: string): void {
    this.#waiting += `${line}\n`;
    if (this.#waiting.length > OUTPUT_CHUNK) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => this.flush());
    }
  }

  flush(): void {
    if (this.#waiting !== '') process.stdout.write(this.#waiting);
    this.#waiting = '';
    this.#scheduled = false;
  }
}

async function scanStdin(): Promise<FileReport> {
  using spool = new Spool(STDIN_MEMORY);
  for await (const chunk of process.stdin) spool.write(Buffer.from(chunk as Buffer));
  return await scanFile(spool.source(), { path: '-' });
}

function describe(report: FileReport): string {
  const { path, format, verdict, findings } = report;
  const lines = findings.map(({ severity, rule, message, offset, cve, loader }) => {
    const place = offset === undefined ? '' : ` (at byte ${offset})`;
    const known = cve === undefined ? '' : `; ${cve.join(', ')}${loader === undefined ? '' : `, safe from ${loader}`}`;
    return plain(`    ${severity.padEnd(8)} ${rule}: ${message}${place}${known}`);
  });
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
