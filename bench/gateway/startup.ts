import { median, usageOf } from '../measure.ts';
import type { Bench, BenchPeer } from './peers.ts';

export interface StartupRow {
  readonly peer: string;
  /** Milliseconds from launch to the first 200 on the readiness path. */
  readonly readyMs: number;
  /** Resident memory once ready, bytes. */
  readonly rss: number;
  readonly problem: string | null;
}

/** Launches every peer `rounds` times. */
export async function measureStartup(
  bench: Bench,
  peers: readonly BenchPeer[],
  upstreamPort: number,
  rounds: number,
  progress: (text: string) => void,
): Promise<StartupRow[]> {
  const rows: StartupRow[] = [];
  for (const peer of peers) {
    const times: number[] = [];
    const memory: number[] = [];
    let problem: string | null = null;
    progress(`start-up: ${peer.name}`);
    try {
      for (let round = 0; round < rounds; round++) {
        await using proxy = await peer.start(bench, upstreamPort);
        times.push(proxy.startedInMs);
        memory.push(usageOf(proxy.pid).rss);
      }
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    rows.push({ peer: peer.name, readyMs: median(times), rss: median(memory), problem });
  }
  return rows;
}
