import { resolve } from 'node:path';
import { type ExporterKind, type ExporterSettings, isLoopback } from '@sallyport/core';
import type { AuditSettings } from './config.ts';
import { DEFAULT_LEDGER_DIRECTORY } from './defaults.ts';
import type { ExporterDocument } from './document.ts';
import { type Path, quote } from './problem.ts';
import { checkUnique, type Reading, readDuration, readReference, readSection, refuseInlineSecrets } from './reading.ts';
import { AUDIT } from './schema-audit.ts';
import { bareHost, isMetadataHost } from './units.ts';

const SCHEMES: Readonly<Record<ExporterKind, readonly string[]>> = {
  splunk: ['https', 'http'],
  elasticsearch: ['https', 'http'],
  syslog: ['tls', 'tcp'],
  relp: ['tls', 'tcp'],
  gelf: ['tls', 'tcp', 'udp', 'https', 'http'],
  otlp: ['https', 'http'],
  kafka: ['tls', 'tcp'],
  s3: ['https', 'http'],
  webhook: ['https', 'http'],
};

/** Keys that a kind cannot do without. */
const NEEDED: Readonly<Partial<Record<ExporterKind, readonly ('token' | 'target' | 'username' | 'password')[]>>> = {
  splunk: ['token'],
  webhook: ['token'],
  kafka: ['target'],
  s3: ['target', 'username', 'password'],
};

const DAY = 86_400_000;
const RETENTION: Path = ['audit', 'retention'];

export function readAudit(value: unknown, reading: Reading): AuditSettings {
  const section = readSection(AUDIT, withoutInlineSecrets(value, reading), ['audit'], reading);
  const directory = section?.directory;
  const items = (section?.exporters ?? []).map((exporter, index) => ({ value: exporter, path: ['audit', 'exporters', index] }));
  checkUnique(items, reading.findings);
  return {
    directory: directory === undefined ? resolve(reading.home, DEFAULT_LEDGER_DIRECTORY) : resolve(reading.directory, directory),
    recordFirst: section?.recordFirst ?? [],
    onUnavailable: readOnUnavailable(section?.onUnavailable, reading),
    retention: section?.retention === undefined ? null : readDuration(section.retention, DAY, [DAY, 36_500 * DAY], RETENTION, reading),
    bodies: readBodies(section?.bodies, reading),
    bodiesKey: readReference(section?.bodiesKey, reading),
    exporters: items.map((item) => readExporter(item.value, item.path, reading)),
  };
}

function readOnUnavailable(value: AuditSettings['onUnavailable'] | undefined, { findings }: Reading): AuditSettings['onUnavailable'] {
  if (value === 'unsafe-continue-unrecorded')
    findings.warn(
      ['audit', 'onUnavailable'],
      'while the ledger cannot be written, requests are answered of which nothing is recorded (changes are refused)',
      'use refuse',
    );
  return value ?? 'refuse';
}

function readBodies(value: AuditSettings['bodies'] | undefined, { findings }: Reading): AuditSettings['bodies'] {
  if (value === 'sealed')
    findings.warn(
      ['audit', 'bodies'],
      'the texts of prompts and replies are stored, and whoever has the master key can read them',
      'tell the people whose texts they are, and keep them no longer than is needed (audit.retention)',
    );
  return value ?? 'none';
}

function withoutInlineSecrets(section: unknown, reading: Reading): unknown {
  const value = refuseInlineSecrets(section, ['bodiesKey'], ['audit'], reading);
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'exporters')) return value;
  const list: unknown = Reflect.get(value, 'exporters');
  if (!Array.isArray(list)) return value;
  const exporters = list.map((item: unknown, index) => {
    const path: Path = ['audit', 'exporters', index];
    const exporter = refuseInlineSecrets(item, ['token', 'username', 'password'], path, reading);
    if (typeof exporter !== 'object' || exporter === null) return exporter;
    const clean: Record<string, unknown> = { ...exporter };
    if (clean['tls'] !== undefined) clean['tls'] = refuseInlineSecrets(clean['tls'], ['ca', 'cert', 'key'], [...path, 'tls'], reading);
    const headers = clean['headers'];
    if (typeof headers === 'object' && headers !== null)
      clean['headers'] = refuseInlineSecrets(headers, Object.keys(headers), [...path, 'headers'], reading);
    return clean;
  });
  return { ...value, exporters };
}

function readExporter(value: ExporterDocument, path: Path, reading: Reading): ExporterSettings {
  const { kind, tls, batch = {} } = value;
  const time = (text: string | undefined, fallback: number, most: number, ...key: string[]): number =>
    readDuration(text, fallback, [1, most], [...path, ...key], reading);
  checkUrl(value, path, reading);
  for (const key of NEEDED[kind] ?? []) {
    if (value[key] === undefined) reading.findings.problem([...path, key], `what an exporter of kind ${kind} needs`, 'nothing');
  }
  if (kind === 'kafka') checkKafka(value, path, reading);
  checkOAuth(value, path, reading.findings);
  if (tls !== undefined && (tls.cert === undefined) !== (tls.key === undefined)) {
    const lacking = tls.cert === undefined ? 'cert' : 'key';
    reading.findings.problem([...path, 'tls', lacking], 'certificate and private key together', 'one of them');
  }
  return {
    name: value.name,
    kind,
    url: value.url,
    format: value.format ?? 'json',
    tls:
      tls === undefined
        ? null
        : {
            ca: readReference(tls.ca, reading),
            cert: readReference(tls.cert, reading),
            key: readReference(tls.key, reading),
            serverName: tls.serverName ?? null,
          },
    token: readReference(value.token, reading),
    username: readReference(value.username, reading),
    password: readReference(value.password, reading),
    headers: Object.fromEntries(Object.entries(value.headers ?? {}).map(([name, text]) => [name, readReference(text, reading) ?? ''])),
    brokers: value.brokers ?? [],
    sasl: value.sasl ?? 'scram-sha-512',
    tokenUrl: value.tokenUrl ?? null,
    scope: value.scope ?? null,
    compression: value.compression ?? 'none',
    protocol: value.protocol ?? 'http/json',
    target: value.target ?? null,
    prefix: value.prefix ?? '',
    region: value.region ?? 'us-east-1',
    acknowledge: value.acknowledge ?? true,
    batch: { events: batch.events ?? 500, bytes: batch.bytes ?? 1_048_576, wait: time(batch.wait, 1_000, 3_600_000, 'batch', 'wait') },
    timeout: time(value.timeout, 30_000, 3_600_000, 'timeout'),
    maxAge: value.maxAge === undefined ? null : time(value.maxAge, 0, Number.MAX_SAFE_INTEGER, 'maxAge'),
    start: value.start ?? 'oldest',
  };
}

function checkKafka({ target, username, password, token, brokers = [] }: ExporterDocument, path: Path, { findings }: Reading): void {
  if (target !== undefined && !/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/.test(target))
    findings.problem([...path, 'target'], 'the name of a topic: letters, digits, ".", "_" and "-", 249 at most', quote(target));
  if ((username === undefined) !== (password === undefined)) {
    const lacking = username === undefined ? 'username' : 'password';
    findings.problem([...path, lacking], 'username and password together', 'one of them');
  }
  if (token !== undefined) findings.problem([...path, 'token'], 'username and password for a Kafka broker', 'a token');
  for (const [index, broker] of brokers.entries()) {
    const host = URL.parse(`tcp://${broker}`);
    const at = [...path, 'brokers', index];
    if (host === null || host.port === '' || host.pathname !== '' || host.username !== '')
      findings.problem(at, 'a host with a port', quote(broker), 'write HOST:PORT');
    else if (isMetadataHost(bareHost(host))) findings.problem(at, 'the address of a broker', 'an address of a cloud metadata service');
  }
}

/** The client secret goes to the token endpoint: TLS, but for this machine. */
function checkOAuth({ kind, sasl, tokenUrl, scope, username }: ExporterDocument, path: Path, findings: Reading['findings']): void {
  if (kind !== 'kafka' || sasl !== 'oauthbearer') {
    for (const [key, value] of Object.entries({ tokenUrl, scope }))
      if (value !== undefined) findings.problem([...path, key], 'kind: kafka and sasl: oauthbearer beside it', 'neither or one');
    return;
  }
  if (username === undefined) findings.problem([...path, 'username'], 'the id of the OAuth client, with its secret as password', 'nothing');
  const url = URL.parse(tokenUrl ?? '');
  if (url === null || url.username !== '' || !(url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(bareHost(url)))))
    findings.problem([...path, 'tokenUrl'], 'an https:// URL without credentials', tokenUrl === undefined ? 'nothing' : 'another');
  else if (isMetadataHost(bareHost(url)))
    findings.problem([...path, 'tokenUrl'], 'the address of a token endpoint', 'an address of a cloud metadata service');
}

function checkUrl({ kind, url: text, tls, acknowledge }: ExporterDocument, path: Path, reading: Reading): void {
  const { findings } = reading;
  const at = [...path, 'url'];
  const url = URL.parse(text);
  const scheme = url?.protocol.slice(0, -1) ?? '';
  const allowed = SCHEMES[kind];
  if (url === null || url.hostname === '' || !allowed.includes(scheme)) {
    findings.problem(
      at,
      `a URL beginning with ${allowed.map((name) => `${name}://`).join(' or ')}`,
      url === null ? 'none' : quote(`${scheme}://`),
    );
    return;
  }
  const host = bareHost(url);
  if (url.username !== '' || url.password !== '')
    findings.problem(
      at,
      'a URL without credentials',
      'a URL with credentials',
      'write username: env:NAME and password: env:NAME, or token',
    );
  if (isMetadataHost(host)) findings.problem(at, 'the address of a receiver', 'an address of a cloud metadata service');
  const stream = !scheme.startsWith('http');
  if (stream && url.port === '') findings.problem(at, 'a host with a port', 'a host alone', `write ${scheme}://HOST:PORT`);
  if (tls !== undefined && !['https', 'tls'].includes(scheme))
    findings.problem([...path, 'tls'], 'https:// or tls:// beside TLS settings', quote(`${scheme}://`));
  if (['http', 'tcp', 'udp'].includes(scheme) && !isLoopback(host))
    findings.warn(at, 'audit entries, and the credential, are sent in the clear', scheme === 'http' ? 'use https' : 'use tls://');
  if (scheme === 'udp') findings.warn(at, 'datagrams may be lost unseen', 'use tls://, tcp:// or https://');
  else if (stream && kind !== 'relp' && kind !== 'kafka' && acknowledge === false)
    findings.warn([...path, 'acknowledge'], 'what is in flight when the connection breaks is lost', 'leave acknowledge on, or use RELP');
}
