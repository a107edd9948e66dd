import { dirname } from 'node:path';
import {
  type AppendOutcome,
  CONTENT_TYPES,
  type Config,
  exporterFamilies,
  type Family,
  hostFamilies,
  installationFamilies,
  mergeFamilies,
  negotiate,
  OtlpExporter,
  type OtlpOptions,
  ProcessMetrics,
  PrometheusMeter,
  render,
  resolveSecret,
  SamplingTracer,
  SecretError,
  scrapeEngines,
} from '@sallyport/control';
import type { Snapshot, Tracer } from '@sallyport/core';
import { Egress } from '@sallyport/egress';
import type { LedgerPort } from '@sallyport/gateway';
import { UNRECORDED } from '@sallyport/ledger';
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
export interface Telemetry extends AsyncDisposable {
  readonly meter: PrometheusMeter;
  /** Null where nothing is traced. */
  readonly tracer: Tracer | null;
  /** The ledger, its appends timed. */
  readonly ledger: LedgerPort & { failing(): boolean };
  /** The data plane, once it runs. */
  attach(data: DataPlaneState): void;
  /** The configuration in force, whose certificates are watched. */
  adopt(config: Config): void;
  render(accept: string | undefined): Promise<{ readonly contentType: string; readonly text: string }>;
}

/**
 * `workers` are the metrics of the processes this one has started, if any. A worker leaves what belongs to the machine and the model
 * servers to the process that started it.
 */
export function startTelemetry(
  installation: Installation,
  exporters: ExporterThread | null,
  scope: 'process' | 'worker' = 'process',
  workers: () => Promise<readonly (readonly Family[])[]> = async () => [],
): Telemetry {
  const { config, home, ledger, clock } = installation;
  const own = new ProcessMetrics();
  const egress = openEgress(installation);
  let otlp: OtlpExporter | null = null;
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
    ...(scope === 'worker' ? [] : [() => hostFamilies(volumes), () => scrapeEngines(config.telemetry.scrape, egress)]),
    () => otlp?.families() ?? [],
  ]);
  const { traces } = config.telemetry;
  otlp = startOtlp(installation, egress, () => meter.collect());
  const kept = otlp;
  const tracer = traces === null || kept === null ? null : new SamplingTracer({ ...traces, clock, keep: (spans) => kept.keep(spans) });
  return {
    meter,
    tracer,
    ledger: {
      append: async (facts, texts) => {
        const began = clock.monotonic();
        let outcome: AppendOutcome = 'refused';
        try {
          const receipt = await ledger.append(facts, texts);
          outcome = receipt === UNRECORDED ? 'unrecorded' : 'durable';
          return receipt;
        } finally {
          meter.appended((clock.monotonic() - began) / 1000, outcome);
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
    render: async (accept) => {
      const form = negotiate(accept);
      const others = await workers();
      if (others.length === 0) return await meter.render(form);
      return { contentType: CONTENT_TYPES[form], text: render(mergeFamilies([await meter.collect(), ...others]), form) };
    },
    [Symbol.asyncDispose]: async () => {
      own[Symbol.dispose]();
      await kept?.[Symbol.asyncDispose]();
      await egress[Symbol.asyncDispose]();
    },
  };
}

/** The way out to what `telemetry` names, and to nothing else; inference servers live in private networks. */
function openEgress({ config, logger }: Installation): Egress {
  const egress = new Egress({ settings: config.egress, resolveSecret: (reference) => resolveSecret(reference).value, logger });
  const { scrape, otlp } = config.telemetry;
  const urls = [...scrape.map(({ url }) => url), ...(otlp === null ? [] : [otlp.url])];
  egress.name(
    'telemetry',
    urls.map((url) => ({ url, private: true })),
  );
  return egress;
}

/** Throws `SecretError` where the credential cannot be read. */
function startOtlp({ config, clock, logger, random }: Installation, egress: Egress, collect: OtlpOptions['metrics']): OtlpExporter | null {
  const { otlp } = config.telemetry;
  if (otlp === null) return null;
  return new OtlpExporter({
    url: otlp.url,
    protocol: otlp.protocol,
    authorization: otlp.authorization === null ? null : resolveSecret(otlp.authorization).value,
    version: VERSION,
    instance: Buffer.from(random.bytes(16)).toString('hex'),
    metrics: otlp.metrics ? collect : null,
    interval: otlp.interval,
    egress,
    clock,
    logger,
  });
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
