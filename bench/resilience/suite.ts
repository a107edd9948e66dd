import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { answerJson, type Behaviour, chatReply, drip, hangBeforeHeaders, reset } from '@sallyport/testkit';
import { oneOf } from '../gateway/options.ts';
import { describeMachine, median, quantile, usageOf } from '../measure.ts';
import { markdown, type Report, type Table, tableText } from '../report.ts';
import { figure } from '../table.ts';
import { type Answers, type Asking, background, load } from './clients.ts';
import { OPEN, SLOTS, type Stage, setUp, WORK } from './stage.ts';

const PARTS = ['failures', 'flood', 'workers'] as const;
type Part = (typeof PARTS)[number];

const HELP = `npm run bench resilience -- [options]

What a server that is ill, and a tenant that floods, cost everybody else; what a second worker adds. Load, upstreams and gateway share this
machine: the ratios count.

  --parts A,B   ${PARTS.join(', ')} (default: all)
  --seconds N   length of one measurement (default 3)
  --rounds N    alternating rounds, of which the median counts (default 3)
  --limit N     seconds after which no further round begins (default 240)

Each table is printed as soon as it is complete.

Example: npm run bench resilience -- --parts flood --seconds 2 --rounds 5
`;

const WELL_CLIENTS = 16;
const ILL_CLIENTS = 8;
const FLOOD = 500;
const WORKER_CLIENTS = 32;
/** Answers of each worker before it is measured. */
const WARM = 8_000;

const AILMENTS: readonly (readonly [name: string, behaviour: Behaviour])[] = [
  ['answers 500', ({ response }) => void response.writeHead(500).end()],
  ['hangs', hangBeforeHeaders()],
  ['resets', reset()],
  ['answers 200 with garbage', ({ response }) => void response.writeHead(200, { 'content-type': 'application/json' }).end('<html>')],
  ['drips a byte a second', drip(Buffer.from('{"id":"x","object":"chat.completion","choices":[]}'), 1, 1_000)],
];

interface Timing {
  readonly seconds: number;
  readonly rounds: number;
  /** No round begins after it, by `performance.now()`. */
  readonly until: number;
}

const MEASURES: Readonly<Record<Part, (timing: Timing) => Promise<Table>>> = {
  failures: measureFailures,
  flood: measureFlood,
  workers: measureWorkers,
};

/** Runs the suite. Exits 2 for wrong use. */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(args);
  if (options === null) return;
  const report: Report = {
    command: `npm run bench resilience${args.length === 0 ? '' : ` -- ${args.join(' ')}`}`,
    date: new Date().toISOString().slice(0, 10),
    machine: describeMachine(),
    versions: `Node ${process.versions.node}`,
    tables: [],
  };
  process.stdout.write(markdown(report));
  for (const part of options.parts) process.stdout.write(tableText(await MEASURES[part](options)));
}

/** Null where help was asked for or the use was wrong; both are said then. */
function readOptions(args: string[]): (Timing & { readonly parts: readonly Part[] }) | null {
  try {
    const { values } = parseArgs({
      args,
      options: {
        parts: { type: 'string', default: PARTS.join(',') },
        seconds: { type: 'string', default: '3' },
        rounds: { type: 'string', default: '3' },
        limit: { type: 'string', default: '240' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      return null;
    }
    const parts = values.parts.split(',').map((name) => oneOf('--parts', PARTS, name));
    const [seconds, rounds, limit] = [Number(values.seconds), Number(values.rounds), Number(values.limit)];
    if (!(seconds > 0) || !(rounds >= 1) || !(limit > 0)) throw new RangeError('--seconds, --rounds and --limit take numbers above 0');
    return { parts, seconds, rounds, until: performance.now() + limit * 1000 };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    process.exitCode = 2;
    return null;
  }
}

/** Calls `round` so many times, as long as there is time; the first one always. */
async function each({ rounds, until }: Timing, what: string, round: () => Promise<void>): Promise<void> {
  for (let done = 0; done < rounds && (done === 0 || performance.now() < until); done += 1) {
    process.stderr.write(`${what}: round ${done + 1}/${rounds}\n`);
    await round();
  }
}

function asking({ gateway }: Stage, model: string, key: string, clients: number): Asking {
  return { port: gateway.port, model, key, clients };
}

async function measureFailures(timing: Timing): Promise<Table> {
  await using stage = await setUp();
  const rows: { name: string; well: number[]; ill: number[]; cpu: number[] }[] = AILMENTS.map(([name]) => ({
    name,
    well: [],
    ill: [],
    cpu: [],
  }));
  const well = asking(stage, 'well', stage.keys.first, WELL_CLIENTS);
  const beside = async (other: Behaviour): Promise<Answers> => {
    stage.ill.behaviour = other;
    const stop = new AbortController();
    const clients = background(asking(stage, 'ill', stage.keys.other, ILL_CLIENTS), stop.signal);
    // Until its breaker has opened, or closed again.
    await new Promise((resolve) => setTimeout(resolve, 2 * OPEN));
    const measured = await load(well, timing.seconds);
    stop.abort();
    await clients;
    return measured;
  };
  await load(well, 2);
  await each(timing, 'failures', async () => {
    for (const [index, [, behaviour]] of AILMENTS.entries()) {
      rows[index]?.well.push((await beside(answerJson(chatReply('Hi', 'ill')))).perSecond);
      const before = usageOf(stage.gateway.pid).cpu;
      const measured = await beside(behaviour);
      rows[index]?.cpu.push((usageOf(stage.gateway.pid).cpu - before) / Math.max(1, measured.latencies.length));
      rows[index]?.ill.push(measured.perSecond);
    }
  });
  return {
    title: `Another route beside a server that is ill (${WELL_CLIENTS} clients, and ${ILL_CLIENTS} of the ill one's)`,
    header: ['the other server', 'while it is well, requests/s', 'while it is ill', 'part', "gateway's CPU a request, µs"],
    rows: rows.map(({ name, well, ill, cpu }) => [
      name,
      figure(median(well)),
      figure(median(ill)),
      `${((median(ill) / median(well)) * 100).toFixed(1)} %`,
      figure(median(cpu)),
    ]),
    data: rows.map(({ name }) => ({ peer: name, problem: null })),
  };
}

async function measureFlood(timing: Timing): Promise<Table> {
  await using stage = await setUp();
  const quantiles = [0.5, 0.95, 0.99] as const;
  const found = { alone: [] as number[][], beside: [] as number[][], inLine: [] as number[][] };
  const of = (values: readonly number[]): number[] => quantiles.map((q) => quantile(values, q));
  const one = asking(stage, 'shared', stage.keys.first, 1);
  await load(one, 1);
  await each(timing, 'flood', async () => {
    found.alone.push(of((await load(one, timing.seconds)).latencies));
    const flood = new Worker(new URL('./flood.ts', import.meta.url), { workerData: asking(stage, 'shared', stage.keys.other, FLOOD) });
    const ended = new Promise((resolve) => flood.once('exit', resolve));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const { latencies, waits } = await load(one, timing.seconds);
    found.beside.push(of(latencies));
    found.inLine.push(of(waits));
    flood.postMessage('enough');
    await ended;
  });
  const middle = (of: readonly number[][]): number[] => quantiles.map((_, at) => median(of.map((values) => values[at] ?? Number.NaN)));
  const [alone, beside] = [middle(found.alone), middle(found.beside)];
  return {
    title: `One client of a tenant beside ${FLOOD} of another at a server with ${SLOTS} slots of ${WORK} ms`,
    header: ['', 'p50, ms', 'p95, ms', 'p99, ms'],
    rows: [
      ['alone', ...alone.map(figure)],
      ['beside the flood', ...beside.map(figure)],
      ['of it in line at the gateway', ...middle(found.inLine).map(figure)],
      ['ratio', ...beside.map((value, at) => (value / (alone[at] ?? Number.NaN)).toFixed(2))],
    ],
    data: [],
  };
}

/** Two rules that admit everything, so that what a decision costs between processes is seen. */
const RULES = 'limits: [{ per: key, requests: 100000000, window: 1m }, { per: tenant, tokens: 100000000000, window: 1h }]\n';

async function measureWorkers(timing: Timing): Promise<Table> {
  const rows = [...(await compareWorkers(timing, 'none', '')), ...(await compareWorkers(timing, '2', RULES))];
  return {
    title: `Workers (${WORKER_CLIENTS} clients for each; load, upstream and gateway on the same cores, so that requests/s say little with fewer than four)`,
    header: [
      'limits',
      'workers',
      'requests/s',
      "gateway's CPU a request, µs",
      'least of the rounds',
      'times the throughput of one where each has a core, by CPU (least, most)',
    ],
    rows,
    data: [],
  };
}

/** Both run all the time and are measured in turn, each warm: one that has just started compiles its code while it serves. */
async function compareWorkers(timing: Timing, limits: string, more: string): Promise<string[][]> {
  await using stack = new AsyncDisposableStack();
  const runs: { workers: number; stage: Stage; perSecond: number[]; cpu: number[] }[] = [];
  for (const workers of [1, 2]) {
    const stage = stack.use(await setUp(workers, more));
    process.stderr.write(`workers: warming ${workers}\n`);
    for (let answered = 0; answered < WARM * workers; )
      answered += (await load(asking(stage, 'well', stage.keys.first, WORKER_CLIENTS), 1)).latencies.length;
    runs.push({ workers, stage, perSecond: [], cpu: [] });
  }
  await each(timing, `workers, limits: ${limits}`, async () => {
    for (const { workers, stage, perSecond, cpu } of runs) {
      const before = usageOf(stage.gateway.pid).cpu;
      const measured = await load(asking(stage, 'well', stage.keys.first, WORKER_CLIENTS * workers), timing.seconds);
      perSecond.push(measured.perSecond);
      cpu.push((usageOf(stage.gateway.pid).cpu - before) / Math.max(1, measured.latencies.length));
    }
  });
  const [one, two] = runs.map(({ cpu }) => cpu);
  // Of each round by itself: what else the machine does weighs on both alike.
  const times = (one ?? []).map((alone, round) => (2 * alone) / (two?.[round] ?? Number.NaN));
  const range = `${median(times).toFixed(2)} (${Math.min(...times).toFixed(2)}, ${Math.max(...times).toFixed(2)})`;
  return runs.map(({ workers, perSecond, cpu }) => [
    limits,
    String(workers),
    figure(median(perSecond)),
    figure(median(cpu)),
    figure(Math.min(...cpu)),
    workers === 1 ? '1' : range,
  ]);
}
