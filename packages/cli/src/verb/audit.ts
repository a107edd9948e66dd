import { existsSync } from 'node:fs';
import { type Cosigned, type LedgerReport, type LogReport, type RememberedLog, readMemory, verifyLedger } from '@sallyport/ledger';
import { Command } from 'commander';
import { gapsOf, memoryOf, readConfig } from '../installation.ts';
import { EXIT, plain, result, table, tell, UsageError } from '../terminal.ts';
import { addBodies } from './audit-bodies.ts';
import { addExporters } from './audit-exporters.ts';
import { addReading } from './audit-read.ts';
import { addWitness } from './audit-witness.ts';
import { collect, globalOptions } from './options.ts';

export function auditCommand(): Command {
  const audit = new Command('audit').description('the ledger: tail, query, export, verify, prove, witness, bodies, exporters');
  audit
    .command('verify')
    .description('check every entry, chain, tree and checkpoint on the files alone. Exits with 1 where anything is wrong')
    .argument('[directory]', "the ledger's directory; default: the configured one")
    .option('--public-key <key>', 'verifier key from elsewhere, so that a replaced directory is found too (again for more)', collect)
    .option('--known <checkpoint>', 'signed checkpoint seen earlier, to find a rollback (again for more)', collect)
    .option('--witness-key <key>', 'verifier key of a witness (again for more)', collect)
    .option('--quorum <count>', 'witnesses that have to have cosigned each log; default: one, where a key is given')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ sallyport audit verify')
    .action(async (directory: string | undefined, options: VerifyFlags, command: Command) => {
      const { place } = globalOptions(command);
      const quorum = quorumOf(options);
      // Another directory is a copy, an older one perhaps: what this installation remembers says nothing of it.
      const remembered = directory === undefined ? await readMemory(memoryOf(place)) : [];
      const where = directory ?? (await readConfig(place, false)).config.audit.directory;
      if (!existsSync(where)) throw new UsageError(missing(where, remembered));
      const report = await verifyLedger(where, {
        remembered,
        ...(directory === undefined ? { gapDirectory: gapsOf(place) } : {}),
        ...(options.publicKey === undefined ? {} : { publicKeys: options.publicKey }),
        ...(options.witnessKey === undefined ? {} : { witnesses: options.witnessKey, quorum }),
        ...(options.known === undefined ? {} : { known: options.known }),
        ...(process.stderr.isTTY ? { onProgress: showProgress() } : {}),
      });
      process.exitCode = report.ok ? EXIT.done : EXIT.refused;
      result(options.json === true, report, () => describe(report, options.witnessKey !== undefined));
    });
  addReading(audit);
  addWitness(audit);
  addBodies(audit);
  addExporters(audit);
  return audit;
}

interface VerifyFlags {
  readonly publicKey?: string[];
  readonly known?: string[];
  readonly witnessKey?: string[];
  readonly quorum?: string;
  readonly json?: boolean;
}

function quorumOf({ quorum, witnessKey }: VerifyFlags): number {
  if (quorum === undefined) return 1;
  if (witnessKey === undefined)
    throw new UsageError('--quorum: counts witnesses whose keys are given; add --witness-key, again for each key');
  if (!/^\d{1,3}$/.test(quorum)) throw new UsageError(`--quorum: expected a whole number, got ${quorum}`);
  return Number(quorum);
}

function missing(where: string, remembered: readonly RememberedLog[]): string {
  const gone = remembered.length === 0 ? '' : ` It held ${remembered.map(({ log }) => log).join(', ')}: the ledger was moved or removed.`;
  return `There is no ledger at ${where}.${gone}`;
}

/** Rewrites one line of the terminal at most ten times a second. */
function showProgress(): (entries: number) => void {
  let next = 0;
  return (entries) => {
    const now = performance.now();
    if (now < next) return;
    next = now + 100;
    process.stderr.write(`\r${entries} entries`);
  };
}

function describe(report: LedgerReport, isWitnessed: boolean): string {
  if (process.stderr.isTTY) tell('');
  const problems = report.logs.flatMap((log) => log.problems);
  return [
    report.ok
      ? `The ledger is intact: ${report.entries} entries in ${report.logs.length} logs.`
      : `The ledger is NOT intact: ${problems.length} problems.`,
    '',
    table(
      ['LOG', 'ENTRIES', 'SEALED', ...(isWitnessed ? ['COSIGNED'] : []), 'FROM', 'TO', 'KEYS'],
      report.logs.map((log) => row(log, isWitnessed)),
    ),
    ...report.logs.flatMap(openGap),
    ...(problems.length === 0
      ? []
      : [
          '',
          table(
            ['LOG', 'ENTRY', 'WHAT', 'FILE', ''],
            problems.map((one) => [one.log, one.seq === null ? '-' : String(one.seq), one.code, one.file, one.message]),
          ),
        ]),
  ].join('\n');
}

function openGap({ log, gap }: LogReport): string[] {
  if (gap === null) return [];
  const since = gap.since === 0 ? 'an unknown time' : new Date(gap.since).toISOString();
  const said = `${plain(log)} has a gap that is not on record yet: at least ${gap.refused} entries were refused since ${since} (${gap.reason}).`;
  return ['', `${said} It is put on record when the log takes entries again.`];
}

function row(log: LogReport, isWitnessed: boolean): string[] {
  const { checkpoint } = log;
  const cosigned = isWitnessed ? [checkpoint?.cosigned == null ? '0' : describeCosigned(checkpoint.cosigned)] : [];
  return [log.log, String(log.entries), String(checkpoint?.size ?? 0), ...cosigned, log.from ?? '-', log.to ?? '-', log.keys];
}

const AGES = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const;

/** How much and how long ago, for an old cosignature satisfies a quorum too. */
function describeCosigned({ size, age }: Cosigned): string {
  const [unit, length] = AGES.find(([, least]) => age >= least) ?? ['s', 1000];
  return `${size}, ${Math.floor(age / length)} ${unit} ago`;
}
