import { randomBytes } from 'node:crypto';
import { resolveSecret } from '@sallyport/control';
import { type EgressSettings, type ExporterSettings, type Logger, NO_EXCHANGE, systemClock } from '@sallyport/core';
import type { DeadLetter, Failure, SoundEvent } from '@sallyport/export';
import { sealedSizes } from '@sallyport/ledger';
import type { Command } from 'commander';
import { readConfig } from '../installation.ts';
import { EXIT, result, table, tell, UsageError } from '../terminal.ts';
import { VERSION } from '../version.ts';
import { globalOptions } from './options.ts';

interface Row {
  readonly name: string;
  readonly kind: ExporterSettings['kind'];
  /** Sealed entries not delivered yet. */
  readonly lag: number;
  readonly delivered: number;
  readonly dead: readonly DeadLetter[];
  readonly replaying: boolean;
  readonly failure: Failure | null;
  readonly deliveredAt: number | null;
}

/** `audit exporters status|replay|test`. What exports is loaded by them, so that other verbs and the server start without it. */
export function addExporters(audit: Command): void {
  const exporters = audit.command('exporters').description('delivery of the ledger: status, replay, test');
  exporters
    .command('status')
    .description('how far each exporter is, and what it could not deliver. Exits with 1 where one is failing or has dead letters')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport audit exporters status')
    .action(async (options: { json?: boolean }, command: Command) => {
      const rows = await rowsOf(command);
      if (rows.some(({ failure, dead }) => failure !== null || dead.length > 0)) process.exitCode = EXIT.refused;
      result(options.json === true, { exporters: rows }, () => describe(rows));
    });
  exporters
    .command('replay')
    .description('have the dead letters of an exporter sent again, by the running server or by the next one')
    .argument('<name>', 'name of the exporter')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport audit exporters replay splunk')
    .action(async (name: string, options: { json?: boolean }, command: Command) => {
      const { directory, settings } = await named(command, name);
      const { ExporterFiles } = await import('@sallyport/export');
      const files = new ExporterFiles(directory, settings.name);
      const letters = await files.deadLetters();
      if (letters.length > 0 && !(await files.replay())) {
        tell('An earlier replay is not done yet; see sallyport audit exporters status.');
        process.exitCode = EXIT.refused;
        return;
      }
      const entries = count(letters);
      result(options.json === true, { entries }, () =>
        entries === 0 ? 'There are no dead letters.' : `${entries} entries will be sent again by the process that exports.`,
      );
    });
  exporters
    .command('test')
    .description('send one made-up entry now, with the configured secrets. Exits with 1 where it is not taken')
    .argument('<name>', 'name of the exporter')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport audit exporters test splunk')
    .action(async (name: string, options: { json?: boolean }, command: Command) => {
      const { settings, egress } = await named(command, name);
      const event = testEvent();
      const failure = await deliverOne(settings, egress, globalOptions(command).logger, event);
      if (failure !== null) process.exitCode = EXIT.refused;
      result(options.json === true, { exporter: name, id: event.entry.hash, delivered: failure === null, failure }, () =>
        failure === null ? `Taken: ${event.entry.action}, id ${event.entry.hash}.` : `Not taken: ${failure}.`,
      );
    });
}

interface Configured {
  readonly directory: string;
  readonly egress: EgressSettings;
  readonly settings: readonly ExporterSettings[];
}

async function configured(command: Command): Promise<Configured> {
  const { audit, egress } = (await readConfig(globalOptions(command).place, false)).config;
  return { directory: audit.directory, egress, settings: audit.exporters };
}

async function named(command: Command, name: string): Promise<Omit<Configured, 'settings'> & { readonly settings: ExporterSettings }> {
  const { settings, ...rest } = await configured(command);
  const found = settings.find((one) => one.name === name);
  if (found !== undefined) return { ...rest, settings: found };
  const known = settings.map((one) => one.name).join(', ');
  throw new UsageError(known === '' ? 'No exporter is configured: see audit.exporters.' : `name: expected one of ${known}, got ${name}`);
}

async function rowsOf(command: Command): Promise<Row[]> {
  const { directory, settings } = await configured(command);
  const sealed = await sealedSizes(directory);
  const { ExporterFiles } = await import('@sallyport/export');
  return Promise.all(
    settings.map(async ({ name, kind }) => {
      const files = new ExporterFiles(directory, name);
      const state = await files.load();
      const lag = sealed.entries().reduce((sum, [log, size]) => sum + Math.max(0, size - (state?.next[log] ?? 0)), 0);
      const { delivered = 0, failure = null, deliveredAt = null } = state ?? {};
      const replaying = (await files.replaying()).length > 0;
      return { name, kind, lag, delivered, dead: await files.deadLetters(), replaying, failure, deliveredAt };
    }),
  );
}

function count(letters: readonly DeadLetter[]): number {
  return letters.reduce((sum, { from, until }) => sum + until - from, 0);
}

function describe(rows: readonly Row[]): string {
  if (rows.length === 0) return 'No exporter is configured: see audit.exporters.';
  const overview = table(
    ['NAME', 'KIND', 'LAG', 'DELIVERED', 'DEAD', 'LAST DELIVERY', 'FAILURE'],
    rows.map((row) => [
      row.name,
      row.kind,
      String(row.lag),
      String(row.delivered),
      row.replaying ? `${count(row.dead)}, replaying` : String(count(row.dead)),
      row.deliveredAt === null ? '-' : new Date(row.deliveredAt).toISOString(),
      row.failure === null
        ? '-'
        : `${row.failure.reason} (${row.failure.attempts} attempts since ${new Date(row.failure.since).toISOString()})`,
    ]),
  );
  const dead = rows.flatMap(({ name, dead: letters }) =>
    letters.map(({ at, log, from, until, reason }) => [
      name,
      at,
      log,
      until - from === 1 ? String(from) : `${from} to ${until - 1}`,
      reason,
    ]),
  );
  if (dead.length === 0) return overview;
  return `${overview}\n\n${table(['EXPORTER', 'PUT ASIDE', 'LOG', 'ENTRY', 'REASON'], dead)}`;
}

/** Why the receiver did not take it, or null. */
async function deliverOne(
  settings: ExporterSettings,
  egressSettings: EgressSettings,
  logger: Logger,
  event: SoundEvent,
): Promise<string | null> {
  const secrets = (reference: string): string => resolveSecret(reference).value;
  const [{ Egress }, { connect, receivers }] = await Promise.all([import('@sallyport/egress'), import('@sallyport/export')]);
  await using egress = new Egress({ settings: egressSettings, resolveSecret: secrets, logger });
  egress.name('exporters', receivers([settings]));
  const destination = connect(settings, { secrets, clock: systemClock, egress, version: VERSION });
  try {
    const { refused, again } = await destination.deliver([event], { number: 1, signal: AbortSignal.timeout(settings.timeout) });
    return refused[0]?.reason ?? (again.length > 0 ? 'the receiver is busy' : null);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return error.name === 'TimeoutError' ? `no answer within ${settings.timeout} ms` : error.message;
  } finally {
    await destination[Symbol.asyncDispose]();
  }
}

/** Not in the ledger, and says so: its log is `test`. */
function testEvent(): SoundEvent {
  const entry: SoundEvent['entry'] = {
    seq: 0,
    time: new Date().toISOString(),
    prev: '0'.repeat(64),
    hash: randomBytes(32).toString('hex'),
    id: randomBytes(12).toString('base64url'),
    kind: 'system',
    principal: null,
    source: null,
    action: 'exporter.test',
    resource: null,
    decision: null,
    ...NO_EXCHANGE,
    detail: { test: true },
  };
  return { log: 'test', seq: 0, line: JSON.stringify(entry), entry };
}
