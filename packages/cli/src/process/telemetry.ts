import { dirname } from 'node:path';
import {
  type Config,
  exporterFamilies,
  hostFamilies,
  installationFamilies,
  negotiate,
  ProcessMetrics,
  PrometheusMeter,
  resolveSecret,
  SecretError,
  scrapeEngines,
} from '@sallyport/control';
import type { Snapshot } from '@sallyport/core';
import type { LedgerPort } from '@sallyport/gateway';
import type { Installation } from '../installation.ts';
import { VERSION } from '../version.ts';
import type { ExporterThread } from './exporters.ts';

/** What the data plane of a process adds to its metrics. Times are epoch milliseconds. */
export interface DataPlaneState {
  snapshot(): Snapshot | null;
  staleSince(): number | null;
  upstreams(): readonly { readonly name: string; readonly state: string }[];
}

/** What a process measures of itself, whichever halves it runs. */
export interface Telemetry extends Disposable {
  readonly meter: PrometheusMeter;
  /** The ledger, its appends timed. */
  readonly ledger: LedgerPort & { failing(): boolean };
  /** The data plane, once it runs. */
  attach(data: DataPlaneState): void;
  /** The configuration in force, whose certificates are watched. */
  adopt(config: Config): void;
  render(accept: string | undefined): Promise<{ readonly contentType: string; readonly text: string }>;
}

export function startTelemetry(installation: Installation, exporters: ExporterThread | null): Telemetry {
  const { config, home, ledger, clock } = installation;
  const own = new ProcessMetrics();
  let data: DataPlaneState | null = null;
  let certificates = readCertificates(config);
  const volumes = new Map([
    ['state', home.directory],
    // Made by its first entry; until then the file system is that of what is above it.
    ['ledger', dirname(config.audit.directory)],
  ]);
  const meter = new PrometheusMeter([
    () => {
      const { entries, pending, state, refused, unsealed, checkpoint } = ledger.health();
      return installationFamilies({
        version: VERSION,
        now: clock.now(),
        snapshot: data?.snapshot() ?? null,
        staleSince: data?.staleSince() ?? null,
        ledger: { entries, pending, failing: state === 'failing', refused, unsealed, checkpointAt: checkpoint?.at ?? null },
        upstreams: data?.upstreams() ?? [],
        certificates,
      });
    },
    () => exporterFamilies(exporters?.status() ?? []),
    () => own.collect(),
    () => hostFamilies(volumes),
    () => scrapeEngines(config.telemetry.scrape),
  ]);
  return {
    meter,
    ledger: {
      append: async (facts) => {
        const began = clock.monotonic();
        let durable = false;
        try {
          const receipt = await ledger.append(facts);
          durable = true;
          return receipt;
        } finally {
          meter.appended((clock.monotonic() - began) / 1000, durable);
        }
      },
      digest: (bytes) => ledger.digest(bytes),
      startDigest: () => ledger.startDigest(),
      failing: () => ledger.failing(),
    },
    attach: (running) => {
      data = running;
    },
    adopt: (next) => {
      certificates = readCertificates(next);
    },
    render: (accept) => meter.render(negotiate(accept)),
    [Symbol.dispose]: () => own[Symbol.dispose](),
  };
}

/** Public certificates only, by what they are for. One that cannot be read is left out: who needs it has said so. */
function readCertificates(config: Config): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const add = (name: string, reference: string | null | undefined): void => {
    if (reference === null || reference === undefined) return;
    try {
      found.set(name, resolveSecret(reference).value);
    } catch (error) {
      if (!(error instanceof SecretError)) throw error;
    }
  };
  add('listener', config.tls?.cert);
  for (const { name, tls } of config.upstreams) add(`upstream:${name}`, tls?.cert);
  return found;
}
