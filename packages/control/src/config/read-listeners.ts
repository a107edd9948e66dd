import { parseCidr } from '@sallyport/access';
import { type HttpSettings, isLoopback } from '@sallyport/core';
import type { Config, ListenAddress, TlsSettings } from './config.ts';
import { DEFAULT_HTTP, DEFAULT_LISTEN } from './defaults.ts';
import { type Path, quote } from './problem.ts';
import { type Reading, readDuration, readReference, readSection, refuseInlineSecrets } from './reading.ts';
import { HTTP, LISTEN, TLS } from './schema.ts';
import { parseListen, parseOrigin } from './units.ts';

const LONGEST: readonly [number, number] = [100, 3_600_000];

export function readListen(value: unknown, tls: TlsSettings | null, reading: Reading): Config['listen'] {
  const section = readSection(LISTEN, value, ['listen'], reading);
  const gateway = readAddress(section?.gateway ?? DEFAULT_LISTEN.gateway, DEFAULT_LISTEN.gateway, ['listen', 'gateway'], reading);
  const control = readAddress(section?.control ?? DEFAULT_LISTEN.control, DEFAULT_LISTEN.control, ['listen', 'control'], reading);
  if (
    gateway.port !== 0 &&
    gateway.port === control.port &&
    (gateway.host === control.host || isAny(gateway.host) || isAny(control.host))
  ) {
    reading.findings.problem(['listen', 'control'], 'another port than listen.gateway', `port ${control.port} for both`);
  }
  for (const [plane, address] of [
    ['gateway', gateway],
    ['control', control],
  ] as const) {
    if (isLoopback(address.host) || tls !== null) continue;
    reading.findings.warn(
      ['listen', plane],
      `the ${plane} listens on ${quote(address.host)} without TLS: keys and prompts cross the network in the clear`,
      'set tls.cert and tls.key, or listen on 127.0.0.1 behind a proxy that ends TLS',
    );
  }
  return { gateway, control };
}

function isAny(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

function readAddress(text: string, fallback: string, path: Path, reading: Reading): ListenAddress {
  const address = parseListen(text);
  if (address !== null) return address;
  const hint = /^\*?:[0-9]+$/.test(text) ? 'to listen on every interface write 0.0.0.0:PORT or [::]:PORT' : undefined;
  reading.findings.problem(path, 'an address such as 127.0.0.1:7070 or [::1]:7070', quote(text), hint);
  return parseListen(fallback) ?? { host: '127.0.0.1', port: 0 };
}

export function readTls(value: unknown, reading: Reading): TlsSettings | null {
  const checked = refuseInlineSecrets(value, ['cert', 'key', 'clientCa'], ['tls'], reading);
  const section = readSection(TLS, checked, ['tls'], reading);
  if (section === null) return null;
  const { findings } = reading;
  const given = (key: string): boolean => typeof value === 'object' && value !== null && Object.hasOwn(value, key);
  if (!given('cert'))
    findings.problem(
      ['tls', 'cert'],
      'a reference to the certificate chain',
      'nothing',
      given('key') ? 'a private key needs its certificate' : 'remove tls to serve plain HTTP',
    );
  if (!given('key'))
    findings.problem(
      ['tls', 'key'],
      'a reference to the private key',
      'nothing',
      given('cert') ? 'a certificate needs its private key' : 'remove tls to serve plain HTTP',
    );
  const clientCa = readReference(section.clientCa, reading);
  const clientAuth = section.clientAuth ?? (clientCa === null ? 'none' : 'require');
  if (clientAuth !== 'none' && !given('clientCa')) {
    findings.problem(['tls', 'clientCa'], `the authorities of client certificates, because tls.clientAuth is ${clientAuth}`, 'nothing');
  }
  if (section.clientAuth === 'none' && clientCa !== null) {
    findings.warn(
      ['tls', 'clientAuth'],
      'client certificates are not asked for although tls.clientCa is set',
      'remove clientAuth, or set it to request or require',
    );
  }
  return {
    cert: readReference(section.cert, reading) ?? '',
    key: readReference(section.key, reading) ?? '',
    clientCa,
    minVersion: section.minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
    clientAuth,
  };
}

export function readHttp(value: unknown, reading: Reading): HttpSettings {
  const section = readSection(HTTP, value, ['http'], reading) ?? {};
  const times = section.timeouts ?? {};
  const time = (key: keyof typeof times, fallback: number): number =>
    readDuration(times[key], fallback, LONGEST, ['http', 'timeouts', key], reading);
  return {
    corsOrigins: readOrigins(section.corsOrigins ?? [], reading),
    trustedProxies: readProxies(section.trustedProxies ?? [], reading),
    maxConnectionsPerAddress: section.maxConnectionsPerAddress ?? DEFAULT_HTTP.maxConnectionsPerAddress,
    maxBodyBytes: section.maxBodyBytes ?? DEFAULT_HTTP.maxBodyBytes,
    maxHeaderBytes: section.maxHeaderBytes ?? DEFAULT_HTTP.maxHeaderBytes,
    headersTimeout: time('headers', DEFAULT_HTTP.headersTimeout),
    bodyTimeout: time('body', DEFAULT_HTTP.bodyTimeout),
    keepAliveTimeout: time('keepAlive', DEFAULT_HTTP.keepAliveTimeout),
    drainTimeout: time('drain', DEFAULT_HTTP.drainTimeout),
  };
}

function readOrigins(texts: readonly string[], reading: Reading): string[] {
  texts.forEach((text, index) => {
    if (parseOrigin(text) !== null) return;
    const near = URL.parse(text)?.origin;
    const hint = near === undefined || near === 'null' ? undefined : `browsers send ${quote(near)}`;
    reading.findings.problem(['http', 'corsOrigins', index], 'an origin such as https://chat.example.com', quote(text), hint);
  });
  return [...new Set(texts)];
}

function readProxies(texts: readonly string[], reading: Reading): string[] {
  return texts.flatMap((text, index) => {
    const path = ['http', 'trustedProxies', index];
    const block = parseCidr(text);
    if (block === null) {
      reading.findings.problem(path, 'a CIDR block such as 10.0.0.0/8, or an IP address', quote(text));
      return [];
    }
    if (block.prefix === 0) {
      reading.findings.warn(path, 'everybody is a trusted proxy: any client can claim any address', 'name the addresses of your proxies');
    }
    return [`${block.address}/${block.prefix}`];
  });
}
