import type { ByteSource } from '../source.ts';
import { Cursor, OutOfBytes } from './cursor.ts';

/** Bytes that are no protocol buffer message. */
export class NotProtobuf extends Error {
  override readonly name: string = 'NotProtobuf';
}

/** One field of a message. `[start, end)` are the bytes of a length-delimited value; `value` is the number of any other. */
export interface Field {
  readonly number: number;
  readonly wire: number;
  readonly start: number;
  readonly end: number;
  readonly value: bigint;
}

export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const TEXT_LIMIT = 65_536;

/** The fields of the message in `[start, end)`, in order (protobuf.dev, Encoding). Values are not read. Throws `NotProtobuf`. */
export function* fields(source: ByteSource, start: number, end: number): Generator<Field> {
  const cursor = new Cursor(source, start, end);
  try {
    while (cursor.left > 0) {
      const tag = varint(cursor);
      const number = Number(tag >> 3n);
      const wire = Number(tag & 7n);
      if (number === 0 || tag > 0xffffffffn) throw new NotProtobuf('an invalid field number');
      const at = cursor.position;
      if (wire === WIRE.varint) yield { number, wire, start: at, end: at, value: varint(cursor) };
      else if (wire === WIRE.fixed64 || wire === WIRE.fixed32) {
        const value = wire === WIRE.fixed64 ? cursor.u64() : BigInt(cursor.u32());
        yield { number, wire, start: at, end: cursor.position, value };
      } else if (wire === WIRE.bytes) {
        const length = varint(cursor);
        if (length > BigInt(cursor.left)) throw new NotProtobuf(`a field of ${length} bytes does not fit its message`);
        const from = cursor.position;
        cursor.skip(Number(length));
        yield { number, wire, start: from, end: from + Number(length), value: length };
      } else throw new NotProtobuf(`an unknown wire type ${wire}`);
    }
  } catch (error) {
    if (error instanceof OutOfBytes) throw new NotProtobuf('the message is cut off');
    throw error;
  }
}

function varint(cursor: Cursor): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = cursor.u8();
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) {
      if (value >= 2n ** 64n) break;
      return value;
    }
  }
  throw new NotProtobuf('a number of more than 64 bits');
}

/** The text of a string field, cut at 64 KiB. */
export function textOf(source: ByteSource, { start, end }: Field): string {
  return source.read(start, Math.min(end - start, TEXT_LIMIT)).toString('utf8');
}

/** The numbers of the top-level fields, or null where the bytes are no message: at most `limit` fields are looked at. */
export function outline(source: ByteSource, limit: number = 10_000): Map<number, Field> | null {
  const found = new Map<number, Field>();
  let count = 0;
  try {
    for (const field of fields(source, 0, source.size)) {
      const earlier = found.get(field.number);
      if (earlier !== undefined && earlier.wire !== field.wire) return null;
      if (earlier === undefined) found.set(field.number, field);
      count += 1;
      if (count >= limit) break;
    }
  } catch (error) {
    if (error instanceof NotProtobuf) return null;
    throw error;
  }
  return found;
}
