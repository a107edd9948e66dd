import type { ByteSource } from '../source.ts';
import { Cursor, OutOfBytes } from './cursor.ts';

/** Bytes that are no protocol buffer message. */
export class NotProtobuf extends Error {
  override readonly name: string = 'NotProtobuf';
}

/** One field of a message. `[start, end)` are the bytes of its value. */
export interface Field {
  readonly number: number;
  readonly wire: number;
  readonly start: number;
  readonly end: number;
}

export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const TEXT_LIMIT = 65_536;
/** Of the tenth byte, which has one bit left. */
const LAST_FACTOR = 2 ** 63;

/** The fields of the message in `[start, end)`, in order (protobuf.dev, Encoding). Values are not read. Throws `NotProtobuf`. */
export function* fields(source: ByteSource, start: number, end: number): Generator<Field> {
  const cursor = new Cursor(source, start, end);
  try {
    while (cursor.left > 0) {
      const tag = varint(cursor);
      const number = Math.floor(tag / 8);
      const wire = tag % 8;
      if (number === 0 || tag > 0xffffffff) throw new NotProtobuf('an invalid field number');
      let start = cursor.position;
      if (wire === WIRE.varint) varint(cursor);
      else if (wire === WIRE.fixed64) cursor.skip(8);
      else if (wire === WIRE.fixed32) cursor.skip(4);
      else if (wire === WIRE.bytes) {
        const length = varint(cursor);
        if (length > cursor.left) throw new NotProtobuf(`a field of ${length} bytes does not fit its message`);
        start = cursor.position;
        cursor.skip(length);
      } else throw new NotProtobuf(`an unknown wire type ${wire}`);
      yield { number, wire, start, end: cursor.position };
    }
  } catch (error) {
    if (error instanceof OutOfBytes) throw new NotProtobuf('the message is cut off');
    throw error;
  }
}

/** Exact up to 2^53; what is longer fits no file either. Throws `NotProtobuf` beyond 64 bits. */
function varint(cursor: Cursor): number {
  let value = 0;
  for (let factor = 1; factor <= LAST_FACTOR; factor *= 128) {
    const byte = cursor.u8();
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) {
      if (factor === LAST_FACTOR && byte > 1) break;
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
