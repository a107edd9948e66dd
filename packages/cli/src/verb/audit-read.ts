import { hostname } from 'node:os';
import type { EntryKind, Outcome } from '@sallyport/core';
import { buildIndexes, type EntryFilter, proveInclusion, type ReadEntry, readEntries } from '@sallyport/ledger';
import type { Command } from 'commander';
import { readConfig } from '../installation.ts';
import { EXIT, print, result, table, tell, UsageError } from '../terminal.ts';
import { VERSION } from '../version.ts';
import { globalOptions } from './options.ts';

interface FilterOptions {
  readonly since?: string;
  readonly until?: string;
  readonly kind?: string;
  readonly id?: string;
  readonly principal?: string;
  readonly tenant?: string;
  readonly ip?: string;
  readonly action?: string;
  readonly model?: string;
  readonly outcome?: string;
  readonly fault?: string;
  readonly finding?: string;
  /** `--no-index` makes it false. */
  readonly index: boolean;
}

const KINDS: readonly EntryKind[] = ['request', 'auth', 'decision', 'change', 'tool', 'finding', 'system'];
const OUTCOMES: readonly Outcome[] = ['open', 'answered', 'refused', 'blocked', 'failed', 'cut', 'abandoned', 'done'];
const FORMATS = ['json', 'csv', 'ocsf', 'ecs', 'cef'] as const;

/** `tail`, `query`, `export` and `prove`: reading, which does not verify. */
export function addReading(audit: Command): void {
  withFilter(audit.command('tail').description('the newest entries'))
    .option('-n, --lines <count>', 'how many', '20')
    .option('--json', 'one entry a line, as in the ledger')
    .addHelpText('after', '\nExample:\n  $ sallyport audit tail -n 50 --outcome blocked')
    .action(async (options: FilterOptions & { lines: string; json?: boolean }, command: Command) => {
      const last = Number(options.lines);
      if (!Number.isInteger(last) || last < 1) throw new UsageError(`--lines: expected a whole number above 0, got ${options.lines}`);
      await show(command, { ...filterOf(options), last }, options);
    });
  withFilter(audit.command('query').description('entries that meet every given condition, in order of time'))
    .option('--json', 'one entry a line, as in the ledger')
    .addHelpText(
      'after',
      '\nExample:\n  $ sallyport audit query --id 4tlxHtm2aj_H3dSp --json\n  $ sallyport audit query --model chat --since 2026-11-01',
    )
    .action((options: FilterOptions & { json?: boolean }, command: Command) => show(command, filterOf(options), options));
  withFilter(audit.command('export').description('entries for another program, one a line'))
    .option('--format <format>', FORMATS.join(', '), 'json')
    .option('--json', 'as without it: every format but csv and cef is JSON')
    .addHelpText('after', '\nExample:\n  $ sallyport audit export --format csv --since 2026-11-01 > november.csv')
    .action(async (options: FilterOptions & { format: string }, command: Command) => {
      const format = FORMATS.find((known) => known === options.format);
      if (format === undefined) throw new UsageError(`--format: expected one of ${FORMATS.join(', ')}, got ${options.format}`);
      if (format === 'csv') print(csvLine(CSV_COLUMNS.map(([name]) => name)));
      const write = format === 'csv' ? csvRow : await exportLine(format);
      for await (const read of await open(command, filterOf(options), options.index)) print(write(read));
    });
  addModels(audit);
  audit
    .command('index')
    .description('make the index of the ledger that tail, query and export use; it may be thrown away at any time')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport audit index')
    .action(async (options: { json?: boolean }, command: Command) => {
      const done = await buildIndexes(await directoryOf(command), process.stderr.isTTY ? progress() : undefined);
      if (process.stderr.isTTY) tell('');
      result(options.json === true, done, () => `${done.built} segments indexed, ${done.entries} entries.`);
    });
  audit
    .command('prove')
    .description('a proof that one entry is in the ledger, which anybody can check with the public key')
    .argument('<log>', 'the log the entry is in, as `audit query --json` and `audit verify` name it')
    .argument('<seq>', 'its sequence number')
    .option('--json', 'as without it: a proof is one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport audit prove serve 1042 > proof.json')
    .action(async (log: string, seq: string, _options: unknown, command: Command) => {
      if (!/^\d{1,15}$/.test(seq)) throw new UsageError(`seq: expected a whole number, got ${seq}`);
      print(JSON.stringify(await proveInclusion(await directoryOf(command), log, Number(seq))));
    });
}

/** `model` and `running`: which version of a model it was. */
function addModels(audit: Command): void {
  audit
    .command('model')
    .description('which model version answered a request. Exits with 1 where no entry has the id')
    .argument('<id>', 'request id, as in the header x-request-id')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport audit model 4tlxHtm2aj_H3dSp')
    .action(async (id: string, options: { json?: boolean }, command: Command) => {
      let found: ReadEntry | null = null;
      for await (const read of await open(command, { id })) found = read;
      if (found === null) {
        process.exitCode = EXIT.refused;
        tell(`No entry has the id ${id}.`);
        return;
      }
      const { entry, log } = found;
      const answer = { id, time: entry.time, outcome: entry.outcome, model: entry.model, log, seq: entry.seq };
      result(options.json === true, answer, () => table(SERVED, [servedRow(found)]));
    });
  audit
    .command('running')
    .description('which version of each model was served at a time, as the model servers reported it')
    .argument('[time]', 'such as 2026-11-01 or 2026-11-01T12:00:00Z; default: now')
    .option('--model <name>', 'of one public model name')
    .option('--json', 'one JSON object a line')
    .addHelpText('after', '\nExample:\n  $ sallyport audit running 2026-11-01T12:00:00Z --model chat')
    .action(async (time: string | undefined, options: { model?: string; json?: boolean }, command: Command) => {
      const until = time === undefined ? {} : { until: parseTime(time, 'time') };
      const filter = { action: 'model.serving', ...until, ...(options.model === undefined ? {} : { model: options.model }) };
      const latest = new Map<string, ReadEntry>();
      for await (const read of await open(command, filter)) latest.set(`${read.entry.model?.name}\n${read.entry.model?.upstream}`, read);
      if (options.json === true) for (const { entry } of latest.values()) print(JSON.stringify({ since: entry.time, ...entry.model }));
      else print(table(SERVED, [...latest.values()].map(servedRow)));
    });
}

const SERVED = ['TIME', 'MODEL', 'UPSTREAM', 'ARTIFACT', 'OUTCOME'];

function servedRow({ entry }: ReadEntry): string[] {
  return [entry.time, entry.model?.name ?? '-', entry.model?.upstream ?? '-', entry.model?.artifact ?? 'not reported', entry.outcome];
}

/** Rewrites one line of the terminal. */
function progress(): (entries: number) => void {
  return (entries) => void process.stderr.write(`\r${entries} entries`);
}

function withFilter(command: Command): Command {
  return command
    .option('--since <time>', 'from this time on: 2026-11-01 or 2026-11-01T12:00:00Z')
    .option('--until <time>', 'before this time')
    .option('--kind <kind>', KINDS.join(', '))
    .option('--id <id>', 'request id')
    .option('--principal <id>', 'who')
    .option('--tenant <tenant>', 'tenant of who')
    .option('--ip <address>', 'from where')
    .option('--action <action>', 'what was asked for')
    .option('--model <name>', 'public model name')
    .option('--outcome <outcome>', OUTCOMES.join(', '))
    .option('--fault <code>', 'fault code')
    .option('--finding <name>', 'detector or category')
    .option('--no-index', 'read the log itself, without the index beside it');
}

function filterOf(options: FilterOptions): EntryFilter {
  const { since, until, kind, outcome, id, principal, tenant, ip, action, model, fault, finding } = options;
  const plain = { id, principal, tenant, ip, action, model, fault, finding };
  return {
    ...Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== undefined)),
    ...(since === undefined ? {} : { since: parseTime(since, '--since') }),
    ...(until === undefined ? {} : { until: parseTime(until, '--until') }),
    ...(kind === undefined ? {} : { kind: oneOf(KINDS, kind, '--kind') }),
    ...(outcome === undefined ? {} : { outcome: oneOf(OUTCOMES, outcome, '--outcome') }),
  };
}

function parseTime(text: string, option: string): string {
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) throw new UsageError(`${option}: expected a time such as 2026-11-01 or 2026-11-01T12:00:00Z, got ${text}`);
  return new Date(time).toISOString();
}

function oneOf<T extends string>(known: readonly T[], text: string, option: string): T {
  const found = known.find((one) => one === text);
  if (found === undefined) throw new UsageError(`${option}: expected one of ${known.join(', ')}, got ${text}`);
  return found;
}

async function directoryOf(command: Command): Promise<string> {
  return (await readConfig(globalOptions(command).place, false)).config.audit.directory;
}

async function open(command: Command, filter: EntryFilter, index = true): Promise<AsyncGenerator<ReadEntry>> {
  return readEntries(await directoryOf(command), filter, { index });
}

async function show(
  command: Command,
  filter: EntryFilter,
  { json = false, index }: { readonly json?: boolean; readonly index: boolean },
): Promise<void> {
  const rows: string[][] = [];
  for await (const read of await open(command, filter, index)) {
    if (json) print(JSON.stringify(read.entry));
    else rows.push(row(read));
  }
  if (!json) print(table(['TIME', 'LOG', 'SEQ', 'WHO', 'ACTION', 'MODEL', 'OUTCOME', 'ID'], rows));
}

function row({ log, entry }: ReadEntry): string[] {
  const outcome = entry.fault === null ? entry.outcome : `${entry.outcome}: ${entry.fault}`;
  return [entry.time, log, String(entry.seq), entry.principal?.id ?? '-', entry.action, entry.model?.name ?? '-', outcome, entry.id];
}

const CSV_COLUMNS: readonly (readonly [name: string, of: (read: ReadEntry) => string | number | null | undefined])[] = [
  ['time', ({ entry }) => entry.time],
  ['log', ({ log }) => log],
  ['seq', ({ entry }) => entry.seq],
  ['id', ({ entry }) => entry.id],
  ['kind', ({ entry }) => entry.kind],
  ['principal', ({ entry }) => entry.principal?.id],
  ['tenant', ({ entry }) => entry.principal?.tenant],
  ['credential', ({ entry }) => entry.principal?.credential],
  ['ip', ({ entry }) => entry.source?.ip],
  ['action', ({ entry }) => entry.action],
  ['resource', ({ entry }) => entry.resource],
  ['rule', ({ entry }) => entry.decision?.rule],
  ['model', ({ entry }) => entry.model?.name],
  ['upstream', ({ entry }) => entry.model?.upstream],
  ['input_tokens', ({ entry }) => entry.usage?.input],
  ['output_tokens', ({ entry }) => entry.usage?.output],
  ['total_ms', ({ entry }) => entry.latency?.total],
  ['outcome', ({ entry }) => entry.outcome],
  ['fault', ({ entry }) => entry.fault],
  ['hash', ({ entry }) => entry.hash],
];

/** As the exporters write it (docs/exporters.md). */
async function exportLine(format: Exclude<(typeof FORMATS)[number], 'csv'>): Promise<(read: ReadEntry) => string> {
  const { encoder } = await import('@sallyport/export');
  const write = encoder(format, { host: hostname(), version: VERSION });
  return ({ log, entry }) => write({ log, seq: entry.seq, line: JSON.stringify(entry), entry });
}

function csvRow(read: ReadEntry): string {
  return csvLine(CSV_COLUMNS.map(([, of]) => String(of(read) ?? '')));
}

/** RFC 4180; a cell a spreadsheet would take for a formula begins with an apostrophe (OWASP CSV injection). */
function csvLine(cells: readonly string[]): string {
  return cells.map((cell) => `"${(/^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell).replaceAll('"', '""')}"`).join(',');
}
