import { readdir, readFile } from 'node:fs/promises';
import { monitorEventLoopDelay, PerformanceObserver, performance } from 'node:perf_hooks';
import type { Family } from './instrument.ts';
import { Histogram } from './instrument.ts';

const GC_BOUNDS = [0.001, 0.01, 0.1, 1, 2, 5];
/** `detail.kind` of a garbage collection (Node.js, `perf_hooks.constants`). */
const GC_KINDS: Readonly<Record<number, string>> = { 1: 'minor', 4: 'major', 8: 'incremental', 16: 'weakcb' };

/**
 * This process: processor, memory, file descriptors, event loop, garbage collection. The names are those of Prometheus' client
 * libraries, so that dashboards made for any Node.js service work.
 */
export class ProcessMetrics implements Disposable {
  readonly #delay = monitorEventLoopDelay({ resolution: 20 });
  readonly #gc = new Histogram('nodejs_gc_duration_seconds', 'Garbage collections by kind.', ['kind'], GC_BOUNDS);
  readonly #observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) this.#gc.of(gcKind(entry)).observe(entry.duration / 1000);
  });
  #utilisation = performance.eventLoopUtilization();

  constructor() {
    this.#delay.enable();
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  async collect(): Promise<readonly Family[]> {
    const [descriptors, limit] = await Promise.all([openDescriptors(), maxDescriptors()]);
    const cpu = process.cpuUsage();
    const memory = process.memoryUsage();
    const utilisation = performance.eventLoopUtilization(this.#utilisation);
    this.#utilisation = performance.eventLoopUtilization();
    const delay = this.#delay;
    const families = [
      single('counter', 'process_cpu_user_seconds', 'Processor time in user mode.', cpu.user / 1e6),
      single('counter', 'process_cpu_system_seconds', 'Processor time in the kernel.', cpu.system / 1e6),
      single('counter', 'process_cpu_seconds', 'Processor time.', (cpu.user + cpu.system) / 1e6),
      single('gauge', 'process_start_time_seconds', 'When this process began, Unix time.', performance.timeOrigin / 1000),
      single('gauge', 'process_resident_memory_bytes', 'Memory that lies in RAM.', memory.rss),
      single('gauge', 'nodejs_heap_size_total_bytes', 'JavaScript heap.', memory.heapTotal),
      single('gauge', 'nodejs_heap_size_used_bytes', 'JavaScript heap in use.', memory.heapUsed),
      single('gauge', 'nodejs_external_memory_bytes', 'Memory of buffers and native objects.', memory.external),
      single(
        'gauge',
        'nodejs_eventloop_utilization_ratio',
        'Share of the time since the last reading that the event loop worked.',
        utilisation.utilization,
      ),
      single(
        'gauge',
        'nodejs_eventloop_lag_mean_seconds',
        'Mean delay of the event loop since the last reading.',
        finite(delay.mean) / 1e9,
      ),
      single(
        'gauge',
        'nodejs_eventloop_lag_p99_seconds',
        'Delay of the event loop, 99th percentile since the last reading.',
        delay.percentile(99) / 1e9,
      ),
      single('gauge', 'nodejs_eventloop_lag_max_seconds', 'Longest delay of the event loop since the last reading.', delay.max / 1e9),
      ...(descriptors === null ? [] : [single('gauge', 'process_open_fds', 'Open file descriptors.', descriptors)]),
      ...(limit === null ? [] : [single('gauge', 'process_max_fds', 'File descriptors this process may have.', limit)]),
      this.#gc.collect(),
    ];
    delay.reset();
    return families;
  }

  [Symbol.dispose](): void {
    this.#delay.disable();
    this.#observer.disconnect();
  }
}

export function single(type: 'counter' | 'gauge', name: string, help: string, value: number): Family {
  return { name, help, type, series: [{ labels: {}, value }] };
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}

function gcKind(entry: object): string {
  const detail: unknown = Reflect.get(entry, 'detail');
  const kind = typeof detail === 'object' && detail !== null && 'kind' in detail ? detail.kind : null;
  return (typeof kind === 'number' ? GC_KINDS[kind] : undefined) ?? 'other';
}

/** Null where the system has no /proc. */
async function openDescriptors(): Promise<number | null> {
  try {
    return (await readdir('/proc/self/fd')).length;
  } catch {
    return null;
  }
}

async function maxDescriptors(): Promise<number | null> {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(await readFile('/proc/self/limits', 'latin1'))?.[1];
    return limit === undefined ? null : Number(limit);
  } catch {
    return null;
  }
}
