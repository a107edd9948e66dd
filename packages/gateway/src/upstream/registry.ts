import type { Clock, Logger, Snapshot, Upstream } from '@sallyport/core';
import type { HealthReport } from './health.ts';
import type { ResolveSecret } from './pinning.ts';
import { probe } from './probe.ts';
import { ConnectedUpstream } from './upstream.ts';

/** The connected upstreams of the current snapshot. A changed one is replaced; calls that run on the old one end in peace. */
export class UpstreamRegistry implements AsyncDisposable {
  readonly #resolve: ResolveSecret;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #connected = new Map<string, ConnectedUpstream>();
  readonly #closing = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout | null;

  constructor(options: {
    readonly resolveSecret: ResolveSecret;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly probeInterval?: number;
  }) {
    this.#resolve = options.resolveSecret;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#timer = options.probeInterval === 0 ? null : setInterval(() => void this.probeAll(), options.probeInterval);
    this.#timer?.unref();
  }

  /** Brings the connections in line with a snapshot. Certificates and credentials of unchanged upstreams are kept; `reload` re-reads them. */
  update(snapshot: Snapshot, reload: boolean = false): void {
    for (const [name, upstream] of this.#connected) {
      const settings = snapshot.upstreams.get(name);
      if (settings === undefined || reload || !sameSettings(settings, upstream.settings)) this.#retire(name, upstream);
    }
    for (const settings of snapshot.upstreams.values()) {
      if (settings.kind === 'demo' || this.#connected.has(settings.name)) continue;
      try {
        this.#connected.set(settings.name, new ConnectedUpstream(settings, this.#resolve, this.#clock));
      } catch (error) {
        // One unusable upstream must not take the others down: its routes answer 503 and health names it.
        this.#logger.error('upstream.unusable', { upstream: settings.name, reason: error instanceof Error ? error.message : 'unknown' });
      }
    }
  }

  get(name: string): ConnectedUpstream | undefined {
    return this.#connected.get(name);
  }

  reports(): HealthReport[] {
    return [...this.#connected.values()].map((upstream) => upstream.health.report(upstream.settings.name));
  }

  /** Asks every upstream whether it is there. Never throws; the outcome is in `reports`. */
  async probeAll(): Promise<void> {
    await Promise.all([...this.#connected.values()].map((upstream) => probe(upstream, this.#clock)));
  }

  #retire(name: string, upstream: ConnectedUpstream): void {
    this.#connected.delete(name);
    const closing = upstream[Symbol.asyncDispose]();
    this.#closing.add(closing);
    void closing.finally(() => this.#closing.delete(closing));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const [name, upstream] of this.#connected) {
      this.#connected.delete(name);
      this.#closing.add(upstream.destroy());
    }
    await Promise.all(this.#closing);
  }
}

function sameSettings(a: Upstream, b: Upstream): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
