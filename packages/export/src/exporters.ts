import { setTimeout as delay } from 'node:timers/promises';
import type { ExporterSettings, Random } from '@sallyport/core';
import { LogLock, LogLocked } from '@sallyport/ledger';
import { type ConnectPorts, connect } from './destination/connect.ts';
import { Exporter, type ExporterOptions, type ExporterStatus } from './exporter.ts';
import { exportersDirectory } from './state.ts';

export interface ExportersOptions extends ConnectPorts, Pick<ExporterOptions, 'directory' | 'logger' | 'poll' | 'backoff'> {
  readonly settings: readonly ExporterSettings[];
  readonly random: Random;
  /** Milliseconds between two attempts to take over from a process that exports the same ledger. */
  readonly standby?: number;
}

/**
 * All exporters of a ledger. Of several processes that share its directory one exports, all logs of it; the others stand by and take over
 * when it is gone.
 */
export class Exporters implements AsyncDisposable {
  readonly #options: ExportersOptions;
  readonly #exporters: readonly Exporter[];
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;
  #active = false;

  constructor(options: ExportersOptions) {
    this.#options = options;
    this.#exporters = options.settings.map((settings) => new Exporter({ ...options, settings, connect: () => connect(settings, options) }));
  }

  /** Whether this process is the one that exports. */
  get active(): boolean {
    return this.#active;
  }

  status(): ExporterStatus[] {
    return this.#exporters.map((exporter) => exporter.status());
  }

  start(): void {
    this.#running ??= this.#run(this.#stop.signal);
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const lock = await this.#lock();
      if (lock !== null) await this.#export(lock, signal);
      else await delay(this.#options.standby ?? 2000, undefined, { signal }).catch(() => undefined);
    }
  }

  async #lock(): Promise<LogLock | null> {
    try {
      return await LogLock.acquire(exportersDirectory(this.#options.directory), this.#options.random);
    } catch (error) {
      // A disk that refuses is tried again like a lock that is held.
      if (!(error instanceof LogLocked)) this.#options.logger.error('exporters.no-lock', { reason: String(error) });
      return null;
    }
  }

  async #export(lock: LogLock, signal: AbortSignal): Promise<void> {
    const lost = new AbortController();
    const refresh = setInterval(async () => {
      const held = await lock.refresh().catch(() => true);
      if (!held) lost.abort();
    }, 1000);
    this.#active = true;
    const until = AbortSignal.any([signal, lost.signal]);
    try {
      await Promise.all(this.#exporters.map((exporter) => exporter.run(until)));
    } finally {
      this.#active = false;
      clearInterval(refresh);
      await lock.release().catch(() => undefined);
    }
  }

  /** Stops after the attempts under way; what they had not confirmed is sent again by the next to export. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
