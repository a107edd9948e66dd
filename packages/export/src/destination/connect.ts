import { hostname } from 'node:os';
import type { Clock, ExporterSettings, KafkaSasl } from '@sallyport/core';
import type { Egress, NamedServer, TlsOptions } from '@sallyport/egress';
import type { SoundEvent } from '../event.ts';
import { asciiJson, encoder, type Origin } from '../format/encoder.ts';
import { octetCounted, syslogMessage } from '../format/syslog.ts';
import type { Destination } from './destination.ts';
import { Elasticsearch } from './elasticsearch.ts';
import { GelfHttp, GelfUdp, gelfMessage } from './gelf.ts';
import { HttpPeer } from './http.ts';
import { KafkaTopic } from './kafka.ts';
import type { KafkaCredentials } from './kafka-sasl.ts';
import { OAuthTokens } from './oauth-token.ts';
import { Otlp } from './otlp.ts';
import { Relp } from './relp.ts';
import { S3 } from './s3.ts';
import { Splunk } from './splunk.ts';
import { EventStream } from './stream.ts';
import { Webhook } from './webhook.ts';

/** Reads a reference such as `env:NAME`. Throws where it leads nowhere. */
export type Secrets = (reference: string) => string;

export interface ConnectPorts {
  readonly secrets: Secrets;
  readonly clock: Clock;
  /** Has to know the receivers' URLs. */
  readonly egress: Egress;
  /** Sallyport's version. */
  readonly version: string;
}

/** Whom the exporters may reach: collectors of a private network as well as services outside. */
export function receivers(settings: readonly ExporterSettings[]): NamedServer[] {
  return settings.flatMap(({ url, brokers, tokenUrl }) =>
    [url, ...brokers.map((broker) => `tcp://${broker}`), ...(tokenUrl === null ? [] : [tokenUrl])].map((named) => ({
      url: named,
      private: true,
    })),
  );
}

/** The destination that the settings describe. Reads its secrets and certificates; connects with the first delivery. */
export function connect(settings: ExporterSettings, { secrets, clock, egress, version }: ConnectPorts): Destination {
  const origin: Origin = { host: hostname(), version };
  const encode = encoder(settings.format, origin);
  const address = settings.url;
  const url = new URL(address);
  const tls = readTls(settings, url, secrets);
  const secret = (reference: string | null): string => (reference === null ? '' : secrets(reference));
  const headers = httpHeaders(settings, secrets);
  switch (settings.kind) {
    case 'splunk':
      return new Splunk(new HttpPeer(egress, tls), {
        url: base(address),
        token: secret(settings.token),
        index: settings.target,
        acknowledge: settings.acknowledge,
        host: origin.host,
        headers: configured(settings, secrets),
        encode: (event) => (settings.format === 'cef' ? encode(event) : JSON.parse(encode(event))),
      });
    case 'elasticsearch':
      return new Elasticsearch(new HttpPeer(egress, tls), {
        url: base(address),
        index: settings.target ?? 'logs-sallyport.audit-default',
        headers,
        encode: documentOf(settings, encode),
      });
    case 'otlp':
      return new Otlp(new HttpPeer(egress, tls), {
        url: withPath(url, '/v1/logs'),
        protocol: settings.protocol,
        headers,
        host: origin.host,
        version,
        encode,
      });
    case 'webhook':
      return new Webhook(new HttpPeer(egress, tls), {
        url: address,
        secret: secret(settings.token),
        headers: configured(settings, secrets),
        encode: (event) => (settings.format === 'cef' ? JSON.stringify(encode(event)) : encode(event)),
        now: () => clock.now(),
      });
    case 's3':
      return new S3(new HttpPeer(egress, tls), {
        url: base(address),
        bucket: settings.target ?? '',
        prefix: settings.prefix,
        region: settings.region,
        accessKeyId: secret(settings.username),
        secretAccessKey: secret(settings.password),
        headers: configured(settings, secrets),
        suffix: settings.format,
        encode,
      });
    case 'syslog':
      return new EventStream({
        egress,
        url,
        tls,
        acknowledge: settings.acknowledge,
        encode: (event) => octetCounted(syslogOf(event, settings, encode, origin)),
      });
    case 'relp':
      return new Relp({ egress, url, tls, encode: (event) => syslogOf(event, settings, encode, origin) });
    case 'kafka':
      return new KafkaTopic({
        egress,
        brokers: [url, ...settings.brokers.map((broker) => new URL(`tcp://${broker}`))],
        topic: settings.target ?? '',
        tls,
        credentials: kafkaCredentials(settings, { secrets, clock, egress, version }),
        compression: settings.compression,
        encode,
      });
    case 'gelf': {
      const full = (event: SoundEvent): string => gelfMessage(event, origin.host, settings.format === 'json' ? null : encode(event));
      if (url.protocol === 'udp:') return new GelfUdp(egress, url, full);
      if (/^https?:$/.test(url.protocol))
        return new GelfHttp(new HttpPeer(egress, tls), { url: withPath(url, '/gelf'), headers, encode: full });
      return new EventStream({ egress, url, tls, acknowledge: settings.acknowledge, encode: (event) => `${full(event)}\0` });
    }
  }
}

/** A document for Elasticsearch: whatever its form, a data stream wants `@timestamp`. */
function documentOf({ format }: ExporterSettings, encode: (event: SoundEvent) => string): (event: SoundEvent) => string {
  if (format === 'ecs') return encode;
  return (event) => {
    const time = `{"@timestamp":"${event.entry.time}",`;
    return format === 'cef' ? `${time}"message":${JSON.stringify(encode(event))}}` : `${time}${encode(event).slice(1)}`;
  };
}

function syslogOf(event: SoundEvent, { format }: ExporterSettings, encode: (event: SoundEvent) => string, { host }: Origin): string {
  const text = encode(event);
  return syslogMessage(event, format === 'cef' ? text : asciiJson(text), host);
}

function readTls({ tls }: ExporterSettings, url: URL, secrets: Secrets): TlsOptions | null {
  if (url.protocol !== 'https:' && url.protocol !== 'tls:') return null;
  return {
    ...(tls?.ca == null ? {} : { ca: secrets(tls.ca) }),
    ...(tls?.cert == null ? {} : { cert: secrets(tls.cert) }),
    ...(tls?.key == null ? {} : { key: secrets(tls.key) }),
    ...(tls?.serverName == null ? {} : { servername: tls.serverName }),
  };
}

function configured({ headers }: ExporterSettings, secrets: Secrets): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, reference]) => [name.toLowerCase(), secrets(reference)]));
}

/** The configured headers and, from token or user and password, `authorization`. */
function httpHeaders(settings: ExporterSettings, secrets: Secrets): Record<string, string> {
  const { kind, token, username, password } = settings;
  const headers = configured(settings, secrets);
  if (token !== null) return { ...headers, authorization: `${kind === 'elasticsearch' ? 'ApiKey' : 'Bearer'} ${secrets(token)}` };
  if (username === null || password === null) return headers;
  return { ...headers, authorization: `Basic ${Buffer.from(`${secrets(username)}:${secrets(password)}`).toString('base64')}` };
}

const SASL_MECHANISMS: Readonly<Record<Exclude<KafkaSasl, 'oauthbearer'>, 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'>> = {
  plain: 'PLAIN',
  'scram-sha-256': 'SCRAM-SHA-256',
  'scram-sha-512': 'SCRAM-SHA-512',
};

function kafkaCredentials(settings: ExporterSettings, { secrets, clock, egress }: ConnectPorts): KafkaCredentials | null {
  const { username, password, sasl, tokenUrl, scope } = settings;
  if (username === null || password === null) return null;
  if (sasl !== 'oauthbearer') return { mechanism: SASL_MECHANISMS[sasl], username: secrets(username), password: secrets(password) };
  const url = tokenUrl ?? '';
  const client = { url, clientId: secrets(username), clientSecret: secrets(password), scope };
  // The authorities to trust are those of the cluster; its client certificate is not for the token endpoint.
  const tls = readTls(
    { ...settings, tls: settings.tls && { ca: settings.tls.ca, cert: null, key: null, serverName: null } },
    new URL(url),
    secrets,
  );
  return { mechanism: 'OAUTHBEARER', tokens: new OAuthTokens(new HttpPeer(egress, tls), client, clock) };
}

function base(url: string): string {
  return url.replace(/\/+$/, '');
}

/** The URL with the API's path where it has none of its own. */
function withPath(url: URL, path: string): string {
  return url.pathname === '/' ? `${url.origin}${path}` : url.toString();
}
