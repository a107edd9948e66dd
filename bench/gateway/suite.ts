import { spawnSync } from 'node:child_process';
import { freePort, Launched, temporaryDirectory } from '@sallyport/testkit';
import { describeMachine, placed, placement } from '../measure.ts';
import { json, markdown, type Report, type Table } from '../report.ts';
import { figure } from '../table.ts';
import { type LatencyRow, measureLatency } from './latency.ts';
import { readOptions } from './options.ts';
import { type Bench, type BenchPeer, PEERS } from './peers.ts';
import { writeStaticUpstream } from './servers.ts';
import { measureStartup, type StartupRow } from './startup.ts';
import { measureStreams, type StreamOptions, type StreamRow } from './streams.ts';
import { measureThroughput, type ThroughputRow } from './throughput.ts';

/** Without these nothing can be measured: the load, its upstream, and what keeps them off the proxy's core. */
const TOOLS = [
  ['wrk', 'wrk'],
  ['/usr/sbin/nginx', 'nginx-light'],
  ['taskset', 'util-linux'],
] as const;

/** Runs the suite. Exits 2 for wrong use. */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(args);
  if (options === null) return;
  const lacking = TOOLS.filter(([program]) => spawnSync(program, ['-v']).error !== undefined);
  if (lacking.length > 0) {
    const packages = lacking.map(([, debian]) => debian).join(' ');
    process.stderr.write(`${lacking.map(([program]) => program).join(', ')} not found (Debian: apt-get install ${packages})\n`);
    process.exitCode = 2;
    return;
  }
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory('sallyport-bench-')).path;
  const bench: Bench = { placement: placement(), directory, sallyport: options.sallyport };
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
    const rows = await measureThroughput(bench, peers, upstreamPort, { ...timing, bodyBytes, retries: options.retries }, progress);
    if (index === 0) for (const row of rows) capacity.set(row.peer, row.requestsPerSecond);
    report.tables.push(throughputTable(bodyBytes, connections, rows));
  }
  if (options.parts.includes('latency')) {
    const bodyBytes = options.sizes[0] ?? 2048;
    const rows = await measureLatency(bench, peers, upstreamPort, capacity, { ...timing, bodyBytes }, progress);
    report.tables.push(latencyTable(bodyBytes, rows));
  }
  if (options.parts.includes('streams')) {
    const settings = { streams: options.streams, tokens: options.tokens, perSecond: options.perSecond, rounds: Math.min(rounds, 3) };
    const rows = await measureStreams(bench, peers, settings, progress);
    report.tables.push(streamTable(settings, rows));
  }
  if (options.parts.includes('startup')) {
    const rows = await measureStartup(bench, peers, upstreamPort, rounds, progress);
    report.tables.push(startupTable(rows));
  }
  process.stdout.write(options.json ? json(report) : markdown(report));
}

function throughputTable(bodyBytes: number, connections: number, rows: readonly ThroughputRow[]): Table {
  return {
    title: `${bodyBytes}-byte requests, ${connections} connections, as fast as they go`,
    header: ['proxy', 'req/s', 'of nginx', 'CPU µs/request', 'of nginx by CPU', 'p50 ms', 'p99 ms', 'RSS MB', 'core'],
    rows: rows.map((row) => [
      row.peer,
      figure(row.requestsPerSecond),
      Number.isFinite(row.ratio) ? row.ratio.toFixed(3) : '-',
      figure(row.cpuPerRequest),
      Number.isFinite(row.cpuRatio) ? row.cpuRatio.toFixed(3) : '-',
      ms(row.p50),
      ms(row.p99),
      figure(row.rss / 1e6),
      row.peer === 'direct' ? '-' : `${Math.round(row.share * 100)} %`,
    ]),
    data: rows,
  };
}

function latencyTable(bodyBytes: number, rows: readonly LatencyRow[]): Table {
  return {
    title: `Half of its own capacity, ${bodyBytes}-byte requests`,
    header: ['proxy', 'req/s', 'p50 ms', 'p99 ms', 'added p50 ms', 'added p99 ms'],
    rows: rows.map((row) => [
      row.peer,
      figure(row.requestsPerSecond),
      ...[row.p50, row.p99, row.addedP50, row.addedP99].map(ms),
      row.problem ?? '',
    ]),
    data: rows,
  };
}

function streamTable({ streams, tokens, perSecond }: StreamOptions, rows: readonly StreamRow[]): Table {
  return {
    title: `${streams} concurrent streams of ${tokens} chunks, ${perSecond} a second each`,
    header: ['proxy', 'chunks', 'p50 µs', 'p99 µs', 'added p50 µs', 'added p99 µs', 'CPU µs/chunk', 'kB/stream', 'first byte p50 ms'],
    rows: rows.map((row) => [
      row.peer,
      figure(row.chunks),
      figure(row.p50),
      figure(row.p99),
      ...(row.peer === 'direct'
        ? ['-', '-', '-', '-']
        : [row.addedP50, row.addedP99, row.cpuPerChunk, row.bytesPerStream / 1000].map(figure)),
      ms(row.firstByteP50),
    ]),
    data: rows,
  };
}

function startupTable(rows: readonly StartupRow[]): Table {
  return {
    title: 'From launch to the first 200',
    header: ['proxy', 'ms', 'RSS MB'],
    rows: rows.map((row) => [row.peer, figure(row.readyMs), figure(row.rss / 1e6)]),
    data: rows,
  };
}

function ms(microseconds: number): string {
  return figure(microseconds / 1000);
}

async function startUpstream(bench: Bench, port: number): Promise<Launched> {
  const args = await writeStaticUpstream(bench.directory, port);
  const child = await Launched.launch(...placed(bench.placement, 'load', '/usr/sbin/nginx', args));
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
