import { isTimeZone, parseCidr } from '@sallyport/access';
import type { LimitQuantity, LimitRule } from '@sallyport/core';
import type { KeyLifetime } from './ports.ts';
import { invalid } from './refusal.ts';
import type { NewLimit } from './views.ts';

// What the fields of the verbs may hold. Everything that arrives here is a client's data.

const MAX_NAME = 128;
const MAX_LIST = 64;
const MAX_MODEL = 256;
const MAX_WINDOW = 366 * 86_400_000;
/** No control, format, surrogate, private or unassigned characters, and no line or paragraph separators: names are shown and logged. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u;
const LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;
const EMAIL = /^[^\s@"<>]{1,64}@[A-Za-z0-9.-]{1,189}$/;

export function checkName(param: string, text: string): string {
  if (text.length === 0 || text.length > MAX_NAME) throw invalid(param, `${param} must have 1 to ${MAX_NAME} characters.`);
  if (UNPRINTABLE.test(text) || text.trim() !== text) {
    throw invalid(param, `${param} must not hold control or invisible characters, nor begin or end with a space.`);
  }
  return text;
}

/** Something that was named elsewhere: a model, a session, who a token is of. */
export function checkPrintable(param: string, text: string): string {
  if (text.length === 0 || text.length > MAX_MODEL || UNPRINTABLE.test(text))
    throw invalid(param, `${param} must have 1 to ${MAX_MODEL} printable characters.`);
  return text;
}

/** A tenant or team: short, and safe in a metric label, a path and a log line. */
export function checkLabel(param: string, text: string): string {
  if (!LABEL.test(text)) throw invalid(param, `${param} must have 1 to 64 letters, digits, dots, dashes or underscores.`);
  return text;
}

export function checkEmail(text: string): string {
  if (text.length > 254 || UNPRINTABLE.test(text) || !EMAIL.test(text))
    throw invalid('email', 'email must be an address such as ada@example.org.');
  return text;
}

export function checkReason(text: string): string {
  return checkName('reason', text);
}

const KEY_ID = /^[0-9a-z]{12}$/;
const USER_ID = /^u_[0-9a-f]{24}$/;

/** What is not of this form was never given out; it is neither looked up nor written to the ledger. */
export function isKeyId(text: string): boolean {
  return KEY_ID.test(text);
}

export function isUserId(text: string): boolean {
  return USER_ID.test(text);
}

/** At least one role, each once. Whether they exist and may be given is decided by policy. */
export function checkRoles(roles: readonly string[]): readonly string[] {
  if (roles.length === 0 || roles.length > MAX_LIST) throw invalid('roles', `roles must name 1 to ${MAX_LIST} roles.`);
  return [...new Set(roles)];
}

export function checkModels(models: readonly string[] | undefined, param: string = 'models'): readonly string[] | null {
  if (models === undefined) return null;
  if (models.length === 0 || models.length > MAX_LIST) {
    throw invalid(param, `${param} must name 1 to ${MAX_LIST} models; leave it out for every model the roles permit.`);
  }
  for (const [index, model] of models.entries()) {
    if (model.length === 0 || model.length > MAX_MODEL || UNPRINTABLE.test(model)) {
      throw invalid(`${param}[${index}]`, `A model name or glob has 1 to ${MAX_MODEL} printable characters.`);
    }
  }
  return [...new Set(models)];
}

export function checkAddresses(blocks: readonly string[] | undefined): readonly string[] | null {
  if (blocks === undefined) return null;
  if (blocks.length === 0 || blocks.length > MAX_LIST) {
    throw invalid('allowedIps', `allowedIps must hold 1 to ${MAX_LIST} blocks; leave it out to allow every address.`);
  }
  return blocks.map((block, index) => {
    const cidr = parseCidr(block);
    if (cidr === null) throw invalid(`allowedIps[${index}]`, 'Write an address or a block such as 10.0.0.0/8 or 2001:db8::/32.');
    return `${cidr.address}/${cidr.prefix}`;
  });
}

const QUANTITIES: readonly LimitQuantity[] = ['requests', 'input-tokens', 'output-tokens', 'tokens', 'concurrency', 'spend'];

export function checkLimits(limits: readonly NewLimit[] | undefined): readonly LimitRule[] {
  if (limits === undefined) return [];
  if (limits.length > MAX_LIST) throw invalid('limits', `limits must hold at most ${MAX_LIST} entries.`);
  return limits.map((limit, index) => {
    const at = `limits[${index}]`;
    if (!QUANTITIES.includes(limit.quantity)) throw invalid(`${at}.quantity`, `quantity must be one of ${QUANTITIES.join(', ')}.`);
    if (!Number.isSafeInteger(limit.amount) || limit.amount < 0) throw invalid(`${at}.amount`, 'amount must be a whole number, 0 or more.');
    const { calendar } = limit;
    if (calendar !== undefined && (!isTimeZone(calendar.zone) || limit.quantity === 'concurrency'))
      throw invalid(`${at}.timezone`, 'timezone must be a name of the IANA database such as Europe/Berlin; concurrency has no period.');
    const windowed = limit.quantity !== 'concurrency' && calendar === undefined;
    const fits = windowed ? limit.window >= 1_000 && limit.window <= MAX_WINDOW : limit.window === 0;
    if (!Number.isSafeInteger(limit.window) || !fits) {
      throw invalid(
        `${at}.window`,
        windowed
          ? 'window must be from one second to 366 days, in milliseconds.'
          : 'concurrency and calendar periods have no window: give 0.',
      );
    }
    return {
      name: `key-${limit.quantity}-${windowed ? limit.window : (calendar?.unit ?? index)}`,
      per: 'key',
      quantity: limit.quantity,
      amount: limit.amount,
      window: limit.window,
      ...(calendar === undefined ? {} : { calendar: { unit: calendar.unit, zone: calendar.zone } }),
      models: checkModels(limit.models, `${at}.models`),
    };
  });
}

export function checkExpiry(expiresAt: number | undefined, now: number, lifetime: KeyLifetime): number {
  if (expiresAt === undefined) return now + lifetime.standard;
  if (!Number.isSafeInteger(expiresAt) || expiresAt <= now) throw invalid('expiresAt', 'expiresAt must be in the future.');
  if (expiresAt > now + lifetime.longest) {
    throw invalid('expiresAt', `A key can last ${Math.floor(lifetime.longest / 86_400_000)} days at most; rotate it before it ends.`);
  }
  return expiresAt;
}

export function checkOverlap(overlap: number | undefined, lifetime: KeyLifetime): number {
  if (overlap === undefined) return lifetime.overlap;
  if (!Number.isSafeInteger(overlap) || overlap < 0 || overlap > lifetime.longestOverlap) {
    throw invalid('overlap', `The old secret can go on for ${Math.floor(lifetime.longestOverlap / 3_600_000)} hours at most.`);
  }
  return overlap;
}

const DEFAULT_PAGE = 100;
const MAX_PAGE = 500;

export function checkPage(limit: number | undefined): number {
  const size = limit ?? DEFAULT_PAGE;
  if (!Number.isSafeInteger(size) || size < 1 || size > MAX_PAGE) throw invalid('limit', `limit must be from 1 to ${MAX_PAGE}.`);
  return size;
}
