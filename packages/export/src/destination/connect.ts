import { hostname } from 'node:os';
import type { Clock, ExporterSettings } from '@sallyport/core';
import type { SoundEvent } from '../event.ts';
import { asciiJson, encoder, type Origin } from '../format/encoder.ts';
import { octetCounted, syslogMessage } from '../format/syslog.ts';
import type { Destination } from './destination.ts';
import { Elasticsearch } from './elasticsearch.ts';
import { GelfHttp, GelfUdp, gelfMessage } from './gelf.ts';
import { HttpPeer } from './http.ts';
import { Otlp } from './otlp.ts';
import { Relp } from './relp.ts';
import { S3 } from './s3.ts';
import type { TlsMaterial } from './socket.ts';
import { Splunk } from './splunk.ts';
import { EventStream } from './stream.ts';
import { Webhook } from './webhook.ts';

/** Reads a reference such as `env:NAME`. Throws where it leads nowhere. */
export type Secrets = (reference: string) => string;

export interface ConnectPorts {
  readonly secrets: Secrets;
  readonly clock: Clock;
  /** Sallyport's version. */
  readonly version: string;
}

/** The destination that the settings describe. Reads its secrets and certificates; connects with the first delivery. */
export function connect(settings: ExporterSettings, { secrets, clock, version }: ConnectPorts): Destination {
  const origin: Origin = { host: hostname(), version };
  const encode = encoder(settings.format, origin);
  const address = settings.url;
  const url = new URL(address);
  const tls = readTls(settings, url, secrets);
  const secret = (reference: string | null): string => (reference === null ? '' : secrets(reference));
  const headers = httpHeaders(settings, secrets);
  switch (settings.kind) {
    case 'splunk':
      return new Splunk(new HttpPeer(tls), {
        url: base(address),
        token: secret(settings.token),
        index: settings.target,
        acknowledge: settings.acknowledge,
        host: origin.host,
        headers: configured(settings, secrets),
        encode: (event) => (settings.format === 'cef' ? encode(event) : JSON.parse(encode(event))),
      });
    case 'elasticsearch':
      return new Elasticsearch(new HttpPeer(tls), {
        url: base(address),
        index: settings.target ?? 'logs-sallyport.audit-default',
        headers,
        encode,
      });
    case 'otlp':
      return new Otlp(new HttpPeer(tls), { url: withPath(url, '/v1/logs'), headers, host: origin.host, version, encode });
    case 'webhook':
      return new Webhook(new HttpPeer(tls), {
        url: address,
        secret: secret(settings.token),
        headers: configured(settings, secrets),
        encode: (event) => (settings.format === 'cef' ? JSON.stringify(encode(event)) : encode(event)),
        now: () => clock.now(),
      });
    case 's3':
      return new S3(new HttpPeer(tls), {
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
        url,
        tls,
        acknowledge: settings.acknowledge,
        encode: (event) => octetCounted(syslogOf(event, settings, encode, origin)),
      });
    case 'relp':
      return new Relp({ url, tls, encode: (event) => syslogOf(event, settings, encode, origin) });
    case 'gelf': {
      const full = (event: SoundEvent): string => gelfMessage(event, origin.host, settings.format === 'json' ? null : encode(event));
      if (url.protocol === 'udp:') return new GelfUdp(url, full);
      if (/^https?:$/.test(url.protocol)) return new GelfHttp(new HttpPeer(tls), { url: withPath(url, '/gelf'), headers, encode: full });
      return new EventStream({ url, tls, acknowledge: settings.acknowledge, encode: (event) => `${full(event)}\0` });
    }
  }
}

function syslogOf(event: SoundEvent, { format }: ExporterSettings, encode: (event: SoundEvent) => string, { host }: Origin): string {
  const text = encode(event);
  return syslogMessage(event, format === 'cef' ? text : asciiJson(text), host);
}

function readTls({ tls }: ExporterSettings, url: URL, secrets: Secrets): TlsMaterial | null {
  if (!['https:', 'tls:'].includes(url.protocol)) return null;
  if (tls === null) return { options: {} };
  return {
    options: {
      ...(tls.ca === null ? {} : { ca: secrets(tls.ca) }),
      ...(tls.cert === null ? {} : { cert: secrets(tls.cert) }),
      ...(tls.key === null ? {} : { key: secrets(tls.key) }),
      ...(tls.serverName === null ? {} : { servername: tls.serverName }),
    },
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

function base(url: string): string {
  return url.replace(/\/+$/, '');
}

/** The URL with the API's path where it has none of its own. */
function withPath(url: URL, path: string): string {
  return url.pathname === '/' ? `${url.origin}${path}` : url.toString();
}
