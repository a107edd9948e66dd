import { resolve } from 'node:path';
import type { StorageSettings } from './config.ts';
import { DEFAULT_STORAGE_FILE } from './defaults.ts';
import { quote } from './problem.ts';
import { type Reading, readReference, readSection, refuseInlineSecrets } from './reading.ts';
import { COUNTERS, STORAGE } from './schema.ts';

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

export function readCounters(value: unknown, reading: Reading): { readonly url: string } {
  const section = readSection(COUNTERS, value, ['counters'], reading);
  const url = section?.url ?? 'memory:';
  if (url !== 'memory:') {
    reading.findings.problem(
      ['counters', 'url'],
      'memory:',
      'a Redis URL',
      'counters shared between processes are not supported in this version',
    );
  }
  return { url: 'memory:' };
}
