import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { builtInRoles, matchGlob } from '@sallyport/access';
import type { Config } from './config.ts';
import { DEFAULT_HOME } from './defaults.ts';
import type { DiscoveredUpstream } from './discovery.ts';
import type { ConfigDocument } from './document.ts';
import { ConfigError, type ConfigWarning, describe, Findings, quote } from './problem.ts';
import { readAudit } from './read-audit.ts';
import { readEgress } from './read-egress.ts';
import { readFairness } from './read-fairness.ts';
import { type CheckGuards, checkWithGuard, readGuards } from './read-guards.ts';
import { readIdentity, readRoles } from './read-identity.ts';
import { readLimits } from './read-limits.ts';
import { readHttp, readListen, readTls } from './read-listeners.ts';
import { readRisk } from './read-risk.ts';
import { readCounters, readStorage } from './read-storage.ts';
import { readTelemetry } from './read-telemetry.ts';
import { readModels, readUpstreams } from './read-upstreams.ts';
import type { Reading } from './reading.ts';
import { checkReferences } from './references.ts';
import { SECTION_NAMES } from './schema.ts';
import { nearest } from './shape.ts';
import { MAX_YAML_BYTES, readYaml } from './yaml.ts';

export interface ParseOptions {
  /** Relative paths in the file are relative to it. Default: the working directory. */
  readonly directory?: string;
  /** Where data lies unless the file says otherwise. Default: `.sallyport` in `directory`. */
  readonly home?: string;
  /** What serves where the file names neither `upstreams` nor `models`. */
  readonly discovered?: readonly DiscoveredUpstream[];
  /** Default: the guard package's own compiler. */
  readonly checkGuards?: CheckGuards;
}

export interface ParsedConfig {
  readonly config: Config;
  readonly warnings: readonly ConfigWarning[];
}

/**
 * Reads `sallyport.yaml`. The text may be anything: whatever is wrong with it is reported, all of it at once.
 * @throws ConfigError
 */
export function parseConfig(text: string, options: ParseOptions = {}): ParsedConfig {
  const yaml = readYaml(text);
  const findings = new Findings(yaml.lineOf);
  const config = readConfig(yaml.value, findings, options);
  findings.throwIfAny();
  return { config, warnings: findings.warnings };
}

/**
 * Reads the file at `path`; relative paths in it are relative to its directory. References are tried as well: one that leads nowhere
 * is a warning here, because a file may be checked on a machine that has none of the secrets; whoever needs the secret refuses.
 * @throws ConfigError, also where the file cannot be read
 */
export function loadConfig(path: string, options: ParseOptions = {}): ParsedConfig {
  const { config, warnings } = parseConfig(readConfigFile(path), { directory: dirname(resolve(path)), ...options });
  const tried = checkReferences(config);
  const missing = tried.problems.map(({ path: at, expected, got, hint }) => ({
    path: at,
    message: `${got} (expected ${expected})`,
    fix: hint ?? 'put it in place before the start',
  }));
  return { config, warnings: [...warnings, ...missing, ...tried.warnings] };
}

function readConfigFile(path: string): string {
  // With a cause: whoever checks a file has to tell one that could not be read from one that is wrong.
  const refused = (got: string, cause: unknown = new Error(got)): ConfigError =>
    new ConfigError([{ path: '', expected: `a readable file ${quote(path)}`, got }], { cause });
  let bytes: Buffer;
  try {
    // A device or a pipe could be endless.
    const stats = statSync(path);
    if (!stats.isFile()) throw refused('something that is no file');
    if (stats.size > MAX_YAML_BYTES) throw refused(`${stats.size} bytes, which is more than 1 MiB`);
    bytes = readFileSync(path);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw refused(error instanceof Error && 'code' in error ? String(error.code) : 'an error', error);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw refused('bytes that are not UTF-8', error);
  }
}

function readConfig(value: unknown, findings: Findings, options: ParseOptions): Config {
  const directory = resolve(options.directory ?? '.');
  const reading: Reading = { findings, directory, home: resolve(directory, options.home ?? DEFAULT_HOME) };
  const section = sections(value, findings);
  const builtIn = new Set(builtInRoles().keys());
  const tls = readTls(section('tls'), reading);
  const [upstreams, models] = serving(section, options.discovered ?? []);
  const config: Config = {
    listen: readListen(section('listen'), tls, reading),
    tls,
    http: readHttp(section('http'), reading),
    upstreams: readUpstreams(upstreams, reading),
    models: readModels(models, upstreams, reading),
    identity: readIdentity(section('identity'), { roles: section('roles'), builtInRoles: builtIn, tls }, reading),
    roles: readRoles(section('roles'), reading),
    limits: readLimits(section('limits'), reading),
    guards: readGuards(
      section('guards'),
      options.checkGuards ?? checkWithGuard,
      { roles: section('roles'), builtInRoles: builtIn },
      reading,
    ),
    storage: readStorage(section('storage'), reading),
    counters: readCounters(section('counters'), reading),
    audit: readAudit(section('audit'), reading),
    telemetry: readTelemetry(section('telemetry'), reading),
    egress: readEgress(section('egress'), reading),
    risk: readRisk(section('risk'), reading),
    fairness: readFairness(section('fairness'), { roles: section('roles'), builtInRoles: builtIn }, reading),
  };
  if (config.limits.some(({ quantity }) => quantity === 'spend')) {
    const free = config.models.filter(({ price }) => price === undefined).map(({ name }) => name);
    if (free.length > 0) {
      findings.warn(
        ['limits'],
        `spend is limited and ${free.slice(0, 3).join(', ')} costs nothing`,
        'give each model a price: { input: …, output: … }',
      );
    }
  }
  warnOfFallbacks(config, findings);
  if (config.models.length === 0) {
    findings.warn(['models'], 'no model is served', 'list at least one: { name: chat, upstream: NAME, target: MODEL }');
  }
  return config;
}

/** A fallback does not change the guard policy, which matters where it has another of its own. */
function warnOfFallbacks({ models, guards: { overrides = [] } }: Config, findings: Findings): void {
  for (const [index, { name, fallback }] of models.entries()) {
    for (const other of fallback) {
      const applies = (globs: readonly string[], model: string): boolean => globs.some((glob) => matchGlob(glob, model));
      const apart = overrides.find(({ models: globs }) => globs !== null && applies(globs, name) !== applies(globs, other));
      if (apart === undefined) continue;
      findings.warn(
        ['models', index, 'fallback'],
        `${name} and ${other} are not under the same guard policies (${apart.name}), and what falls back to ${other} stays under those of ${name}`,
        'name both under models of the override, or use another fallback',
      );
    }
  }
}

type SectionReader = (name: keyof ConfigDocument) => unknown;

function sections(value: unknown, findings: Findings): SectionReader {
  if (value === null || value === undefined) return () => undefined; // an empty file, or comments only
  if (typeof value !== 'object' || Array.isArray(value)) {
    findings.problem([], 'a mapping of sections', describe(value));
    return () => undefined;
  }
  const known: readonly string[] = SECTION_NAMES;
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    const near = nearest(key, known);
    findings.problem(
      [key],
      `one of the keys ${known.join(', ')}`,
      `the unknown key ${quote(key)}`,
      near === null ? undefined : `did you mean ${near}?`,
    );
  }
  return (name) => (Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined);
}

/** `upstreams` and `models` of the file, or of what was found where it names neither. */
function serving(section: SectionReader, discovered: readonly DiscoveredUpstream[]): [upstreams: unknown, models: unknown] {
  const upstreams = section('upstreams');
  const models = section('models');
  if ((upstreams ?? null) !== null || (models ?? null) !== null || discovered.length === 0) return [upstreams, models];
  const document = discoveredDocument(discovered);
  return [document.upstreams, document.models];
}

const MAX_MODEL_NAME = 192;

/** Upstreams and models for what was found. The first server to offer a name keeps it; another's is told apart by the server's name. */
export function discoveredDocument(discovered: readonly DiscoveredUpstream[]): Required<Pick<ConfigDocument, 'upstreams' | 'models'>> {
  const taken = new Set<string>();
  const models = discovered.flatMap((upstream) =>
    upstream.models.flatMap((model) => {
      const name = taken.has(model.name) ? `${upstream.name}/${model.name}` : model.name;
      if (taken.has(name) || name.length > MAX_MODEL_NAME) return [];
      taken.add(name);
      return [{ name, upstream: upstream.name, ...(name === model.target ? {} : { target: model.target }) }];
    }),
  );
  return { upstreams: discovered.map(({ name, kind, url }) => ({ name, kind, ...(url === '' ? {} : { url }) })), models };
}

/** The configuration of an installation without a file, in front of what was found on this machine. */
export function defaultConfig(discovered: readonly DiscoveredUpstream[], options: Omit<ParseOptions, 'discovered'> = {}): Config {
  return parseConfig('', { ...options, discovered }).config;
}
