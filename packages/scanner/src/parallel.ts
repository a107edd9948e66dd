import { existsSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import type { FileReport } from './report.ts';
import { RULES_VERSION } from './rules.ts';
import { scanPath } from './scan.ts';

export interface ScanPathsOptions {
  readonly limits?: Partial<Limits>;
  /** Threads (default: one a core). Each takes the memory of one file's limits. */
  readonly threads?: number;
  /** Milliseconds after which a thread that makes no progress is ended, and its file lost (default: a minute over the limit on time). */
  readonly watchdog?: number;
  /** Bytes digested since the last call, over all files. */
  readonly onProgress?: (bytes: number) => void;
}

/** What a thread is started with. */
export interface Assignment {
  readonly paths: readonly string[];
  readonly limits: Partial<Limits>;
  readonly progress: boolean;
  /** 32-bit integers: the next path that nobody has taken, then for each thread the one it is at, then for each what it counts up as it gets on. */
  readonly shared: SharedArrayBuffer;
  readonly slot: number;
  readonly beat: number;
}

/** What a thread says from time to time. */
export interface Message {
  readonly progress: number;
  readonly reports: readonly (readonly [index: number, report: FileReport])[];
}

/** Below these a thread takes longer to start than the scans. */
const FEW = 500;
/** Over the limit on the time of one file, which the scan keeps by itself. */
const GRACE = 60_000;
/** Milliseconds in which a thread takes its first file, on a machine with much else to do. */
const START = 60_000;
/** MiB of JavaScript heap of one thread: several times what the limit on it allows. */
const THREAD_HEAP = 512;
const LITTLE = 256 * 2 ** 20;

/**
 * Scans files on worker threads and yields the reports in the order of the paths. A thread that dies (out of memory, a defect) leaves its file
 * `inconclusive`, never unmentioned, and is replaced. Throws where threads cannot be started.
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
  using pool = new Pool(script, paths, threads, options);
  for (let index = 0; index < paths.length; index += 1) yield pool.take(index) ?? (await pool.wait(index));
}

/** Threads that take paths off one list, and the reports they gave. */
class Pool implements Disposable {
  readonly #script: URL;
  readonly #paths: readonly string[];
  readonly #options: ScanPathsOptions;
  readonly #reports: (FileReport | undefined)[];
  readonly #running = new Set<Worker>();
  readonly #watchdog: number;
  #waiting: { readonly index: number; readonly done: PromiseWithResolvers<FileReport> } | null = null;
  #failure: unknown = null;

  constructor(script: URL, paths: readonly string[], threads: number, options: ScanPathsOptions) {
    this.#script = script;
    this.#paths = paths;
    this.#options = options;
    this.#watchdog = options.watchdog ?? Number(options.limits?.time ?? DEFAULT_LIMITS.time) + GRACE;
    this.#reports = new Array(paths.length);
    this.#start(
      paths.map((_, index) => index),
      threads,
    );
  }

  /** Gives a report away, once. */
  take(index: number): FileReport | undefined {
    const report = this.#reports[index];
    // Only that there was one is kept.
    if (report !== undefined) this.#reports[index] = GIVEN;
    return report;
  }

  async wait(index: number): Promise<FileReport> {
    if (this.#failure !== null) throw this.#failure;
    const done = Promise.withResolvers<FileReport>();
    this.#waiting = { index, done };
    return await done.promise;
  }

  [Symbol.dispose](): void {
    for (const worker of this.#running) void worker.terminate();
  }

  /** Scans the paths under these indexes; what a thread that died had not reported is scanned again once the others are through. */
  #start(indexes: readonly number[], threads: number): void {
    const paths = indexes.map((index) => this.#paths[index] ?? '');
    const shared = new SharedArrayBuffer(4 * (2 * threads + 1));
    const state = new Int32Array(shared).fill(-1, 1);
    const open = (slot: number): void => {
      const { limits = {}, onProgress } = this.#options;
      const beat = slot + threads;
      const workerData: Assignment = { paths, limits, progress: onProgress !== undefined, shared, slot, beat };
      const worker = new Worker(this.#script, { workerData, resourceLimits: { maxOldGenerationSizeMb: THREAD_HEAP } });
      this.#running.add(worker);
      let broken = false;
      let left = false;
      worker.on('message', ({ progress, reports }: Message) => {
        if (left) return;
        onProgress?.(progress);
        for (const [at, report] of reports) this.#settle(indexes[at] ?? 0, report);
      });
      const end = (error: unknown): void => {
        if (broken) return;
        broken = true;
        const at = Atomics.exchange(state, slot, -1);
        const index = indexes[at];
        if (index === undefined) this.#fail(error);
        else if (this.#reports[index] === undefined) this.#settle(index, lost(this.#paths[index] ?? '', error));
      };
      worker.on('error', end);
      let seen = '';
      let since = performance.now();
      // A defect that loops, or a device that never answers: the thread itself cannot tell.
      const watch = setInterval(
        () => {
          const now = `${Atomics.load(state, slot)} ${Atomics.load(state, beat)}`;
          if (now !== seen) {
            seen = now;
            since = performance.now();
          } else if (performance.now() - since > (Atomics.load(state, slot) < 0 ? Math.max(START, this.#watchdog) : this.#watchdog)) {
            end(Object.assign(new Error(), { code: `no progress for ${Math.round(this.#watchdog / 1000)} s` }));
            void worker.terminate();
            // A thread inside a system call ends with that call, which may be never.
            worker.unref();
            leave();
          }
        },
        Math.min(1000, this.#watchdog / 4),
      );
      const leave = (): void => {
        if (left) return;
        left = true;
        clearInterval(watch);
        this.#running.delete(worker);
        if (this.#failure !== null) return;
        if (broken && Atomics.load(state, 0) < paths.length) open(slot);
        else if (this.#running.size === 0) {
          const missing = indexes.filter((index) => this.#reports[index] === undefined);
          if (missing.length > 0) this.#start(missing, Math.min(threads, missing.length));
        }
      };
      worker.on('exit', leave);
    };
    for (let slot = 1; slot <= threads; slot += 1) open(slot);
  }

  #settle(index: number, report: FileReport): void {
    if (this.#waiting?.index !== index) {
      this.#reports[index] = report;
      return;
    }
    this.#reports[index] = GIVEN;
    this.#waiting.done.resolve(report);
    this.#waiting = null;
  }

  #fail(error: unknown): void {
    this.#failure = error;
    this.#waiting?.done.reject(error);
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

/** Stands for a report that was given away. */
const GIVEN: FileReport = { path: '', sha256: '', size: 0, format: 'unknown', verdict: 'inconclusive', findings: [], rules: RULES_VERSION };

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
