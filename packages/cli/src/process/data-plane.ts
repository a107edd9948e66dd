import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CounterStore, ReplicaRelay } from '@sallyport/access';
import {
  type Config,
  resolveSecret,
  SNAPSHOT_FILE,
  SnapshotCache,
  SnapshotFeed,
  type SnapshotStatus,
  storeSource,
  WrongPepper,
} from '@sallyport/control';
import type { Snapshot } from '@sallyport/core';
import { Egress } from '@sallyport/egress';
import { Gateway, HttpJwksSource, type Seat } from '@sallyport/gateway';
import type { Store } from '@sallyport/store';
import type { Installation } from '../installation.ts';
import { startBodies } from './bodies.ts';
import { openCounters } from './counters.ts';
import { joinReplicas } from './replicas.ts';
import { LateStoreSource } from './store-source.ts';
import type { Telemetry } from './telemetry.ts';
import { readTls } from './tls.ts';

/** Milliseconds between two writes of when keys were last used. */
const KEY_USE_INTERVAL = 60_000;

/** The data plane of a process, running. */
export interface DataPlane extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly feed: SnapshotFeed;
  readonly counters: CounterStore;
  readonly address: { readonly host: string; readonly port: number };
  /**
   * Reads everything a new configuration names, and returns what takes it up without dropping a stream. Throws where something cannot be
   * read or used; nothing has changed then.
   */
  prepareReload(config: Config): () => Promise<void>;
}

/** What a data plane serves from, or null as long as there is no snapshot. */
export function snapshotStatus({ feed }: DataPlane): SnapshotStatus | null {
  const { current, status } = feed;
  if (current === null) return null;
  return { version: current.version, builtAt: current.builtAt, sourceVersion: status.sourceVersion, staleSince: status.staleSince };
}

/** What a worker has in common with the others: counts and news where the configuration names no server for them, and the servers. */
export interface Among {
  readonly counters: CounterStore;
  readonly relay: ReplicaRelay;
  readonly seat: Seat;
}

/** `among` counts, and tells the others, where the configuration names no server; default: this process is alone. Starts feed and gateway. `store` is null where the gateway runs apart and opens the database itself, when it is there. */
export async function startDataPlane(
  installation: Installation,
  store: Store | null,
  telemetry: Telemetry,
  among?: Among,
): Promise<DataPlane> {
  const { home, clock, random, logger } = installation;
  const { config } = installation;
  // Whatever was opened is closed where something after it fails: a connection would keep the process alive, serving nothing.
  await using opened = new AsyncDisposableStack();
  const late = opened.use(new LateStoreSource(config, home, logger, clock));
  if (store === null) await refuseWrongPepper(late);
  const source = store === null ? late : storeSource(store, clock);
  const feed = await SnapshotFeed.start({
    source,
    config,
    cache: new SnapshotCache(join(home.directory, SNAPSHOT_FILE), home.pepper),
    clock,
    logger,
  });
  opened.defer(() => feed.close());
  const egress = opened.use(new Egress({ settings: config.egress, resolveSecret: (reference) => resolveSecret(reference).value, logger }));
  const jwks = new HttpJwksSource(egress);
  const uses = new Map<string, number>();
  const flush = async (): Promise<void> => {
    if (uses.size === 0) return;
    const batch = new Map(uses);
    uses.clear();
    try {
      await (store ?? (await late.open())).touchKeys(batch);
    } catch {
      // `last used` is a convenience: a database that is away costs one minute of it and nothing else.
      logger.warn('keys.last-use-not-written');
    }
  };
  opened.defer(flush);
  const counters = opened.use(await openCounters(installation, among?.counters));
  let hear: Gateway['hear'] = () => undefined;
  const replicas = opened.use(await joinReplicas(installation, (message, age) => hear(message, age)));
  const relay = replicas?.relay ?? among?.relay;
  const gateway = new Gateway({
    listen: config.listen.gateway,
    tls: readTls(config),
    snapshots: {
      current: (): Snapshot | null => feed.current,
      subscribe: (listener) => feed.subscribe(listener),
      staleSince: () => feed.status.staleSince,
    },
    pepper: home.pepper,
    jwks,
    egress,
    ledger: telemetry.ledger,
    recordFirst: config.audit.recordFirst,
    bodies: await startBodies(installation),
    resolveSecret: (reference) => resolveSecret(reference).value,
    meter: telemetry.meter,
    tracer: telemetry.tracer,
    logger,
    clock,
    random,
    counters: counters.store,
    ...(relay === undefined ? {} : { relay }),
    ...(among === undefined ? {} : { seat: among.seat }),
    keyUsed: (id) => uses.set(id, clock.now()),
  });
  telemetry.attach({
    snapshot: () => feed.current,
    staleSince: () => feed.status.staleSince,
    upstreams: () => gateway.health().upstreams,
  });
  const { address, port } = await gateway.start();
  opened.use(gateway);
  hear = (message, age) => gateway.hear(message, age);
  const timer = setInterval(() => void flush(), KEY_USE_INTERVAL);
  timer.unref();
  opened.defer(() => clearInterval(timer));
  const running = opened.move();
  return {
    gateway,
    feed,
    counters: counters.store,
    address: { host: address, port },
    prepareReload: (next) => {
      const adopt = gateway.prepareReload({ tls: readTls(next), upstreams: next.upstreams, guard: next.guards });
      return async () => {
        feed.reload(next);
        adopt();
        await feed.refresh();
      };
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Milliseconds a database has to say whose it is before a start goes on without it. */
const PEPPER_PATIENCE = 2_000;

/** A gateway that could know no key does not start. One whose database is away does; the log says the same when it is back. */
async function refuseWrongPepper(late: LateStoreSource): Promise<void> {
  const looked = late.open().then(
    () => null,
    (error: unknown) => (error instanceof WrongPepper ? error : null),
  );
  const wrong = await Promise.race([looked, sleep(PEPPER_PATIENCE, null, { ref: false })]);
  if (wrong !== null) throw wrong;
}
