import { median } from '../measure.ts';
import { chatRequest, type LoadResult, offer } from './load.ts';
import type { Bench, BenchPeer } from './peers.ts';

export interface LatencyOptions {
  readonly bodyBytes: number;
  readonly connections: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly rounds: number;
}

/** Microseconds; `added` is the difference to the same load without a proxy. */
export interface LatencyRow {
  readonly peer: string;
  readonly requestsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly addedP50: number;
  readonly addedP99: number;
  readonly problem: string | null;
}

/** Offers each peer half of what it can do (`capacity`, requests a second) with random gaps, and the upstream alone the same. */
export async function measureLatency(
  bench: Bench,
  peers: readonly BenchPeer[],
  upstreamPort: number,
  capacity: ReadonlyMap<string, number>,
  options: LatencyOptions,
  progress: (text: string) => void,
): Promise<LatencyRow[]> {
  const rows: LatencyRow[] = [];
  const { connections, seconds, rounds } = options;
  const body = chatRequest(options.bodyBytes);
  for (const peer of peers) {
    const most = capacity.get(peer.name);
    if (most === undefined || !Number.isFinite(most)) continue;
    const rate = most / 2;
    const direct: LoadResult[] = [];
    const through: LoadResult[] = [];
    await using proxy = await peer.start(bench, upstreamPort);
    const load = { headers: proxy.headers, body, connections };
    progress(`half load: warming up ${peer.name}`);
    if (options.warmupSeconds > 0) await offer(bench, { ...load, port: proxy.port, seconds: options.warmupSeconds, rate: null });
    for (let round = 1; round <= rounds; round++) {
      progress(`half load: round ${round}/${rounds}, ${peer.name} at ${Math.round(rate)}/s`);
      direct.push(await offer(bench, { ...load, port: upstreamPort, seconds, rate }));
      through.push(await offer(bench, { ...load, port: proxy.port, seconds, rate }));
    }
    const middle = (results: readonly LoadResult[], pick: (result: LoadResult) => number): number => median(results.map(pick));
    const p50 = middle(through, (result) => result.p50);
    const p99 = middle(through, (result) => result.p99);
    const failures = through.reduce((sum, result) => sum + result.failures, 0);
    rows.push({
      peer: peer.name,
      requestsPerSecond: middle(through, (result) => result.requests / result.seconds),
      p50,
      p99,
      addedP50: p50 - middle(direct, (result) => result.p50),
      addedP99: p99 - middle(direct, (result) => result.p99),
      problem: failures > 0 ? `${failures} requests failed` : null,
    });
  }
  return rows;
}
