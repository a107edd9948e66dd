import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { CounterStore } from '@sallyport/access';
import {
  type Config,
  type ConfigWarning,
  type ControlService,
  createControlService,
  defaultConfig,
  discoverUpstreams,
  type Home,
  KEY_LIFETIME,
  loadConfig,
  openHome,
  resolveSecret,
  resolveStorage,
} from '@sallyport/control';
import { type Clock, type EntryFacts, type Logger, type Random, systemClock } from '@sallyport/core';
import {
  expireBodies,
  type Ledger,
  type LedgerOptions,
  LedgerUnavailable,
  LogLocked,
  loadBodiesKey,
  loadLedgerKeys,
  openLedger,
  parseBodiesKey,
  rememberLog,
  retainIdle,
  SealedBodies,
  sealedSizes,
  UNRECORDED,
} from '@sallyport/ledger';
import { openStore, type Store } from '@sallyport/store';
import { systemEntry } from './process/system-entry.ts';

export const systemRandom: Random = { bytes: (length) => randomBytes(length) };

/** Where configuration and data are, from options, environment and defaults, in this order. */
export interface Place {
  /** Null where there is no file: defaults, and what runs on this machine. */
  readonly configFile: string | null;
  readonly home: string;
}

export function findPlace(options: { readonly config?: string }, env: NodeJS.ProcessEnv = process.env): Place {
  const named = options.config ?? env['SALLYPORT_CONFIG'];
  const found = existsSync('sallyport.yaml') ? 'sallyport.yaml' : null;
  return { configFile: named ?? found, home: resolve(env['SALLYPORT_HOME'] ?? '.sallyport') };
}

export interface ReadyConfig {
  readonly config: Config;
  readonly warnings: readonly ConfigWarning[];
}

/** Reads the configuration file, or makes one up from the inference servers found on this machine. Throws `ConfigError`. */
export async function readConfig(place: Place, discover: boolean): Promise<ReadyConfig> {
  const discovered = discover ? await discoverUpstreams() : [];
  const options = { home: place.home, discovered };
  return place.configFile === null ? { config: defaultConfig(discovered, options), warnings: [] } : loadConfig(place.configFile, options);
}

/** An installation opened for use by one process. */
export interface Installation extends AsyncDisposable {
  readonly config: Config;
  readonly home: Home;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Records a change. Rejects with `LedgerUnavailable` where it cannot, also where `audit.onUnavailable` lets requests go on. */
  record(facts: EntryFacts): Promise<void>;
}

/** Milliseconds between two looks at what the ledger has signed, to remember it outside the ledger's directory. */
const REMEMBER_INTERVAL = 5_000;
/** Milliseconds between two removals of entries that are too old. */
const RETENTION_INTERVAL = 3_600_000;

/** Where the newest checkpoint of each log is remembered: in the home, and not in the ledger's directory. */
export function memoryOf(place: Place): string {
  return join(place.home, 'remembered-logs');
}

/** Where it is marked that a log refuses entries, beside the mark in the log's own directory. */
export function gapsOf(place: Place): string {
  return join(place.home, 'ledger-gaps');
}

/** Where the texts lie that policy stores. */
function bodiesOf(config: Config): string {
  return join(config.audit.directory, 'sealed');
}

/** The stored texts, under the configured key or the one of the home, which is made where it is missing. Throws `SecretError`, `KeyFileError`. */
export async function openBodies({ config, home, random }: Installation): Promise<SealedBodies> {
  const { bodiesKey } = config.audit;
  const masterKey =
    bodiesKey === null
      ? await loadBodiesKey(join(home.directory, 'keys'), random)
      : parseBodiesKey(resolveSecret(bodiesKey).value, bodiesKey);
  return new SealedBodies({ directory: bodiesOf(config), masterKey, random });
}

/** Opens home and ledger. `writer` names this process's log; a log another process holds is waited for as long as `patience` (ms). */
export async function openInstallation(options: {
  readonly place: Place;
  readonly config: Config;
  readonly writer: string;
  readonly logger: Logger;
  readonly patience: number;
  /** Whether it keeps retention for logs that no process writes any more, too. */
  readonly keepsIdle?: boolean;
}): Promise<Installation> {
  const home = openHome(options.place.home);
  const keys = await loadLedgerKeys(join(home.directory, 'keys'), systemRandom);
  const ledgerOptions: LedgerOptions = {
    directory: options.config.audit.directory,
    writer: options.writer,
    clock: systemClock,
    random: systemRandom,
    signer: keys.signer,
    digestKey: keys.digestKey,
    onFailure: options.config.audit.onUnavailable,
    gapDirectory: gapsOf(options.place),
  };
  const ledger = await patiently(() => openLedger(ledgerOptions), options.patience);
  const memory = memoryOf(options.place);
  const remember = async (): Promise<void> => {
    try {
      const state = await rememberLog(memory, options.config.audit.directory, options.writer);
      if (state === 'contradicts')
        options.logger.error('ledger.not-as-remembered', { log: options.writer, fix: 'run sallyport audit verify' });
    } catch (error) {
      // The ledger itself goes on; what is remembered stays the older state and is tried again.
      options.logger.warn('ledger.not-remembered', { log: options.writer, reason: error instanceof Error ? error.message : String(error) });
    }
  };
  await remember();
  let remembering = Promise.resolve();
  const timer = setInterval(() => {
    remembering = remembering.then(remember);
  }, REMEMBER_INTERVAL);
  timer.unref();
  const retention = keepRetention(
    ledger,
    options.config.audit.retention,
    options.logger,
    options.keepsIdle === true ? { log: ledgerOptions, bodies: bodiesOf(options.config) } : null,
  );
  return {
    config: options.config,
    home,
    ledger,
    clock: systemClock,
    random: systemRandom,
    logger: options.logger,
    record: async (facts) => {
      if ((await ledger.append(facts)) === UNRECORDED) throw new LedgerUnavailable(ledger.health().reason ?? 'io');
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await retention[Symbol.asyncDispose]();
      await remembering;
      await ledger.close();
      await remember();
    },
  };
}

/**
 * Removes what is older than `age` (ms) from this process's log, now and again while it runs, and where `idle` is given from those that no
 * process writes, and the stored texts of all; null removes nothing.
 */
function keepRetention(
  ledger: Ledger,
  age: number | null,
  logger: Logger,
  idle: { readonly log: LedgerOptions; readonly bodies: string } | null,
): AsyncDisposable {
  let removing = Promise.resolve();
  const remove = async (before: number): Promise<void> => {
    try {
      const { segments, from, until, clockAhead } = await ledger.retain(before);
      if (clockAhead > 0)
        logger.warn('ledger.clock-ahead', {
          hours: Math.round(clockAhead / 3_600_000),
          fix: 'check the clock; until it has run for as long as entries are kept, retention counts how long Sallyport runs',
        });
      if (segments > 0) logger.info('ledger.retained', { from, until });
      if (idle === null || clockAhead > 0) return;
      await removeIdle(idle.log, before, logger);
      // Also where none are stored any more.
      const bodies = await expireBodies(idle.bodies, before);
      if (bodies > 0)
        await ledger.append(
          systemEntry({ random: systemRandom }, 'audit.bodies.retention', { bodies, before: new Date(before).toISOString() }),
        );
    } catch (error) {
      // Evidence that is not as its tiles say is kept, and so is everything while the disk refuses.
      logger.error('ledger.not-retained', { reason: error instanceof Error ? error.name : 'unknown', fix: 'run sallyport audit verify' });
    }
  };
  const again = (): void => {
    if (age !== null) removing = removing.then(() => remove(systemClock.now() - age));
  };
  again();
  const timer = setInterval(again, RETENTION_INTERVAL).unref();
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await removing;
    },
  };
}

/** The logs of workers and replicas that are not started any more. */
async function removeIdle(own: LedgerOptions, before: number, logger: Logger): Promise<void> {
  for (const writer of (await sealedSizes(own.directory)).keys()) {
    if (writer === own.writer) continue;
    try {
      const removed = await retainIdle({ ...own, writer, knownTime: own.clock.now() }, before);
      if (removed !== null) logger.info('ledger.retained', { log: writer, from: removed.from, until: removed.until });
    } catch (error) {
      const reason = error instanceof Error ? error.name : 'unknown';
      logger.error('ledger.not-retained', { log: writer, reason, fix: 'run sallyport audit verify' });
    }
  }
}

async function patiently<T>(open: () => Promise<T>, patience: number): Promise<T> {
  const until = performance.now() + patience;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof LogLocked) || performance.now() >= until) throw error;
      await new Promise((done) => setTimeout(done, 50));
    }
  }
}

/** Whether there is a home at the place. Looks only, where `openInstallation` would make one. */
export function hasHome(place: Place): boolean {
  return existsSync(join(place.home, 'pepper'));
}

/** Opens the database the configuration names. Throws `Fault('not_ready')` while it is away. */
export function openConfiguredStore(config: Config, logger: Logger): Promise<Store> {
  const { url, password } = resolveStorage(config.storage);
  return openStore(url, { logger, ...(password === null ? {} : { postgres: { password } }) });
}

/**
 * The control plane's verbs over this installation. `committed` is waited for after every change and must not reject; `counters` has the
 * limits' counts, where this process can reach them.
 */
export function openService(
  installation: Installation,
  store: Store,
  config: () => Config,
  committed: () => Promise<void> = async () => {},
  counters: () => CounterStore | null = () => null,
): ControlService {
  return createControlService({
    store,
    pepper: installation.home.pepper,
    random: installation.random,
    clock: installation.clock,
    logger: installation.logger,
    record: (facts) => installation.record(facts),
    committed,
    configuredRoles: () => config().roles,
    guards: () => config().guards,
    limits: { rules: () => config().limits, counters },
    environment: 'live',
    keyLifetime: KEY_LIFETIME,
  });
}
