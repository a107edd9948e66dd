import { RelayStore, ReplicaOutbox } from '@sallyport/access';
import type { Config } from '@sallyport/control';
import { describeError } from '../failure.ts';
import { openInstallation, readConfig } from '../installation.ts';
import { snapshotStatus, startDataPlane } from './data-plane.ts';
import { reloadable } from './reload.ts';
import type { ServeOptions } from './serve.ts';
import { startTelemetry } from './telemetry.ts';
import { type FromWorker, parseSeat, SEAT_VARIABLE, type ToWorker, WORKER_VARIABLE } from './worker-messages.ts';

/** Milliseconds between two looks at whether the snapshot in use is another, or old. */
const SNAPSHOT_LOOK = 1_000;

/** The writer of a worker's log in the ledger. */
export function workerWriter(writer: string, worker: string): string {
  return `${writer}-w${worker}`;
}

/**
 * One of several gateways of `serve --workers`: has the port with the others, a ledger log of its own, and limits counted by the process
 * that started it or by the server all share. Ends when that process tells it to, or is gone.
 */
export async function work(options: ServeOptions): Promise<void> {
  try {
    await run(options);
  } finally {
    // The channel to the process that started it would keep it alive.
    if (process.connected) process.disconnect();
  }
}

async function run(options: ServeOptions): Promise<void> {
  const { place, logger } = options;
  // Ctrl-C reaches every process of the terminal; the one that started the workers says when they end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => undefined);
  const discover = place.configFile === null;
  const { config } = await readConfig(place, discover);
  const writer = workerWriter(options.writer, process.env[WORKER_VARIABLE] ?? '0');
  await using installation = await openInstallation({ place, config, writer, logger, patience: 10_000 });
  const seat = parseSeat(process.env[SEAT_VARIABLE] ?? '0/1');
  const tell = (message: FromWorker): void => {
    if (process.connected) process.send?.(message);
  };
  using counters = new RelayStore((questions) => tell({ kind: 'counters', questions }), installation.clock);
  using relay = new ReplicaOutbox((messages) => tell({ kind: 'replicas', messages }));
  await using telemetry = startTelemetry(installation, null, 'worker');
  const ended = Promise.withResolvers<number>();
  let current: Config = config;
  let data: Awaited<ReturnType<typeof startDataPlane>> | null = null;
  const begun = Promise.withResolvers<void>();
  let told = '';
  const tellSnapshot = (): void => {
    const status = data === null ? null : snapshotStatus(data);
    const text = JSON.stringify(status);
    if (text === told) return;
    told = text;
    tell({ kind: 'snapshot', status });
  };
  const reload = async (): Promise<void> => {
    try {
      const { config: next } = reloadable(current, (await readConfig(place, discover)).config);
      const adopt = data?.prepareReload(next);
      current = next;
      telemetry.adopt(next);
      await adopt?.();
    } catch (error) {
      logger.error('configuration.refused', { reason: describeError(error).text });
    }
  };
  process.on('message', (message: ToWorker) => {
    if (message.kind === 'counters') counters.receive(message.answers);
    else if (message.kind === 'replicas') for (const [at, one] of message.messages.entries()) data?.gateway.hear(one, message.ages?.[at]);
    else if (message.kind === 'drain') ended.resolve(message.patience);
    else {
      const { id } = message;
      const done = (families: Extract<FromWorker, { kind: 'done' }>['families'] = []): void => tell({ kind: 'done', id, families });
      if (message.kind === 'metrics') void telemetry.meter.collect().then(done, () => done());
      else if (message.kind === 'reload') void reload().then(() => done());
      // One that is still starting may have read the store before the change: it answers once it has looked again.
      else
        void begun.promise
          .then(() => data?.feed.refresh())
          .then(tellSnapshot)
          .then(
            () => done(),
            () => done(),
          );
    }
  });
  // Without the process that counts for it a worker could hold nobody to a limit.
  process.on('disconnect', () => ended.resolve(0));
  await using running = await startDataPlane(installation, null, telemetry, { counters, relay, seat });
  data = running;
  begun.resolve();
  tellSnapshot();
  const looking = setInterval(tellSnapshot, SNAPSHOT_LOOK);
  tell({ kind: 'ready', host: running.address.host, port: running.address.port });
  const patience = await ended.promise;
  clearInterval(looking);
  await running.gateway.drain(patience);
}
