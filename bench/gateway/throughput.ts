import { median, usageOf } from '../measure.ts';
import { chatRequest, type LoadResult, offer } from './load.ts';
import type { Bench, BenchPeer, RunningPeer } from './peers.ts';

export interface ThroughputOptions {
  readonly bodyBytes: number;
  readonly connections: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly rounds: number;
  /** How often a disturbed sample is taken anew. */
  readonly retries: number;
}

/** Latencies and processor time are microseconds, memory bytes. `ratio` is to nginx in the same round, the median of all rounds. */
export interface ThroughputRow {
  readonly peer: string;
  readonly requestsPerSecond: number;
  readonly ratio: number;
  readonly cpuPerRequest: number;
  /** nginx's processor time a request over this peer's: the ratio as it would be on a quiet machine, since other programs do not count in it. */
  readonly cpuRatio: number;
  readonly p50: number;
  readonly p99: number;
  readonly rss: number;
  /** Part of its core the proxy got, 0 to 1. Below 0.9 the machine was busy, or the load was the bottleneck. */
  readonly share: number;
  readonly failures: number;
  readonly problem: string | null;
}

interface Sample extends LoadResult {
  /** Part of its core the proxy got, 0 to 1; on a machine with other work less than it could use. */
  readonly share: number;
  readonly cpu: number;
  readonly rss: number;
}

const BASELINE = 'nginx';
/** Below this share of its core a sample says more about the machine's other work than about the proxy, and is taken anew. */
const UNDISTURBED = 0.9;

/** Drives every peer as hard as it goes, in alternating rounds: forwards, backwards, forwards, ... so that a drift of the machine cancels. */
export async function measureThroughput(
  bench: Bench,
  peers: readonly BenchPeer[],
  upstreamPort: number,
  options: ThroughputOptions,
  progress: (text: string) => void,
): Promise<ThroughputRow[]> {
  await using stack = new AsyncDisposableStack();
  const problems = new Map<string, string>();
  const running: { readonly name: string; readonly port: number; readonly pid: number | null; readonly headers: RunningPeer['headers'] }[] =
    [{ name: 'direct', port: upstreamPort, pid: null, headers: {} }];
  for (const peer of peers) {
    try {
      running.push({ name: peer.name, ...stack.use(await peer.start(bench, upstreamPort)) });
    } catch (error) {
      problems.set(peer.name, error instanceof Error ? error.message : String(error));
    }
  }
  const body = chatRequest(options.bodyBytes);
  const { connections, seconds } = options;
  for (const { name, port, headers } of running) {
    progress(`${options.bodyBytes} bytes: warming up ${name}`);
    if (options.warmupSeconds > 0) await offer(bench, { port, headers, body, connections, seconds: options.warmupSeconds, rate: null });
  }
  const rounds: Map<string, Sample>[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const samples = new Map<string, Sample>();
    for (const { name, port, pid, headers } of round % 2 === 0 ? running : running.toReversed()) {
      progress(`${options.bodyBytes} bytes: round ${round + 1}/${options.rounds}, ${name}`);
      let best: Sample | null = null;
      for (let attempt = 0; attempt <= options.retries && (best?.share ?? 0) < UNDISTURBED; attempt++) {
        const before = pid === null ? 0 : usageOf(pid).cpu;
        const result = await offer(bench, { port, headers, body, connections, seconds, rate: null });
        const after = pid === null ? { cpu: 0, rss: 0 } : usageOf(pid);
        const cpu = after.cpu - before;
        const share = pid === null ? 1 : cpu / (result.seconds * 1e6);
        if (best === null || share > best.share) best = { ...result, cpu, rss: after.rss, share };
      }
      if (best !== null) samples.set(name, best);
    }
    rounds.push(samples);
  }
  const rate = (sample: Sample | undefined): number => (sample === undefined ? Number.NaN : sample.requests / sample.seconds);
  const cpuPerRequest = (peer: string): number =>
    peer === 'direct' ? Number.NaN : median(rounds.flatMap((round) => round.get(peer) ?? []).map((sample) => sample.cpu / sample.requests));
  return ['direct', ...peers.map((peer) => peer.name)].map((peer) => {
    const samples = rounds.flatMap((round) => round.get(peer) ?? []);
    const middle = (pick: (sample: Sample) => number): number => median(samples.map(pick));
    const failures = samples.reduce((sum, sample) => sum + sample.failures, 0);
    return {
      peer,
      requestsPerSecond: middle(rate),
      ratio: median(rounds.map((round) => rate(round.get(peer)) / rate(round.get(BASELINE)))),
      cpuPerRequest: cpuPerRequest(peer),
      cpuRatio: cpuPerRequest(BASELINE) / cpuPerRequest(peer),
      p50: middle((sample) => sample.p50),
      p99: middle((sample) => sample.p99),
      rss: peer === 'direct' ? Number.NaN : middle((sample) => sample.rss),
      share: middle((sample) => sample.share),
      failures,
      problem: problems.get(peer) ?? (failures > 0 ? `${failures} requests failed` : null),
    };
  });
}
