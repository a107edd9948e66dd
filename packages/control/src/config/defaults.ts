import type { GuardSettings, HttpSettings, RiskSettings, Upstream } from '@sallyport/core';
import { DEFAULT_INPUT, DEFAULT_OUTPUT } from '@sallyport/guard';

/** What a key means when the file does not give it. docs/configuration.md repeats these and a test compares the two. */
export const DEFAULT_LISTEN = { gateway: '127.0.0.1:7070', control: '127.0.0.1:7071' } as const;

export const DEFAULT_HTTP: HttpSettings = {
  corsOrigins: [],
  trustedProxies: [],
  maxConnectionsPerAddress: 1_000,
  maxBodyBytes: 16_777_216,
  maxHeaderBytes: 16_384,
  headersTimeout: 10_000,
  bodyTimeout: 30_000,
  keepAliveTimeout: 65_000,
  drainTimeout: 30_000,
};

/** `connections` bounds sockets, not requests in progress; `firstByte` is long because a large prompt is read before the first token. */
export const DEFAULT_UPSTREAM: Pick<Upstream, 'maxConcurrency' | 'connections' | 'timeouts' | 'retries' | 'breaker' | 'queue'> = {
  maxConcurrency: null,
  connections: 1_024,
  timeouts: { connect: 3_000, firstByte: 120_000, idle: 60_000, total: 600_000 },
  retries: 1,
  breaker: { failures: 5, open: 2_000, maxOpen: 60_000 },
  queue: { perSlot: 32, wait: 30_000, slowClient: 10_000 },
};

export const DEFAULT_RISK: RiskSettings = {
  enabled: true,
  points: { blocked: 20, flagged: 2, authentication: 1, denied: 5, enumeration: 10, limited: 0.2 },
  halfLife: 600_000,
  throttleAt: 60,
  throttlePerMinute: 10,
  challengeAt: 120,
  blockAt: 200,
  blockFor: 900_000,
  exempt: [],
};

export const DEFAULT_GUARDS: GuardSettings = {
  input: DEFAULT_INPUT,
  output: DEFAULT_OUTPUT,
  mode: 'transform',
  deny: [],
  onBlock: 'fault',
  onUnavailable: 'block',
  maxTextLength: 1_000_000,
  links: { hosts: [], only: false },
};

export const DEFAULT_JWT_ALGORITHMS: readonly string[] = ['RS256', 'PS256', 'ES256', 'EdDSA'];

export const DEFAULT_TENANT = 'default';
export const DEFAULT_CLOCK_TOLERANCE = 30_000;
export const DEFAULT_HOME = '.sallyport';
export const DEFAULT_STORAGE_FILE = 'state.db';
export const DEFAULT_LEDGER_DIRECTORY = 'ledger';
