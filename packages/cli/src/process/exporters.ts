import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Config } from '@sallyport/control';
import type { EgressSettings, ExporterSettings, Logger } from '@sallyport/core';
import type { ExporterStatus } from '@sallyport/export';
import type { Level } from '../log.ts';

export interface WorkerOptions {
  readonly directory: string;
  readonly settings: readonly ExporterSettings[];
  readonly egress: EgressSettings;
  readonly logLevel: Level;
}

export interface ExporterReport {
  /** Whether this process exports; of several that share a ledger one does. */
  readonly active: boolean;
  readonly exporters: readonly ExporterStatus[];
}

/** Milliseconds before a thread that ended by itself is started again. */
const RESTART = 5000;
/** Milliseconds it has to end when asked. */
const PATIENCE = 5000;

/** The exporters of this process, in a thread of their own. */
export class ExporterThread implements AsyncDisposable {
  readonly #options: WorkerOptions;
  readonly #logger: Logger;
  #worker: Worker | null = null;
  #report: ExporterReport = { active: false, exporters: [] };
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  /** Null where none is configured. */
  static start({ audit, egress }: Config, logger: Logger, logLevel: Level): ExporterThread | null {
    if (audit.exporters.length === 0) return null;
    return new ExporterThread({ directory: audit.directory, settings: audit.exporters, egress, logLevel }, logger);
  }

  private constructor(options: WorkerOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
    this.#start();
  }

  /** What the exporters last said; nothing while another process exports. */
  status(): readonly ExporterStatus[] {
    return this.#report.active ? this.#report.exporters : [];
  }

  #start(): void {
    const worker = new Worker(new URL(WORKER, import.meta.url), { workerData: this.#options });
    this.#worker = worker;
    worker.on('message', (report: ExporterReport) => {
      this.#report = report;
    });
    worker.on('error', (error) => this.#logger.error('exporters.thread-failed', { reason: error.message }));
    worker.on('exit', () => {
      this.#worker = null;
      this.#report = { active: false, exporters: [] };
      if (!this.#stopped) this.#timer = setTimeout(() => this.#start(), RESTART).unref();
    });
    // The server keeps the process alive, not this.
    worker.unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const worker = this.#worker;
    if (worker === null) return;
    const ended = once(worker, 'exit');
    worker.ref();
    worker.postMessage('stop');
    const timer = setTimeout(() => void worker.terminate(), PATIENCE);
    await ended;
    clearTimeout(timer);
  }
}

/** Beside this file: as a source, or as built (tools/bundle.mjs). */
const WORKER: string = import.meta.url.endsWith('.ts') ? './exporters-worker.ts' : './exporters-worker.mjs';
