import { checkCertificates } from './certificates.ts';
import type { Config, StorageSettings } from './config.ts';
import { type ConfigProblem, type ConfigWarning, formatPath, type Path, quote } from './problem.ts';
import { resolveSecret, SecretError, type SecretSource } from './secret.ts';

export interface ConfigReference {
  readonly path: Path;
  /** `env:NAME` or `file:/path`. */
  readonly reference: string;
}

/** Every reference of a configuration, in its order. */
export function references(config: Config): ConfigReference[] {
  const found: ConfigReference[] = [];
  const add = (path: Path, reference: string | null | undefined): void => {
    if (reference !== null && reference !== undefined && /^(env|file):/.test(reference)) found.push({ path, reference });
  };
  for (const key of ['cert', 'key', 'clientCa'] as const) add(['tls', key], config.tls?.[key]);
  for (const [index, upstream] of config.upstreams.entries()) {
    add(['upstreams', index, 'credential'], upstream.credential);
    for (const key of ['ca', 'cert', 'key'] as const) add(['upstreams', index, 'tls', key], upstream.tls?.[key]);
  }
  add(['guards', 'classifier', 'credential'], config.guards.classifier?.credential);
  add(['egress', 'proxy', 'credential'], config.egress.proxy?.credential);
  add(['storage', 'url'], config.storage.url);
  add(['storage', 'password'], config.storage.password);
  add(['counters', 'password'], config.counters.password);
  add(['counters', 'ca'], config.counters.ca);
  add(['telemetry', 'otlp', 'authorization'], config.telemetry.otlp?.authorization);
  add(['audit', 'bodiesKey'], config.audit.bodiesKey);
  for (const [index, exporter] of config.audit.exporters.entries()) {
    const path: Path = ['audit', 'exporters', index];
    for (const key of ['token', 'username', 'password'] as const) add([...path, key], exporter[key]);
    for (const [name, reference] of Object.entries(exporter.headers)) add([...path, 'headers', name], reference);
    for (const key of ['ca', 'cert', 'key'] as const) add([...path, 'tls', key], exporter.tls?.[key]);
  }
  return found;
}

/**
 * Tries every reference, for `config check` and the start: what cannot be read, what others can read, certificates that are no
 * certificates, have ended or do not belong to their key. Values are not kept. `now` is epoch milliseconds.
 */
export function checkReferences(
  config: Config,
  source: SecretSource = {},
  now: number = Date.now(),
): { readonly problems: ConfigProblem[]; readonly warnings: ConfigWarning[] } {
  const problems: ConfigProblem[] = [];
  const warnings: ConfigWarning[] = [];
  for (const { path, reference } of references(config)) {
    try {
      for (const message of resolveSecret(reference, source).warnings) {
        warnings.push({ path: formatPath(path), message, fix: 'let only the account that runs Sallyport read it' });
      }
    } catch (error) {
      if (!(error instanceof SecretError)) throw error;
      problems.push({ path: formatPath(path), expected: `something behind ${quote(reference)}`, got: `nothing usable: ${error.reason}` });
    }
  }
  const certificates = checkCertificates(config, source, now);
  return { problems: [...problems, ...certificates.problems], warnings: [...warnings, ...certificates.warnings] };
}

/**
 * What the store is opened with: `openStore(url, { postgres: { password } })`. Both may be secret: for the driver only, never for a log.
 * @throws SecretError
 */
export function resolveStorage(
  storage: StorageSettings,
  source: SecretSource = {},
): { readonly url: string; readonly password: string | null } {
  const url = /^(env|file):/.test(storage.url) ? resolveSecret(storage.url, source).value : storage.url;
  if (!/^(sqlite|postgres|postgresql):/.test(url)) throw new SecretError(storage.url, 'it does not hold a sqlite: or postgres:// URL');
  return { url, password: storage.password === null ? null : resolveSecret(storage.password, source).value };
}
