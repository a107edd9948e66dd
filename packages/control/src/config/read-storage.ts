import { resolve } from 'node:path';
import type { CounterSettings, StorageSettings } from './config.ts';
import { DEFAULT_STORAGE_FILE } from './defaults.ts';
import { type Path, quote } from './problem.ts';
import { type Reading, readReference, readSection, refuseInlineSecrets } from './reading.ts';
import { COUNTERS, STORAGE } from './schema.ts';
import { bareHost, isPrivateHost } from './units.ts';

export function readStorage(value: unknown, reading: Reading): StorageSettings {
  const { findings } = reading;
  const section = readSection(STORAGE, refuseInlineSecrets(value, ['password'], ['storage'], reading), ['storage'], reading) ?? {};
  const password = readReference(section.password, reading);
  const fallback = { url: `sqlite:${resolve(reading.home, DEFAULT_STORAGE_FILE)}`, password };
  const at = ['storage', 'url'];
  if (section.url === undefined) return fallback;
  const url = /^(env|file):/.test(section.url) ? readReference(section.url, reading) : section.url;
  if (url === null) return fallback;
  if (url.startsWith('sqlite:')) {
    const path = url.slice('sqlite:'.length);
    if (password !== null) findings.problem(['storage', 'password'], 'no password: SQLite has none', 'a reference', 'remove it');
    if (path === ':memory:') {
      findings.warn(at, 'keys and users are gone when the process stops', 'give the path of a file');
      return { url, password };
    }
    if (path.startsWith('//')) findings.problem(at, 'sqlite:PATH', quote(url), `write sqlite:${path.replace(/^\/+/, '/')}`);
    return { url: `sqlite:${resolve(reading.directory, path)}`, password };
  }
  if (/^postgres(ql)?:/.test(url)) {
    const parsed = URL.parse(url);
    if (parsed === null || (parsed.hostname === '' && !parsed.searchParams.has('host')))
      findings.problem(at, 'postgres://user@host:port/database', 'a URL that cannot be read');
    else if (parsed.password !== '' || parsed.searchParams.has('password')) {
      findings.problem(
        at,
        'a URL without a password',
        'a URL with a password',
        'write password: env:NAME, or the whole URL as url: env:NAME',
      );
    }
  }
  return { url, password };
}

export function readCounters(value: unknown, reading: Reading): CounterSettings {
  const { findings } = reading;
  const section = readSection(COUNTERS, refuseInlineSecrets(value, ['password', 'ca'], ['counters'], reading), ['counters'], reading) ?? {};
  const settings: CounterSettings = {
    url: section.url ?? 'memory:',
    password: readReference(section.password, reading),
    ca: readReference(section.ca, reading),
    onUnavailable: section.onUnavailable ?? 'refuse',
    shares: section.shares ?? 1,
  };
  const at = (key: string): Path => ['counters', key];
  if (settings.url === 'memory:') {
    for (const key of ['password', 'ca', 'onUnavailable', 'shares'] as const) {
      if (section[key] !== undefined)
        findings.problem(at(key), 'no such key beside memory:', 'a value', 'give url: redis://HOST:PORT, or remove it');
    }
    return settings;
  }
  const url = URL.parse(settings.url);
  if (url === null || url.hostname === '') findings.problem(at('url'), 'redis://HOST:PORT', 'a URL that cannot be read');
  else {
    if (url.password !== '') findings.problem(at('url'), 'a URL without a password', 'a URL with a password', 'write password: env:NAME');
    if (url.protocol === 'redis:' && !isPrivateHost(bareHost(url)))
      findings.warn(at('url'), 'counters cross a public network in the clear', 'use rediss:// or a private network');
    if (url.protocol === 'redis:' && settings.ca !== null) findings.problem(at('ca'), 'a rediss:// URL beside it', 'redis://');
  }
  if (settings.onUnavailable === 'local' && section.shares === undefined) {
    findings.problem(
      at('shares'),
      'the number of processes that share the limits',
      'nothing',
      'replicas times workers, the most that ever run',
    );
  }
  return settings;
}
