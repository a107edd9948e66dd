import { createReadStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { canonicalIp, type LimitRules, LimitSimulation, type LimitSubject, type TracedRequest } from '@sallyport/access';
import type { Config, KeyView } from '@sallyport/control';
import type { Fault, Principal, Usage } from '@sallyport/core';
import { Command } from 'commander';
import { readConfig } from '../installation.ts';
import { EXIT, plain, result, table, UsageError } from '../terminal.ts';
import { globalOptions } from './options.ts';

/** Output assumed where a line has no bound; as the gateway does until it has learned the model's. */
const UNBOUNDED_OUTPUT = 1_024;
/** Refusals that are shown to people. */
const SHOWN = 20;

/** A request that would have been refused, or cut in mid-reply. `time` is RFC 3339. */
interface Refusal {
  readonly line: number;
  readonly time: string;
  readonly outcome: 'refused' | 'cut';
  readonly caller: string;
  readonly model: string | null;
  readonly code: string;
  readonly limit: string | null;
  readonly retryAfter: number | null;
}

interface Report {
  readonly requests: number;
  readonly admitted: number;
  readonly refused: number;
  readonly cut: number;
  /** The highest use of each limit, and for whom. Of spend, millionths. */
  readonly limits: readonly {
    readonly limit: string;
    readonly amount: number;
    readonly peak: number;
    readonly of: string;
    readonly refused: number;
  }[];
  readonly refusals: readonly Refusal[];
}

type KnownKeys = ReadonlyMap<string, Pick<KeyView, 'principal' | 'kind' | 'tenant' | 'user' | 'team' | 'roles' | 'limits'>>;

export function simulateCommand(): Command {
  return new Command('simulate')
    .description('which requests of a trace the configured limits would refuse, and why. Asks no server. Exits with 1 where one would be')
    .argument('[trace]', 'JSON lines; - or nothing for stdin', '-')
    .option('--keys <file>', 'what sallyport keys list --json prints: the tenants, roles and limits of keys')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
A line is {"time", "key"|"caller", "tenant"?, "user"?, "team"?, "roles"?, "model"?, "address"?, "session"?, "input"?, "output"?, "max_tokens"?, "ms"?}:
time is RFC 3339 or epoch milliseconds, input and output are the tokens it used, ms how long it ran. Entries of the ledger are read as well.

Example:
  $ sallyport audit query --kind request --json | sallyport limits simulate --config planned.yaml --keys keys.json`,
    )
    .action(async (trace: string, options: { readonly keys?: string; readonly json?: boolean }, command: Command) => {
      const { config } = await readConfig(globalOptions(command).place, false);
      const report = await simulate(config, trace, options.keys === undefined ? new Map() : readKeys(options.keys));
      if (report.refused + report.cut > 0) process.exitCode = EXIT.refused;
      result(options.json === true, report, () => describe(report));
    });
}

async function simulate(config: Config, trace: string, keys: KnownKeys): Promise<Report> {
  const rules: LimitRules = { rules: config.limits, keyRules: (id) => keys.get(id)?.limits ?? [] };
  const requests = await readTrace(trace, keys, new Map(config.models.map((model) => [model.name, model])));
  const simulation = new LimitSimulation();
  const refusals: Refusal[] = [];
  for (const { line, request } of requests) {
    const note = (outcome: Refusal['outcome'], fault: Fault): void => void refusals.push(refusal(line, request, outcome, fault));
    const fault = simulation.ask(rules, request, (cut) => note('cut', cut));
    if (fault !== null) note('refused', fault);
  }
  simulation.finish();
  refusals.sort((a, b) => a.line - b.line);
  const refused = refusals.filter(({ outcome }) => outcome === 'refused').length;
  return {
    requests: requests.length,
    admitted: requests.length - refused,
    refused,
    cut: refusals.length - refused,
    limits: limitsOf(config, simulation, refusals),
    refusals,
  };
}

interface Line {
  readonly line: number;
  readonly request: TracedRequest;
}

/** In the order of their time: entries of the ledger are in the order of their ends. */
async function readTrace(trace: string, keys: KnownKeys, models: ReadonlyMap<string, Config['models'][number]>): Promise<Line[]> {
  const requests: Line[] = [];
  let line = 0;
  const lines = createInterface({ input: trace === '-' ? process.stdin : createReadStream(trace), crlfDelay: Number.POSITIVE_INFINITY });
  for await (const text of lines) {
    line += 1;
    const request = text.trim() === '' ? null : readLine(text, line, keys, models);
    if (request !== null) requests.push({ line, request });
  }
  return requests.sort((a, b) => a.request.time - b.request.time);
}

function limitsOf(config: Config, simulation: LimitSimulation, refusals: readonly Refusal[]): Report['limits'] {
  const peaks = new Map(simulation.peaks.map((peak) => [peak.rule.name, peak]));
  const names = new Set([...config.limits.map(({ name }) => name), ...peaks.keys()]);
  return [...names].map((limit) => {
    const peak = peaks.get(limit);
    const amount = peak?.rule.amount ?? config.limits.find(({ name }) => name === limit)?.amount ?? 0;
    return {
      limit,
      amount,
      peak: peak?.used ?? 0,
      of: peak?.of ?? '-',
      refused: refusals.filter((one) => one.outcome === 'refused' && one.limit === limit).length,
    };
  });
}

function refusal(line: number, { time, subject }: TracedRequest, outcome: Refusal['outcome'], fault: Fault): Refusal {
  const { credential, id } = subject.principal;
  return {
    line,
    time: new Date(time).toISOString(),
    outcome,
    caller: credential.kind === 'api-key' ? credential.id : id,
    model: subject.model,
    code: fault.code,
    limit: fault.detail,
    retryAfter: fault.retryAfter,
  };
}

function readKeys(file: string): KnownKeys {
  const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
  const isKey = (key: unknown): key is KeyView =>
    isRecord(key) && typeof key['id'] === 'string' && Array.isArray(key['limits']) && Array.isArray(key['roles']);
  if (!Array.isArray(value) || !value.every(isKey)) throw new UsageError('--keys: expected what sallyport keys list --json prints');
  return new Map(value.map((key) => [key.id, key]));
}

/** A line of a trace, or an entry of the ledger; null for an entry that is no exchange with a model. */
function readLine(
  text: string,
  line: number,
  keys: KnownKeys,
  models: ReadonlyMap<string, Config['models'][number]>,
): TracedRequest | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UsageError(`line ${line}: expected a JSON object`);
  }
  if (!isRecord(value)) throw new UsageError(`line ${line}: expected a JSON object`);
  const isEntry = isRecord(value['principal']) || 'seq' in value;
  const fields = isEntry ? entryFields(value) : value;
  if (fields === null) return null;
  const read = new Fields(fields, line);
  const time = read.time();
  const key = read.text('key');
  const caller = read.text('caller') ?? key;
  if (caller === null) throw new UsageError(`line ${line}: key: expected the id of a key, or caller`);
  const known = key === null ? undefined : keys.get(key);
  const tenant = read.text('tenant') ?? known?.tenant ?? 'default';
  const principal: Principal = {
    id: known?.principal ?? caller,
    kind: known?.kind ?? 'application',
    tenant,
    user: read.text('user') ?? known?.user ?? null,
    team: read.text('team') ?? known?.team ?? null,
    roles: read.texts('roles') ?? known?.roles ?? [],
    credential: key === null ? { kind: 'jwt', id: caller, expiresAt: null } : { kind: 'api-key', id: key, expiresAt: null },
  };
  const model = read.text('model');
  const route = model === null ? undefined : models.get(model);
  const address = read.text('address') ?? '0.0.0.0';
  const subject: LimitSubject = {
    principal,
    model,
    upstream: route?.upstream ?? null,
    address: canonicalIp(address) ?? read.refuse('address', 'an IP address'),
    session: read.text('session'),
    price: route?.price ?? null,
  };
  const usage: Usage = { input: read.count('input') ?? 0, output: read.count('output') ?? 0, cached: 0, exact: true };
  const bound = read.count('max_tokens');
  // What used no output made none: an embedding, a list.
  const output = bound ?? (usage.output === 0 ? 0 : UNBOUNDED_OUTPUT);
  return {
    time,
    subject,
    estimate: { input: usage.input, output, outputBounded: bound !== null || output === 0 },
    usage,
    duration: read.count('ms') ?? 0,
  };
}

/** What an entry of the ledger says of its request (docs/ledger.md). Refused ones count too: their callers asked. */
function entryFields(entry: Readonly<Record<string, unknown>>): Record<string, unknown> | null {
  const { kind, time, principal, source, model, usage, latency } = entry;
  if (kind !== 'request' || !isRecord(principal)) return null;
  const [credentialKind, credential] = String(principal['credential'] ?? '').split(/:(.*)/s);
  const total = isRecord(latency) && typeof latency['total'] === 'number' ? Math.round(latency['total']) : 0;
  const end = typeof time === 'number' ? time : Date.parse(String(time));
  return {
    // The entry is written at the end of its exchange.
    time: end - total,
    tenant: principal['tenant'],
    ...(credentialKind === 'api-key' ? { key: credential } : { caller: principal['id'] }),
    ...(isRecord(source) ? { address: source['ip'] } : {}),
    ...(isRecord(model) ? { model: model['name'] } : {}),
    ...(isRecord(usage) ? { input: usage['input'], output: usage['output'] } : {}),
    ms: total,
  };
}

/** The members of a line, each of its type or a usage error that names it. */
class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #line: number;

  constructor(values: Readonly<Record<string, unknown>>, line: number) {
    this.#values = values;
    this.#line = line;
  }

  refuse(name: string, expected: string): never {
    throw new UsageError(`line ${this.#line}: ${name}: expected ${expected}`);
  }

  time(): number {
    const value = this.#values['time'];
    const time = typeof value === 'string' ? Date.parse(value) : value;
    return typeof time === 'number' && Number.isFinite(time) ? time : this.refuse('time', 'RFC 3339 or epoch milliseconds');
  }

  text(name: string): string | null {
    const value = this.#values[name] ?? null;
    return value === null || typeof value === 'string' ? value : this.refuse(name, 'a text');
  }

  texts(name: string): readonly string[] | null {
    const value = this.#values[name] ?? null;
    if (value === null) return null;
    return Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : this.refuse(name, 'a list of texts');
  }

  count(name: string): number | null {
    const value = this.#values[name] ?? null;
    if (value === null) return null;
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : this.refuse(name, 'a whole number, 0 or more');
  }
}

function describe(report: Report): string {
  const { requests, admitted, refused, cut, limits, refusals } = report;
  const parts = [`${requests} requests: ${admitted} admitted, ${refused} refused, ${cut} cut in mid-reply.`];
  if (limits.length > 0)
    parts.push(
      table(
        ['LIMIT', 'AMOUNT', 'MOST USED', 'BY', 'REFUSED'],
        limits.map((one) => [one.limit, String(one.amount), String(one.peak), one.of, String(one.refused)]),
      ),
    );
  if (refusals.length > 0) {
    const rows = refusals
      .slice(0, SHOWN)
      .map((one) => [
        String(one.line),
        one.time,
        one.outcome,
        one.caller,
        one.model ?? '-',
        one.code,
        one.limit ?? '-',
        one.retryAfter === null ? '-' : `${one.retryAfter} s`,
      ]);
    parts.push(table(['LINE', 'TIME', 'OUTCOME', 'CALLER', 'MODEL', 'CODE', 'LIMIT', 'RETRY AFTER'], rows));
    if (refusals.length > SHOWN) parts.push(plain(`… and ${refusals.length - SHOWN} more (--json has all).`));
  }
  return parts.join('\n\n');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
