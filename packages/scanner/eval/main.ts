import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type FileReport, type FileVerdict, scanPath } from '../src/index.ts';

/**
 * Scans a corpus with a GROUND-TRUTH.json beside it and prints how the verdicts meet it, by format and in all. Exits 1 where a malicious
 * file is not called so, a malformed one passes, or a benign one does not.
 *   node tools/with-node.mjs packages/scanner/eval/main.ts --corpus DIR [--verbose]
 */
interface Expected {
  readonly path: string;
  readonly expected: string;
}

interface Outcome {
  readonly expected: string;
  readonly report: FileReport;
  readonly milliseconds: number;
}

/** Verdicts that meet what is expected. */
const MEETS: Readonly<Record<string, readonly FileVerdict[]>> = {
  malicious: ['malicious'],
  suspicious: ['suspicious', 'malicious'],
  malformed: ['malformed', 'malicious', 'suspicious', 'inconclusive'],
  dos: ['malformed', 'malicious', 'inconclusive'],
  inconclusive: ['inconclusive', 'not-scanned', 'malformed', 'suspicious', 'malicious'],
  benign: ['clean'],
};
const COLUMNS: readonly FileVerdict[] = ['clean', 'not-scanned', 'inconclusive', 'malformed', 'suspicious', 'malicious'];
const PEERS: readonly (readonly [string, string, string])[] = [
  ['picklescan', '75.5 % of 400 malicious pickles flagged', '35 % of 402 benign suspicious, 2.5 % flagged'],
  ['fickling', '88.0 %', '26 % suspicious, 8 % flagged'],
  ['modelscan', '43.0 % (44 % called clean)', '0 % flagged, 28 % not scanned'],
];

const { values } = parseArgs({ options: { corpus: { type: 'string' }, verbose: { type: 'boolean', default: false } } });
if (values.corpus === undefined) {
  process.stderr.write('usage: main.ts --corpus DIR (a directory with GROUND-TRUTH.json)\n');
  process.exit(2);
}
const truth = JSON.parse(readFileSync(join(values.corpus, 'GROUND-TRUTH.json'), 'utf8')) as Expected[];
const outcomes: Outcome[] = [];
for (const { path, expected } of truth) {
  const start = performance.now();
  const report = await scanPath(join(values.corpus, path), { hash: false });
  const outcome = { expected, report: { ...report, path }, milliseconds: performance.now() - start };
  outcomes.push(outcome);
  const met = MEETS[expected]?.includes(report.verdict) ?? true;
  if (!met || values.verbose) describe(outcome, met);
}
printTable(
  'by what is expected',
  Map.groupBy(outcomes, ({ expected }) => expected),
);
printTable(
  'by format found',
  Map.groupBy(outcomes, ({ report }) => report.format),
);
const failed = outcomes.filter(({ expected, report }) => !(MEETS[expected]?.includes(report.verdict) ?? true));
const slowest = outcomes.reduce((one, other) => (one.milliseconds > other.milliseconds ? one : other));
print(`${outcomes.length} files, ${failed.length} not as expected; slowest ${slowest.milliseconds.toFixed(0)} ms (${slowest.report.path})`);
print(`peak memory ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`);
print('\npeers on the pickle files of the same sources, as published with the corpus:');
for (const row of PEERS) print(`  ${row.join(' | ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;

function describe({ expected, report, milliseconds }: Outcome, met: boolean): void {
  print(
    `${met ? 'ok  ' : 'MISS'} ${report.path}: expected ${expected}, got ${report.verdict} (${report.format}, ${milliseconds.toFixed(0)} ms)`,
  );
  for (const { rule, message } of report.findings) print(`       ${rule}: ${message}`);
}

function printTable(title: string, groups: ReadonlyMap<string, readonly Outcome[]>): void {
  print(`\n${title}`);
  print(['', ...COLUMNS].map((heading) => heading.padStart(13)).join(''));
  for (const [name, rows] of [...groups].sort(([one], [other]) => (one < other ? -1 : 1))) {
    const counts = COLUMNS.map((verdict) => rows.filter(({ report }) => report.verdict === verdict).length);
    print([name, ...counts.map(String)].map((cell) => cell.padStart(13)).join(''));
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
