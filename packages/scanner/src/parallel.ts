import { existsSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Limits } from './limits.ts';
import type { FileReport } from './report.ts';
import { RULES_VERSION } from './rules.ts';
import { scanPath } from './scan.ts';

export interface ScanPathsOptions {
  readonly limits?: Partial<Limits>;
  /** Threads (default: one a core). Each takes the memory of one file's limits. */
  readonly threads?: number;
  /** Bytes digested since the last call, over all files. */
  readonly onProgress?: (bytes: number) => void;
}

interface Message {
  readonly progress: number;
  readonly report?: FileReport;
}

/** Below these a thread takes longer to start than the scans. */
const FEW = 500;
const LITTLE = 256 * 2 ** 20;

/**
 * Scans files on worker threads and yields the reports in the order of the paths. A thread that dies (out of memory, a defect) leaves its file
 * `inconclusive`, never unmentioned, and is replaced.
 */
export async function* scanPaths(paths: readonly string[], options: ScanPathsOptions = {}): AsyncGenerator<FileReport> {
  const threads = Math.min(options.threads ?? availableParallelism(), paths.length);
  const script = workerScript();
  if (threads <= 1 || script === null || isLittle(paths)) {
    for (const path of paths) {
      let last = 0;
      const onProgress = (bytes: number): void => {
        options.onProgress?.(bytes - last);
        last = bytes;
      };
      yield await scanPath(path, { limits: options.limits ?? {}, onProgress });
    }
    return;
  }
  const results = paths.map(() => Promise.withResolvers<FileReport>());
  // A consumer that stops early leaves promises nobody waits for.
  for (const { promise } of results) promise.catch(() => undefined);
  let next = 0;
  const running = new Set<Worker>();
  const start = (): void => {
    const worker = new Worker(script, { workerData: { limits: options.limits ?? {}, progress: options.onProgress !== undefined } });
    running.add(worker);
    let current = -1;
    const take = (): void => {
      const index = next;
      const path = paths[index];
      next += 1;
      current = path === undefined ? -1 : index;
      if (path === undefined) void worker.terminate();
      else worker.postMessage(path);
    };
    worker.on('message', (message: Message) => {
      options.onProgress?.(message.progress);
      if (message.report === undefined) return;
      results[current]?.resolve(message.report);
      take();
    });
    worker.on('error', (error) => {
      const path = paths[current];
      if (path !== undefined) results[current]?.resolve(lost(path, error));
      running.delete(worker);
      if (next < paths.length) start();
    });
    worker.on('exit', () => running.delete(worker));
    take();
  };
  for (let count = 0; count < threads; count += 1) start();
  try {
    for (const { promise } of results) yield await promise;
  } finally {
    await Promise.all([...running].map((worker) => worker.terminate()));
  }
}

function isLittle(paths: readonly string[]): boolean {
  if (paths.length >= FEW) return false;
  let bytes = 0;
  for (const path of paths) {
    bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (bytes > LITTLE) return false;
  }
  return true;
}

function lost(path: string, error: unknown): FileReport {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'defect';
  return {
    path,
    sha256: '',
    size: 0,
    format: 'unknown',
    verdict: 'inconclusive',
    findings: [{ rule: 'scan-lost', severity: 'medium', message: `the scan of this file broke off (${code})` }],
    rules: RULES_VERSION,
  };
}

/** Beside this file as source, or beside the bundle. Null where there is neither, and then one thread does it all. */
function workerScript(): URL | null {
  for (const name of ['./worker.ts', './models-worker.mjs']) {
    const url = new URL(name, import.meta.url);
    if (existsSync(fileURLToPath(url))) return url;
  }
  return null;
}
