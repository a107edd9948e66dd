import type { Clock, Logger, Snapshot, Upstream } from '@sallyport/core';
import type { Egress } from '@sallyport/egress';
import type { Destination } from '../stage/facts.ts';
import type { Artifacts } from './artifacts.ts';
import { DrainBudget } from './drain-budget.ts';
import type { HealthReport } from './health.ts';
import { checkTls } from './pinning.ts';
import { probe } from './probe.ts';
import { type ResolveSecret, readSecrets, sameSecrets, type UpstreamSecrets } from './secrets.ts';
import type { Seat } from './slots.ts';
import { ConnectedUpstream, type UpstreamPorts } from './upstream.ts';

/** The connected upstreams of the current snapshot. A changed one is replaced; calls that run on the old one end in peace. */
export class UpstreamRegistry implements AsyncDisposable {
  readonly #resolve: ResolveSecret;
  readonly #ports: UpstreamPorts;
  readonly #artifacts: Artifacts;
  readonly #onProbed: () => Promise<void>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #connected = new Map<string, ConnectedUpstream>();
  readonly #closing = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout | null;
  #turn = 0;

  constructor(options: {
    readonly resolveSecret: ResolveSecret;
    readonly egress: Egress;
    readonly onBreaker: UpstreamPorts['onBreaker'];
    readonly artifacts: Artifacts;
    readonly seat: Seat;
    /** Called when all upstreams were asked; must not reject. */
    readonly onProbed: () => Promise<void>;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly probeInterval?: number;
  }) {
    this.#resolve = options.resolveSecret;
    const { egress, clock, seat, onBreaker } = options;
    this.#ports = { egress, clock, seat, drain: new DrainBudget(), onBreaker };
    this.#artifacts = options.artifacts;
    this.#onProbed = options.onProbed;
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
      const upstream = new ConnectedUpstream(settings, given ?? readSecrets(settings, this.#resolve), this.#ports, former);
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

  /** Destinations that stand for one model, the one that is expected to be done first before the others, those that are cut off last. */
  order(destinations: readonly Destination[], cost: number, caller: string): readonly Destination[] {
    if (destinations.every(({ route }) => route.replicas.length === 0)) return destinations;
    this.#turn += 1;
    const ordered: Destination[] = [];
    for (let at = 0; at < destinations.length; ) {
      const route = destinations[at]?.route;
      let end = at + 1;
      while (end < destinations.length && destinations[end]?.route === route) end += 1;
      ordered.push(...byLoad(destinations.slice(at, end), { cost, caller }, this.#turn, (name) => this.#connected.get(name)));
      at = end;
    }
    return ordered;
  }

  /** Asks every upstream whether it is there. Never throws; the outcome is in `reports`. */
  async probeAll(): Promise<void> {
    await Promise.all(
      [...this.#connected.values()].map(async (upstream) => {
        await probe(upstream, this.#clock);
        await this.#artifacts.look(upstream);
      }),
    );
    await this.#onProbed();
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

/** Milliseconds by which two servers differ by chance. */
const NOISE = 50;

/**
 * Least loaded first. A load is a time: the tokens outstanding with those of this request, at the server's pace of late. Of servers that
 * are done within about the same time (twice it, or 50 ms) the one with fewer tokens outstanding is taken; equal ones take turns.
 */
function byLoad(
  replicas: readonly Destination[],
  { cost, caller }: { readonly cost: number; readonly caller: string },
  turn: number,
  connected: (name: string) => ConnectedUpstream | undefined,
): Destination[] {
  const first = turn % replicas.length;
  const turned = [...replicas.slice(first), ...replicas.slice(0, first)];
  const known = turned.map(({ upstream }) => connected(upstream.name)?.pace ?? 0).filter((pace) => pace > 0);
  // Of a new server the best is expected, and no better than that: it must not be sent everything at once.
  const expected = known.length === 0 ? 1 : Math.min(...known);
  let left = turned.map((destination) => {
    const server = connected(destination.upstream.name);
    if (server === undefined || server.wait(destination.route.target, caller) > 0) {
      return { destination, load: Number.POSITIVE_INFINITY, outstanding: Number.POSITIVE_INFINITY };
    }
    return { destination, load: (server.outstanding + cost) * (server.pace || expected), outstanding: server.outstanding };
  });
  const ordered: Destination[] = [];
  while (left.length > 0) {
    const least = Math.min(...left.map(({ load }) => load));
    const best = left
      .filter(({ load }) => load <= Math.max(2 * least, least + NOISE))
      .reduce((one, other) => (other.outstanding < one.outstanding ? other : one));
    ordered.push(best.destination);
    left = left.filter((one) => one !== best);
  }
  return ordered;
}

function sameSettings(a: Upstream, b: Upstream): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
