/** What an exporter speaks to. */
export const EXPORTER_KINDS = ['splunk', 'elasticsearch', 'syslog', 'relp', 'gelf', 'otlp', 'kafka', 's3', 'webhook'] as const;
export type ExporterKind = (typeof EXPORTER_KINDS)[number];

/** How an entry is written: as it stands in the ledger, or in the words of OCSF 1.8, the Elastic Common Schema, or ArcSight CEF. */
export const EXPORT_FORMATS = ['json', 'ocsf', 'ecs', 'cef'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** How a Kafka broker is told user and password; for `oauthbearer` (RFC 7628) they are those of an OAuth client, and buy a token. */
export const KAFKA_SASL = ['scram-sha-512', 'scram-sha-256', 'plain', 'oauthbearer'] as const;
export type KafkaSasl = (typeof KAFKA_SASL)[number];

/** How the records of a Kafka batch are compressed. */
export const KAFKA_COMPRESSIONS = ['none', 'gzip', 'zstd'] as const;
export type KafkaCompression = (typeof KAFKA_COMPRESSIONS)[number];

/** How OpenTelemetry's signals are written for a receiver, by the names its specification has (`OTEL_EXPORTER_OTLP_PROTOCOL`). */
export const OTLP_PROTOCOLS = ['http/json', 'http/protobuf'] as const;
export type OtlpProtocol = (typeof OTLP_PROTOCOLS)[number];

/** A destination of the ledger's entries (docs/exporters.md). Secrets and certificates are references (`env:NAME`, `file:/path`). */
export interface ExporterSettings {
  /** Names its cursor, dead letters and metrics. */
  readonly name: string;
  readonly kind: ExporterKind;
  /** `https://…`, `tcp://host:port`, `tls://host:port` or `udp://host:port`. */
  readonly url: string;
  readonly format: ExportFormat;
  readonly tls: ExporterTls | null;
  /** Splunk HEC token, Elasticsearch API key, bearer token, or signing secret of a webhook. */
  readonly token: string | null;
  readonly username: string | null;
  readonly password: string | null;
  /** Further HTTP headers; values are references. */
  readonly headers: Readonly<Record<string, string>>;
  /** Kafka: further brokers of the cluster, `host:port`. Those it leads to and are not named here, or in `url`, are refused. */
  readonly brokers: readonly string[];
  /** Kafka: the SASL mechanism, where there is a user. */
  readonly sasl: KafkaSasl;
  /** Kafka, `oauthbearer`: the token endpoint (RFC 6749 section 4.4), and the scope asked for. */
  readonly tokenUrl: string | null;
  readonly scope: string | null;
  /** Kafka. */
  readonly compression: KafkaCompression;
  /** OTLP. */
  readonly protocol: OtlpProtocol;
  /** Index or data stream, S3 bucket, Kafka topic. */
  readonly target: string | null;
  /** S3: key prefix. */
  readonly prefix: string;
  /** S3: region of the signature. */
  readonly region: string;
  /** Whether to wait until the receiver says that it has the events, where its protocol has a way to. */
  readonly acknowledge: boolean;
  readonly batch: {
    readonly events: number;
    readonly bytes: number /** Milliseconds to wait for a fuller batch. */;
    readonly wait: number;
  };
  /** Milliseconds one attempt may take. */
  readonly timeout: number;
  /** Entries older than this (milliseconds) are not sent any more but listed among the dead letters; null for no bound. */
  readonly maxAge: number | null;
  /** Where a new exporter begins: with the oldest entry of the ledger, or with what is written from then on. */
  readonly start: 'oldest' | 'newest';
}

export interface ExporterTls {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly serverName: string | null;
}
