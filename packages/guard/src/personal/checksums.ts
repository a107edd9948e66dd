/** Check digits of identifiers. All take digits (or the documented letters) only, without separators. */

export function digitsOf(text: string): number[] {
  return Array.from(text, Number);
}

export function weightedSum(text: string, weights: readonly number[]): number {
  return weights.reduce((sum, weight, index) => sum + weight * Number(text.charAt(index)), 0);
}

/** The same digit throughout: passes most checks and is nobody's number. */
export function isOneDigit(digits: string): boolean {
  const first = digits.charCodeAt(0);
  for (let index = 1; index < digits.length; index++) if (digits.charCodeAt(index) !== first) return false;
  return true;
}

/** ISO/IEC 7812-1 annex B, of `[from, to)`. */
export function luhn(text: string, from = 0, to: number = text.length): boolean {
  let sum = 0;
  for (let index = to - 1, isDoubled = false; index >= from; index--, isDoubled = !isDoubled) {
    const digit = text.charCodeAt(index) - 0x30;
    sum += isDoubled ? 2 * digit - (digit > 4 ? 9 : 0) : digit;
  }
  return sum % 10 === 0;
}

/** Remainder of a decimal number of any length. */
export function modulo(digits: string, divisor: number): number {
  let rest = 0;
  for (const digit of digits) rest = (rest * 10 + Number(digit)) % divisor;
  return rest;
}

/** ISO 7064 MOD 97-10 over letters and digits, as IBANs use it (ISO 13616-1). */
export function mod97(text: string): number {
  return modulo(
    text.toUpperCase().replace(/[A-Z]/g, (letter) => String(letter.charCodeAt(0) - 55)),
    97,
  );
}

/** ISO 7064 MOD 11,10. */
export function mod11and10(text: string): boolean {
  let product = 10;
  for (const digit of text.slice(0, -1)) {
    const sum = (Number(digit) + product) % 10 || 10;
    product = (sum * 2) % 11;
  }
  return (11 - product) % 10 === Number(text.at(-1));
}

/** The dihedral group D5 and the permutation of Verhoeff (1969). */
const D5 = [
  '0123456789',
  '1234067895',
  '2340178956',
  '3401289567',
  '4012395678',
  '5987604321',
  '6598710432',
  '7659821043',
  '8765932104',
  '9876543210',
];
const PERMUTATION = ['0123456789', '1576283094', '5803796142', '8916043527', '9453126870', '4286573901', '2793806415', '7046913258'];

export function verhoeff(text: string): boolean {
  let check = 0;
  for (let index = 0; index < text.length; index++) {
    const permuted = Number(PERMUTATION[index % 8]?.charAt(Number(text.charAt(text.length - 1 - index))));
    check = Number(D5[check]?.charAt(permuted));
  }
  return check === 0;
}

/** A month and a day that exist; the year does not matter for the identifiers that abbreviate it. */
export function isDay(month: number, day: number): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= (month === 2 ? 29 : [4, 6, 9, 11].includes(month) ? 30 : 31);
}

const BECH32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const GENERATORS = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

/** BIP 173 (Bech32) and BIP 350 (Bech32m). Lower case. */
export function bech32(address: string): boolean {
  const separator = address.lastIndexOf('1');
  const prefix = address.slice(0, separator);
  const values = [...Array.from(prefix, (c) => c.charCodeAt(0) >> 5), 0, ...Array.from(prefix, (c) => c.charCodeAt(0) & 31)];
  for (const char of address.slice(separator + 1)) {
    const value = BECH32.indexOf(char);
    if (value < 0) return false;
    values.push(value);
  }
  let check = 1;
  for (const value of values) {
    const top = check >>> 25;
    check = ((check & 0x1ffffff) << 5) ^ value;
    GENERATORS.forEach((generator, bit) => {
      if ((top >>> bit) & 1) check ^= generator;
    });
  }
  return check === 1 || check === 0x2bc830a3;
}
