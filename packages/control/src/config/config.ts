import type {
  Action,
  CertificateIdentity,
  EgressSettings,
  ExporterSettings,
  FairnessSettings,
  GuardSettings,
  HttpSettings,
  Issuer,
  LimitRule,
  OtlpProtocol,
  RiskSettings,
  Role,
  Route,
  Upstream,
} from '@sallyport/core';
import type { ScrapeTarget } from '../metrics/engines.ts';

/**
 * The effective configuration: every default filled in, durations in milliseconds, paths absolute, names checked against each other.
 * Secrets are still references (`env:NAME`, `file:/path`); see `resolveSecret`.
 */
export interface Config {
  readonly listen: { readonly gateway: ListenAddress; readonly control: ListenAddress };
  readonly tls: TlsSettings | null;
  readonly http: HttpSettings;
  readonly upstreams: readonly Upstream[];
  readonly models: readonly Route[];
  readonly identity: { readonly issuers: readonly Issuer[]; readonly certificates: readonly CertificateIdentity[] };
  /** Custom roles only; the built-in ones are not configuration. */
  readonly roles: readonly Role[];
  readonly limits: readonly LimitRule[];
  readonly guards: GuardSettings;
  readonly storage: StorageSettings;
  readonly counters: CounterSettings;
  readonly audit: AuditSettings;
  readonly telemetry: TelemetrySettings;
  readonly egress: EgressSettings;
  readonly fairness: FairnessSettings;
  readonly risk: RiskSettings;
}

export interface ListenAddress {
  /** An IP address without brackets, or a host name. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
}

/** Certificates for the listeners. `cert`, `key` and `clientCa` are references to PEM texts. */
export interface TlsSettings {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | null;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Client certificates on the gateway's listener: not asked for, verified where given, or needed. */
  readonly clientAuth: 'none' | 'request' | 'require';
}

export interface StorageSettings {
  /** `sqlite:/absolute/path`, `sqlite::memory:`, `postgres://…` without a password, or a reference to such a URL. */
  readonly url: string;
  /** Reference to the database password, or null. */
  readonly password: string | null;
}

/** Where limits are counted. `password` and `ca` are references. */
export interface CounterSettings {
  /** `memory:`, or `redis://` or `rediss://` without a password. */
  readonly url: string;
  readonly password: string | null;
  readonly ca: string | null;
  readonly onUnavailable: 'refuse' | 'local';
  /** Processes that share the limits. */
  readonly shares: number;
}

export interface AuditSettings {
  /** Absolute path of the ledger's directory. */
  readonly directory: string;
  /** Actions that are durably on record before the upstream is asked. */
  readonly recordFirst: readonly Action[];
  readonly onUnavailable: 'refuse' | 'unsafe-continue-unrecorded';
  /** Milliseconds after which entries are removed; null keeps them. */
  readonly retention: number | null;
  /** Whether prompts and replies are stored, sealed, beside the ledger. */
  readonly bodies: 'none' | 'sealed';
  /** Reference to the master key of sealed bodies; null is a file in the home. */
  readonly bodiesKey: string | null;
  readonly exporters: readonly ExporterSettings[];
}

export interface TelemetrySettings {
  /** Metrics of model servers and graphics cards that are shown beside ours. */
  readonly scrape: readonly ScrapeTarget[];
  /** Where traces and metrics go; null is nowhere. `interval` in milliseconds, `authorization` a reference. */
  readonly otlp: {
    readonly url: string;
    readonly protocol: OtlpProtocol;
    readonly authorization: string | null;
    readonly metrics: boolean;
    readonly interval: number;
  } | null;
  /** Null traces nothing. `sample` is a share from 0 to 1. */
  readonly traces: { readonly sample: number; readonly followClient: boolean; readonly identity: boolean } | null;
}

/** `127.0.0.1:7070`, `[::1]:7070`. */
export function formatListen(address: ListenAddress): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
