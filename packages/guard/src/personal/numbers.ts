import type { Part } from '../detect/pattern-detector.ts';
import { isDay, luhn } from './checksums.ts';
import { identify } from './identifiers.ts';

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
}

interface Kind {
  readonly category: string;
  readonly label: string;
}

const NOT_A_START = /\b[A-Z]{2}\d{2} $|[\p{L}\p{N}_][+(]*$|[\p{L}\p{N}_][.:/-]$|\d,$/u;

/** Finds the numbers in a match of `NUMBER_PATTERN`: at each group the longest sequence of groups that is something. */
export function locateNumbers(match: string, before: string): readonly Part[] {
  // The rest of an IBAN, part of a word, a decimal fraction or an identifier with dashes is no number of a person.
  if (NOT_A_START.test(before)) return [];
  const groups = groupsOf(match);
  const parts: Part[] = [];
  for (let first = 0; first < groups.length; ) {
    const list = listFrom(groups, first);
    if (list >= LIST) {
      first += list;
      continue;
    }
    const found = longestFrom(match, before, groups, first);
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
  for (let index = 0; index <= match.length; index++) {
    const unit = match.charCodeAt(index);
    const inside = (unit >= 0x30 && unit <= 0x39) || (unit === 0x78 && start >= 0);
    if (inside && start < 0) start = index;
    if (!inside && start >= 0) {
      groups.push({ start, end: index });
      start = -1;
    }
  }
  return groups;
}

/** Groups that together have as many digits as some number. */
interface Sequence {
  readonly last: number;
  readonly digits: string;
  /** Lengths of the groups: `3-2-4`. */
  readonly written: string;
}

function longestFrom(
  match: string,
  before: string,
  groups: readonly Group[],
  first: number,
): { readonly part: Part; readonly next: number } | null {
  const start = openingOf(match, groups[first]?.start ?? 0);
  const surroundings = new Surroundings(match, before, start);
  for (const sequence of plausibleSequences(match, groups, first).reverse()) {
    const end = groups[sequence.last]?.end ?? 0;
    const kind = kindOf(match.slice(start, end), sequence, sequence.last - first + 1, surroundings, end);
    if (kind !== null) return { part: { start, end, ...kind }, next: sequence.last + 1 };
  }
  return null;
}

/** The sequences from `first` on that are not mostly lone digits. */
function plausibleSequences(match: string, groups: readonly Group[], first: number): Sequence[] {
  const sequences: Sequence[] = [];
  let digits = '';
  let written = '';
  let lone = 0;
  for (let last = first; last < groups.length && last < first + MAX_GROUPS; last++) {
    const { start = 0, end = 0 } = groups[last] ?? {};
    const run = match.slice(start, end);
    const extension = run.indexOf('x');
    const length = extension < 0 ? run.length : extension;
    if (length === 1 && ++lone > 2) break;
    digits += run.slice(0, length);
    written += written === '' ? length : `-${length}`;
    if (digits.length > 20) break;
    if (digits.length >= 6) sequences.push({ last, digits, written });
  }
  return sequences;
}

/** A `+` or an opening bracket belongs to the number after it. */
function openingOf(match: string, start: number): number {
  let from = start;
  while (from > 0 && /[+(]/.test(match.charAt(from - 1))) from--;
  return from;
}

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

  /** The text before, in lower case. */
  get context(): string {
    this.#context ??= (this.#before + this.#match.slice(Math.max(0, this.#start - 48), this.#start)).slice(-48).toLowerCase();
    return this.#context;
  }

  get speaksOfCalling(): boolean {
    this.#called ??= CALL.test(this.context);
    return this.#called;
  }

  get speaksOfOtherNumber(): boolean {
    this.#other ??= OTHER_NUMBER.test(this.context);
    return this.#other;
  }

  /** Whether a word after it says that it is a telephone number. */
  isNamedAt(end: number): boolean {
    return (
      end < this.#match.length && /^[ -]{1,2}\(?(?:office|fax|mobile|cell|home|work|tel|phone)/i.test(this.#match.slice(end, end + 12))
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
  if (!/^(?:\d+|4-4-4-4(?:-3)?|4-6-[45]|4-4-4-1)$/.test(written) || /^(\d)\1*$/.test(digits)) return false;
  return BRANDS.some(([range, lengths]) => range.test(digits) && lengths.includes(digits.length)) && luhn(digits);
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
  if (digits.length > 15 || /^(\d)\1*$/.test(digits)) return false;
  if (/^\(?\+/.test(text)) return digits.length >= 8 && CALLING_CODE.test(digits);
  // Dates, times of day and version numbers are written like this.
  if (/^\d{1,4}([/.-])\d{1,2}\1\d{1,4}$/.test(text) || /^(?:19|20)\d\d[-/. ](?:19|20)\d\d$/.test(text)) return false;
  const american = /^(?:1-)?3-3-4$/.test(written) && /^1?[2-9]\d\d[2-9]/.test(digits) && /[-.()]/.test(text);
  const international = digits.startsWith('00') && digits.length >= 11 && groupCount >= 3 && CALLING_CODE.test(digits.slice(2));
  const national = /^0[1-9]/.test(digits) && digits.length >= 9 && digits.length <= 12 && groupCount >= 3 && !text.includes('/');
  if (!american && !international && !national) {
    const named = surroundings.isNamedAt(end);
    if (digits.length < (named ? 6 : 7) || groupCount > 7 || !(named || surroundings.speaksOfCalling)) return false;
  }
  return !surroundings.speaksOfOtherNumber;
}
