export * from './admin/index.ts';
export * from './config/config.ts';
export {
  DEMO_UPSTREAM,
  type DiscoveredModel,
  type DiscoveredUpstream,
  type DiscoveryOptions,
  discoverUpstreams,
  LOCAL_PORTS,
  type LocalServer,
} from './config/discovery.ts';
export type { ConfigDocument } from './config/document.ts';
export { type Home, HomeError, openHome } from './config/home.ts';
export { type ImportOptions, importLiteLlm, type LiteLlmImport } from './config/litellm.ts';
export type { ImportNote } from './config/litellm-report.ts';
export { defaultConfig, loadConfig, type ParsedConfig, type ParseOptions, parseConfig } from './config/parse.ts';
export { type PrintOptions, printConfig, SCHEMA_FILE } from './config/print.ts';
export { ConfigError, type ConfigProblem, type ConfigWarning, formatProblem } from './config/problem.ts';
export type { CheckGuards } from './config/read-guards.ts';
export { type ConfigReference, checkReferences, references, resolveStorage } from './config/references.ts';
export { CONFIG_JSON_SCHEMA } from './config/schema.ts';
export { type ResolvedSecret, resolveSecret, SecretError, type SecretSource } from './config/secret.ts';
export type { JsonSchema } from './config/shape.ts';
export { parseListen } from './config/units.ts';
export { type ScrapeTarget, scrapeEngines } from './metrics/engines.ts';
export { type ExporterFigures, exporterFamilies } from './metrics/exporters.ts';
export { CONTENT_TYPES, type Exposition, negotiate, render } from './metrics/exposition.ts';
export { hostFamilies } from './metrics/host.ts';
export type { Family } from './metrics/instrument.ts';
export { mergeFamilies } from './metrics/merge.ts';
export { ProcessMetrics } from './metrics/process.ts';
export { type AppendOutcome, PrometheusMeter } from './metrics/prometheus.ts';
export { type InstallationState, installationFamilies } from './metrics/sources.ts';
export * from './service/index.ts';
export { buildSnapshot, SnapshotError, type SnapshotInput } from './snapshot/build.ts';
export { SNAPSHOT_FILE, SnapshotCache } from './snapshot/cache.ts';
export { type FeedOptions, type FeedStatus, SnapshotFeed, type SnapshotSource, type SourceState } from './snapshot/feed.ts';
export { deserializeSnapshot, type SnapshotOrigin, type StoredSnapshot, serializeSnapshot } from './snapshot/file.ts';
export { storeSource } from './snapshot/store-source.ts';
export { OtlpExporter, type OtlpOptions } from './traces/otlp.ts';
export { SamplingTracer, type TracerOptions } from './traces/tracer.ts';
