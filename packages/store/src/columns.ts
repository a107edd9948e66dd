import { ACTIONS, type Action, type CalendarPeriod, type KeyDigest, type LimitRule, type PrincipalKind } from '@sallyport/core';

// What a column held when it was written is checked again when it is read: a row that an older or foreign program wrote must end
// in a clear error, not in a key with no restrictions.

/** A row that does not hold what this program writes. Not a client's doing: the database was changed from outside or is damaged. */
export class CorruptRow extends Error {
  override readonly name: string = 'CorruptRow';

  constructor(column: string) {
    super(`The database holds a value in ${column} that Sallyport did not write. Restore it from a backup.`);
  }
}

const KINDS: readonly string[] = ['person', 'application', 'workload'] satisfies PrincipalKind[];
const DIMENSIONS: readonly string[] = ['key', 'user', 'team', 'tenant', 'role', 'model', 'upstream', 'address', 'session', 'global'];
const QUANTITIES: readonly string[] = ['requests', 'input-tokens', 'output-tokens', 'tokens', 'concurrency', 'spend'];
const UNITS: readonly unknown[] = ['hour', 'day', 'week', 'month'] satisfies CalendarPeriod['unit'][];
const ACTION_NAMES: ReadonlySet<string> = new Set(ACTIONS);

export function readStrings(text: string, column: string): readonly string[] {
  const value = parseJson(text, column);
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) throw new CorruptRow(column);
  return value;
}

export function readNullableStrings(text: string | null, column: string): readonly string[] | null {
  return text === null ? null : readStrings(text, column);
}

export function writeNullable(list: readonly string[] | null): string | null {
  return list === null ? null : JSON.stringify(list);
}

export function readKind(text: string, column: string): PrincipalKind {
  if (!isKind(text)) throw new CorruptRow(column);
  return text;
}

/** An action this version does not know gives nothing; dropping it denies. */
export function readActions(text: string, column: string): readonly Action[] {
  return readStrings(text, column).filter(isAction);
}

export function readDigests(text: string, column: string): readonly KeyDigest[] {
  const value = parseJson(text, column);
  if (!Array.isArray(value) || !value.every(isDigest)) throw new CorruptRow(column);
  return value;
}

export function readLimits(text: string, column: string): readonly LimitRule[] {
  const value = parseJson(text, column);
  if (!Array.isArray(value) || !value.every(isLimit)) throw new CorruptRow(column);
  return value;
}

function parseJson(text: string, column: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the content; the column name is enough.
    throw new CorruptRow(column);
  }
}

function isKind(text: string): text is PrincipalKind {
  return KINDS.includes(text);
}

function isAction(text: string): text is Action {
  return ACTION_NAMES.has(text);
}

function isDigest(value: unknown): value is KeyDigest {
  return isRecord(value) && typeof value['hmac'] === 'string' && (value['until'] === null || Number.isSafeInteger(value['until']));
}

function isLimit(value: unknown): value is LimitRule {
  return (
    isRecord(value) &&
    typeof value['name'] === 'string' &&
    typeof value['per'] === 'string' &&
    DIMENSIONS.includes(value['per']) &&
    typeof value['quantity'] === 'string' &&
    QUANTITIES.includes(value['quantity']) &&
    Number.isSafeInteger(value['amount']) &&
    Number.isSafeInteger(value['window']) &&
    (value['calendar'] === undefined || isCalendar(value['calendar'])) &&
    (value['models'] === null || (Array.isArray(value['models']) && value['models'].every((item) => typeof item === 'string')))
  );
}

function isCalendar(value: unknown): boolean {
  return isRecord(value) && typeof value['zone'] === 'string' && UNITS.includes(value['unit']);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
