import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort, Launched, temporaryDirectory } from '@sallyport/testkit';
import { describeMachine, divideCores, pinned } from '../measure.ts';
import { figure, markdownTable } from '../table.ts';
import { measureLatency } from './latency.ts';
import { type Bench, type BenchPeer, PEERS } from './peers.ts';
import { writeStaticUpstream } from './servers.ts';
import { measureStartup } from './startup.ts';
import { measureStreams } from './streams.ts';
import { measureThroughput, type ThroughputRow } from './throughput.ts';

const PARTS = ['throughput', 'latency', 'streams', 'startup'] as const;
type Part = (typeof PARTS)[number];

const HELP = `npm run bench gateway -- [options]

Measures proxies side by side on this machine: one core for the proxy, the others for wrk and the upstream.

  --only A,B         peers: ${PEERS.map((peer) => peer.name).join(', ')} (default: all that are installed)
  --parts A,B        ${PARTS.join(', ')} (default: all)
  --seconds N        length of one measurement (default 5)
  --warmup N         seconds before the first one, for each peer (default 3)
  --rounds N         alternating rounds, of which the median counts (default 5)
  --sizes A,B        bytes of a request (default 2048,32768)
  --connections N    concurrent connections (default 64)
  --streams N        concurrent streams (default 1000)
  --tokens N         chunks in a stream, 10 a second (default 200)
  --sallyport CMD    command line of Sallyport before the verb, split at spaces (default: this repository's sources)
  --json             results as JSON on standard output; messages go to standard error

Example: npm run bench gateway -- --only nginx,sallyport --parts throughput --seconds 3 --rounds 3
`;

/** Runs the suite. Exits 2 for wrong use. */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(args);
  if (options === null) return;
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory('sallyport-bench-')).path;
  const bench: Bench = { cores: divideCores(), directory, sallyport: options.sallyport };
  const progress = (text: string): void => void process.stderr.write(`${text}\n`);
  const peers: BenchPeer[] = [];
  for (const peer of PEERS.filter(({ name }) => options.only === null || options.only.includes(name))) {
    const missing = await peer.missing(bench);
    if (missing === null) peers.push(peer);
    else progress(`${peer.name} is left out: ${missing}`);
  }
  const upstreamPort = await freePort();
  stack.use(await startUpstream(bench, upstreamPort));

  const command = `npm run bench gateway${args.length === 0 ? '' : ` -- ${args.join(' ')}`}`;
  const report: Report = {
    command,
    date: new Date().toISOString().slice(0, 10),
    machine: describeMachine(),
    versions: versions(),
    tables: [],
  };
  const { seconds, warmupSeconds, rounds, connections } = options;
  const timing = { seconds, warmupSeconds, rounds, connections };
  const capacity = new Map<string, number>();
  for (const [index, bodyBytes] of options.sizes.entries()) {
    if (!options.parts.includes('throughput') && !(index === 0 && options.parts.includes('latency'))) continue;
    const rows = await measureThroughput(bench, peers, upstreamPort, { ...timing, bodyBytes }, progress);
    if (index === 0) for (const row of rows) capacity.set(row.peer, row.requestsPerSecond);
    report.tables.push(throughputTable(bodyBytes, connections, rows));
  }
  if (options.parts.includes('latency')) {
    const bodyBytes = options.sizes[0] ?? 2048;
    const rows = await measureLatency(bench, peers, upstreamPort, capacity, { ...timing, bodyBytes }, progress);
    report.tables.push({
      title: `Half of its own capacity, ${bodyBytes}-byte requests`,
      header: ['proxy', 'req/s', 'p50 ms', 'p99 ms', 'added p50 ms', 'added p99 ms'],
      rows: rows.map((row) => [
        row.peer,
        figure(row.requestsPerSecond),
        ...[row.p50, row.p99, row.addedP50, row.addedP99].map(ms),
        row.problem ?? '',
      ]),
      data: rows,
    });
  }
  if (options.parts.includes('streams')) {
    const settings = { streams: options.streams, tokens: options.tokens, perSecond: 10, rounds: Math.min(rounds, 3) };
    const rows = await measureStreams(bench, peers, settings, progress);
    report.tables.push({
      title: `${options.streams} concurrent streams of ${options.tokens} chunks, 10 a second each`,
      header: ['proxy', 'chunks', 'p50 µs', 'p99 µs', 'added p50 µs', 'added p99 µs', 'CPU µs/chunk', 'kB/stream', 'first byte p50 ms'],
      rows: rows.map((row) => [
        row.peer,
        figure(row.chunks),
        ...(row.peer === 'direct'
          ? ['-', '-', '-', '-']
          : [row.addedP50, row.addedP99, row.cpuPerChunk, row.bytesPerStream / 1000].map(figure)),
        ms(row.firstByteP50),
      ]),
      data: rows,
    });
  }
  if (options.parts.includes('startup')) {
    const rows = await measureStartup(bench, peers, upstreamPort, rounds, progress);
    report.tables.push({
      title: 'From launch to the first 200',
      header: ['proxy', 'ms', 'RSS MB'],
      rows: rows.map((row) => [row.peer, figure(row.readyMs), figure(row.rss / 1e6)]),
      data: rows,
    });
  }
  process.stdout.write(options.json ? `${JSON.stringify(report, jsonNumbers, 2)}\n` : markdown(report));
}

interface Row {
  readonly peer: string;
  readonly problem: string | null;
}

interface Table {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** The measurements themselves, unrounded. */
  readonly data: readonly Row[];
}

interface Report {
  readonly command: string;
  readonly date: string;
  readonly machine: string;
  readonly versions: string;
  readonly tables: Table[];
}

function throughputTable(bodyBytes: number, connections: number, rows: readonly ThroughputRow[]): Table {
  return {
    title: `${bodyBytes}-byte requests, ${connections} connections, as fast as they go`,
    header: ['proxy', 'req/s', 'of nginx', 'CPU µs/request', 'p50 ms', 'p99 ms', 'RSS MB'],
    rows: rows.map((row) => [
      row.peer,
      figure(row.requestsPerSecond),
      Number.isFinite(row.ratio) ? row.ratio.toFixed(3) : '-',
      figure(row.cpuPerRequest),
      ms(row.p50),
      ms(row.p99),
      figure(row.rss / 1e6),
    ]),
    data: rows,
  };
}

function markdown(report: Report): string {
  const head = `\`${report.command}\`, ${report.date}\n${report.machine}\n${report.versions}\n`;
  const notes = (table: Table): string =>
    table.data.flatMap(({ peer, problem }) => (problem === null ? [] : `\n${peer}: ${problem.trim().split('\n')[0]}`)).join('');
  return `${head}${report.tables.map((table) => `\n### ${table.title}\n\n${markdownTable(table.header, table.rows)}\n${notes(table)}\n`).join('')}`;
}

function ms(microseconds: number): string {
  return figure(microseconds / 1000);
}

/** JSON has no NaN. */
function jsonNumbers(key: string, value: unknown): unknown {
  if (key === 'rows' || key === 'header') return undefined;
  return typeof value === 'number' && !Number.isFinite(value) ? null : value;
}

async function startUpstream(bench: Bench, port: number): Promise<Launched> {
  const args = await writeStaticUpstream(bench.directory, port);
  const child = await Launched.launch(...pinned(bench.cores?.load ?? null, '/usr/sbin/nginx', args));
  for (let attempt = 0; attempt < 200; attempt++) {
    const response = await fetch(`http://127.0.0.1:${port}/`).catch(() => null); // not listening yet
    if (response !== null) {
      await response.arrayBuffer();
      return child;
    }
    if (child.exit !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await child.stop();
  throw new Error(`the upstream (nginx) did not start: ${child.stderr.slice(-500)}`);
}

function versions(): string {
  const programs = [
    ['/usr/sbin/nginx', '-v'],
    ['/usr/sbin/haproxy', '-v'],
    ['wrk', '-v'],
  ] as const;
  return programs.flatMap(([program, option]) => versionOf(program, option) ?? []).join(', ');
}

/** The first line a program prints of itself, on whichever stream; null where it is not installed. */
function versionOf(program: string, option: string): string | null {
  const { stdout, stderr, error } = spawnSync(program, [option], { encoding: 'utf8' });
  if (error !== undefined) return null;
  return (
    (stdout || stderr)
      .split('\n')[0]
      ?.replace(/ Copyright.*| \[epoll\].*| - https.*/g, '')
      .trim() ?? null
  );
}

interface Options {
  readonly only: readonly string[] | null;
  readonly parts: readonly Part[];
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly rounds: number;
  readonly sizes: readonly number[];
  readonly connections: number;
  readonly streams: number;
  readonly tokens: number;
  readonly sallyport: readonly string[];
  readonly json: boolean;
}

/** Null where help was asked for or the use was wrong; both are said then. */
function readOptions(args: string[]): Options | null {
  try {
    const { values } = parseArgs({
      args,
      options: {
        only: { type: 'string' },
        parts: { type: 'string', default: PARTS.join(',') },
        seconds: { type: 'string', default: '5' },
        warmup: { type: 'string', default: '3' },
        rounds: { type: 'string', default: '5' },
        sizes: { type: 'string', default: '2048,32768' },
        connections: { type: 'string', default: '64' },
        streams: { type: 'string', default: '1000' },
        tokens: { type: 'string', default: '200' },
        sallyport: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      return null;
    }
    const known = PEERS.map((peer) => peer.name);
    return {
      only: values.only === undefined ? null : values.only.split(',').map((name) => oneOf('--only', known, name)),
      parts: values.parts.split(',').map((name) => oneOf('--parts', PARTS, name)),
      seconds: positive('--seconds', values.seconds),
      warmupSeconds: Number(values.warmup) === 0 ? 0 : positive('--warmup', values.warmup),
      rounds: positive('--rounds', values.rounds),
      sizes: values.sizes.split(',').map((size) => positive('--sizes', size)),
      connections: positive('--connections', values.connections),
      streams: positive('--streams', values.streams),
      tokens: positive('--tokens', values.tokens),
      sallyport: values.sallyport?.split(' ') ?? [
        process.execPath,
        fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url)),
      ],
      json: values.json,
    };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    process.exitCode = 2;
    return null;
  }
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${option} takes a whole number above 0, not ${text}`);
  return value;
}

function oneOf<T extends string>(option: string, known: readonly T[], name: string): T {
  const found = known.find((candidate) => candidate === name);
  if (found === undefined) throw new RangeError(`${option} knows ${known.join(', ')}, not ${name}`);
  return found;
}
