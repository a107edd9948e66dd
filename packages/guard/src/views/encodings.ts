import { type View, ViewBuilder } from './view.ts';

/**
 * Decoders of what stands encoded in a text. Each looks for runs of its alphabet that decode to readable text, and gives a view of these
 * alone. The text is hostile: every expression is linear in it.
 */

/** What a run of an encoding says, or null where that is no text. */
type Decode = (run: string) => string | null;

interface Encoding {
  readonly name: string;
  readonly runs: RegExp;
  readonly decode: Decode;
}

/** Fewest units of a decoded run that say anything. */
const SHORTEST = 8;

const ENCODINGS: readonly Encoding[] = [
  {
    name: 'hex',
    runs: /(?:(?:0x|\\x)?[0-9a-fA-F]{2}[ :,]?){10,}/g,
    decode: (run) => {
      const digits = run.replace(/0x|\\x|[ :,]/g, '');
      return readable(Buffer.from(digits, 'hex'));
    },
  },
  { name: 'base32', runs: /[A-Z2-7]{16,}={0,6}/g, decode: (run) => readable(fromBase32(run)) },
  {
    name: 'base64',
    // Lines of a wrapped run follow each other directly.
    runs: /[A-Za-z0-9+/_-]{14,}(?:\r?\n[A-Za-z0-9+/_-]{4,})*={0,2}/g,
    decode: (run) => readable(Buffer.from(run, 'base64')),
  },
];

/** Whole groups of every encoding. */
const PROBE = 64;

/** One view for each encoding that something stands in. */
export function decodeRuns(text: string): View[] {
  const views: View[] = [];
  for (const { name, runs, decode } of ENCODINGS) {
    const builder = new ViewBuilder();
    for (const { 0: run, index } of text.matchAll(runs)) {
      // The first units of a run that began before this stretch of text are out of step.
      const skips = index === 0 ? [0, 1, 2, 3] : [0];
      for (const skip of skips) {
        // A long run is tried by its beginning first.
        if (run.length > 2 * PROBE && decode(run.slice(skip, skip + PROBE)) === null) continue;
        const decoded = decode(run.slice(skip));
        if (decoded === null) continue;
        builder.add(`${decoded}\n`, index, index + run.length);
        break;
      }
    }
    if (builder.length > 0) views.push(builder.build(name));
  }
  return views;
}

const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'", nbsp: ' ' };

/** Percent-encoding (RFC 3986), HTML character references and the escapes of program text, decoded where they stand. */
export function decodeEscapes(text: string): View | null {
  const escapes = /(?:%[0-9a-fA-F]{2})+|&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-z]{2,4});|\\u\{?[0-9a-fA-F]{4}\}?|\\x[0-9a-fA-F]{2}/g;
  const builder = new ViewBuilder();
  let from = 0;
  let letters = 0;
  for (const { 0: written, index } of text.matchAll(escapes)) {
    const decoded = decodeEscape(written);
    if (decoded === null) continue;
    builder.copy(text.slice(from, index), from);
    builder.add(decoded, index, index + written.length);
    from = index + written.length;
    letters += decoded.match(/\p{L}/gu)?.length ?? 0;
  }
  // Spaces and quotes are escaped in ordinary links and pages; letters are not.
  if (letters < 3) return null;
  builder.copy(text.slice(from), from);
  return builder.build('escapes');
}

function decodeEscape(written: string): string | null {
  if (written.startsWith('%')) return Buffer.from(written.replaceAll('%', ''), 'hex').toString('utf8');
  if (written.startsWith('\\')) return String.fromCharCode(Number.parseInt(written.replace(/[^0-9a-fA-F]/g, ''), 16));
  const code = /^&#x/i.test(written) ? Number.parseInt(written.slice(3), 16) : Number(written.slice(2, -1));
  if (written.startsWith('&#')) return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : null;
  return NAMED[written.slice(1, -1)] ?? null;
}

/** The bytes as UTF-8 where they are readable text: hardly anything but letters, digits, punctuation and spaces, most of it letters. */
function readable(bytes: Uint8Array): string | null {
  if (bytes.length < SHORTEST) return null;
  // Most of what is not text shows it in its first bytes.
  for (let index = 0; index < Math.min(24, bytes.length); index++) {
    const byte = bytes[index] ?? 0;
    if (byte === 0x7f || (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d)) return null;
  }
  const ascii = readableAscii(bytes);
  if (ascii !== undefined) return ascii;
  // The end may cut a character of several bytes.
  const text = DECODER.decode(bytes).replace(/\ufffd{1,2}$/, '');
  if (text.includes('\ufffd') || /[^\p{L}\p{M}\p{N}\p{P}\p{S}\s]/u.test(text)) return null;
  return (text.match(/[\p{L}\p{M} ]/gu)?.length ?? 0) >= 0.6 * text.length ? text : null;
}

/** As `readable`, where all of it is ASCII; undefined where it is not. */
function readableAscii(bytes: Uint8Array): string | null | undefined {
  let letters = 0;
  for (const byte of bytes) {
    if (byte >= 0x80) return undefined;
    const small = byte | 0x20;
    if ((small >= 0x61 && small <= 0x7a) || byte === 0x20) letters++;
    else if (byte === 0x7f || byte < 0x09 || (byte > 0x0d && byte < 0x20)) return null;
  }
  return letters >= 0.6 * bytes.length ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1') : null;
}

const DECODER = new TextDecoder('utf-8');

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** RFC 4648. */
function fromBase32(run: string): Uint8Array {
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const character of run) {
    const value = BASE32.indexOf(character);
    if (value < 0) break;
    held = ((held << 5) | value) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((held >> bits) & 0xff);
  }
  return Uint8Array.from(bytes);
}
