import { X509Certificate } from 'node:crypto';
import type { Snapshot } from '@sallyport/core';
import type { Family, Series } from './instrument.ts';

/** What a running installation is asked for when somebody reads its metrics. Times are epoch milliseconds. */
export interface InstallationState {
  readonly version: string;
  readonly now: number;
  readonly snapshot: Snapshot | null;
  readonly staleSince: number | null;
  readonly ledger: {
    readonly entries: number;
    readonly pending: number;
    readonly failing: boolean;
    readonly refused: number;
    readonly unsealed: number;
    readonly checkpointAt: number | null;
  };
  readonly upstreams: readonly { readonly name: string; readonly state: string }[];
  /** PEM by what it is for: `listener`, `upstream:NAME`. */
  readonly certificates: ReadonlyMap<string, string>;
}

/** Keys that end within these days are counted; a family name says how many, no name says which. */
const EXPIRY_DAYS = [1, 7, 30];
const DAY = 86_400_000;

/** Gauges of the installation itself. */
export function installationFamilies(state: InstallationState): readonly Family[] {
  const { snapshot, ledger, now } = state;
  const one = (name: string, help: string, value: number): Family => ({ name, help, type: 'gauge', series: [{ labels: {}, value }] });
  const seconds = (since: number): number => Math.max(0, now - since) / 1000;
  return [
    {
      name: 'sallyport_build_info',
      help: 'The version that runs; always 1.',
      type: 'gauge',
      series: [{ labels: { version: state.version }, value: 1 }],
    },
    one('sallyport_snapshot_version', 'Version of the snapshot in use.', snapshot?.version ?? 0),
    one('sallyport_snapshot_age_seconds', 'Age of the snapshot in use.', snapshot === null ? Number.NaN : seconds(snapshot.builtAt)),
    one(
      'sallyport_snapshot_stale_seconds',
      'How long the source of snapshots has been out of reach.',
      state.staleSince === null ? 0 : seconds(state.staleSince),
    ),
    one('sallyport_ledger_entries', "Durable entries in this process's log.", ledger.entries),
    one('sallyport_ledger_pending', 'Entries accepted and not yet durable.', ledger.pending),
    one('sallyport_ledger_failing', '1 while entries cannot be recorded.', ledger.failing ? 1 : 0),
    one('sallyport_ledger_refused', 'Entries refused since the trouble began that is not over yet.', ledger.refused),
    one('sallyport_ledger_unsealed', 'Durable entries that no signed checkpoint covers yet.', ledger.unsealed),
    one(
      'sallyport_ledger_checkpoint_age_seconds',
      'Age of the newest signed checkpoint; 0 where all entries are sealed.',
      ledger.unsealed === 0 || ledger.checkpointAt === null ? 0 : seconds(ledger.checkpointAt),
    ),
    {
      name: 'sallyport_upstream_up',
      help: '1 for an upstream that answers, 0 for one that does not.',
      type: 'gauge',
      // Of an upstream nobody has asked yet nothing is known, so nothing is said.
      series: state.upstreams
        .filter((upstream) => upstream.state !== 'unknown')
        .map(({ name, state: health }) => ({ labels: { upstream: name }, value: health === 'degraded' ? 0 : 1 })),
    },
    {
      name: 'sallyport_certificate_expiry_timestamp_seconds',
      help: 'When a certificate in use ends, Unix time.',
      type: 'gauge',
      series: [...state.certificates].flatMap(([name, pem]) => expiryOf(name, pem)),
    },
    ...(snapshot === null ? [] : keyFamilies(snapshot, now)),
  ];
}

function expiryOf(name: string, pem: string): readonly Series[] {
  try {
    return [{ labels: { certificate: name }, value: Date.parse(new X509Certificate(pem).validTo) / 1000 }];
  } catch {
    // What is no certificate was said at the start; here it only has no end.
    return [];
  }
}

/** An installation may have a hundred thousand keys and is asked every few seconds: they are counted once a minute, and for a new snapshot. */
const counted = new WeakMap<Snapshot, { readonly at: number; readonly families: readonly Family[] }>();
const RECOUNT = 60_000;

function keyFamilies(snapshot: Snapshot, now: number): readonly Family[] {
  const known = counted.get(snapshot);
  if (known !== undefined && Math.abs(now - known.at) < RECOUNT) return known.families;
  let active = 0;
  const ending = EXPIRY_DAYS.map(() => 0);
  for (const { expiresAt, revokedAt } of snapshot.keys.values()) {
    if (revokedAt !== null || (expiresAt !== null && expiresAt <= now)) continue;
    active += 1;
    if (expiresAt === null) continue;
    for (const [index, days] of EXPIRY_DAYS.entries()) if (expiresAt <= now + days * DAY) ending[index] = (ending[index] ?? 0) + 1;
  }
  const families: readonly Family[] = [
    {
      name: 'sallyport_keys_active',
      help: 'API keys that work at the moment.',
      type: 'gauge',
      series: [{ labels: {}, value: active }],
    },
    {
      name: 'sallyport_keys_expiring',
      help: 'API keys that work and end within so many days.',
      type: 'gauge',
      series: EXPIRY_DAYS.map((days, index) => ({ labels: { within: `${days}d` }, value: ending[index] ?? 0 })),
    },
  ];
  counted.set(snapshot, { at: now, families });
  return families;
}
