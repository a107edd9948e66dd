import { crc32 } from 'node:zlib';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const DIGITS = 6;

/**
 * Whether a token ends with the CRC-32 (IEEE 802.3) of what stands before it, `from` units left out, as six base62 digits: how GitHub and
 * npm (behind the prefix) and Sallyport (prefix included) mark what they issue.
 */
export function fitsCrc32(token: string, from: number): boolean {
  let rest = crc32(token.slice(from, -DIGITS));
  for (let at = token.length - 1; at >= token.length - DIGITS; at--) {
    if (BASE62.indexOf(token.charAt(at)) !== rest % 62) return false;
    rest = Math.trunc(rest / 62);
  }
  return rest === 0;
}
