import type { ByteSource } from '../source.ts';
import { OP } from './opcode.ts';

/** What a literal instruction pushes. Text longer than `TEXT_LIMIT` bytes is cut; nothing that long is a name. */
export type Literal =
  | { readonly type: 'text'; readonly text: string; readonly start: number; readonly length: number }
  | { readonly type: 'bytes'; readonly start: number; readonly length: number }
  | { readonly type: 'number'; readonly value: number }
  | { readonly type: 'other'; readonly text: string };

const TEXT_LIMIT = 4096;
const ESCAPE = /\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|(\n|.))/gs;
const SIMPLE: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v', '\n': '' };

/** Decodes the literal at `offset`, which the machine has walked over before: its length is sound. */
export function readLiteral(source: ByteSource, offset: number): Literal {
  const head = source.read(offset, 16);
  const op = head[0] ?? 0;
  switch (op) {
    case OP.SHORT_BINUNICODE:
    case OP.SHORT_BINSTRING:
      return text(source, offset + 2, head[1] ?? 0);
    case OP.BINUNICODE:
    case OP.BINSTRING:
      return text(source, offset + 5, head.readUInt32LE(1));
    case OP.BINUNICODE8:
      return text(source, offset + 9, Number(head.readBigUInt64LE(1)));
    case OP.SHORT_BINBYTES:
      return { type: 'bytes', start: offset + 2, length: head[1] ?? 0 };
    case OP.BINBYTES:
      return { type: 'bytes', start: offset + 5, length: head.readUInt32LE(1) };
    case OP.BINBYTES8:
    case OP.BYTEARRAY8:
      return { type: 'bytes', start: offset + 9, length: Number(head.readBigUInt64LE(1)) };
    case OP.BININT1:
      return { type: 'number', value: head[1] ?? 0 };
    case OP.BININT2:
      return { type: 'number', value: head.readUInt16LE(1) };
    case OP.BININT:
      return { type: 'number', value: head.readInt32LE(1) };
    case OP.BINFLOAT:
      return { type: 'number', value: head.readDoubleBE(1) };
    case OP.LONG1:
      return { type: 'number', value: littleEndian(source.read(offset + 2, head[1] ?? 0)) };
    case OP.LONG4:
      return { type: 'number', value: littleEndian(source.read(offset + 5, Math.min(16, head.readUInt32LE(1)))) };
    case OP.STRING:
    case OP.UNICODE:
    case OP.INT:
    case OP.LONG:
    case OP.FLOAT:
      return line(source, offset, op);
    case OP.NEWTRUE:
      return { type: 'other', text: 'True' };
    case OP.NEWFALSE:
      return { type: 'other', text: 'False' };
    default:
      return { type: 'other', text: 'None' };
  }
}

function text(source: ByteSource, start: number, length: number): Literal {
  return { type: 'text', text: source.read(start, Math.min(length, TEXT_LIMIT)).toString('utf8'), start, length };
}

function littleEndian(bytes: Buffer): number {
  if (bytes.length === 0) return 0;
  let value = 0;
  for (let index = bytes.length - 1; index >= 0; index -= 1) value = value * 256 + (bytes[index] ?? 0);
  return (bytes[bytes.length - 1] ?? 0) >= 128 ? value - 256 ** bytes.length : value;
}

/** Protocol 0: the argument is a line, strings in the notation of Python source. */
function line(source: ByteSource, offset: number, op: number): Literal {
  const bytes = source.read(offset + 1, TEXT_LIMIT);
  const end = bytes.indexOf(10);
  const raw = bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
  const length = end < 0 ? bytes.length : end;
  if (op === OP.STRING)
    return { type: 'text', text: unquoted(raw.trim().slice(1, -1)), start: offset + 2, length: Math.max(0, length - 2) };
  if (op === OP.UNICODE) {
    const decoded = raw.replace(/\\u([0-9a-fA-F]{4})|\\U000([0-9a-fA-F]{5})/g, (_, four?: string, five?: string) => {
      const point = Number.parseInt(four ?? five ?? '', 16);
      return point > 0x10ffff ? '\ufffd' : String.fromCodePoint(point);
    });
    return { type: 'text', text: decoded, start: offset + 1, length };
  }
  const value = Number.parseFloat(raw);
  return Number.isNaN(value) ? { type: 'other', text: raw } : { type: 'number', value };
}

function unquoted(raw: string): string {
  return raw.replace(ESCAPE, (_, hex?: string, octal?: string, other?: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 255);
    return SIMPLE[other ?? ''] ?? other ?? '';
  });
}
