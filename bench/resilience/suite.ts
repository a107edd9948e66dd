import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  answerJson,
  type Behaviour,
  chatReply,
  drip,
  freePort,
  hangBeforeHeaders,
  reset,
  run as runCommand,
  ScriptedUpstream,
  temporaryDirectory,
} from '@sallyport/testkit';
import { Pool } from 'undici';
import { type RunningPeer, startPeer } from '../gateway/peers.ts';
import { describeMachine, median, placement, quantile, usageOf } from '../measure.ts';
import { markdown, type Report } from '../report.ts';
import { figure } from '../table.ts';

const HELP = `npm run bench resilience -- [options]

What a server that is ill, and a tenant that floods, cost everybody else. Load, upstreams and gateway share this machine: the ratios count.

  --seconds N   length of one measurement (default 3)
  --rounds N    alternating rounds, of which the median counts (default 5)

Example: npm run bench resilience -- --seconds 2 --rounds 3
`;

const MAIN = fileURLToPath(new URL('../../dist/sallyport.mjs', import.meta.url));
const WELL_CLIENTS = 16;
const ILL_CLIENTS = 8;
const FLOOD = 500;
/** Slots of the shared server, and milliseconds it takes for an answer. */
const SLOTS = 8;
const WORK = 20;
/** Milliseconds the breaker of the server that is ill stays open. */
const OPEN = 1_000;

const AILMENTS: readonly (readonly [name: string, behaviour: Behaviour])[] = [
  ['answers 500', ({ response }) => void response.writeHead(500).end()],
  ['hangs', hangBeforeHeaders()],
  ['resets', reset()],
  ['answers 200 with garbage', ({ response }) => void response.writeHead(200, { 'content-type': 'application/json' }).end('<html>')],
  ['drips a byte a second', drip(Buffer.from('{"id":"x","object":"chat.completion","choices":[]}'), 1, 1_000)],
];

interface Stage extends AsyncDisposable {
  readonly gateway: RunningPeer;
  readonly ill: ScriptedUpstream;
  readonly keys: { readonly first: string; readonly other: string };
}

/** Runs the suite. Exits 2 for wrong use. */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '3' },
      rounds: { type: 'string', default: '5' },
      help: { type: 'boolean', default: false },
    },
  });
  const [seconds, rounds] = [Number(values.seconds), Number(values.rounds)];
  if (values.help || !(seconds > 0) || !(rounds >= 1)) {
    process.stderr.write(HELP);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const report: Report = {
    command: `npm run bench resilience${args.length === 0 ? '' : ` -- ${args.join(' ')}`}`,
    date: new Date().toISOString().slice(0, 10),
    machine: describeMachine(),
    versions: `Node ${process.versions.node}`,
    tables: [],
  };
  report.tables.push(await measureIll(seconds, rounds), await measureFlood(seconds, rounds));
  process.stdout.write(markdown(report));
}

async function measureIll(seconds: number, rounds: number): Promise<Report['tables'][number]> {
  await using stage = await setUp();
  const rows: { name: string; well: number[]; ill: number[]; cpu: number[] }[] = AILMENTS.map(([name]) => ({
    name,
    well: [],
    ill: [],
    cpu: [],
  }));
  await load(stage, 'well', stage.keys.first, WELL_CLIENTS, 2);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, [name, behaviour]] of AILMENTS.entries()) {
      process.stderr.write(`round ${round + 1}/${rounds}: ${name}\n`);
      const beside = async (other: Behaviour): Promise<Awaited<ReturnType<typeof load>>> => {
        stage.ill.behaviour = other;
        const stop = new AbortController();
        const clients = background(stage, 'ill', stage.keys.other, ILL_CLIENTS, stop.signal);
        // Until its breaker has opened, or closed again.
        await new Promise((resolve) => setTimeout(resolve, 2 * OPEN));
        const measured = await load(stage, 'well', stage.keys.first, WELL_CLIENTS, seconds);
        stop.abort();
        await clients;
        return measured;
      };
      rows[index]?.well.push((await beside(answerJson(chatReply('Hi', 'ill')))).perSecond);
      const before = usageOf(stage.gateway.pid).cpu;
      const measured = await beside(behaviour);
      rows[index]?.cpu.push((usageOf(stage.gateway.pid).cpu - before) / Math.max(1, measured.latencies.length));
      rows[index]?.ill.push(measured.perSecond);
    }
  }
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

async function measureFlood(seconds: number, rounds: number): Promise<Report['tables'][number]> {
  await using stage = await setUp();
  const [alone, beside, inLine]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < rounds; round += 1) {
    process.stderr.write(`round ${round + 1}/${rounds}: a flood\n`);
    alone.push(quantile((await load(stage, 'shared', stage.keys.first, 1, seconds)).latencies, 0.95));
    const stop = new AbortController();
    const flood = background(stage, 'shared', stage.keys.other, FLOOD, stop.signal);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { latencies, waits } = await load(stage, 'shared', stage.keys.first, 1, seconds);
    beside.push(quantile(latencies, 0.95));
    inLine.push(quantile(waits, 0.95));
    stop.abort();
    await flood;
  }
  return {
    title: `One client of a tenant beside ${FLOOD} of another at a server with ${SLOTS} slots of ${WORK} ms`,
    header: ['', 'p95, ms'],
    rows: [
      ['alone', figure(median(alone))],
      ['beside the flood', figure(median(beside))],
      ['of it in line at the gateway', figure(median(inLine))],
      ['ratio', (median(beside) / median(alone)).toFixed(2)],
    ],
    data: [],
  };
}

/** `clients` that ask one after another for `seconds`. Latencies are milliseconds, of answers with status 200. */
async function load(
  stage: Stage,
  model: string,
  key: string,
  clients: number,
  seconds: number,
): Promise<{ perSecond: number; latencies: number[]; waits: number[] }> {
  const latencies: number[] = [];
  const waits: number[] = [];
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), seconds * 1000);
  const begun = performance.now();
  await background(stage, model, key, clients, stop.signal, (latency, waited) => {
    latencies.push(latency);
    waits.push(waited);
  });
  clearTimeout(timer);
  return { perSecond: (latencies.length * 1000) / (performance.now() - begun), latencies, waits };
}

async function background(
  stage: Stage,
  model: string,
  key: string,
  clients: number,
  signal: AbortSignal,
  onAnswer: (latency: number, waited: number) => void = () => undefined,
): Promise<void> {
  await using pool = new Disposing(new Pool(`http://127.0.0.1:${stage.gateway.port}`, { connections: clients, pipelining: 1 }));
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'x'.repeat(500) }], max_tokens: 50 });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const client = async (): Promise<void> => {
    while (!signal.aborted) {
      const begun = performance.now();
      try {
        const answer = await pool.pool.request({ method: 'POST', path: '/v1/chat/completions', headers, body, signal });
        await answer.body.dump();
        if (answer.statusCode === 200) onAnswer(performance.now() - begun, Number(answer.headers['x-sallyport-queue-wait-ms'] ?? 0));
        // A client that is refused at once does not ask again at once.
        else await new Promise((resolve) => setTimeout(resolve, 20));
      } catch {
        if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
}

class Disposing implements AsyncDisposable {
  readonly pool: Pool;

  constructor(pool: Pool) {
    this.pool = pool;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.destroy();
  }
}

async function setUp(): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory('sallyport-bench-')).path;
  const start = async (behaviour: Behaviour): Promise<ScriptedUpstream> => stack.use(await ScriptedUpstream.start({ behaviour }));
  const well = await start(answerJson(chatReply('Hi', 'well')));
  const ill = await start(answerJson(chatReply('Hi', 'ill')));
  const shared = await start(async (exchange) => {
    await new Promise((resolve) => setTimeout(resolve, WORK));
    await answerJson(chatReply('Hi', 'shared'))(exchange);
  });
  const port = await freePort();
  const config = join(directory, 'sallyport.yaml');
  const upstream = (name: string, { url }: ScriptedUpstream, more: string): string =>
    `  - { name: ${name}, kind: openai, url: "${url}"${more} }\n`;
  await writeFile(
    config,
    `listen: { gateway: 127.0.0.1:${port}, control: 127.0.0.1:${await freePort()} }
upstreams:
${upstream('well', well, '')}${upstream('ill', ill, `, timeouts: { firstByte: 1s, idle: 1s, total: 3s }, breaker: { open: ${OPEN}ms, maxOpen: ${OPEN}ms }`)}${upstream('shared', shared, `, maxConcurrency: ${SLOTS}, queue: { perSlot: 100 }`)}models:
${['well', 'ill', 'shared'].map((name) => `  - { name: ${name}, upstream: ${name} }\n`).join('')}storage: { url: "sqlite:${join(directory, 'state.db')}" }
audit: { directory: ${join(directory, 'ledger')} }
`,
  );
  const env = { ...process.env, SALLYPORT_HOME: directory, SALLYPORT_CONFIG: config };
  const command = async (args: readonly string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await runCommand(process.execPath, [MAIN, ...args], { env });
    if (code !== 0) throw new Error(`sallyport ${args[0]} failed: ${stderr.slice(-300)}`);
    return JSON.parse(stdout);
  };
  const { firstKey } = (await command(['init', '--json'])) as { firstKey: { key: string } };
  const other = (await command(['keys', 'create', '--name', 'other', '--role', 'inference-only', '--tenant', 'other', '--json'])) as {
    secret: string;
  };
  const bench = { placement: placement(), directory, sallyport: [] };
  const gateway = stack.use(await startPeer(bench, process.execPath, [MAIN, 'serve', '--config', config], { port, launch: { env } }));
  const owned = stack.move();
  return { gateway, ill, keys: { first: firstKey.key, other: other.secret }, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
