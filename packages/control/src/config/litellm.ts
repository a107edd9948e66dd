import { DEFAULT_GUARDS } from './defaults.ts';
import { PUBLIC_NAME } from './discovery.ts';
import type { ConfigDocument, LimitDocument, ModelDocument } from './document.ts';
import { importModels, importRetries } from './litellm-models.ts';
import { type ImportNote, ImportReport, isMapping, items, member, NO_COUNTERPART, pairs, wholeNumber } from './litellm-report.ts';
import { type PrintOptions, writeYaml } from './print.ts';
import { ConfigError, describe, type Path, quote } from './problem.ts';
import { PYTHON_YAML, readYaml } from './yaml.ts';

export interface LiteLlmImport {
  /** A `sallyport.yaml` that `parseConfig` takes. */
  readonly yaml: string;
  readonly carried: readonly ImportNote[];
  /** What was left out or changed in meaning, with the reason. */
  readonly dropped: readonly ImportNote[];
}

export interface ImportOptions extends PrintOptions {
  /** Variables for addresses and model names that the file gives as `os.environ/NAME`. Values of credentials are never looked up. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Turns a LiteLLM `config.yaml` into ours. Every key of it is accounted for, and no secret of it reaches the result: a key that is
 * written out becomes a reference to a variable.
 * @throws ConfigError where the text is no YAML or no mapping
 */
export function importLiteLlm(text: string, options: ImportOptions = {}): LiteLlmImport {
  const { value } = readYaml(text, PYTHON_YAML);
  if (!isMapping(value)) throw new ConfigError([{ path: '', expected: 'a LiteLLM configuration', got: describe(value) }]);
  const report = new ImportReport();
  const settings = readSettings(value, report);
  const environment = knownVariables(value, options.env ?? {});
  const { upstreams, models, limits } = importModels(value['model_list'], settings, environment, report);
  const aliases = addAliases(settings.aliases, models, report);
  addFallbacks(settings, models, report);
  const byName = new Map(models.map((model) => [model.name, model]));
  for (const { alias, of, path } of aliases) addFallback(alias, byName.get(of)?.fallback ?? [], path, byName, report);
  const document: ConfigDocument = {
    ...(settings.maxBodyBytes === null ? {} : { http: { maxBodyBytes: settings.maxBodyBytes } }),
    upstreams,
    models,
    limits: [...withoutRepeats(limits), ...settings.limits],
  };
  const comment = 'Made from a LiteLLM configuration. What is not written here has its default: see docs/configuration.md.';
  return { yaml: writeYaml(document, { ...options, comment }), carried: report.carried, dropped: report.dropped };
}

/** Two entries may limit the same thing; the first counts, as the second would be refused. */
function withoutRepeats(limits: readonly LimitDocument[]): LimitDocument[] {
  return [
    ...new Map(limits.toReversed().map((limit) => [JSON.stringify([limit.models, Object.keys(limit)]), limit])).values(),
  ].toReversed();
}

/** `environment_variables` of the file go before those of the process, as in LiteLLM. */
function knownVariables(file: unknown, env: Readonly<Record<string, string | undefined>>): ReadonlyMap<string, string> {
  const known = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) if (value !== undefined && value !== '') known.set(name, value);
  const own = member(file, 'environment_variables');
  if (isMapping(own)) for (const [name, value] of Object.entries(own)) if (typeof value === 'string') known.set(name, value);
  return known;
}

interface Settings {
  /** Seconds. */
  timeout: number | null;
  retries: number | null;
  maxBodyBytes: number | null;
  readonly limits: LimitDocument[];
  readonly fallbacks: { readonly model: string; readonly to: readonly unknown[]; readonly path: Path }[];
  defaultFallbacks: { readonly to: readonly unknown[]; readonly path: Path } | null;
  readonly aliases: { readonly alias: string; readonly model: unknown; readonly path: Path }[];
}

type SettingReader = (value: unknown, path: Path, settings: Settings, report: ImportReport) => void;

/** Why a setting has no place here, where there is more to say than that. */
const REASONS: Readonly<Record<string, string>> = {
  master_key: 'keys are made by Sallyport: sallyport keys create',
  salt_key: 'nothing is read from the database of LiteLLM',
  database_url: 'nothing is read from the database of LiteLLM: keys and users are made anew, and storage.url is a database of its own',
  allowed_ips: 'addresses are allowed per key: sallyport keys create --allow-ip CIDR',
  alerting: 'alerts are made from /metrics',
  callbacks: 'see audit.exporters for logs and /metrics for counts',
  success_callback: 'see audit.exporters for logs and /metrics for counts',
  failure_callback: 'see audit.exporters for logs and /metrics for counts',
  cache: 'answers are not cached',
  cache_params: 'answers are not cached',
  max_budget: 'spend is not counted in this version',
  budget_duration: 'spend is not counted in this version',
  context_window_fallbacks: 'a fallback is taken when the upstream fails, not for the length of a prompt',
  content_policy_fallbacks: 'a blocked prompt is not tried elsewhere',
  drop_params: 'requests are passed on as they are',
  modify_params: 'requests are passed on as they are',
  routing_strategy: 'there is no balancing: the order of fallbacks counts',
  allowed_fails: 'breakers have no settings in this version',
  cooldown_time: 'breakers have no settings in this version',
  redis_host: 'set counters.url to redis://HOST:PORT and counters.password to a reference',
  redis_port: 'set counters.url to redis://HOST:PORT and counters.password to a reference',
  redis_password: 'set counters.url to redis://HOST:PORT and counters.password to a reference',
  redis_url: 'set counters.url to redis://HOST:PORT and counters.password to a reference',
  store_model_in_db: 'models are in the configuration file',
};

const readTimeout: SettingReader = (value, path, settings, report) => {
  if (typeof value !== 'number' || !(value > 0)) return report.drop(path, 'is no number of seconds');
  settings.timeout ??= value;
  report.carry(path, 'upstreams: timeouts.total');
};

const readRetries: SettingReader = (value, path, settings, report) => {
  const retries = importRetries(value, path, report);
  if (retries === null) return;
  settings.retries ??= retries;
  report.carry(path, 'upstreams: retries');
};

const readFallbacks: SettingReader = (value, path, settings, report) => {
  for (const [index, entry] of items(value, path, report).entries()) {
    for (const [model, to] of pairs(entry, [...path, index], report)) {
      const at = [...path, index, model];
      settings.fallbacks.push({ model, to: Array.isArray(to) ? to : [to], path: at });
    }
  }
};

const readConcurrency = (per: 'model' | 'global'): SettingReader => {
  return (value, path, settings, report) => {
    const concurrency = wholeNumber(value);
    if (concurrency === null) return report.drop(path, 'is no whole number');
    settings.limits.push({ per, concurrency });
    report.carry(path, `limits: concurrency per ${per}`);
  };
};

/** Settings that have a counterpart, by section. The order of the sections is their precedence: what the router is told comes first. */
const READERS: Readonly<Record<string, Readonly<Record<string, SettingReader>>>> = {
  router_settings: {
    timeout: readTimeout,
    num_retries: readRetries,
    fallbacks: readFallbacks,
    default_fallbacks: (value, path, settings, report) => {
      settings.defaultFallbacks = { to: items(value, path, report), path };
    },
    model_group_alias: (value, path, settings, report) => {
      for (const [alias, model] of pairs(value, path, report)) settings.aliases.push({ alias, model, path: [...path, alias] });
    },
  },
  litellm_settings: {
    request_timeout: readTimeout,
    num_retries: readRetries,
    fallbacks: readFallbacks,
    default_fallbacks: (value, path, settings, report) => {
      settings.defaultFallbacks ??= { to: items(value, path, report), path };
    },
  },
  general_settings: {
    max_request_size_mb: (value, path, settings, report) => {
      if (typeof value !== 'number' || !(value > 0)) return report.drop(path, 'is no number of megabytes');
      settings.maxBodyBytes = Math.min(Math.max(Math.round(value * 1_048_576), 1_024), 1_073_741_824);
      report.carry(path, 'http: maxBodyBytes');
    },
    max_parallel_requests: readConcurrency('model'),
    global_max_parallel_requests: readConcurrency('global'),
  },
};

const SECTION_REASONS: Readonly<Record<string, string>> = {
  environment_variables: 'variables belong into the environment of the process: addresses were taken from here, secrets were not',
  include: 'other files are not read: import each',
  mcp_servers: 'tools are not part of this version',
  vector_store_registry: 'vector stores are not part of this version',
  credential_list: 'write the credential of each upstream as env:NAME or file:/path',
};

function readSettings(file: Readonly<Record<string, unknown>>, report: ImportReport): Settings {
  const settings: Settings = {
    timeout: null,
    retries: null,
    maxBodyBytes: null,
    limits: [],
    fallbacks: [],
    defaultFallbacks: null,
    aliases: [],
  };
  for (const [section, readers] of Object.entries(READERS)) {
    for (const [key, value] of pairs(file[section], [section], report)) {
      const reader = Object.hasOwn(readers, key) ? readers[key] : undefined;
      if (reader === undefined)
        report.drop([section, key], Object.hasOwn(REASONS, key) ? (REASONS[key] ?? NO_COUNTERPART) : NO_COUNTERPART);
      else reader(value, [section, key], settings, report);
    }
  }
  importGuardrails(file['guardrails'], report);
  for (const key of Object.keys(file)) {
    if (key === 'model_list' || key === 'guardrails' || Object.hasOwn(READERS, key)) continue;
    report.drop([key], Object.hasOwn(SECTION_REASONS, key) ? (SECTION_REASONS[key] ?? NO_COUNTERPART) : NO_COUNTERPART);
  }
  return settings;
}

/** Guardrails of LiteLLM that a built-in detector stands in for. */
const DETECTORS: Readonly<Record<string, string>> = {
  presidio: 'pii',
  'hide-secrets': 'secrets',
  hide_secrets: 'secrets',
  lakera: 'injection',
  lakera_v2: 'injection',
  prompt_injection: 'injection',
  azure_prompt_shield: 'injection',
  'azure/prompt_shield': 'injection',
};

const SIDES: Readonly<Record<string, 'input' | 'output'>> = { pre_call: 'input', during_call: 'input', post_call: 'output' };

function importGuardrails(value: unknown, report: ImportReport): void {
  for (const [index, guardrail] of items(value, ['guardrails'], report).entries()) {
    const path: Path = ['guardrails', index];
    const parameters = member(guardrail, 'litellm_params');
    const type = member(parameters, 'guardrail');
    const mode = member(parameters, 'mode');
    const detector = typeof type === 'string' && Object.hasOwn(DETECTORS, type) ? DETECTORS[type] : undefined;
    const modes: readonly unknown[] = Array.isArray(mode) ? mode : [mode];
    const sides = modes.flatMap((name) => (typeof name === 'string' && Object.hasOwn(SIDES, name) ? [SIDES[name] ?? 'input'] : []));
    if (detector === undefined) report.drop(path, 'calls another service or code of yours: compare the built-in guards');
    else if (sides.length === 0) report.drop(path, 'its mode is none of pre_call, during_call, post_call');
    else if (!sides.every((side) => isDefault(detector, side))) {
      report.drop(path, `${detector} is not among the detectors that are on by default in this version: see guards`);
    } else report.carry(path, `guards: ${detector}, which is on by default, for every model and whatever the client says`);
  }
}

function isDefault(detector: string, side: 'input' | 'output'): boolean {
  return DEFAULT_GUARDS[side].some((item) => item.split(':')[0] === detector);
}

interface Alias {
  readonly alias: string;
  readonly of: string;
  readonly path: Path;
}

function addAliases(aliases: Settings['aliases'], models: ModelDocument[], report: ImportReport): Alias[] {
  return aliases.flatMap(({ alias, model, path }) => {
    const name = isMapping(model) ? member(model, 'model') : model;
    const original = models.find((other) => other.name === name);
    if (original === undefined) report.drop(path, 'the model it stands for was not carried over');
    else if (models.some((other) => other.name === alias)) report.drop(path, 'a model has this name');
    else if (!PUBLIC_NAME.test(alias)) report.drop(path, "is not a name of letters, digits and '._:/@+-'");
    else {
      models.push({ name: alias, upstream: original.upstream, target: original.target ?? original.name });
      report.carry(path, `models: ${quote(alias)}`);
      return [{ alias, of: original.name, path }];
    }
    return [];
  });
}

function addFallbacks(settings: Settings, models: readonly ModelDocument[], report: ImportReport): void {
  const byName = new Map(models.map((model) => [model.name, model]));
  const special = new Set(settings.fallbacks.map(({ model }) => model));
  for (const { model, to, path } of settings.fallbacks) {
    if (model === '*') settings.defaultFallbacks ??= { to, path };
    else addFallback(model, to, path, byName, report);
  }
  const general = settings.defaultFallbacks;
  if (general === null) return;
  for (const name of byName.keys()) if (!special.has(name)) addFallback(name, general.to, general.path, byName, report);
}

function addFallback(
  name: string,
  to: readonly unknown[],
  path: Path,
  byName: ReadonlyMap<string, ModelDocument>,
  report: ImportReport,
): void {
  const model = byName.get(name);
  if (model === undefined) {
    report.drop(path, 'the model was not carried over');
    return;
  }
  for (const target of to) {
    if (target === name || model.fallback?.includes(String(target))) continue;
    if (typeof target !== 'string' || !byName.has(target)) report.drop(path, 'one of the models it names was not carried over');
    else if ((model.fallback ?? []).length === 16) report.drop(path, 'a model has at most 16 fallbacks');
    else if (reaches(target, name, byName))
      report.drop(path, `the fallback from ${quote(name)} to ${quote(target)} would lead in a circle`);
    else {
      model.fallback = [...(model.fallback ?? []), target];
      report.carry(path, `models: fallback of ${quote(name)}`);
    }
  }
}

function reaches(from: string, to: string, byName: ReadonlyMap<string, ModelDocument>): boolean {
  const seen = new Set<string>();
  const open = [from];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (name === to) return true;
    if (seen.has(name)) continue;
    seen.add(name);
    open.push(...(byName.get(name)?.fallback ?? []));
  }
  return false;
}
