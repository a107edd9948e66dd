import { userInfo } from 'node:os';
import { type Actor, type Config, type ControlService, checkPepper, localActor } from '@sallyport/control';
import type { Logger } from '@sallyport/core';
import type { Command } from 'commander';
import {
  findPlace,
  hasHome,
  openConfiguredStore,
  openInstallation,
  openService,
  type Place,
  readConfig,
  systemRandom,
} from '../installation.ts';
import { createLogger, isLevel, type Level } from '../log.ts';
import { UsageError } from '../terminal.ts';

/** Options every verb has. */
export interface GlobalOptions {
  readonly place: Place;
  readonly logger: Logger;
  readonly logLevel: Level;
}

export function globalOptions(command: Command): GlobalOptions {
  const options = command.optsWithGlobals<{ config?: string; logLevel: string }>();
  if (!isLevel(options.logLevel)) throw new UsageError(`--log-level: expected debug, info, warn or error, got ${options.logLevel}`);
  return { place: findPlace(options), logger: createLogger(options.logLevel), logLevel: options.logLevel };
}

/** A verb's hands: the control plane's service, and who acts. Whoever may run this may read the pepper and the database anyway. */
export interface Hands {
  readonly service: ControlService;
  readonly actor: Actor;
  readonly config: Config;
}

/**
 * Opens the installation, runs a verb on it, and closes it. Works beside a running server: the database and the ledger are shared.
 * Nothing is made where nothing was set up, except for `init` (`fresh`). Throws `UsageError`, `WrongPepper`.
 */
export async function withService<T>(
  command: Command,
  act: (hands: Hands) => Promise<T>,
  { fresh }: { readonly fresh: boolean } = { fresh: false },
): Promise<T> {
  const { place, logger } = globalOptions(command);
  const { config } = await readConfig(place, false);
  if (!fresh && !hasHome(place)) throw notSetUp(place);
  await using installation = await openInstallation({ place, config, writer: 'cli', logger, patience: 10_000 });
  const store = await openConfiguredStore(config, logger);
  try {
    const service = openService(installation, store, () => config);
    if (!fresh && !(await service.initialised())) throw notSetUp(place);
    if (!fresh) await checkPepper(store.settings, installation.home.pepper, installation.home.created);
    const actor = localActor(Buffer.from(systemRandom.bytes(12)).toString('base64url'), userInfo().username);
    return await act({ service, actor, config });
  } finally {
    await store.close();
  }
}

export function notSetUp(place: Place): UsageError {
  return new UsageError(`Nothing is set up in ${place.home}: run sallyport init, or name the home with SALLYPORT_HOME.`);
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90d`, `12h`, `30m`, `10s` in milliseconds. Throws `UsageError` naming the option. */
export function parseDuration(text: string, option: string): number {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const unit = match?.[2] === undefined ? undefined : UNITS[match[2]];
  if (match?.[1] === undefined || unit === undefined)
    throw new UsageError(`${option}: expected a duration such as 90d, 12h, 30m or 10s, got ${text}`);
  return Number(match[1]) * unit;
}

export { collect } from './collect.ts';

/** `2027-01-31 12:00` in UTC, or a dash. */
export function formatTime(time: number | null): string {
  return time === null ? '-' : new Date(time).toISOString().slice(0, 16).replace('T', ' ');
}
