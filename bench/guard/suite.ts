import { parseArgs } from 'node:util';
import type { GuardSettings, ReplyContract } from '@sallyport/core';
import { compileGuard, DEFAULT_INPUT, DEFAULT_OUTPUT, type Guard, type TextContext } from '@sallyport/guard';
import { writeBenign } from '../../packages/guard/train/phrases.ts';
import { Random } from '../../packages/guard/train/random.ts';
import { describeMachine, median } from '../measure.ts';
import { json, markdown, type Report, type Row, type Table } from '../report.ts';
import { figure } from '../table.ts';
import { HOSTILE } from './hostile.ts';

const HELP = `npm run bench guard -- [options]

Measures the guard in one thread, in the mode observe, in which every text is read to its end: time for texts it has not seen before, hostile
texts beside ordinary ones, memory.

  --input A,B      detectors (default: ${DEFAULT_INPUT.join()})
  --sizes A,B      UTF-16 units of a text (default 384,2048,16384,131072,1048576)
  --rounds N       how often every text is read; the fastest counts, as the others share the core with something else (default 25)
  --json           results as JSON on standard output

Example: npm run bench guard -- --sizes 2048 --rounds 50
`;

const CONTEXT: TextContext = { stage: 'input', provenance: 'user', kind: null };
const HOSTILE_SIZE = 1_048_576;

interface SpeedRow extends Row {
  readonly units: number;
  readonly microseconds: number;
  readonly megabytesPerSecond: number;
  /** Of ordinary text of the same size. */
  readonly ratio: number;
}

/** Runs the suite. Exits 2 for wrong use. */
export async function run(args: string[]): Promise<void> {
  let options: { input: string; sizes: number[]; rounds: number; json: boolean };
  try {
    const { values } = parseArgs({
      args,
      options: {
        input: { type: 'string', default: DEFAULT_INPUT.join() },
        sizes: { type: 'string', default: '384,2048,16384,131072,1048576' },
        rounds: { type: 'string', default: '25' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      return;
    }
    options = { ...values, sizes: values.sizes.split(',').map(whole), rounds: whole(values.rounds) };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    process.exitCode = 2;
    return;
  }
  const settings: GuardSettings = {
    input: options.input.split(','),
    output: DEFAULT_OUTPUT,
    // A text is not read on after a block: what reading costs shows only where nothing is blocked.
    mode: 'observe',
    deny: [],
    onBlock: 'fault',
    onUnavailable: 'block',
    maxTextLength: 10_000_000,
    links: { hosts: [], only: false },
  };
  const guard = compileGuard(settings);
  const report: Report = {
    command: `npm run bench guard${args.length === 0 ? '' : ` -- ${args.join(' ')}`}`,
    date: new Date().toISOString().slice(0, 10),
    machine: describeMachine(),
    versions: `detectors: ${options.input}`,
    tables: [],
  };
  const ordinary = options.sizes.map((units) => speed(guard, `${units} units`, textsOf(units), options.rounds));
  report.tables.push(tableOf('Ordinary English prompts, each unlike the others', ordinary));
  const base = speed(guard, 'ordinary', textsOf(HOSTILE_SIZE), 4);
  const hostile = Object.entries(HOSTILE).map(([name, unit]) => {
    process.stderr.write(`${name}\n`);
    const row = speed(guard, name, [unit.repeat(Math.ceil(HOSTILE_SIZE / unit.length)).slice(0, HOSTILE_SIZE)], 4);
    return { ...row, ratio: row.microseconds / base.microseconds };
  });
  report.tables.push(tableOf('Hostile texts of 1 MiB', [base, ...hostile.sort((a, b) => b.ratio - a.ratio)]));
  report.tables.push(tableOf('Replies of 2,048 units under a contract', contracts({ ...settings, mode: 'transform' }, options.rounds)));
  report.tables.push(memoryTable(guard));
  process.stdout.write(options.json ? json(report) : markdown(report));
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`a whole number above 0 is needed, not ${text}`);
  return value;
}

/** Some texts of a size, together about 256 K units or one text. */
function textsOf(units: number): string[] {
  const random = new Random(units);
  return Array.from({ length: Math.max(1, Math.min(100, Math.floor(262_144 / units))) }, () => {
    const sentences: string[] = [];
    for (let length = 0; length < units; ) length += 1 + (sentences[sentences.push(writeBenign(random)) - 1]?.length ?? 0);
    // Through a buffer: a text that comes out of a request is one flat string.
    return Buffer.from(sentences.join(' ')).toString('latin1').slice(0, units);
  });
}

/** What it costs to hold replies to a contract, beside what the detectors of replies cost. */
function contracts(settings: GuardSettings, rounds: number): SpeedRow[] {
  const none = { schema: null, languages: [], minLength: 0, maxLength: null, repair: true, onBreach: 'refuse' } as const;
  const schema = { type: 'object', properties: { notes: { type: 'array', items: { type: 'string', pattern: '^[A-Z]' } } } };
  const prose = textsOf(2_048);
  const notes = prose.map((text) => JSON.stringify({ notes: text.match(/.{1,64}/gs)?.map((note) => `N ${note}`) }));
  const reply: TextContext = { stage: 'output', provenance: 'assistant', kind: 'text' };
  const of = (peer: string, texts: readonly string[], contract: Partial<ReplyContract> | null): SpeedRow =>
    speed(compileGuard(contract === null ? settings : { ...settings, contract: { ...none, ...contract } }), peer, texts, rounds, reply);
  return [
    of('prose, no contract', prose, null),
    of('prose, maxLength', prose, { maxLength: 100_000 }),
    of('prose, languages', prose, { languages: ['en'] }),
    of('JSON, no contract', notes, null),
    of('JSON, schema', notes, { schema }),
  ];
}

/** The fastest reading of each text, averaged over the texts. */
function speed(guard: Guard, peer: string, texts: readonly string[], rounds: number, context: TextContext = CONTEXT): SpeedRow {
  const fastest = texts.map(() => Number.POSITIVE_INFINITY);
  let units = 0;
  for (const text of texts) units += text.length;
  for (let round = 0; round < rounds; round++) {
    texts.forEach((text, index) => {
      const start = performance.now();
      guard.inspect(text, context);
      fastest[index] = Math.min(fastest[index] ?? 0, 1000 * (performance.now() - start));
    });
  }
  const total = fastest.reduce((sum, time) => sum + time, 0);
  return {
    peer,
    problem: null,
    units: units / texts.length,
    microseconds: total / texts.length,
    megabytesPerSecond: units / total,
    ratio: 1,
  };
}

function tableOf(title: string, rows: readonly SpeedRow[]): Table {
  return {
    title,
    header: ['text', 'µs', 'MB/s', 'of ordinary'],
    rows: rows.map(({ peer, microseconds, megabytesPerSecond, ratio }) => [
      peer,
      figure(microseconds),
      figure(megabytesPerSecond),
      ratio === 1 ? '-' : ratio.toFixed(2),
    ]),
    data: rows,
  };
}

interface MemoryRow extends Row {
  readonly megabytes: number;
}

/** Resident memory while fresh texts of 128 KiB go through: medians of the second and the last quarter of 400 texts. */
function memoryTable(guard: Guard): Table {
  const samples: number[] = [];
  for (let round = 0; round < 400; round++) {
    const random = new Random(round);
    const text = Array.from({ length: 2000 }, () => writeBenign(random))
      .join(' ')
      .slice(0, 131_072);
    guard.inspect(text, CONTEXT);
    samples.push(process.memoryUsage.rss() / 1e6);
  }
  const rows: MemoryRow[] = [
    { peer: 'after 200 texts', problem: null, megabytes: median(samples.slice(100, 200)) },
    { peer: 'after 400 texts', problem: null, megabytes: median(samples.slice(300)) },
  ];
  return { title: 'Resident memory', header: ['', 'MB'], rows: rows.map(({ peer, megabytes }) => [peer, figure(megabytes)]), data: rows };
}
