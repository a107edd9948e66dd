import type { Piece } from '../piece.ts';
import { bufferSource } from '../source.ts';

type Wide = 'utf16le' | 'utf16be' | 'utf32le' | 'utf32be';

const SAMPLE = 4096;
/** But for tabs, line feeds, form feeds and returns: no text holds them. */
const CONTROL = /[\x00-\x08\x0b\x0e-\x1f\ufffd]/;
/** Marks of byte order, the longer before what they begin with. */
const MARKS: readonly (readonly [Wide, Buffer])[] = [
  ['utf32le', Buffer.from([0xff, 0xfe, 0, 0])],
  ['utf32be', Buffer.from([0, 0, 0xfe, 0xff])],
  ['utf16le', Buffer.from([0xff, 0xfe])],
  ['utf16be', Buffer.from([0xfe, 0xff])],
];
/** Without a mark, as loaders of JSON and of XML tell them: where the zeros of the first two letters are. */
const ZEROS: readonly (readonly [Wide, RegExp])[] = [
  ['utf32le', /^[\t\n\r -~]\0\0\0[\t\n\r -~]\0\0\0/],
  ['utf32be', /^\0\0\0[\t\n\r -~]\0\0\0[\t\n\r -~]/],
  ['utf16le', /^[\t\n\r -~]\0[\t\n\r -~]\0/],
  ['utf16be', /^\0[\t\n\r -~]\0[\t\n\r -~]/],
];

/** Text of two or four bytes a character, as parsers of XML, YAML and JSON read it. */
export function isWide(_: Piece, head: Buffer): boolean {
  const encoding = encodingOf(head);
  if (encoding === null) return false;
  const sample = decode(head.subarray(0, SAMPLE), encoding);
  return sample.length > 4 && !CONTROL.test(sample.slice(0, -1));
}

/** What it says is judged as the same text in UTF-8. */
export async function scanWide(piece: Piece): Promise<void> {
  const { source, limits } = piece;
  const encoding = encodingOf(source.read(0, SAMPLE));
  if (encoding === null) return;
  if (source.size > limits.document) piece.report('limit-document', `a text of ${source.size} bytes in ${encoding}`);
  const text = decode(source.read(0, limits.document), encoding);
  const inner = piece.inside(bufferSource(Buffer.from(text)), piece.name, null, piece.surrounding);
  piece.format = await inner.scan();
}

function encodingOf(head: Buffer): Wide | null {
  const marked = MARKS.find(([, mark]) => head.subarray(0, mark.length).equals(mark));
  if (marked !== undefined) return marked[0];
  const front = head.toString('latin1', 0, 8);
  return ZEROS.find(([, zeros]) => zeros.test(front))?.[0] ?? null;
}

function decode(bytes: Buffer, encoding: Wide): string {
  const unit = encoding.startsWith('utf32') ? 4 : 2;
  const whole = Buffer.from(bytes.subarray(0, unit * Math.floor(bytes.length / unit)));
  if (encoding === 'utf16be') whole.swap16();
  if (encoding === 'utf32be') whole.swap32();
  const text = unit === 2 ? whole.toString('utf16le') : fromUnits(whole);
  return text.replace(/^\ufeff/, '');
}

/** Little end first. What is no character becomes one that no text holds. */
function fromUnits(bytes: Buffer): string {
  const units = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at += 4) {
    const read = bytes.readUInt32LE(at);
    const code = read <= 0x10ffff ? read : 0xfffd;
    if (code > 0xffff) {
      units.writeUInt16LE(0xd800 + ((code - 0x10000) >> 10), length);
      length += 2;
    }
    units.writeUInt16LE(code > 0xffff ? 0xdc00 + (code & 0x3ff) : code, length);
    length += 2;
  }
  return units.toString('utf16le', 0, length);
}
