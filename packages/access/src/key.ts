import { crc32 } from 'node:zlib';
import type { Random } from '@sallyport/core';

export type KeyEnvironment = 'live' | 'test';

/**
 * What an API key looks like (docs/api-keys.md): `sp_`, the environment, a public id, 43 characters of secret and 6 of checksum.
 * Published so that secret scanners, log scrubbers and pre-commit hooks can find a leaked key.
 */
export const API_KEY_PATTERN: RegExp = /\bsp_(?:live|test)_[0-9a-z]{12}_[0-9A-Za-z]{49}\b/;

const WHOLE_KEY = /^sp_(live|test)_([0-9a-z]{12})_[0-9A-Za-z]{49}$/;
const BASE36 = '0123456789abcdefghijklmnopqrstuvwxyz';
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ID_LENGTH = 12;
/** 62^43 > 2^256, so that 32 bytes always fit and the width never tells anything of the value. */
const SECRET_LENGTH = 43;
const CHECKSUM_LENGTH = 6;
const SECRET_BYTES = 32;
/** Twice what 36^12 needs, so that the remainder is uniform to 2^-66. */
const ID_BYTES = 16;

/** A new API key. `key` is to be shown once and then forgotten; only `digestApiKey` of it is kept. */
export function createApiKey(random: Random, environment: KeyEnvironment): { readonly id: string; readonly key: string } {
  const id = encode(random.bytes(ID_BYTES), BASE36, ID_LENGTH);
  const body = `sp_${environment}_${id}_${encode(random.bytes(SECRET_BYTES), BASE62, SECRET_LENGTH)}`;
  return { id, key: body + checksum(body) };
}

/**
 * Reads what a client sent as a key. `bad-checksum` tells a typing error apart from a wrong key without a look-up; `not-a-key` is
 * text of another shape. Never throws, whatever the text.
 */
export function parseApiKey(text: string): { readonly id: string; readonly environment: KeyEnvironment } | 'not-a-key' | 'bad-checksum' {
  const match = WHOLE_KEY.exec(text);
  const id = match?.[2];
  if (id === undefined) return 'not-a-key';
  const body = text.slice(0, -CHECKSUM_LENGTH);
  if (checksum(body) !== text.slice(-CHECKSUM_LENGTH)) return 'bad-checksum';
  return { id, environment: match?.[1] === 'test' ? 'test' : 'live' };
}

/** CRC-32 (IEEE 802.3) of everything before it, as six base62 digits. An aid against typing errors, not a protection. */
function checksum(body: string): string {
  // Every request pays for this one, and 32 bits need no BigInt.
  let rest = crc32(body);
  let text = '';
  for (let digit = 0; digit < CHECKSUM_LENGTH; digit++) {
    text = BASE62.charAt(rest % 62) + text;
    rest = Math.floor(rest / 62);
  }
  return text;
}

function encode(bytes: Uint8Array, alphabet: string, width: number): string {
  return encodeNumber(BigInt(`0x${Buffer.from(bytes).toString('hex')}`), alphabet, width);
}

/** The lowest `width` digits of `value`, most significant first. */
function encodeNumber(value: bigint, alphabet: string, width: number): string {
  const base = BigInt(alphabet.length);
  let text = '';
  for (let digit = 0; digit < width; digit++) {
    text = alphabet.charAt(Number(value % base)) + text;
    value /= base;
  }
  return text;
}
