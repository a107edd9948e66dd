import type { UpstreamKind } from '@sallyport/core';
import { DEFAULT_UPSTREAM } from './defaults.ts';
import { PUBLIC_NAME } from './discovery.ts';
import type { LimitDocument, ModelDocument, UpstreamDocument } from './document.ts';
import { type ImportReport, isMapping, items, member, NO_COUNTERPART, pairs, variableOf, wholeNumber } from './litellm-report.ts';
import { type Path, quote } from './problem.ts';
import { bareHost, formatDuration, isMetadataHost } from './units.ts';

interface Provider {
  readonly kind: UpstreamKind;
  /** What LiteLLM uses without `api_base`; null where it has to be given. */
  readonly url: string | null;
}

/** LiteLLM's provider prefixes for servers that Sallyport speaks to. */
const PROVIDERS: Readonly<Record<string, Provider>> = {
  ollama: { kind: 'ollama', url: 'http://localhost:11434' },
  ollama_chat: { kind: 'ollama', url: 'http://localhost:11434' },
  openai: { kind: 'openai', url: 'https://api.openai.com' },
  'text-completion-openai': { kind: 'openai', url: 'https://api.openai.com' },
  custom_openai: { kind: 'openai', url: null },
  openai_like: { kind: 'openai', url: null },
  litellm_proxy: { kind: 'openai', url: null },
  lm_studio: { kind: 'openai', url: null },
  xinference: { kind: 'openai', url: null },
  hosted_vllm: { kind: 'vllm', url: null },
  vllm: { kind: 'vllm', url: null },
  llamafile: { kind: 'llamacpp', url: 'http://127.0.0.1:8080' },
  huggingface: { kind: 'tgi', url: null },
  anthropic: { kind: 'anthropic', url: 'https://api.anthropic.com' },
};

/** Model names that LiteLLM takes without a prefix. */
const KNOWN_NAMES: readonly (readonly [RegExp, string])[] = [
  [/^(gpt-|chatgpt-|o[1-9](-|$)|text-embedding-)/, 'openai'],
  [/^claude-/, 'anthropic'],
];

/** Written where a server wants no key but the client library insists on one. */
const PLACEHOLDER =
  /^(|none|null|empty|fake|dummy|anything|any|x+|not-?needed|no-?key(-required)?|fake-?(api-?)?key|dummy-?(api-?)?key|sk-no-key-required|ollama|lm-studio|placeholder)$/i;

const MAX_RETRIES = 5;

export interface ModelDefaults {
  /** Seconds for a whole exchange. */
  readonly timeout: number | null;
  readonly retries: number | null;
}

export interface ImportedModels {
  readonly upstreams: UpstreamDocument[];
  readonly models: ModelDocument[];
  readonly limits: LimitDocument[];
}

/** Turns `model_list` into upstreams, models and limits. `environment` has the variables that are known, for addresses given by one. */
export function importModels(
  list: unknown,
  defaults: ModelDefaults,
  environment: ReadonlyMap<string, string>,
  report: ImportReport,
): ImportedModels {
  const imported: ImportedModels = { upstreams: [], models: [], limits: [] };
  const upstreams = new Map<string, UpstreamDocument>();
  const importing: Importing = { imported, upstreams, defaults, environment, inlineKeys: new Map(), report };
  for (const [index, item] of items(list, ['model_list'], report).entries()) {
    const path: Path = ['model_list', index];
    if (!isMapping(item)) {
      report.drop(path, 'is not a mapping');
      continue;
    }
    for (const key of Object.keys(item)) {
      if (key !== 'model_name' && key !== 'litellm_params')
        report.drop([...path, key], key === 'model_info' ? 'is information only' : NO_COUNTERPART);
    }
    importModel(item, path, importing);
  }
  imported.upstreams.push(...upstreams.values());
  return imported;
}

interface Importing {
  readonly imported: ImportedModels;
  /** By everything that tells two upstreams apart. */
  readonly upstreams: Map<string, UpstreamDocument>;
  readonly defaults: ModelDefaults;
  readonly environment: ReadonlyMap<string, string>;
  /** Variables given to keys that are written out, by key, so that two keys never share one. */
  readonly inlineKeys: Map<string, string>;
  readonly report: ImportReport;
}

function importModel(item: Readonly<Record<string, unknown>>, path: Path, importing: Importing): void {
  const { report, imported } = importing;
  const parameters = member(item, 'litellm_params');
  const at = [...path, 'litellm_params'];
  const asked = member(item, 'model_name');
  if (typeof asked !== 'string' || !PUBLIC_NAME.test(asked)) {
    const wildcard = typeof asked === 'string' && asked.includes('*');
    report.drop(path, wildcard ? 'a wildcard: list each model by name' : "its model_name is not a name of letters, digits and '._:/@+-'");
    return;
  }
  const model = importTarget(parameters, at, importing);
  if (model === null) {
    report.drop(path, `${quote(asked)} is not served: see the reason given for a key of it`);
    return;
  }
  const { provider, target, url } = model;
  const rest = importParameters(parameters, at, asked, importing);
  const upstream = upstreamFor({ kind: provider.kind, url, ...rest }, importing.upstreams);
  const taken = new Set(imported.models.map(({ name }) => name));
  const first = imported.models.find(({ name }) => name === asked);
  if (first !== undefined && first.upstream === upstream.name && (first.target ?? first.name) === target) {
    report.drop(path, `is the same as an earlier entry of ${quote(asked)}`);
    return;
  }
  let name = asked;
  for (let count = 2; taken.has(name); count++) name = `${asked}@${count}`;
  if (first !== undefined) {
    if (!PUBLIC_NAME.test(name)) {
      report.drop(path, 'its model_name is too long');
      return;
    }
    first.fallback = [...(first.fallback ?? []), name].slice(0, 16);
    report.drop(path, `balancing over several servers of one name: it is now ${quote(name)}, a fallback of ${quote(asked)}`);
  } else report.carry(path, `models: ${quote(name)} on upstream ${upstream.name}`);
  imported.models.push({ name, upstream: upstream.name, ...(target === name ? {} : { target }) });
  importLimits(parameters, at, name, importing);
}

interface Target {
  readonly provider: Provider;
  readonly target: string;
  readonly url: string;
}

/** Provider, server and the server's name of the model; null, with the reason reported, where Sallyport cannot speak to it. */
function importTarget(parameters: unknown, path: Path, { environment, report }: Importing): Target | null {
  const given = member(parameters, 'model');
  const model = readVariable(given, environment);
  if (model === null) {
    report.drop([...path, 'model'], variableOf(given) === null ? 'is missing or no text' : 'is given by a variable that is not set here');
    return null;
  }
  const custom = member(parameters, 'custom_llm_provider');
  const slash = model.indexOf('/');
  const prefix = slash === -1 ? null : model.slice(0, slash);
  const known = KNOWN_NAMES.find(([pattern]) => pattern.test(model))?.[1];
  const name = typeof custom === 'string' ? custom : (prefix ?? known ?? null);
  const provider = name !== null && Object.hasOwn(PROVIDERS, name) ? PROVIDERS[name] : undefined;
  if (provider === undefined || name === null) {
    report.drop(
      [...path, 'model'],
      name === null
        ? 'names no provider (ollama/…, openai/…, hosted_vllm/…)'
        : `the provider ${quote(name)} is none of the servers that Sallyport speaks to`,
    );
    return null;
  }
  const target = prefix === name ? model.slice(slash + 1) : model;
  if (target === '' || target.includes('*') || target.length > 256 || !/^[^\p{Cc}]+$/u.test(target)) {
    report.drop([...path, 'model'], 'names no single model');
    return null;
  }
  const url = importUrl(parameters, provider, path, environment, report);
  return url === null ? null : { provider, target: target.replace(/^tgi\//, ''), url };
}

function readVariable(value: unknown, environment: ReadonlyMap<string, string>): string | null {
  if (typeof value !== 'string') return null;
  const variable = variableOf(value);
  return variable === null ? value : (environment.get(variable) ?? null);
}

function importUrl(
  parameters: unknown,
  provider: Provider,
  path: Path,
  environment: ReadonlyMap<string, string>,
  report: ImportReport,
): string | null {
  const key = member(parameters, 'api_base') === undefined && member(parameters, 'base_url') !== undefined ? 'base_url' : 'api_base';
  const given = member(parameters, key) ?? provider.url;
  const at = [...path, key];
  const text = readVariable(given, environment);
  if (text === null) {
    const variable = variableOf(given);
    report.drop(
      at,
      variable === null
        ? 'is needed: the address of the server'
        : `is given by the variable ${variable}, which is not set here: set it and import again`,
    );
    return null;
  }
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:') || isMetadataHost(bareHost(url))) {
    report.drop(at, 'is not the http or https URL of a server');
    return null;
  }
  if (url.username !== '' || url.password !== '')
    report.drop(at, 'the credentials in the URL: write credential: env:NAME for the upstream');
  if (url.search !== '' || url.hash !== '') report.drop(at, 'the query of the URL');
  const base = url.pathname.replace(/\/+$/, '').replace(/\/(chat\/completions|completions|embeddings|messages|generate)$/, '');
  const mounted = base.replace(/\/v1$/, '');
  if (provider.kind === 'openai' && mounted === base && base !== '')
    report.drop(at, `requests now go to ${quote(`${base}/v1/…`)}: LiteLLM sent them without /v1`);
  return `${url.origin}${mounted}`;
}

interface UpstreamFacts {
  readonly kind: UpstreamKind;
  readonly url: string;
  readonly credential: string | null;
  readonly timeout: number | null;
  readonly retries: number | null;
}

function upstreamFor(facts: UpstreamFacts, known: Map<string, UpstreamDocument>): UpstreamDocument {
  const { kind, url, credential, timeout, retries } = facts;
  const identity = JSON.stringify([kind, url, credential, timeout, retries]);
  const existing = known.get(identity);
  if (existing !== undefined) return existing;
  const count = [...known.values()].filter((upstream) => upstream.kind === kind).length;
  const total = timeout === null ? null : Math.min(Math.max(Math.round(timeout * 1_000), 1), 86_400_000);
  const upstream: UpstreamDocument = {
    name: count === 0 ? kind : `${kind}-${count + 1}`,
    kind,
    url,
    ...(credential === null ? {} : { credential }),
    ...(total === null
      ? {}
      : { timeouts: { firstByte: formatDuration(Math.min(total, DEFAULT_UPSTREAM.timeouts.firstByte)), total: formatDuration(total) } }),
    ...(retries === null ? {} : { retries }),
  };
  known.set(identity, upstream);
  return upstream;
}

/** Keys of `litellm_params` that are handled where they are used. */
const HANDLED = new Set(['model', 'api_base', 'base_url', 'custom_llm_provider', 'rpm', 'tpm', 'max_parallel_requests']);

const PARAMETER_REASONS: Readonly<Record<string, string>> = {
  weight: 'balancing by weight is not supported: the order of fallbacks counts',
  order: 'balancing by order is not supported: the order of fallbacks counts',
  extra_headers: 'headers of the operator are not sent to upstreams',
  stream_timeout: 'set timeouts.idle and timeouts.firstByte of the upstream',
  input_cost_per_token: 'spend is not counted in this version',
  output_cost_per_token: 'spend is not counted in this version',
  guardrails: 'guards apply to every model and no client can choose them',
};

function importParameters(parameters: unknown, path: Path, model: string, importing: Importing): Omit<UpstreamFacts, 'kind' | 'url'> {
  const { report, defaults } = importing;
  let credential: string | null = null;
  let { timeout, retries } = defaults;
  for (const [key, value] of pairs(parameters, path, report)) {
    const at = [...path, key];
    if (HANDLED.has(key)) continue;
    if (key === 'api_key') credential = importCredential(value, at, model, importing);
    else if (key === 'timeout' && typeof value === 'number' && value > 0) timeout = value;
    else if (key === 'max_retries' || key === 'num_retries') retries = importRetries(value, at, report) ?? retries;
    else report.drop(at, PARAMETER_REASONS[key] ?? 'a parameter that LiteLLM adds to requests: clients send their own');
  }
  return { credential, timeout, retries };
}

/** A reference for a key. A key that is written out is never repeated: a variable takes its place. */
function importCredential(value: unknown, path: Path, model: string, { inlineKeys, report }: Importing): string | null {
  const variable = variableOf(value);
  if (variable !== null) {
    report.carry(path, `upstreams: credential env:${variable}`);
    return `env:${variable}`;
  }
  if (value === null || (typeof value === 'string' && PLACEHOLDER.test(value))) {
    report.drop(path, 'is a placeholder: no credential is sent');
    return null;
  }
  const key = JSON.stringify(value);
  const name = inlineKeys.get(key) ?? freeVariable(model, new Set(inlineKeys.values()));
  inlineKeys.set(key, name);
  report.drop(path, `is a secret written into the file: put it into the variable ${name}, better a new one`);
  return `env:${name}`;
}

function freeVariable(model: string, taken: ReadonlySet<string>): string {
  const base = `LITELLM_${model
    .toUpperCase()
    .replace(/[^A-Z0-9]+/g, '_')
    .slice(0, 90)}_API_KEY`;
  let name = base;
  for (let count = 2; taken.has(name); count++) name = `${base}_${count}`;
  return name;
}

export function importRetries(value: unknown, path: Path, report: ImportReport): number | null {
  const retries = value === 0 ? 0 : wholeNumber(value);
  if (retries === null) report.drop(path, 'is no whole number');
  else if (retries > MAX_RETRIES) report.drop(path, `is ${MAX_RETRIES} now, the most there is`);
  return retries === null ? null : Math.min(retries, MAX_RETRIES);
}

const LIMITS = { rpm: 'requests', tpm: 'tokens', max_parallel_requests: 'concurrency' } as const;

function importLimits(parameters: unknown, path: Path, model: string, { imported, report }: Importing): void {
  for (const [key, quantity] of Object.entries(LIMITS)) {
    const value = member(parameters, key);
    if (value === undefined) continue;
    const amount = wholeNumber(value);
    if (amount === null || amount > 1_000_000_000_000) {
      report.drop([...path, key], 'is no whole number');
      continue;
    }
    const window = quantity === 'concurrency' ? {} : { window: '1m' };
    imported.limits.push({ per: 'model', [quantity]: amount, ...window, models: [model] });
    report.carry([...path, key], `limits: ${quantity} of ${quote(model)}`);
  }
}
