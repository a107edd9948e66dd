import type { Part } from '../detect/pattern-detector.ts';
import { trailingFrom } from '../detect/trailing.ts';
import { isDay, isOneDigit, luhn } from './checksums.ts';
import { identify, isIdentifierLength } from './identifiers.ts';

/**
 * Digits with separators between them: anything from a telephone number to a line of numbers. Not counted, since a candidate can start within
 * another: so their threads meet at one instruction, and the automaton stays small.
 */
export const NUMBER_PATTERN =
  '(?:\\b|[+(]{1,2})\\d(?:[ \\u00a0.()/-]{0,3}\\d)+(?:x\\d{2,5})?\\b(?:[ -]{1,2}\\(?(?:[Oo]ffice|[Ff]ax|[Mm]obile|[Cc]ell|[Hh]ome|[Ww]ork|[Tt]el|[Pp]hone)\\b)?';

/** Longest stretch of groups that can be one number. */
const MAX_GROUPS = 8;

interface Group {
  readonly start: number;
  readonly end: number;
  /** Without an extension. */
  readonly digits: string;
  /** Digits of the groups before it. */
  readonly at: number;
}

/** The groups of a match, and all their digits. */
interface Numbers {
  readonly groups: readonly Group[];
  readonly digits: string;
}

interface Kind {
  readonly category: string;
  readonly label: string;
}

/** Fewest digits of anything that is found: a shorter match is none. */
export const FEWEST_DIGITS = 6;

/**
 * Whether what stands before a match says that it is no number of a person: the rest of an IBAN, part of a word, a decimal fraction or an
 * identifier with dashes. From the end backwards: an expression would be tried at each of the units before every match.
 */
function isNoStart(before: string): boolean {
  const end = before.length;
  const last = before.charAt(end - 1);
  if (last === ' ') return /\b[A-Z]{2}\d{2} $/.test(before.slice(-6));
  if (last === ',') return isDigit(before.charCodeAt(end - 2));
  if (last === '.' || last === ':' || last === '/' || last === '-') return endsInWord(before, end - 1);
  return endsInWord(before, trailingFrom(before, '+('));
}

function isSpaceOrHyphen(unit: number): boolean {
  return unit === 0x20 || unit === 0x2d;
}

/** Whether a letter, a digit or an underscore ends at `end`. */
function endsInWord(text: string, end: number): boolean {
  const unit = text.charCodeAt(end - 1);
  if (unit < 0x80) return isDigit(unit) || unit === 0x5f || ((unit | 0x20) >= 0x61 && (unit | 0x20) <= 0x7a);
  return /[\p{L}\p{N}]$/u.test(text.slice(Math.max(0, end - 2), end));
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

/** Finds the numbers in a match of `NUMBER_PATTERN`: at each group the longest sequence of groups that is something. */
export function locateNumbers(match: string, before: string): readonly Part[] {
  if (isNoStart(before)) return [];
  const groups = groupsOf(match);
  const digits = groups.map((group) => group.digits).join('');
  const parts: Part[] = [];
  for (let first = 0; first < groups.length; ) {
    const list = listFrom(groups, first);
    if (list >= LIST) {
      first += list;
      continue;
    }
    const found = longestFrom(match, before, { groups, digits }, first);
    if (found === null) first++;
    else {
      parts.push(found.part);
      first = found.next;
    }
  }
  return parts;
}

/** So many groups of one or two digits in a row are a list or a table, where every few of them would look like something. */
const LIST = 24;

/** How many groups from `first` on are of one or two digits. */
function listFrom(groups: readonly Group[], first: number): number {
  let last = first;
  for (; last < groups.length; last++) {
    const { start = 0, end = 0 } = groups[last] ?? {};
    if (end - start > 2) break;
  }
  return last - first;
}

/** Runs of digits; an extension (`x123`) belongs to the run before it. */
function groupsOf(match: string): Group[] {
  const groups: Group[] = [];
  let start = -1;
  let at = 0;
  for (let index = 0; index <= match.length; index++) {
    const unit = match.charCodeAt(index);
    const inside = isDigit(unit) || (unit === 0x78 && start >= 0);
    if (inside && start < 0) start = index;
    if (!inside && start >= 0) {
      const run = match.slice(start, index);
      const extension = run.indexOf('x');
      const digits = extension < 0 ? run : run.slice(0, extension);
      groups.push({ start, end: index, digits, at });
      at += digits.length;
      start = -1;
    }
  }
  return groups;
}

/** Groups that together have as many digits as some number. */
interface Sequence {
  readonly digits: string;
  /** Lengths of the groups: `3-2-4`. */
  readonly written: string;
}

/** Digits of the longest number of any kind, and of the longest telephone number (ITU-T E.164). */
const MOST_DIGITS = 20;
const MOST_PHONE_DIGITS = 15;

function longestFrom(
  match: string,
  before: string,
  { groups, digits }: Numbers,
  first: number,
): { readonly part: Part; readonly next: number } | null {
  const { start = 0, at = 0 } = groups[first] ?? {};
  const opening = openingOf(match, start);
  const surroundings = new Surroundings(match, before, opening);
  for (let last = lastFrom(groups, first); last >= first; last--) {
    const group = groups[last];
    if (group === undefined) continue;
    const length = group.at + group.digits.length - at;
    if (length < FEWEST_DIGITS) break;
    if (length > MOST_PHONE_DIGITS && !isIdentifierLength(length) && !luhn(digits, at, at + length)) continue;
    const sequence = { digits: digits.slice(at, at + length), written: writtenOf(groups, first, last) };
    const kind = kindOf(match.slice(opening, group.end), sequence, last - first + 1, surroundings, group.end);
    if (kind !== null) return { part: { start: opening, end: group.end, ...kind }, next: last + 1 };
  }
  return null;
}

/** The last group of the longest sequence from `first` on that is not mostly lone digits. */
function lastFrom(groups: readonly Group[], first: number): number {
  const at = groups[first]?.at ?? 0;
  let lone = 0;
  let last = first;
  for (; last < groups.length && last < first + MAX_GROUPS; last++) {
    const group = groups[last];
    if (group === undefined || (group.digits.length === 1 && ++lone > 2)) break;
    if (group.at + group.digits.length - at > MOST_DIGITS) break;
  }
  return last - 1;
}

function writtenOf(groups: readonly Group[], first: number, last: number): string {
  let written = String(groups[first]?.digits.length);
  for (let index = first + 1; index <= last; index++) written += `-${groups[index]?.digits.length}`;
  return written;
}

/** A `+` or an opening bracket belongs to the number after it. */
function openingOf(match: string, start: number): number {
  let from = start;
  while (from > 0 && '+('.includes(match.charAt(from - 1))) from--;
  return from;
}

/** Units before a number in which words tell what it is. */
const CONTEXT = 48;

/** What stands around a number, looked at once however many sequences start there, and only where a check asks. */
class Surroundings {
  readonly #match: string;
  readonly #before: string;
  readonly #start: number;
  #context: string | null = null;
  #called: boolean | null = null;
  #other: boolean | null = null;

  constructor(match: string, before: string, start: number) {
    this.#match = match;
    this.#before = before;
    this.#start = start;
  }

  /** The text before, in lower case; empty where it is nothing but other digits of the match. */
  get context(): string {
    if (this.#start >= CONTEXT) return '';
    this.#context ??= (this.#before + this.#match.slice(0, this.#start)).slice(-CONTEXT).toLowerCase();
    return this.#context;
  }

  get speaksOfCalling(): boolean {
    this.#called ??= this.context !== '' && CALL.test(this.context);
    return this.#called;
  }

  get speaksOfOtherNumber(): boolean {
    this.#other ??= this.context !== '' && OTHER_NUMBER.test(this.context);
    return this.#other;
  }

  /** Whether a word after it says that it is a telephone number. */
  isNamedAt(end: number): boolean {
    return (
      isSpaceOrHyphen(this.#match.charCodeAt(end)) &&
      !isDigit(this.#match.charCodeAt(end + 1)) &&
      /^[ -]{1,2}\(?(?:office|fax|mobile|cell|home|work|tel|phone)/i.test(this.#match.slice(end, end + 12))
    );
  }
}

function kindOf(text: string, { digits, written }: Sequence, groupCount: number, surroundings: Surroundings, end: number): Kind | null {
  if (digits.length >= 13 && isCard(digits, written)) return { category: 'payment-card', label: 'CARD' };
  const identifier = identify(digits, written, surroundings);
  if (identifier !== null) return { category: identifier, label: 'ID' };
  if (groupCount === 3 && digits.length <= 8 && isBirthDate(text, surroundings))
    return { category: 'date-of-birth', label: 'DATE_OF_BIRTH' };
  if (isPhone(text, digits, groupCount, written, surroundings, end)) return { category: 'phone', label: 'PHONE' };
  return null;
}

/** Issuer ranges (ISO/IEC 7812) with their lengths. */
const BRANDS: readonly (readonly [range: RegExp, lengths: readonly number[]])[] = [
  [/^4/, [13, 16, 19]],
  [/^(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]],
  [/^3[47]/, [15]],
  [/^(?:6011|64[4-9]|65)/, [16, 19]],
  [/^(?:30[0-5]|36|38|39)/, [14, 16]],
  [/^35(?:2[89]|[3-8])/, [16, 19]],
  [/^62/, [16, 17, 18, 19]],
  [/^(?:50|5[6-9]|6[0-9])/, [13, 16, 18, 19]],
];

function isCard(digits: string, written: string): boolean {
  if (!luhn(digits) || isOneDigit(digits) || !/^(?:\d+|4-4-4-4(?:-3)?|4-6-[45]|4-4-4-1)$/.test(written)) return false;
  return BRANDS.some(([range, lengths]) => range.test(digits) && lengths.includes(digits.length));
}

/** Nobody born before is alive: such a date is history, not personal data. */
export const OLDEST_BIRTH = 1910;

/** That somebody `was born` is what biographies say; a form, a record and a person speaking of themselves say it like this. */
const BIRTH =
  /\bi (?:was|am) born|patient[^.]{0,20}\bborn|\bborn:|birth|\bdob\b|\bd\.o\.b|bday|geburts|\bn[ée]e? le|naissance|nacimiento|nascimento/;

function isBirthDate(text: string, surroundings: Surroundings): boolean {
  const found = /^(\d{1,4})([/.-])(\d{1,2})\2(\d{1,4})$/.exec(text);
  if (found === null || !BIRTH.test(surroundings.context)) return false;
  const [a, b, c] = [Number(found[1]), Number(found[3]), Number(found[4])];
  if (Math.max(a, c) >= 1000 && Math.max(a, c) < OLDEST_BIRTH) return false;
  return (
    (found[1]?.length === 4 ? isDay(b, c) : isDay(a, b) || isDay(b, a)) &&
    [2, 4].includes(Math.max(found[1]?.length ?? 0, found[4]?.length ?? 0))
  );
}

const CALL =
  /phone|\btel|\bcall|mobile|\bcell|\bfax|whatsapp|\bsms\b|\btext (?:me|us|him|her)|reach|answering|\bdial|hotline|handy|t[ée]l[ée]fon|telefon|m[óo]vil|celular|电话|手机|携帯|\bpager|extension/;
const OTHER_NUMBER =
  /\b(?:order|account|acct|ticket|invoice|ref(?:erence)?|tracking|flight|case|zip|po box|isbn|issn|version|model|sku|serial|booking|reservation|confirmation|part|page|rfc|doi|port)\b[^.]{0,16}$/;

/** ITU-T E.164 country codes, by their first digits. */
const CALLING_CODE =
  /^(?:1|7|20|21[1-8]|2[2-6]\d|27|29\d|3[0-469]|3[578]\d|4[013-9]|42[0-9]|5[1-8]|5[09]\d|6[0-6]|6[7-9]\d|8[1246]|85[02356]|88\d|9[0-58]|9[679]\d)/;

function isPhone(text: string, digits: string, groupCount: number, written: string, surroundings: Surroundings, end: number): boolean {
  if (digits.length > MOST_PHONE_DIGITS || isOneDigit(digits)) return false;
  if (text.startsWith('+') || text.startsWith('(+')) return digits.length >= 8 && CALLING_CODE.test(digits);
  const { length } = digits;
  const american =
    (length === 10 || length === 11) && /^(?:1-)?3-3-4$/.test(written) && /^1?[2-9]\d\d[2-9]/.test(digits) && /[-.()]/.test(text);
  const zero = digits.startsWith('0') && groupCount >= 3;
  const international = zero && length >= 11 && digits.startsWith('00') && CALLING_CODE.test(digits.slice(2));
  const national = zero && length >= 9 && length <= 12 && !digits.startsWith('00') && !text.includes('/');
  if (!american && !international && !national) {
    const named = surroundings.isNamedAt(end);
    if (length < (named ? 6 : 7) || groupCount > 7 || !(named || surroundings.speaksOfCalling)) return false;
  }
  // Dates, times of day and version numbers are written like this.
  if (/^\d{1,4}([/.-])\d{1,2}\1\d{1,4}$/.test(text) || /^(?:19|20)\d\d[-/. ](?:19|20)\d\d$/.test(text)) return false;
  return !surroundings.speaksOfOtherNumber;
}
