import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort, Launched, temporaryDirectory } from '@sallyport/testkit';
import { chatRequest, offer } from '../gateway/load.ts';
import type { Bench } from '../gateway/peers.ts';
import { writeStaticUpstream } from '../gateway/servers.ts';
import { describeMachine, median, placed, placement, SERVE_OPTIONS, usageOf } from '../measure.ts';
import { json, markdown, type Report, type Row } from '../report.ts';
import { figure } from '../table.ts';

const LEDGER = fileURLToPath(new URL('../../packages/ledger/bench/ledger.ts', import.meta.url));
const GATEWAY = fileURLToPath(new URL('gateway.ts', import.meta.url));
const USAGE = `usage: npm run bench ledger -- [--entries 300000] [--directory DIRECTORY] [--warmup 15] [--seconds 5] [--rounds 5] [--json]

The ledger alone (appends a second, their latency, verification, a query; each durable), then the gateway with auditing and without.
`;

interface AuditRow extends Row {
  readonly requestsPerSecond: number;
  /** Microseconds. */
  readonly cpuPerRequest: number;
  readonly p99: number;
}

/** Runs the suite. Exits 2 for wrong use. */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      entries: { type: 'string', default: '300000' },
      directory: { type: 'string' },
      warmup: { type: 'string', default: '15' },
      seconds: { type: 'string', default: '5' },
      rounds: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const where = values.directory === undefined ? [] : ['--directory', values.directory];
  const alone = spawnSync(process.execPath, [LEDGER, '--entries', values.entries, ...where], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (alone.status !== 0) throw new Error('the ledger could not be measured');
  const figures = alone.stdout
    .trim()
    .split('\n')
    .map((line): Record<string, string | number> => JSON.parse(line));
  const rows = await measureGateway(Number(values.warmup), Number(values.seconds), Number(values.rounds));
  const report: Report = {
    command: `npm run bench ledger${args.length === 0 ? '' : ` -- ${args.join(' ')}`}`,
    date: new Date().toISOString().slice(0, 10),
    machine: describeMachine(),
    versions: '',
    tables: [
      {
        title: 'The ledger alone',
        header: ['what', 'figures'],
        rows: figures.map(({ bench, ...rest }) => [
          String(bench),
          Object.entries(rest)
            .map(([name, value]) => `${name} ${figure(Number(value))}`)
            .join(', '),
        ]),
        data: figures.map(({ bench, ...rest }) => ({ peer: String(bench), problem: null, ...rest })),
      },
      {
        title: 'The gateway with auditing and without, 2048-byte requests, 32 connections',
        header: ['auditing', 'req/s', 'CPU µs/request', 'p99 ms'],
        rows: rows.map((row) => [row.peer, figure(row.requestsPerSecond), figure(row.cpuPerRequest), figure(row.p99 / 1000)]),
        data: rows,
      },
    ],
  };
  process.stdout.write(values.json ? json(report) : markdown(report));
}

/** Rounds in turn, each gateway warm, so that a drift of the machine cancels; medians. */
async function measureGateway(warmup: number, seconds: number, rounds: number): Promise<AuditRow[]> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory('sallyport-bench-')).path;
  const bench: Bench = { placement: placement(), directory, sallyport: [] };
  const upstreamPort = await freePort();
  stack.use(
    await Launched.launch(...placed(bench.placement, 'load', '/usr/sbin/nginx', await writeStaticUpstream(directory, upstreamPort))),
  );
  const modes = ['with', 'without'] as const;
  const running = new Map<(typeof modes)[number], { readonly child: Launched; readonly port: number; readonly key: string }>();
  for (const mode of modes) {
    const child = stack.use(
      await Launched.launch(
        ...placed(bench.placement, 'proxy', process.execPath, [...SERVE_OPTIONS, GATEWAY, mode, directory, String(upstreamPort)]),
      ),
    );
    const [line] = await child.waitFor(/^\{.*\}$/m, 30_000);
    running.set(mode, { child, ...JSON.parse(line) });
  }
  const body = chatRequest(2048);
  const samples = new Map<string, { requests: number; cpu: number; p99: number }[]>(modes.map((mode) => [mode, []]));
  for (let round = -1; round < rounds; round++) {
    for (const mode of round % 2 === 0 ? modes : modes.toReversed()) {
      const target = running.get(mode);
      if (target === undefined) continue;
      const isWarm = round >= 0;
      process.stderr.write(isWarm ? `${mode} auditing: round ${round + 1}/${rounds}\n` : `warming the gateway ${mode} auditing\n`);
      const before = usageOf(target.child.pid).cpu;
      const headers = { authorization: `Bearer ${target.key}` };
      const load = { port: target.port, headers, body, connections: 32, seconds: isWarm ? seconds : warmup, rate: null };
      const { requests, failures, p99 } = await offer(bench, load);
      if (failures > 0) throw new Error(`${failures} requests failed ${mode} auditing`);
      if (isWarm) samples.get(mode)?.push({ requests: requests / seconds, cpu: (usageOf(target.child.pid).cpu - before) / requests, p99 });
    }
  }
  return [...samples].map(([peer, taken]) => ({
    peer,
    problem: null,
    requestsPerSecond: median(taken.map(({ requests }) => requests)),
    cpuPerRequest: median(taken.map(({ cpu }) => cpu)),
    p99: median(taken.map(({ p99 }) => p99)),
  }));
}
