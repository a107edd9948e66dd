import { fileURLToPath } from 'node:url';
import { freePort, Launched } from '@sallyport/testkit';
import { median, placed, usageOf } from '../measure.ts';
import { chatRequest } from './load.ts';
import type { Bench, BenchPeer, RunningPeer } from './peers.ts';
import type { StreamResult } from './stream-client.ts';

export interface StreamOptions {
  readonly streams: number;
  readonly tokens: number;
  readonly perSecond: number;
  readonly rounds: number;
}

/** What many concurrent streams cost through one proxy. Times are microseconds; `added` is the difference to going without a proxy. */
export interface StreamRow {
  readonly peer: string;
  readonly chunks: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
  readonly addedP50: number;
  readonly addedP99: number;
  readonly cpuPerChunk: number;
  /** Resident memory per open stream, bytes. */
  readonly bytesPerStream: number;
  readonly firstByteP50: number;
  /** How much of one core the upstream and the client used; near 1 they, not the proxy, make the delays. */
  readonly loadBusy: number;
  readonly problem: string | null;
}

interface Sample extends StreamResult {
  readonly cpu: number;
  readonly loadBusy: number;
  readonly rssGrowth: number;
}

const MOST_LOAD = 0.85;
const OPEN_TIMEOUT_MS = 60_000;

/** Measures going direct and every peer in turn, `rounds` times, each round in fresh processes. */
export async function measureStreams(
  bench: Bench,
  peers: readonly BenchPeer[],
  options: StreamOptions,
  progress: (text: string) => void,
): Promise<StreamRow[]> {
  const samples = new Map<string, Sample[]>([['direct', []], ...peers.map((peer): [string, Sample[]] => [peer.name, []])]);
  const problems = new Map<string, string>();
  for (let round = 1; round <= options.rounds; round++) {
    for (const peer of [null, ...peers]) {
      const name = peer?.name ?? 'direct';
      if (problems.has(name)) continue;
      progress(`streams: round ${round}/${options.rounds}, ${name}`);
      try {
        samples.get(name)?.push(await measureOnce(bench, peer, options));
      } catch (error) {
        problems.set(name, error instanceof Error ? error.message : String(error));
      }
    }
  }
  const middle = (name: string, pick: (sample: Sample) => number): number => median((samples.get(name) ?? []).map(pick));
  return [...samples.keys()].map((peer) => {
    const p50 = middle(peer, (sample) => sample.p50);
    const p99 = middle(peer, (sample) => sample.p99);
    const failed = middle(peer, (sample) => sample.failed);
    const loadBusy = middle(peer, (sample) => sample.loadBusy);
    return {
      peer,
      chunks: middle(peer, (sample) => sample.chunks),
      failed,
      p50,
      p99,
      addedP50: p50 - middle('direct', (sample) => sample.p50),
      addedP99: p99 - middle('direct', (sample) => sample.p99),
      cpuPerChunk: middle(peer, (sample) => sample.cpu / sample.chunks),
      bytesPerStream: middle(peer, (sample) => sample.rssGrowth / options.streams),
      firstByteP50: middle(peer, (sample) => sample.firstByteP50),
      loadBusy,
      problem: problems.get(peer) ?? problemOf(failed, options.streams, loadBusy),
    };
  });
}

function problemOf(failed: number, streams: number, loadBusy: number): string | null {
  if (failed > 0) return `${failed} of ${streams} streams failed`;
  return loadBusy > MOST_LOAD ? `the load itself took ${Math.round(loadBusy * 100)} % of a core: delays are not the proxy's alone` : null;
}

async function measureOnce(bench: Bench, peer: BenchPeer | null, options: StreamOptions): Promise<Sample> {
  await using stack = new AsyncDisposableStack();
  const upstreamPort = await freePort();
  const upstream = await launch(bench, 'stream-upstream.ts', [upstreamPort, options.tokens, options.perSecond]);
  stack.use(upstream);
  await upstream.waitFor(/streaming/);
  const proxy: RunningPeer | null = peer === null ? null : stack.use(await peer.start(bench, upstreamPort));
  if (proxy !== null) await runClient(bench, proxy.port, Math.ceil(options.streams / 20), proxy.headers, null); // compile and connect
  const before = proxy === null ? { cpu: 0, rss: 0 } : usageOf(proxy.pid);
  const upstreamBefore = usageOf(upstream.pid).cpu;
  let open = before;
  const result = await runClient(bench, proxy?.port ?? upstreamPort, options.streams, proxy?.headers ?? {}, () => {
    if (proxy !== null) open = usageOf(proxy.pid);
  });
  const after = proxy === null ? before : usageOf(proxy.pid);
  const loadBusy = (usageOf(upstream.pid).cpu - upstreamBefore + result.clientCpu) / result.wall;
  return { ...result, loadBusy, cpu: after.cpu - before.cpu, rssGrowth: Math.max(open.rss, after.rss) - before.rss };
}

/** Runs the client to its end; `whenOpen` is called when every stream has begun. */
async function runClient(
  bench: Bench,
  port: number,
  streams: number,
  headers: Readonly<Record<string, string>>,
  whenOpen: (() => void) | null,
): Promise<StreamResult> {
  await using client = await launch(bench, 'stream-client.ts', [port, streams, JSON.stringify(headers)]);
  client.write(chatRequest(2_000, 'bench', true));
  client.endInput();
  // A proxy that fails its streams never has them all open; the result tells.
  await Promise.race([client.waitFor(/open\n/, OPEN_TIMEOUT_MS).catch(() => {}), client.exited]);
  whenOpen?.();
  await client.exited;
  const line = client.stdout.match(/^RESULT (.*)$/m)?.[1];
  if (line === undefined) throw new Error(`the stream client gave no result: ${client.stderr.slice(-500)}`);
  const result: StreamResult = JSON.parse(line);
  return result;
}

function launch(bench: Bench, program: string, args: readonly (string | number)[]): Promise<Launched> {
  const file = fileURLToPath(new URL(program, import.meta.url));
  return Launched.launch(...placed(bench.placement, 'load', process.execPath, [file, ...args.map(String)]));
}
