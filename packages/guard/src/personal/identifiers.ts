import { digitsOf, isDay, isOneDigit, luhn, mod11and10, modulo, verhoeff, weightedSum } from './checksums.ts';

/**
 * A national identifier made of digits. `valid` checks digits, dates and ranges; where chance would pass it too often, `written` names the
 * way of writing that vouches for it, and otherwise one of the words of `context` must stand before it.
 */
export interface IdentifierRule {
  readonly category: string;
  readonly length: number;
  readonly valid: (digits: string) => boolean;
  readonly written?: RegExp;
  readonly context: RegExp;
  /** True where the checks alone are strong enough. */
  readonly certain?: true;
}

const n = (digits: string, start: number, end: number): number => Number(digits.slice(start, end));

function lastIs(digits: string, remainder: number): boolean {
  return remainder === Number(digits.at(-1));
}

/** Sources: the check-digit rules published by the issuing authorities. */
export const IDENTIFIERS: readonly IdentifierRule[] = [
  {
    category: 'us-ssn',
    length: 9,
    valid: (d) => !/^(?:000|666|9)/.test(d) && n(d, 3, 5) > 0 && n(d, 5, 9) > 0,
    written: /^3-2-4$/,
    context: /\bssn\b|social security/,
  },
  {
    category: 'us-itin',
    length: 9,
    valid: (d) =>
      d.startsWith('9') &&
      [
        [50, 65],
        [70, 88],
        [90, 92],
        [94, 99],
      ].some(([low = 0, high = 0]) => n(d, 3, 5) >= low && n(d, 3, 5) <= high),
    written: /^3-2-4$/,
    context: /\bitin\b|taxpayer/,
  },
  { category: 'ca-sin', length: 9, valid: (d) => !/^[08]/.test(d) && luhn(d), context: /\bsin\b|social insurance/ },
  {
    category: 'uk-nhs',
    length: 10,
    valid: (d) => lastIs(d, (11 - (weightedSum(d, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11)) % 11),
    context: /\bnhs\b|health (?:service )?number/,
  },
  {
    category: 'fr-nir',
    length: 15,
    valid: (d) => /^[12]/.test(d) && n(d, 3, 5) >= 1 && n(d, 3, 5) <= 42 && 97 - modulo(d.slice(0, 13), 97) === n(d, 13, 15),
    context: /s[ée]curit[ée] sociale|\bnir\b/,
    certain: true,
  },
  {
    category: 'de-tax-id',
    length: 11,
    valid: (d) => !d.startsWith('0') && mod11and10(d) && new Set(d.slice(0, 10)).size >= 8,
    context: /steuer|\bidnr\b|tax id/,
  },
  {
    category: 'nl-bsn',
    length: 9,
    valid: (d) => weightedSum(d, [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 === 0,
    context: /\bbsn\b|burgerservice|sofi/,
  },
  {
    category: 'be-national-number',
    length: 11,
    valid: (d) =>
      isDay(n(d, 2, 4), n(d, 4, 6)) && [d.slice(0, 9), `2${d.slice(0, 9)}`].some((base) => 97 - modulo(base, 97) === n(d, 9, 11)),
    written: /^2-2-2-3-2$/,
    context: /rijksregister|registre national|national (?:register )?number/,
    certain: true,
  },
  {
    category: 'pt-nif',
    length: 9,
    valid: (d) => /^[1235689]/.test(d) && lastIs(d, ((11 - (weightedSum(d, [9, 8, 7, 6, 5, 4, 3, 2]) % 11)) % 11) % 10),
    context: /\bnif\b|contribuinte/,
  },
  {
    category: 'pl-pesel',
    length: 11,
    valid: (d) => isDay(n(d, 2, 4) % 20, n(d, 4, 6)) && lastIs(d, (10 - (weightedSum(d, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10),
    context: /pesel/,
  },
  {
    category: 'se-personal-number',
    length: 10,
    valid: (d) => isDay(n(d, 2, 4), n(d, 4, 6) % 60) && luhn(d),
    written: /^6-4$/,
    context: /person(?:nummer|al)|samordning/,
  },
  {
    category: 'se-personal-number',
    length: 12,
    valid: (d) => /^(?:19|20)/.test(d) && isDay(n(d, 4, 6), n(d, 6, 8) % 60) && luhn(d.slice(2)),
    written: /^8-4$/,
    context: /person(?:nummer|al)|samordning/,
  },
  {
    category: 'no-birth-number',
    length: 11,
    valid: (d) =>
      isDay(n(d, 2, 4) % 40, n(d, 0, 2) % 40) &&
      (weightedSum(d, [3, 7, 6, 1, 8, 9, 4, 5, 2, 1]) % 11) + (weightedSum(d, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]) % 11) === 0,
    context: /f[øo]dselsnummer|personnummer/,
    certain: true,
  },
  { category: 'dk-cpr', length: 10, valid: (d) => isDay(n(d, 2, 4), n(d, 0, 2)), context: /\bcpr\b|personnummer/ },
  {
    category: 'kr-resident-number',
    length: 13,
    valid: (d) =>
      isDay(n(d, 2, 4), n(d, 4, 6)) &&
      /^.{6}[1-8]/.test(d) &&
      lastIs(d, (11 - (weightedSum(d, [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11)) % 10),
    written: /^6-7$/,
    context: /주민|resident registration/,
  },
  {
    category: 'ch-ahv',
    length: 13,
    valid: (d) => d.startsWith('756') && lastIs(d, (10 - (weightedSum(d, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]) % 10)) % 10),
    context: /\bah[vn]\b|\bavs\b|sozialversicherung/,
    certain: true,
  },
  {
    category: 'cz-birth-number',
    length: 10,
    valid: (d) => isDay(n(d, 2, 4) % 50 > 20 ? (n(d, 2, 4) % 50) - 20 : n(d, 2, 4) % 50, n(d, 4, 6)) && modulo(d, 11) === 0,
    written: /^6-4$/,
    context: /rodn[ée]/,
  },
  {
    category: 'ro-cnp',
    length: 13,
    valid: (d) => {
      const check = weightedSum(d, [2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
      return (
        /^[1-8]/.test(d) && isDay(n(d, 3, 5), n(d, 5, 7)) && n(d, 7, 9) >= 1 && n(d, 7, 9) <= 52 && lastIs(d, check === 10 ? 1 : check)
      );
    },
    context: /\bcnp\b/,
    certain: true,
  },
  {
    category: 'tr-identity-number',
    length: 11,
    valid: (d) => {
      const [a = 0, b = 0, c = 0, e = 0, f = 0, g = 0, h = 0, i = 0, j = 0, tenth = 0, last = 0] = digitsOf(d);
      const first = a + b + c + e + f + g + h + i + j;
      return a > 0 && ((((a + c + f + h + j) * 7 - (b + e + g + i)) % 10) + 10) % 10 === tenth && (first + tenth) % 10 === last;
    },
    context: /kimlik|\bt\.?c\.?\b/,
  },
  { category: 'il-identity-number', length: 9, valid: luhn, context: /teudat|israeli id|תעודת/ },
  {
    category: 'br-cpf',
    length: 11,
    valid: (d) => {
      const check = (count: number): number =>
        ((weightedSum(
          d,
          Array.from({ length: count }, (_, i) => count + 1 - i),
        ) *
          10) %
          11) %
        10;
      return !/^(\d)\1*$/.test(d) && check(9) === n(d, 9, 10) && check(10) === n(d, 10, 11);
    },
    written: /^3-3-3-2$/,
    context: /\bcpf\b/,
  },
  {
    category: 'ar-cuit',
    length: 11,
    valid: (d) => /^(?:2[03478]|3[034])/.test(d) && lastIs(d, (11 - (weightedSum(d, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11)) % 11),
    written: /^2-8-1$/,
    context: /\bcui[tl]\b/,
  },
  { category: 'in-aadhaar', length: 12, valid: (d) => /^[2-9]/.test(d) && verhoeff(d), written: /^4-4-4$/, context: /aadha+r|\buidai\b/ },
  {
    category: 'cn-resident-id',
    length: 18,
    valid: (d) => /^(?:19|20)/.test(d.slice(6)) && isDay(n(d, 10, 12), n(d, 12, 14)) && chineseCheck(d) === d.at(-1),
    context: /身份证|resident id/,
    certain: true,
  },
  {
    category: 'jp-my-number',
    length: 12,
    valid: (d) => {
      const rest = weightedSum(d, [6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
      return lastIs(d, rest <= 1 ? 0 : 11 - rest);
    },
    context: /my number|マイナンバー|個人番号/,
  },
  { category: 'au-tfn', length: 9, valid: (d) => weightedSum(d, [1, 4, 3, 7, 5, 8, 6, 9, 10]) % 11 === 0, context: /\btfn\b|tax file/ },
  {
    category: 'za-identity-number',
    length: 13,
    valid: (d) => isDay(n(d, 2, 4), n(d, 4, 6)) && /^.{10}[012]/.test(d) && luhn(d),
    context: /\bid\b|identity/,
    certain: true,
  },
];

/** GB 11643-1999, ISO 7064 MOD 11-2. */
export function chineseCheck(digits: string): string {
  return '10X98765432'.charAt(weightedSum(digits, [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11);
}

const BY_LENGTH = Map.groupBy(IDENTIFIERS, ({ length }) => length);

export function isIdentifierLength(digits: number): boolean {
  return BY_LENGTH.has(digits);
}

/**
 * The category of a national identifier, or null.
 * @param written the lengths of the groups that the digits are written in: `3-2-4`
 */
export function identify(digits: string, written: string, surroundings: { readonly context: string }): string | null {
  for (const rule of BY_LENGTH.get(digits.length) ?? []) {
    const isVouched =
      rule.certain === true ||
      rule.written?.test(written) === true ||
      (surroundings.context !== '' && rule.context.test(surroundings.context));
    if (isVouched && rule.valid(digits) && !isOneDigit(digits)) return rule.category;
  }
  return null;
}
