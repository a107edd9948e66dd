import { hash } from 'node:crypto';
import type { Part } from '../detect/pattern-detector.ts';
import { trailingFrom } from '../detect/trailing.ts';
import { bech32, isDay, mod97 } from './checksums.ts';
import { chineseCheck } from './identifiers.ts';
import { FEWEST_DIGITS, locateNumbers, NUMBER_PATTERN, OLDEST_BIRTH } from './numbers.ts';

/** Personal data known by its form. `locate` says which parts of a candidate hold. */
export interface PersonalRule {
  readonly category: string;
  readonly label: string;
  readonly pattern: string;
  readonly ignoreCase?: boolean;
  readonly locate: (match: string, before: string) => readonly Part[];
  /** Units of the shortest candidate that can hold. */
  readonly shortest?: number;
}

/** The whole candidate where a test holds. */
function whole(test: (text: string, before: string) => boolean): PersonalRule['locate'] {
  return (match, before) => (test(match, before) ? [{ start: 0, end: match.length }] : []);
}

/** The last group of letters and digits. */
function last(test: (value: string) => boolean): PersonalRule['locate'] {
  return (match) => {
    const start = match.search(/[A-Za-z0-9-]+$/);
    return test(match.slice(start)) ? [{ start, end: match.length }] : [];
  };
}

/** ISO 13616 registry: length of an IBAN by country. */
const IBAN_LENGTHS: Readonly<Record<string, number>> = Object.fromEntries(
  'AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TN24TR26UA29VA22VG24XK20'
    .match(/[A-Z]{2}\d{2}/g)
    ?.map((entry): [string, number] => [entry.slice(0, 2), Number(entry.slice(2))]) ?? [],
);

/** The longest beginning of a candidate that is an IBAN: what follows may be the next word. */
function locateIban(match: string): readonly Part[] {
  const length = IBAN_LENGTHS[match.slice(0, 2).toUpperCase()] ?? 0;
  let end = 0;
  let count = 0;
  while (end < match.length && count < length) if (/[A-Za-z0-9]/.test(match.charAt(end++))) count++;
  const iban = match.slice(0, end).replace(/[ -]/g, '');
  if (length === 0 || iban.length !== length || /[A-Za-z0-9]/.test(match.charAt(end))) return [];
  return mod97(iban.slice(4) + iban.slice(0, 4)) === 1 ? [{ start: 0, end }] : [];
}

function isPublicIpv4(text: string, before: string): boolean {
  const parts = text.split('.').map(Number);
  const [a = 0, b = 0, c = 0] = parts;
  if (parts.some((part) => part > 255) || text.split('.').some((part) => part.length > 1 && part.startsWith('0'))) return false;
  if (/\bv(?:ersion)?[ :.]*$|[\d.]$|[§#]\s*$|section $/i.test(before)) return false;
  // Loopback, private, link-local, documentation, multicast and broadcast addresses, and the public resolvers everybody names, are nobody's.
  const nobody =
    a === 0 ||
    a === 10 ||
    a === 127 ||
    a >= 224 ||
    (a === 172 && b >= 16 && b <= 31) ||
    (a === 192 && b === 168) ||
    (a === 169 && b === 254);
  const documentation =
    /^(?:192\.0\.2|198\.51\.100|203\.0\.113)\./.test(text) ||
    /^(?:1\.1\.1\.1|1\.0\.0\.1|8\.8\.[48]\.[48]|9\.9\.9\.9|1\.2\.3\.4)$/.test(text);
  return !nobody && !documentation && !(b === 0 && c === 0 && parts[3] === 0);
}

function isPublicIpv6(text: string): boolean {
  const groups = text.split(':');
  const gaps = text.match(/::/g)?.length ?? 0;
  if (gaps > 1 || /:::/.test(text) || (gaps === 0 && groups.length !== 8) || (gaps === 1 && groups.length > 8)) return false;
  if (/^:|:$/.test(text.replace(/^::|::$/, ''))) return false;
  return !/^(?:::|fe80|f[cd]|ff|2001:0?db8)/i.test(text) && groups.filter((group) => group !== '').length >= 3;
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** Base58Check of a 25-byte Bitcoin address: version, hash, four bytes of a double SHA-256. */
function isBase58Address(text: string): boolean {
  let value = 0n;
  for (const char of text) {
    const digit = BASE58.indexOf(char);
    if (digit < 0) return false;
    value = value * 58n + BigInt(digit);
  }
  const hex = value.toString(16).padStart(50, '0');
  if (hex.length !== 50) return false;
  const bytes = Buffer.from(hex, 'hex');
  const digest = hash('sha256', hash('sha256', bytes.subarray(0, 21), 'buffer'), 'buffer');
  return digest.subarray(0, 4).equals(bytes.subarray(21));
}

const ITALIAN_ODD = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

function isItalianFiscalCode(text: string): boolean {
  const code = text.toUpperCase();
  let sum = 0;
  for (let index = 0; index < 15; index++) {
    const unit = code.charCodeAt(index);
    const value = unit < 65 ? unit - 48 : unit - 65;
    sum += index % 2 === 0 ? (ITALIAN_ODD[value] ?? 0) : value;
  }
  return code.charCodeAt(15) - 65 === sum % 26;
}

const CURP = '0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ';

function isCurp(text: string): boolean {
  const code = text.toUpperCase();
  let sum = 0;
  for (let index = 0; index < 17; index++) sum += CURP.indexOf(code.charAt(index)) * (18 - index);
  return (10 - (sum % 10)) % 10 === Number(code.at(-1)) && isDay(Number(code.slice(6, 8)), Number(code.slice(8, 10)));
}

function isSpanish(text: string): boolean {
  const code = text.toUpperCase().replace(/-/g, '');
  const number = Number(code.slice(0, -1).replace(/^[XYZ]/, (letter) => String('XYZ'.indexOf(letter))));
  return 'TRWAGMYFPDXBNJZSQVHLCKE'.charAt(number % 23) === code.at(-1);
}

function isFinnish(text: string): boolean {
  const digits = text.slice(0, 6) + text.slice(7, 10);
  return (
    isDay(Number(text.slice(2, 4)), Number(text.slice(0, 2))) &&
    '0123456789ABCDEFHJKLMNPRSTUVWXY'.charAt(Number(digits) % 31) === text.slice(10).toUpperCase()
  );
}

function isChilean(text: string): boolean {
  const digits = text.replace(/[.-]/g, '').toUpperCase();
  let sum = 0;
  for (let index = 0; index < digits.length - 1; index++) sum += Number(digits.charAt(digits.length - 2 - index)) * ((index % 6) + 2);
  return '0K987654321'.charAt(sum % 11) === digits.at(-1);
}

function isSingaporean(text: string): boolean {
  const code = text.toUpperCase();
  const sum = [2, 7, 6, 5, 4, 3, 2].reduce(
    (total, weight, index) => total + weight * Number(code.charAt(index + 1)),
    /^[TG]/.test(code) ? 4 : 0,
  );
  return (/^[ST]/.test(code) ? 'JZIHGFEDCBA' : 'XWUTRQPNMLK').charAt(sum % 11) === code.at(-1);
}

const MONTHS =
  'jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?';

export const PERSONAL_RULES: readonly PersonalRule[] = [
  {
    category: 'email',
    label: 'EMAIL',
    pattern: "[\\w.%+'-]+@(?:[\\w-]+\\.)+[\\w-]+",
    locate: (match) => {
      const start = match.search(/[\p{L}\p{N}_]/u);
      const end = trailingFrom(match, '-_');
      const at = match.indexOf('@');
      const domain = match.slice(at + 1, end);
      if (at - start > 64 || domain.length > 253 || match.includes('..')) return [];
      const top = domain.slice(domain.lastIndexOf('.') + 1);
      if (top.length === domain.length || !/^\p{L}{2,24}$/u.test(top)) return [];
      return /(?:^|\.)(?:example|test|invalid|localhost)(?:\.(?:com|org|net))?$/i.test(domain) ? [] : [{ start, end }];
    },
  },
  { category: 'number', label: 'NUMBER', pattern: NUMBER_PATTERN, locate: locateNumbers, shortest: FEWEST_DIGITS },
  { category: 'iban', label: 'IBAN', pattern: '\\b[A-Z]{2}\\d{2}(?:[ -]?[A-Z0-9]){11,34}\\b', ignoreCase: true, locate: locateIban },
  { category: 'ip-address', label: 'IP', pattern: '\\b\\d{1,3}(?:\\.\\d{1,3}){3}\\b', locate: whole(isPublicIpv4) },
  {
    category: 'ip-address',
    label: 'IP',
    pattern: '\\b[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){3,7}\\b',
    ignoreCase: true,
    locate: whole(isPublicIpv6),
  },
  {
    category: 'mac-address',
    label: 'MAC',
    pattern: '\\b[0-9a-f]{2}(?:(?::[0-9a-f]{2}){5}|(?:-[0-9a-f]{2}){5})\\b',
    ignoreCase: true,
    locate: whole((text) => new Set(text.toLowerCase().split(/[:-]/)).size > 2),
  },
  { category: 'wallet', label: 'WALLET', pattern: '\\b[13][1-9A-HJ-NP-Za-km-z]{25,34}\\b', locate: whole(isBase58Address) },
  {
    category: 'wallet',
    label: 'WALLET',
    pattern: '\\b(?:bc1|ltc1)[02-9ac-hj-np-z]{11,71}\\b',
    ignoreCase: true,
    locate: whole((text) => bech32(text.toLowerCase())),
  },
  { category: 'wallet', label: 'WALLET', pattern: '\\b0x[0-9a-fA-F]{40}\\b', locate: whole((text) => !/(.)\1{7}/.test(text)) },
  {
    category: 'uk-national-insurance',
    label: 'ID',
    pattern: '\\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\\d{2} ?\\d{2} ?\\d{2} ?[A-D]\\b',
    locate: whole((text) => !/^(?:BG|GB|KN|NK|NT|TN|ZZ)/.test(text)),
  },
  {
    category: 'it-fiscal-code',
    label: 'ID',
    pattern: '\\b[A-Z]{6}\\d{2}[A-EHLMPRST]\\d{2}[A-Z]\\d{3}[A-Z]\\b',
    ignoreCase: true,
    locate: whole(isItalianFiscalCode),
  },
  { category: 'es-identity-number', label: 'ID', pattern: '\\b(?:\\d{8}|[XYZ]-?\\d{7})-?[A-Z]\\b', locate: whole(isSpanish) },
  { category: 'fi-personal-code', label: 'ID', pattern: '\\b\\d{6}[-+A]\\d{3}[0-9A-FHJ-NPR-Y]\\b', locate: whole(isFinnish) },
  { category: 'cl-rut', label: 'ID', pattern: '\\b\\d{1,2}\\.\\d{3}\\.\\d{3}-[\\dKk]\\b', locate: whole(isChilean) },
  { category: 'mx-curp', label: 'ID', pattern: '\\b[A-Z]{4}\\d{6}[HMX][A-Z]{5}[A-Z0-9]\\d\\b', locate: whole(isCurp) },
  { category: 'in-pan', label: 'ID', pattern: '\\b[A-Z]{3}[ABCFGHJLPT][A-Z]\\d{4}[A-Z]\\b', locate: whole(() => true) },
  { category: 'sg-nric', label: 'ID', pattern: '\\b[STFG]\\d{7}[A-Z]\\b', locate: whole(isSingaporean) },
  {
    category: 'cn-resident-id',
    label: 'ID',
    pattern: '\\b\\d{17}X\\b',
    ignoreCase: true,
    locate: whole((text) => isDay(Number(text.slice(10, 12)), Number(text.slice(12, 14))) && chineseCheck(text) === 'X'),
  },
  {
    category: 'passport',
    label: 'PASSPORT',
    pattern: '\\bpassport(?: (?:number|no\\.?|nr\\.?|#))?(?: is)?[ :#]{1,3}[A-Z0-9]{6,9}\\b',
    ignoreCase: true,
    locate: last((value) => (value.match(/\d/g)?.length ?? 0) >= 4),
  },
  {
    category: 'driving-licence',
    label: 'LICENCE',
    pattern: "\\b(?:driver'?s?|driving) licen[cs]e(?: (?:number|no\\.?|#))?(?: is)?[ :#]{1,3}[A-Z0-9-]{5,18}\\b",
    ignoreCase: true,
    locate: last((value) => (value.match(/\d/g)?.length ?? 0) >= 5),
  },
  {
    category: 'date-of-birth',
    label: 'DATE_OF_BIRTH',
    pattern: `\\b(?:i was born|birth|dob|birthday)\\b[^\\d\\n]{0,24}(?:\\b\\d{1,2}(?:st|nd|rd|th)? (?:of )?(?:${MONTHS})\\.?|(?:${MONTHS})\\.? \\d{1,2}(?:st|nd|rd|th)?),? \\d{4}\\b`,
    ignoreCase: true,
    locate: (match) => {
      const found = new RegExp(
        `(?:\\b\\d{1,2}(?:st|nd|rd|th)? (?:of )?(?:${MONTHS})\\.?|\\b(?:${MONTHS})\\.? \\d{1,2}(?:st|nd|rd|th)?),? \\d{4}$`,
        'i',
      ).exec(match);
      return found === null || Number(match.slice(-4)) < OLDEST_BIRTH ? [] : [{ start: found.index, end: match.length }];
    },
  },
];

/** A URL, or a domain name with a top-level domain of letters. The mail address of somebody is none. */
export const WEB_ADDRESS: PersonalRule = {
  category: 'web-address',
  label: 'URL',
  pattern: '\\b(?:https?://[^\\s<>"\'`]{3,}|(?:[a-z0-9][a-z0-9-]{0,62}\\.)+[a-z]{2,24}\\b(?:/[^\\s<>"\'`]*)?)',
  ignoreCase: true,
  locate: (match, before) => {
    const end = trailingFrom(match, '.,;:!?)]}');
    const isUrl = /^https?:/i.test(match);
    if (/[@\w]$/.test(before) || (!isUrl && !isDomainName(match.slice(0, end)))) return [];
    return [{ start: 0, end }];
  },
};

/** What looks like one and is none: names of files and of members of programs, abbreviations. */
const NOT_TOP_LEVEL =
  /\.(?:js|ts|py|java|json|ya?ml|html?|css|md|txt|csv|pdf|png|jpe?g|gif|svg|xml|sql|sh|exe|dll|zip|gz|tar|log|cfg|conf|ini|toml|lock|env|go|rs|rb|php|cpp|hpp|docx?|xlsx?|pptx?|length|map|filter|get|set|log|name|value|data|prototype)$/i;

function isDomainName(text: string): boolean {
  const host = text.split('/', 1)[0] ?? '';
  return host.length >= 6 && !NOT_TOP_LEVEL.test(host) && !/^(?:[a-z]\.)+[a-z]*$/i.test(host) && !/[a-z]\.[A-Z][a-z]/.test(host);
}
