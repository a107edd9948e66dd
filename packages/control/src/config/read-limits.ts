import { isTimeZone } from '@sallyport/access';
import type { CalendarPeriod, LimitQuantity, LimitRule } from '@sallyport/core';
import type { LimitDocument } from './document.ts';
import { type Path, quote } from './problem.ts';
import { checkUnique, type Item, type Reading, readItems } from './reading.ts';
import { LIMIT } from './schema.ts';
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
