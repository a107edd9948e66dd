import type { Clock, Logger, Snapshot, Upstream } from '@sallyport/core';
import type { Egress } from '@sallyport/egress';
import type { HealthReport } from './health.ts';
import { checkTls } from './pinning.ts';
import { probe } from './probe.ts';
import { type ResolveSecret, readSecrets, sameSecrets, type UpstreamSecrets } from './secrets.ts';
import { ConnectedUpstream } from './upstream.ts';

/** The connected upstreams of the current snapshot. A changed one is replaced; calls that run on the old one end in peace. */
export class UpstreamRegistry implements AsyncDisposable {
  readonly #resolve: ResolveSecret;
  readonly #egress: Egress;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #connected = new Map<string, ConnectedUpstream>();
  readonly #closing = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout | null;

  constructor(options: {
    readonly resolveSecret: ResolveSecret;
    readonly egress: Egress;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly probeInterval?: number;
  }) {
    this.#resolve = options.resolveSecret;
    this.#egress = options.egress;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#timer = options.probeInterval === 0 ? null : setInterval(() => void this.probeAll(), options.probeInterval);
    this.#timer?.unref();
  }

  /**
   * Reads the secrets of all `upstreams` and tries them. Throws where one cannot be read or used; nothing has changed then. What it
   * returns is for `update`.
   */
  readAll(upstreams: Iterable<Upstream>): ReadonlyMap<string, UpstreamSecrets> {
    const secrets = new Map<string, UpstreamSecrets>();
    for (const settings of upstreams) {
      if (settings.kind === 'demo') continue;
      const read = readSecrets(settings, this.#resolve);
      checkTls(settings, read);
      secrets.set(settings.name, read);
    }
    return secrets;
  }

  /**
   * Brings the connections in line with a snapshot. Upstreams whose settings did not change stay as they are, unless `secrets`, read
   * anew, says that a certificate or credential did.
   */
  update(snapshot: Snapshot, secrets: ReadonlyMap<string, UpstreamSecrets> | null = null): void {
    for (const [name, upstream] of this.#connected) {
      if (!snapshot.upstreams.has(name)) this.#retire(name, upstream);
    }
    for (const settings of snapshot.upstreams.values()) {
      if (settings.kind !== 'demo') this.#connect(settings, secrets?.get(settings.name) ?? null);
    }
  }

  #connect(settings: Upstream, given: UpstreamSecrets | null): void {
    const { name } = settings;
    const former = this.#connected.get(name) ?? null;
    if (former !== null && sameSettings(settings, former.settings) && (given === null || sameSecrets(given, former.secrets))) return;
    if (former !== null) this.#retire(name, former);
    try {
      const upstream = new ConnectedUpstream(settings, given ?? readSecrets(settings, this.#resolve), this.#egress, this.#clock, former);
      upstream.activate();
      this.#connected.set(name, upstream);
    } catch (error) {
      // One unusable upstream must not take the others down: its routes answer 503 and health names it.
      this.#logger.error('upstream.unusable', { upstream: name, reason: error instanceof Error ? error.message : 'unknown' });
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
