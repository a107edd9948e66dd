import { isTimeZone } from '@sallyport/access';
import type { CalendarPeriod, GuardSettings, LimitQuantity, LimitRule, PersonalSettings } from '@sallyport/core';
import { compileGuard, GuardConfigError } from '@sallyport/guard';
import { DEFAULT_GUARDS } from './defaults.ts';
import type { LimitDocument, PersonalDocument } from './document.ts';
import { type Path, quote } from './problem.ts';
import { checkUnique, type Item, type Reading, readItems, readSection } from './reading.ts';
import { LIMIT } from './schema.ts';
import { GUARDS } from './schema-guards.ts';
import { parseDuration } from './units.ts';

export const LIMIT_QUANTITIES: readonly LimitQuantity[] = ['requests', 'input-tokens', 'output-tokens', 'tokens', 'concurrency', 'spend'];

/** Of the currency unit, which is what money is counted in: whole numbers add up exactly. */
export const MILLIONTHS = 1_000_000;

const SHORTEST_WINDOW = 1_000;
const LONGEST_WINDOW = 31 * 86_400_000;

export function readLimits(value: unknown, reading: Reading): LimitRule[] {
  const items = readItems(LIMIT, value, ['limits'], 1_000, 'a list of limits', reading);
  const rules = items.flatMap((item) => readLimit(item, reading).map((rule) => ({ value: rule, path: item.path })));
  checkUnique(rules, reading.findings);
  return rules.map((rule) => rule.value);
}

function readLimit({ value, path }: Item<LimitDocument>, reading: Reading): LimitRule[] {
  const quantities = LIMIT_QUANTITIES.filter((quantity) => value[quantity] !== undefined);
  if (quantities.length === 0) {
    reading.findings.problem(
      path,
      `an amount of at least one of ${LIMIT_QUANTITIES.join(', ')}`,
      'none',
      'for instance { per: key, tokens: 100000, window: 1m }',
    );
    return [];
  }
  const calendar = readCalendar(value, quantities, path, reading);
  const window = calendar === null ? readWindow(value, quantities, path, reading) : 0;
  const models = value.models ?? null;
  return quantities.map((quantity) => ({
    name: limitName(value, quantity, quantities.length > 1),
    per: value.per,
    quantity,
    amount: quantity === 'spend' ? Math.round((value.spend ?? 0) * MILLIONTHS) : (value[quantity] ?? 0),
    window: quantity === 'concurrency' ? 0 : window,
    ...(calendar === null || quantity === 'concurrency' ? {} : { calendar }),
    ...(value.overrun === undefined ? {} : { overrun: value.overrun }),
    models,
  }));
}

export const CALENDAR_UNITS: readonly CalendarPeriod['unit'][] = ['hour', 'day', 'week', 'month'];

/** The period of the calendar where the window is one, else null. */
function readCalendar(value: LimitDocument, quantities: readonly LimitQuantity[], path: Path, reading: Reading): CalendarPeriod | null {
  const { findings } = reading;
  const unit = CALENDAR_UNITS.find((known) => known === value.window);
  const zone = value.timezone ?? 'UTC';
  if (unit === undefined) {
    if (value.timezone !== undefined)
      findings.problem(
        [...path, 'timezone'],
        `a window of ${CALENDAR_UNITS.join(', ')} beside it`,
        quote(value.window ?? 'nothing'),
        'remove it',
      );
    return null;
  }
  if (quantities.every((quantity) => quantity === 'concurrency'))
    findings.problem([...path, 'window'], 'no window: concurrency counts requests in progress', quote(unit), 'remove it');
  if (!isTimeZone(zone)) findings.problem([...path, 'timezone'], 'a time zone of the IANA database such as Europe/Berlin', quote(zone));
  return { unit, zone };
}

function readWindow(value: LimitDocument, quantities: readonly LimitQuantity[], path: Path, reading: Reading): number {
  const needed = quantities.some((quantity) => quantity !== 'concurrency');
  const at = [...path, 'window'];
  if (value.window === undefined) {
    if (needed) reading.findings.problem(at, 'a duration such as 1s, 1m, 1h, 1d or 30d', 'nothing');
    return 0;
  }
  if (!needed) reading.findings.problem(at, 'no window: concurrency counts requests in progress', quote(value.window), 'remove it');
  const window = parseDuration(value.window) ?? 0;
  if (window < SHORTEST_WINDOW || window > LONGEST_WINDOW) reading.findings.problem(at, 'a duration from 1s to 31d', quote(value.window));
  return window;
}

/** `tokens/key/1m`, with the models where the rule is for some only. Names are in metrics and in `policy explain`. */
function limitName(value: LimitDocument, quantity: LimitQuantity, several: boolean): string {
  if (value.name !== undefined) return several ? `${value.name}/${quantity}` : value.name;
  const parts = [quantity, value.per, ...(quantity === 'concurrency' || value.window === undefined ? [] : [value.window])];
  return [...parts, ...(value.models === undefined ? [] : [shortList(value.models)])].join('/');
}

function shortList(models: readonly string[]): string {
  const shown = models.slice(0, 2).join('+');
  return models.length > 2 ? `${shown}+${models.length - 2}` : shown;
}

/** Says what is wrong with detectors and patterns, whose vocabulary and syntax are the guard's. Paths are within the section. */
export type CheckGuards = (settings: GuardSettings) => readonly GuardProblem[];

export interface GuardProblem {
  readonly path: Path;
  readonly expected: string;
  readonly got: string;
}

export function readGuards(value: unknown, check: CheckGuards, reading: Reading): GuardSettings {
  const { findings } = reading;
  const section = readSection(GUARDS, value, ['guards'], reading) ?? {};
  const deny = section.deny ?? [];
  const settings: GuardSettings = {
    input: section.input ?? DEFAULT_GUARDS.input,
    output: section.output ?? DEFAULT_GUARDS.output,
    mode: section.mode ?? DEFAULT_GUARDS.mode,
    deny: deny.map((pattern) => ({
      name: pattern.name,
      pattern: pattern.pattern,
      ignoreCase: pattern.ignoreCase ?? false,
      stages: pattern.stages ?? ['input', 'output'],
      action: pattern.action ?? 'block',
    })),
    ...(section.pii === undefined ? {} : { pii: readPersonal(section.pii) }),
    onBlock: section.onBlock ?? DEFAULT_GUARDS.onBlock,
    onUnavailable: section.onUnavailable ?? DEFAULT_GUARDS.onUnavailable,
    maxTextLength: section.maxTextLength ?? DEFAULT_GUARDS.maxTextLength,
    links: { hosts: section.links?.hosts ?? DEFAULT_GUARDS.links.hosts, only: section.links?.only ?? DEFAULT_GUARDS.links.only },
  };
  // The default lists are the guard's own: compiling them again would only cost time at the start.
  const written = section.input ?? section.output ?? section.deny ?? section.pii;
  for (const { path, expected, got } of written === undefined ? [] : check(settings)) findings.problem(['guards', ...path], expected, got);
  if (settings.mode === 'observe')
    findings.warn(['guards', 'mode'], 'findings are recorded and nothing is stopped', 'use transform or hold');
  if (settings.onUnavailable === 'pass-unsafe')
    findings.warn(['guards', 'onUnavailable'], 'text that could not be inspected passes', 'use block');
  for (const side of ['input', 'output'] as const) {
    if (settings[side].length === 0 && deny.every((pattern) => !(pattern.stages ?? ['input', 'output']).includes(side))) {
      findings.warn(['guards', side], `nothing is looked for in the ${side}`, `remove guards.${side} to get the default detectors`);
    }
  }
  return settings;
}

/** A recogniser's own action is one more action by its name. */
function readPersonal({ actions = {}, recognisers = [] }: PersonalDocument): PersonalSettings {
  const own = recognisers.flatMap(({ name, action }) => (action === undefined ? [] : [[name, action] as const]));
  return {
    actions: { ...Object.fromEntries(own), ...actions },
    recognisers: recognisers.map(({ name, pattern, ignoreCase, context, checksum }) => ({
      name,
      pattern,
      ignoreCase: ignoreCase ?? false,
      context: context ?? [],
      checksum: checksum ?? null,
    })),
  };
}

/** Asks the guard that will run. */
export const checkWithGuard: CheckGuards = (settings) => {
  try {
    compileGuard(settings);
    return [];
  } catch (error) {
    if (!(error instanceof GuardConfigError)) throw error;
    return error.issues.map(({ path, expected, got }) => ({ path: parsePath(path).slice(1), expected, got }));
  }
};

/** `guards.deny[0].pattern` in its parts. */
function parsePath(text: string): Path {
  return [...text.matchAll(/[^.[\]]+/g)].map(([part]) => (/^[0-9]+$/.test(part) ? Number(part) : part));
}
