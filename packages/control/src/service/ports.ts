import type { KeyObject } from 'node:crypto';
import type { CounterStore, KeyEnvironment } from '@sallyport/access';
import type { Clock, EntryFacts, GuardSettings, LimitRule, Logger, Principal, Random, Role, Source } from '@sallyport/core';
import type { Store } from '@sallyport/store';

/** Who asks for something, from where, and under which request id. Established by the listener or the command line, never by a body. */
export interface Actor {
  readonly principal: Principal;
  /** Null for a command run on the machine itself. */
  readonly source: Source | null;
  readonly request: string;
}

/**
 * Takes an entry into the ledger; resolves once it is durable. The service waits for it before it acknowledges anything, and a change
 * whose entry is refused is rolled back. It must not use the store: a change's entry is written inside the store's transaction.
 */
export type RecordEntry = (facts: EntryFacts) => Promise<void>;

export interface ServicePorts {
  readonly store: Store;
  /** HMAC key over API keys and change records; kept outside the database. */
  readonly pepper: KeyObject;
  readonly random: Random;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly record: RecordEntry;
  /** Waited for after every committed change and before it is acknowledged: a gateway in this process takes it up. Must not reject. */
  readonly committed?: () => Promise<void>;
  /** Roles of the configuration file, as of now. */
  readonly configuredRoles: () => readonly Role[];
  /** The guard's settings, as of now. */
  readonly guards: () => GuardSettings;
  /** Default: this process counts no limits. */
  readonly limits?: LimitCounts;
  readonly environment: KeyEnvironment;
  readonly keyLifetime: KeyLifetime;
}

/** Limits of the configuration file, as of now, and where they are counted: null where neither this process nor a server does. */
export interface LimitCounts {
  readonly rules: () => readonly LimitRule[];
  readonly counters: () => CounterStore | null;
}

/** Milliseconds. */
export interface KeyLifetime {
  readonly standard: number;
  readonly longest: number;
  /** How long the old secret goes on after a rotation. */
  readonly overlap: number;
  readonly longestOverlap: number;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export const KEY_LIFETIME: KeyLifetime = { standard: 90 * DAY, longest: 365 * DAY, overlap: 24 * HOUR, longestOverlap: 72 * HOUR };

export const DEFAULT_TENANT = 'default';

/** The actor of a command that a person runs on the machine, who can read the pepper and the database anyway. */
export function localActor(request: string, account: string): Actor {
  return {
    principal: {
      id: `local:${account}`,
      kind: 'person',
      tenant: DEFAULT_TENANT,
      user: null,
      team: null,
      roles: ['owner'],
      credential: { kind: 'local', id: account, expiresAt: null },
    },
    source: null,
    request,
  };
}
