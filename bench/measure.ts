import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { arch, cpus, loadavg, release, totalmem, type } from 'node:os';

/** Options of Node for the serving process, as `npm start` gives them (tools/runtime.mjs). */
export const SERVE_OPTIONS: readonly string[] = ['--max-semi-space-size=32'];

/** The middle value; the mean of the middle two for an even count; NaN for none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Linear interpolation between the two nearest ranks. NaN for no values. */
export function quantile(values: readonly number[] | Float64Array, q: number): number {
  const sorted = Float64Array.from(values).sort();
  const rank = (sorted.length - 1) * q;
  const low = sorted[Math.floor(rank)] ?? Number.NaN;
  const high = sorted[Math.ceil(rank)] ?? Number.NaN;
  return low + (high - low) * (rank - Math.floor(rank));
}

/** What a process and its descendants have used: processor time in microseconds, resident memory in bytes. Linux only. */
export interface Usage {
  readonly cpu: number;
  readonly rss: number;
}

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const PAGE_BYTES = Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }));

export function usageOf(pid: number): Usage {
  let cpu = 0;
  let rss = 0;
  for (const member of tree(pid)) {
    const fields = statOf(member);
    if (fields === null) continue;
    // proc(5): utime is field 14, stime 15, rss (pages) 24; `fields` starts at field 3.
    cpu += ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1e6;
    rss += Number(fields[21]) * PAGE_BYTES;
  }
  return { cpu, rss };
}

function tree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = Number(statOf(pid)?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found: number[] = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** Fields of /proc/PID/stat from the third on (the second, a name in brackets, may hold anything); null where the process is gone. */
function statOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null; // it ended between listing and reading
  }
}

/** Which cores the proxy under test and everything else are bound to; null where there is only one. */
export type Placement = Readonly<Record<'proxy' | 'load', string>> | null;

/** The last core for the proxy, the others for load generator and upstream. */
export function placement(): Placement {
  const count = cpus().length;
  return count < 2 ? null : { proxy: String(count - 1), load: count === 2 ? '0' : `0-${count - 2}` };
}

/** `command` with `args`, bound to the cores of its side by taskset(1). */
export function placed(
  cores: Placement,
  side: 'proxy' | 'load',
  command: string,
  args: readonly string[],
): [command: string, args: string[]] {
  return cores === null ? [command, [...args]] : ['taskset', ['-c', cores[side], command, ...args]];
}

/** One line on the machine, for every table that is published. */
export function describeMachine(): string {
  const processors = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${processors.length} × ${processors[0]?.model.trim() ?? 'unknown processor'}, ${memory} GiB, ${type()} ${release()} ${arch()}, Node ${process.version}, load average at start ${loadavg()[0]?.toFixed(2)}`;
}
