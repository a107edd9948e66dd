import type { CertificateIdentity, ExporterSettings, Issuer, LimitRule, Role, Route, Upstream } from '@sallyport/core';
import { Document } from 'yaml';
import { type Config, formatListen, type TelemetrySettings, type TlsSettings } from './config.ts';
import type {
  CertificateDocument,
  ConfigDocument,
  EgressProxyDocument,
  ExporterDocument,
  IssuerDocument,
  LimitDocument,
  ModelDocument,
  RiskDocument,
  RoleDocument,
  TelemetryDocument,
  TlsDocument,
  UpstreamDocument,
} from './document.ts';
import { guardsDocument } from './print-guards.ts';
import { MILLIONTHS } from './read-limits.ts';
import { formatDuration } from './units.ts';

export interface PrintOptions {
  /** Where an editor finds the schema: a path or URL for the first line. */
  readonly schema?: string;
}

export const SCHEMA_FILE = 'sallyport.schema.json';

/** The effective configuration as a file that means the same: every default written out, paths absolute, secrets still references. */
export function printConfig(config: Config, options: PrintOptions = {}): string {
  return writeYaml(toDocument(config), options);
}

/** YAML with the line by which editors find the schema. `comment` goes under it. */
export function writeYaml(document: ConfigDocument, options: PrintOptions & { readonly comment?: string } = {}): string {
  const lines = [` yaml-language-server: $schema=${options.schema ?? SCHEMA_FILE}`];
  if (options.comment !== undefined) lines.push(...options.comment.split('\n').map((line) => (line === '' ? '' : ` ${line}`)));
  const yaml = new Document(document, { version: '1.2', schema: 'core', aliasDuplicateObjects: false });
  yaml.commentBefore = lines.join('\n');
  return yaml.toString({ lineWidth: 0 });
}

function toDocument(config: Config): ConfigDocument {
  const { http, guards } = config;
  return {
    listen: { gateway: formatListen(config.listen.gateway), control: formatListen(config.listen.control) },
    ...(config.tls === null ? {} : { tls: tlsDocument(config.tls) }),
    http: {
      corsOrigins: [...http.corsOrigins],
      trustedProxies: [...http.trustedProxies],
      maxConnectionsPerAddress: http.maxConnectionsPerAddress,
      maxBodyBytes: http.maxBodyBytes,
      maxHeaderBytes: http.maxHeaderBytes,
      timeouts: {
        headers: formatDuration(http.headersTimeout),
        body: formatDuration(http.bodyTimeout),
        keepAlive: formatDuration(http.keepAliveTimeout),
        drain: formatDuration(http.drainTimeout),
      },
    },
    upstreams: config.upstreams.map(upstreamDocument),
    models: config.models.map(modelDocument),
    identity: {
      issuers: config.identity.issuers.map(issuerDocument),
      certificates: config.identity.certificates.map(certificateDocument),
    },
    roles: config.roles.map(roleDocument),
    limits: config.limits.map(limitDocument),
    guards: guardsDocument(guards),
    storage: { url: config.storage.url, ...given('password', config.storage.password) },
    counters: {
      url: config.counters.url,
      ...given('password', config.counters.password),
      ...given('ca', config.counters.ca),
      ...(config.counters.url === 'memory:' ? {} : { onUnavailable: config.counters.onUnavailable, shares: config.counters.shares }),
    },
    egress: {
      hosts: [...config.egress.hosts],
      networks: [...config.egress.networks],
      ...given('proxy', config.egress.proxy === null ? null : proxyDocument(config.egress.proxy)),
    },
    risk: riskDocument(config.risk),
    fairness: {
      tenants: config.fairness.tenants.map((tenant) => ({ ...tenant })),
      priorities: config.fairness.priorities.map((priority) => ({ ...priority, roles: [...priority.roles] })),
    },
    audit: {
      directory: config.audit.directory,
      recordFirst: [...config.audit.recordFirst],
      onUnavailable: config.audit.onUnavailable,
      ...given('retention', config.audit.retention === null ? null : formatDuration(config.audit.retention)),
      bodies: config.audit.bodies,
      ...given('bodiesKey', config.audit.bodiesKey),
      exporters: config.audit.exporters.map(exporterDocument),
    },
    telemetry: telemetryDocument(config.telemetry),
  };
}

function riskDocument(risk: Config['risk']): RiskDocument {
  return {
    enabled: risk.enabled,
    points: { ...risk.points },
    halfLife: formatDuration(risk.halfLife),
    throttle: { at: risk.throttleAt, perMinute: risk.throttlePerMinute },
    challenge: { at: risk.challengeAt },
    block: { at: risk.blockAt, for: formatDuration(risk.blockFor) },
    exempt: [...risk.exempt],
  };
}

function proxyDocument({ url, credential, except }: NonNullable<Config['egress']['proxy']>): EgressProxyDocument {
  return { url, ...given('credential', credential), except: [...except] };
}

/** `{ [key]: value }`, or nothing where the value is null: a file leaves such keys out. */
function given<K extends string, V>(key: K, value: V | null): { [P in K]?: V } {
  const entry: { [P in K]?: V } = {};
  if (value !== null) entry[key] = value;
  return entry;
}

function tlsDocument(tls: TlsSettings): TlsDocument {
  return {
    cert: tls.cert,
    key: tls.key,
    ...given('clientCa', tls.clientCa),
    minVersion: tls.minVersion === 'TLSv1.3' ? '1.3' : '1.2',
    clientAuth: tls.clientAuth,
  };
}

function upstreamDocument(upstream: Upstream): UpstreamDocument {
  const { timeouts, tls } = upstream;
  return {
    name: upstream.name,
    kind: upstream.kind,
    ...(upstream.url === '' ? {} : { url: upstream.url }),
    ...given('socketPath', upstream.socketPath),
    ...given('maxConcurrency', upstream.maxConcurrency),
    connections: upstream.connections,
    timeouts: {
      connect: formatDuration(timeouts.connect),
      firstByte: formatDuration(timeouts.firstByte),
      idle: formatDuration(timeouts.idle),
      total: formatDuration(timeouts.total),
    },
    retries: upstream.retries,
    breaker: {
      failures: upstream.breaker.failures,
      open: formatDuration(upstream.breaker.open),
      maxOpen: formatDuration(upstream.breaker.maxOpen),
    },
    queue: {
      perSlot: upstream.queue.perSlot,
      wait: formatDuration(upstream.queue.wait),
      slowClient: formatDuration(upstream.queue.slowClient),
    },
    ...given('credential', upstream.credential),
    ...(tls === null
      ? {}
      : {
          tls: {
            ...given('ca', tls.ca),
            ...given('cert', tls.cert),
            ...given('key', tls.key),
            ...given('serverName', tls.serverName),
            pins: [...tls.pins],
          },
        }),
  };
}

function telemetryDocument({ scrape, otlp, traces }: TelemetrySettings): TelemetryDocument {
  return {
    scrape: scrape.map((target) => ({ ...target })),
    ...(otlp === null
      ? {}
      : {
          otlp: {
            url: otlp.url,
            protocol: otlp.protocol,
            ...given('authorization', otlp.authorization),
            metrics: otlp.metrics,
            interval: formatDuration(otlp.interval),
          },
        }),
    ...given('traces', traces === null ? null : { ...traces }),
  };
}

function exporterDocument(exporter: ExporterSettings): ExporterDocument {
  const { tls, batch } = exporter;
  return {
    name: exporter.name,
    kind: exporter.kind,
    url: exporter.url,
    format: exporter.format,
    ...(tls === null
      ? {}
      : { tls: { ...given('ca', tls.ca), ...given('cert', tls.cert), ...given('key', tls.key), ...given('serverName', tls.serverName) } }),
    ...given('token', exporter.token),
    ...given('username', exporter.username),
    ...given('password', exporter.password),
    headers: { ...exporter.headers },
    brokers: [...exporter.brokers],
    sasl: exporter.sasl,
    ...given('tokenUrl', exporter.tokenUrl),
    ...given('scope', exporter.scope),
    compression: exporter.compression,
    protocol: exporter.protocol,
    ...given('target', exporter.target),
    prefix: exporter.prefix,
    region: exporter.region,
    acknowledge: exporter.acknowledge,
    batch: { events: batch.events, bytes: batch.bytes, wait: formatDuration(batch.wait) },
    timeout: formatDuration(exporter.timeout),
    ...given('maxAge', exporter.maxAge === null ? null : formatDuration(exporter.maxAge)),
    start: exporter.start,
  };
}

function modelDocument(route: Route): ModelDocument {
  return {
    name: route.name,
    upstream: route.upstream,
    target: route.target,
    fallback: [...route.fallback],
    ...given('price', route.price ?? null),
    replicas: [...route.replicas],
    ...given('hedgeAfter', typeof route.hedgeAfter === 'number' ? formatDuration(route.hedgeAfter) : (route.hedgeAfter ?? null)),
    ...given('fallbackAnswer', route.fallbackAnswer),
    ...given('prompt', route.prompt ?? null),
  };
}

function issuerDocument(issuer: Issuer): IssuerDocument {
  const { claims } = issuer;
  return {
    name: issuer.name,
    issuer: issuer.issuer,
    audience: [...issuer.audience],
    algorithms: [...issuer.algorithms],
    jwksUri: issuer.jwksUri,
    claims: { subject: claims.subject, ...given('tenant', claims.tenant), ...given('roles', claims.roles), ...given('team', claims.team) },
    tenant: issuer.tenant,
    roles: [...issuer.roles],
    roleMap: { ...issuer.roleMap },
    clockTolerance: formatDuration(issuer.clockTolerance * 1_000),
  };
}

function certificateDocument(certificate: CertificateIdentity): CertificateDocument {
  return {
    name: certificate.name,
    ...given('spiffeId', certificate.spiffeId),
    ...given('fingerprint', certificate.fingerprint),
    principal: certificate.principal,
    tenant: certificate.tenant,
    roles: [...certificate.roles],
    ...given('models', certificate.models === null ? null : [...certificate.models]),
  };
}

function roleDocument(role: Role): RoleDocument {
  return { name: role.name, actions: [...role.actions], ...given('models', role.models === null ? null : [...role.models]) };
}

function limitDocument(rule: LimitRule): LimitDocument {
  return {
    name: rule.name,
    per: rule.per,
    [rule.quantity]: rule.quantity === 'spend' ? rule.amount / MILLIONTHS : rule.amount,
    ...given('window', rule.quantity === 'concurrency' ? null : (rule.calendar?.unit ?? formatDuration(rule.window))),
    ...given('timezone', rule.calendar?.zone ?? null),
    ...given('overrun', rule.overrun ?? null),
    ...given('models', rule.models === null ? null : [...rule.models]),
  };
}
