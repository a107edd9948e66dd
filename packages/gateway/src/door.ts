import type { Clock, Logger, Random } from '@sallyport/core';
import type { LedgerPort } from './ports.ts';
import type { RecorderPorts } from './record.ts';
import type { FirstBytes } from './upstream/first-bytes.ts';
import type { UpstreamRegistry } from './upstream/registry.ts';

/** What every exchange shares, whatever snapshot it runs on. */
export interface Door {
  readonly upstreams: UpstreamRegistry;
  readonly firstBytes: FirstBytes;
  readonly ledger: LedgerPort;
  readonly recorder: RecorderPorts;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Told of every key that was taken, for its `last used`. */
  readonly keyUsed: (id: string) => void;
}
