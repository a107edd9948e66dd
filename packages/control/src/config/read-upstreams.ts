import { resolve } from 'node:path';
import { isLoopback, type Price, type Route, type Upstream } from '@sallyport/core';
import { DEFAULT_UPSTREAM } from './defaults.ts';
import type { ModelDocument, UpstreamDocument } from './document.ts';
import { type Path, quote } from './problem.ts';
import { checkUnique, type Item, namesIn, type Reading, readDuration, readItems, readReference, refuseInlineSecrets } from './reading.ts';
import { MODEL, UPSTREAM } from './schema-upstreams.ts';
import { nearest } from './shape.ts';
import { bareHost, isMetadataHost, isPrivateHost } from './units.ts';

const TIMES = {
  connect: [1, 300_000],
  firstByte: [1, 86_400_000],
  idle: [1, 86_400_000],
  total: [1, 86_400_000],
} as const;

const OPEN: readonly [number, number] = [10, 3_600_000];
const WAIT: readonly [number, number] = [10, 3_600_000];

export function readUpstreams(value: unknown, reading: Reading): Upstream[] {
  const items = readItems(UPSTREAM, withoutInlineSecrets(value, reading), ['upstreams'], 1_000, 'a list of upstreams', reading);
  checkUnique(items, reading.findings);
  return items.map((item) => readUpstream(item, reading));
}

function withoutInlineSecrets(value: unknown, reading: Reading): unknown {
  if (!Array.isArray(value)) return value;
  return value.map((item: unknown, index) => {
    const path: Path = ['upstreams', index];
    const upstream = refuseInlineSecrets(item, ['credential'], path, reading);
    if (typeof upstream !== 'object' || upstream === null || !Object.hasOwn(upstream, 'tls')) return upstream;
    return { ...upstream, tls: refuseInlineSecrets(Reflect.get(upstream, 'tls'), ['ca', 'cert', 'key'], [...path, 'tls'], reading) };
  });
}

function readUpstream({ value, path }: Item<UpstreamDocument>, reading: Reading): Upstream {
  const { findings } = reading;
  const times = value.timeouts ?? {};
  const time = (key: keyof typeof TIMES): number =>
    readDuration(times[key], DEFAULT_UPSTREAM.timeouts[key], TIMES[key], [...path, 'timeouts', key], reading);
  const upstream: Upstream = {
    name: value.name,
    kind: value.kind,
    url: readUrl(value, path, reading),
    socketPath: value.socketPath === undefined ? null : resolve(reading.directory, value.socketPath),
    maxConcurrency: value.maxConcurrency ?? DEFAULT_UPSTREAM.maxConcurrency,
    connections: value.connections ?? DEFAULT_UPSTREAM.connections,
    timeouts: { connect: time('connect'), firstByte: time('firstByte'), idle: time('idle'), total: time('total') },
    retries: value.retries ?? DEFAULT_UPSTREAM.retries,
    breaker: {
      failures: value.breaker?.failures ?? DEFAULT_UPSTREAM.breaker.failures,
      open: readDuration(value.breaker?.open, DEFAULT_UPSTREAM.breaker.open, OPEN, [...path, 'breaker', 'open'], reading),
      maxOpen: readDuration(value.breaker?.maxOpen, DEFAULT_UPSTREAM.breaker.maxOpen, OPEN, [...path, 'breaker', 'maxOpen'], reading),
    },
    queue: {
      perSlot: value.queue?.perSlot ?? DEFAULT_UPSTREAM.queue.perSlot,
      wait: readDuration(value.queue?.wait, DEFAULT_UPSTREAM.queue.wait, WAIT, [...path, 'queue', 'wait'], reading),
      slowClient: readDuration(value.queue?.slowClient, DEFAULT_UPSTREAM.queue.slowClient, WAIT, [...path, 'queue', 'slowClient'], reading),
    },
    credential: readReference(value.credential, reading),
    tls: readUpstreamTls(value, path, reading),
  };
  if (upstream.timeouts.firstByte > upstream.timeouts.total) {
    findings.warn(
      [...path, 'timeouts', 'firstByte'],
      'the wait for the first byte is longer than the whole exchange may take',
      'raise timeouts.total',
    );
  }
  if (value.kind === 'demo') {
    for (const key of ['url', 'socketPath', 'credential', 'tls'] as const) {
      if (value[key] !== undefined)
        findings.problem([...path, key], 'no such key: the demo upstream is built in', 'a value', 'remove it, or give another kind');
    }
  }
  warnOfPlainText(upstream, path, reading);
  return upstream;
}

/** `scheme://host:port/base` without a trailing slash. Anything a request could be misled by (credentials, query, fragment) is refused. */
function readUrl(value: UpstreamDocument, path: Path, reading: Reading): string {
  if (value.kind === 'demo') return '';
  const { findings } = reading;
  const at = [...path, 'url'];
  if (value.url === undefined) {
    if (value.socketPath !== undefined) return 'http://localhost';
    findings.problem(at, 'an http or https URL', 'nothing', 'only the demo upstream has none');
    return '';
  }
  const url = URL.parse(value.url);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    findings.problem(at, 'an http or https URL', quote(value.url));
    return '';
  }
  if (url.username !== '' || url.password !== '') {
    findings.problem(at, 'a URL without credentials', 'a URL with credentials', 'write credential: env:NAME and keep the URL clean');
  }
  if (url.search !== '' || url.hash !== '') findings.problem(at, 'a URL without query and fragment', 'a URL with one');
  if (isMetadataHost(bareHost(url))) {
    findings.problem(
      at,
      'the address of an inference server',
      'an address of a cloud metadata service',
      'requests to it would hand out the credentials of this machine',
    );
  }
  if (/\/(v1|api)\/?$/.test(url.pathname)) {
    findings.warn(
      at,
      `requests go to ${quote(`${url.pathname.replace(/\/$/, '')}/v1/…`)}: paths are appended to the URL`,
      'remove /v1 or /api from the end unless the server really repeats it',
    );
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

function readUpstreamTls(value: UpstreamDocument, path: Path, reading: Reading): Upstream['tls'] {
  const { tls } = value;
  if (tls === undefined) return null;
  const at = [...path, 'tls'];
  if (value.url !== undefined && !/^https:/i.test(value.url)) {
    reading.findings.problem(at, 'an https URL beside TLS settings', 'another URL', 'write url: https://…');
  }
  if (tls.key !== undefined && tls.cert === undefined)
    reading.findings.problem([...at, 'cert'], 'the certificate of the private key', 'nothing');
  if (tls.cert !== undefined && tls.key === undefined)
    reading.findings.problem([...at, 'key'], 'the private key of the certificate', 'nothing');
  return {
    ca: readReference(tls.ca, reading),
    cert: readReference(tls.cert, reading),
    key: readReference(tls.key, reading),
    serverName: tls.serverName ?? null,
    pins: tls.pins ?? [],
  };
}

function warnOfPlainText(upstream: Upstream, path: Path, reading: Reading): void {
  const url = URL.parse(upstream.url);
  if (url === null || url.protocol !== 'http:' || upstream.socketPath !== null) return;
  const host = bareHost(url);
  const fix = 'use https, or a Unix socket or a private network with nothing else on it';
  if (!isPrivateHost(host)) reading.findings.warn([...path, 'url'], 'prompts and answers cross a public network in the clear', fix);
  else if (upstream.credential !== null && !isLoopback(host))
    reading.findings.warn([...path, 'credential'], 'the credential is sent over plain HTTP', fix);
}

export function readModels(value: unknown, upstreams: unknown, reading: Reading): Route[] {
  const items = readItems(MODEL, value, ['models'], 10_000, 'a list of models', reading);
  checkUnique(items, reading.findings);
  const models = namesIn(value);
  const upstreamNames = namesIn(upstreams);
  for (const { value: model, path } of items) {
    checkName(model.upstream, upstreamNames, 'the name of an upstream', [...path, 'upstream'], reading);
    (model.replicas ?? []).forEach((name, index, all) => {
      const at = [...path, 'replicas', index];
      checkName(name, upstreamNames, 'the name of an upstream', at, reading);
      if (name === model.upstream || all.indexOf(name) < index) reading.findings.problem(at, 'each upstream once', `${quote(name)} again`);
    });
    (model.fallback ?? []).forEach((name, index) => {
      const at = [...path, 'fallback', index];
      if (name === model.name) reading.findings.problem(at, 'another model', `${quote(name)} itself`);
      else checkName(name, models, 'the name of a model', at, reading);
      if ((model.fallback ?? []).indexOf(name) < index) reading.findings.problem(at, 'each model once', `${quote(name)} again`);
    });
  }
  checkCycles(items, reading);
  return items.map(({ value: model, path }) => ({
    name: model.name,
    upstream: model.upstream,
    target: model.target ?? model.name,
    fallback: model.fallback ?? [],
    ...(model.price === undefined ? {} : { price: readPrice(model.price) }),
    replicas: model.replicas ?? [],
    ...(model.hedgeAfter === undefined ? {} : { hedgeAfter: readHedge(model, [...path, 'hedgeAfter'], reading) }),
    fallbackAnswer: model.fallbackAnswer ?? null,
    ...(model.prompt === undefined ? {} : { prompt: model.prompt }),
  }));
}

const HEDGE: readonly [number, number] = [1, 600_000];

function readHedge({ hedgeAfter, replicas = [] }: ModelDocument, path: Path, reading: Reading): number | 'p95' {
  if (replicas.length === 0) reading.findings.problem(path, 'a model with replicas', 'one without', 'name another upstream in replicas');
  return hedgeAfter === 'p95' ? hedgeAfter : readDuration(hedgeAfter, 1_000, HEDGE, path, reading);
}

function readPrice({ input = 0, output = 0, cached = input }: NonNullable<ModelDocument['price']>): Price {
  return { input, output, cached };
}

/** Reports `name` where it is not among the known ones; shared by everything that refers to something else by name. */
export function checkName(name: string, known: ReadonlySet<string>, what: string, path: Path, reading: Reading): void {
  if (known.has(name)) return;
  const near = nearest(name, [...known].slice(0, 200));
  reading.findings.problem(path, what, quote(name), near === null ? undefined : `did you mean ${near}?`);
}

/** Reports each model from which following fallbacks leads back to where one has been; each cycle once, at the model that closes it. */
function checkCycles(items: readonly Item<ModelDocument>[], reading: Reading): void {
  const byName = new Map(items.map((item) => [item.value.name, item]));
  const done = new Set<string>();
  for (const start of byName.keys()) {
    if (done.has(start)) continue;
    // Depth first with an explicit stack: `open` is the chain from the start to the model in hand.
    const open = new Set<string>([start]);
    const stack = [{ name: start, next: 0 }];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const item = byName.get(top.name);
      const index = top.next++;
      const name = item?.value.fallback?.[index];
      if (item === undefined || name === undefined) {
        open.delete(top.name);
        done.add(top.name);
        stack.pop();
      } else if (open.has(name) && name !== top.name) {
        reading.findings.problem([...item.path, 'fallback', index], 'fallbacks that end somewhere', `a circle through ${quote(name)}`);
      } else if (!done.has(name) && !open.has(name)) {
        open.add(name);
        stack.push({ name, next: 0 });
      }
    }
  }
}
