import cluster from 'node:cluster';
import type { CounterStore } from '@sallyport/access';
import {
  type Config,
  type ConfigWarning,
  type ControlService,
  checkPepper,
  formatListen,
  type Installation as NewInstallation,
} from '@sallyport/control';
import type { Logger } from '@sallyport/core';
import type { Store } from '@sallyport/store';
import { describeError } from '../failure.ts';
import { type Installation, openConfiguredStore, openInstallation, openService, type Place, readConfig } from '../installation.ts';
import type { Level } from '../log.ts';
import { tell } from '../terminal.ts';
import { VERSION } from '../version.ts';
import { startControlPlane } from './control-plane.ts';
import { openCounters } from './counters.ts';
import { snapshotStatus, startDataPlane } from './data-plane.ts';
import { ExporterThread } from './exporters.ts';
import { reloadable } from './reload.ts';
import { RiskElsewhere } from './replicas.ts';
import { configurationDigest, systemEntry } from './system-entry.ts';
import { startTelemetry } from './telemetry.ts';
import { firstCall, issued, summary, weaknesses } from './welcome.ts';
import { work } from './worker.ts';
import { WorkerPool } from './worker-pool.ts';

/** Which halves this process runs. */
export type Half = 'both' | 'gateway' | 'control';

export interface ServeOptions {
  readonly place: Place;
  readonly half: Half;
  readonly logger: Logger;
  readonly logLevel: Level;
  /** Name of this process's ledger log. */
  readonly writer: string;
  /** Processes that serve the gateway; 1 is this one. */
  readonly workers: number;
}

/** Runs until SIGINT or SIGTERM; SIGHUP takes up configuration and certificates again. Resolves when everything is closed. */
export async function serve(options: ServeOptions): Promise<void> {
  if (cluster.isWorker) return await work(options);
  const { place, half, logger } = options;
  const discover = place.configFile === null;
  const { config, warnings } = await readConfig(place, discover);
  await using installation = await openInstallation({ place, config, writer: options.writer, logger, patience: 10_000, keepsIdle: true });
  // A gateway on its own must start while the database is away; a control plane cannot do anything without it.
  await using store = half === 'gateway' ? null : new OpenStore(await openConfiguredStore(config, logger));
  let current: Config = config;
  if (store !== null) await checkPepper(store.store.settings, installation.home.pepper, installation.home.created);
  // What the admin API has acknowledged, the gateway of this process goes by.
  let refresh = async (): Promise<void> => {};
  let counters: CounterStore | null = null;
  const service =
    store === null
      ? null
      : openService(
          installation,
          store.store,
          () => current,
          () => refresh(),
          () => counters,
        );
  const made = half === 'both' && service !== null ? await setUpOnce(service) : null;
  // At once: they exist from here on and cannot be had again, whether or not the ports can be bound.
  if (made !== null) tell(issued(made, process.stderr.isTTY));
  await using exporters = ExporterThread.start(config, logger, options.logLevel);
  const many = half !== 'control' && options.workers > 1;
  let elsewhere: RiskElsewhere | null = null;
  await using pool = many
    ? await WorkerPool.start({
        count: options.workers,
        clock: installation.clock,
        logger,
        config: () => current,
        onNews: (message) => message.kind !== 'breaker' && elsewhere?.board.apply(message),
      })
    : null;
  await using telemetry = startTelemetry(installation, exporters, 'process', pool === null ? undefined : () => pool.metrics());
  await using data = half === 'control' || many ? null : await startDataPlane(installation, store?.store ?? null, telemetry);
  // Where a server counts and no gateway runs in this process, its counts are read from here.
  await using reading = data === null && config.counters.url !== 'memory:' ? await openCounters(installation) : null;
  await using joined = data === null ? await RiskElsewhere.join(installation, telemetry, pool?.relay ?? null) : null;
  elsewhere = joined;
  counters = data?.counters ?? reading?.store ?? pool?.counters ?? null;
  if (pool !== null) refresh = () => pool.refresh();
  else if (data !== null) refresh = async () => void (await data.feed.refresh());
  const snapshot = pool !== null ? () => pool.snapshot : data !== null ? () => snapshotStatus(data) : null;
  await using admin =
    service === null || store === null
      ? null
      : await startControlPlane(installation, service, store.store, {
          snapshot,
          risk: data?.gateway.risk ?? joined?.board ?? null,
          telemetry,
        });
  const begun = { version: VERSION, half, workers: options.workers, configuration: configurationDigest(installation, current) };
  await installation.ledger.append(systemEntry(installation, 'process.start', begun));
  const seated = many ? options.workers : 1;
  const warned = [...warnings, ...seatWarnings(config, seated)];
  await recordWarnings(installation, warned);

  const scheme = config.tls === null ? 'http' : 'https';
  const gateway = pool?.address ?? data?.address ?? null;
  const gatewayUrl = gateway === null ? '' : `${scheme}://${formatListen(gateway)}`;
  // Before anybody is told that it runs: a SIGHUP that nobody listens to ends a process.
  const stopped = untilStopped(
    async () => {
      const before = configurationDigest(installation, current);
      try {
        const read = await readConfig(place, discover);
        const { config: next, waiting } = reloadable(current, read.config);
        // All that can fail comes first: a reload is taken up as a whole or not at all.
        const adoptData = data?.prepareReload(next);
        const adoptAdmin = admin?.prepareReload(next);
        const after = configurationDigest(installation, next);
        await installation.record(systemEntry(installation, 'configuration.reload', { half, before, after }));
        await recordWarnings(installation, [...read.warnings, ...seatWarnings(next, seated)]);
        current = next;
        telemetry.adopt(next);
        joined?.adopt(next);
        adoptAdmin?.();
        await adoptData?.();
        await pool?.reload();
        if (waiting.length > 0) logger.warn('configuration.needs-restart', { settings: waiting.join(', ') });
        logger.info('configuration.reloaded', { models: next.models.length });
      } catch (error) {
        // A configuration that cannot be used changes nothing: the one in force stays.
        logger.error('configuration.refused', { reason: describeError(error).text });
        const refused = systemEntry(installation, 'configuration.reload', { half, before }, 'refused');
        await installation.record(refused).catch(() => logger.error('configuration.refusal-not-recorded'));
      }
    },
    pool === null ? null : () => void pool.restart(),
  );
  if (made !== null) tell(firstCall(made, gatewayUrl, config.models[0]?.name ?? 'demo'));
  tell(summary(config, gatewayUrl, admin === null ? null : `${scheme}://${formatListen(admin.address)}`, discover));
  const weak = weaknesses(config, warned, installation.home.warnings);
  if (weak !== '') tell(weak);

  await stopped;
  await pool?.drain();
  await data?.gateway.drain();
  await installation.ledger.append(systemEntry(installation, 'process.stop', { half }));
}

/** Servers that get more requests at once than they take, because each worker has one slot at least. */
function seatWarnings({ upstreams }: Config, workers: number): ConfigWarning[] {
  return upstreams.flatMap(({ name, maxConcurrency }, at) => {
    if (maxConcurrency === null || maxConcurrency >= workers) return [];
    return {
      path: `upstreams[${at}].maxConcurrency`,
      message: `upstream ${name} gets up to ${workers} requests at once, one of each worker, where maxConcurrency is ${maxConcurrency}`,
      fix: `use --workers ${maxConcurrency}`,
    };
  });
}

/** What a configuration was warned of is an operator's choice; the ledger knows of it, of guards apart from the rest. */
async function recordWarnings(installation: Installation, warnings: readonly ConfigWarning[]): Promise<void> {
  const [guards, others] = [new Set<string>(), new Set<string>()];
  for (const { path } of warnings) (path.startsWith('guards') ? guards : others).add(path);
  await recordSettings(installation, 'guards.weaker-than-balanced', guards);
  await recordSettings(installation, 'configuration.warnings', others);
}

async function recordSettings(installation: Installation, action: string, paths: ReadonlySet<string>): Promise<void> {
  if (paths.size === 0) return;
  await installation.ledger.append(systemEntry(installation, action, { settings: [...paths].join(', ').slice(0, 512) }));
}

class OpenStore implements AsyncDisposable {
  readonly store: Store;

  constructor(store: Store) {
    this.store = store;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.store.close();
  }
}

/** Makes owner and keys where there are none. Two processes that start at once make one installation. */
async function setUpOnce(service: ControlService): Promise<NewInstallation | null> {
  return (await service.initialised()) ? null : service.init({ owner: 'owner' });
}

/**
 * Milliseconds in which further signals are the same request to stop: Ctrl-C reaches this process from the terminal, and again from
 * npm and the launcher, which pass on what they get.
 */
const SAME_PRESS = 500;

/** Resolves at the first SIGINT or SIGTERM; another one after `SAME_PRESS` ends the process at once. */
async function untilStopped(onHangup: () => Promise<void>, onRestart: (() => void) | null): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let stoppedAt: number | null = null;
  const stop = (): void => {
    if (stoppedAt !== null) {
      if (performance.now() - stoppedAt >= SAME_PRESS) process.exit(130);
      return;
    }
    stoppedAt = performance.now();
    tell('Stopping: running requests may end, new ones are refused. Press again to stop at once.');
    resolve();
  };
  let reloading = Promise.resolve();
  const hangup = (): void => {
    reloading = reloading.then(onHangup);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('SIGHUP', hangup);
  if (onRestart !== null && process.platform !== 'win32') process.on('SIGUSR2', onRestart);
  await promise;
  process.removeListener('SIGHUP', hangup);
  await reloading;
}
