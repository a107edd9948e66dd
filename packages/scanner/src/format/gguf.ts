import { LimitReached } from '../limits.ts';
import { carvePickles } from '../pickle/carve.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { isZero } from '../source.ts';
import { inspectTemplate } from '../template/inspect.ts';
import { Cursor, OutOfBytes } from './cursor.ts';

/** Elements of a block, and its bytes, by tensor type (ggml.h, ggml_type; removed types keep the size they had). */
const TYPES: Readonly<Record<number, readonly [number, number]>> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  6: [32, 22],
  7: [32, 24],
  8: [32, 34],
  9: [32, 36],
  10: [256, 84],
  11: [256, 110],
  12: [256, 144],
  13: [256, 176],
  14: [256, 210],
  15: [256, 292],
  16: [256, 66],
  17: [256, 74],
  18: [256, 98],
  19: [256, 50],
  20: [32, 18],
  21: [256, 110],
  22: [256, 82],
  23: [256, 136],
  24: [1, 1],
  25: [1, 2],
  26: [1, 4],
  27: [1, 8],
  28: [1, 8],
  29: [256, 56],
  30: [1, 2],
  31: [32, 18],
  32: [32, 18],
  33: [32, 18],
  34: [256, 54],
  35: [256, 66],
  36: [32, 18],
  37: [32, 18],
  38: [32, 18],
  39: [32, 17],
  40: [64, 36],
};
/** Bytes of a metadata value by its type; 8 is a string, 9 an array. */
const SCALARS: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const STRING = 8;
const ARRAY = 9;
const UINT32 = 4;
const STRING_LIMIT = 2 ** 30;
const ARRAY_LIMIT = 2n ** 30n;
const KEY_LIMIT = 65_535;
const NAME_LIMIT = 64;
const MAX_DIMENSIONS = 4;
const DEFAULT_ALIGNMENT = 32;
const TEMPLATE_KEY = /^tokenizer\.chat_template(\..+)?$/;

class Invalid extends Error {}

interface Tensor {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
}

/** The header of a GGUF file against the rules of ggml/src/gguf.cpp, and each chat template in it. Tensors are not read. */
export async function scanGguf(piece: Piece): Promise<void> {
  const cursor = new Cursor(piece.source, 4);
  try {
    const version = cursor.u32();
    if (version !== 2 && version !== 3) {
      piece.report(
        'gguf-version',
        version === 1 ? 'version 1' : version >>> 24 === 3 || version >>> 24 === 2 ? 'big-endian' : `version ${version}`,
        4,
      );
      return;
    }
    const tensorCount = cursor.u64();
    const keyCount = cursor.u64();
    // Each key takes 12 bytes at least, each tensor 24.
    if (keyCount * 12n > BigInt(cursor.left)) throw new Invalid(`${keyCount} keys do not fit the file`);
    if (tensorCount * 24n > BigInt(cursor.left)) throw new Invalid(`${tensorCount} tensors do not fit the file`);
    const most = BigInt(piece.limits.entries);
    if (keyCount > most || tensorCount > most) throw new LimitReached('limit-entries', `more than ${most} keys or tensors`);
    const alignment = readKeys(piece, cursor, Number(keyCount));
    const tensors = readTensors(cursor, Number(tensorCount));
    await checkLayout(piece, tensors, alignUp(cursor.position, alignment), alignment);
  } catch (error) {
    if (!(error instanceof Invalid || error instanceof OutOfBytes)) throw error;
    piece.report('gguf-broken', error.message, Math.min(cursor.position, piece.source.size));
  }
}

function readKeys(piece: Piece, cursor: Cursor, count: number): number {
  const seen = new Set<string>();
  let alignment = DEFAULT_ALIGNMENT;
  let duplicate = '';
  for (let index = 0; index < count; index += 1) {
    const key = cursor.text(readLength(cursor, KEY_LIMIT));
    if (key === '') throw new Invalid('a key is empty');
    // Loaders refuse a duplicate; some readers take the last. What it says is looked at all the same.
    if (seen.has(key)) duplicate = key;
    seen.add(key);
    const type = cursor.u32();
    const start = cursor.position;
    if (type === STRING) {
      const length = readLength(cursor, STRING_LIMIT);
      if (!TEMPLATE_KEY.test(key)) cursor.skip(length);
      else if (length > piece.limits.document) throw new LimitReached('limit-document', `a chat template of ${length} bytes`);
      else inspectTemplate(piece, cursor.text(length), `the chat template ${quote(key)}`, start);
    } else if (type === ARRAY) readArray(piece, cursor, key);
    else if (key === 'general.alignment') {
      if (type !== UINT32) throw new Invalid('the alignment is no 32-bit number');
      alignment = cursor.u32();
      if (alignment === 0 || (alignment & (alignment - 1)) !== 0) throw new Invalid(`the alignment is ${alignment}`);
    } else cursor.skip(scalar(type));
  }
  if (duplicate !== '') throw new Invalid(`the key ${quote(duplicate)} stands twice`);
  return alignment;
}

function scalar(type: number): number {
  const bytes = SCALARS[type];
  if (bytes === undefined) throw new Invalid(`an unknown value type ${type}`);
  return bytes;
}

/** Bytes of the string that follows, which may be as long as `most`. */
function readLength(cursor: Cursor, most: number): number {
  const length = cursor.u64();
  if (length > most || length > cursor.left) throw new Invalid(`a string of ${length} bytes`);
  return Number(length);
}

function readArray(piece: Piece, cursor: Cursor, key: string): void {
  const type = cursor.u32();
  const count = cursor.u64();
  if (type === ARRAY) throw new Invalid(`an array of arrays under ${quote(key)}`);
  if (count > ARRAY_LIMIT) throw new Invalid(`an array of ${count} elements`);
  if (type !== STRING) {
    cursor.skip(Number(count) * scalar(type));
    return;
  }
  for (let index = 0n; index < count; index += 1n) {
    if (index % 65_536n === 0n) piece.run.checkTime();
    const length = cursor.u64();
    if (length > BigInt(cursor.left)) throw new Invalid(`a string of ${length} bytes`);
    cursor.skip(Number(length));
  }
}

function readTensors(cursor: Cursor, count: number): Tensor[] {
  const tensors: Tensor[] = [];
  const names = new Set<string>();
  for (let index = 0; index < count; index += 1) {
    const name = cursor.text(readLength(cursor, NAME_LIMIT - 1));
    if (names.has(name)) throw new Invalid(`two tensors are called ${quote(name)}`);
    names.add(name);
    const dimensions = cursor.u32();
    if (dimensions > MAX_DIMENSIONS) throw new Invalid(`tensor ${quote(name)} has ${dimensions} dimensions`);
    let elements = 1n;
    let row = 1n;
    for (let dimension = 0; dimension < dimensions; dimension += 1) {
      const size = cursor.u64();
      if (dimension === 0) row = size;
      elements *= size;
      if (size >= 2n ** 63n || elements >= 2n ** 63n) throw new Invalid(`tensor ${quote(name)} has too many elements`);
    }
    const type = cursor.u32();
    const block = TYPES[type];
    if (block === undefined) throw new Invalid(`tensor ${quote(name)} has the unknown type ${type}`);
    if (row % BigInt(block[0]) !== 0n) throw new Invalid(`a row of tensor ${quote(name)} is no multiple of its block`);
    const bytes = (elements / BigInt(block[0])) * BigInt(block[1]);
    const offset = cursor.u64();
    if (offset > BigInt(Number.MAX_SAFE_INTEGER) || bytes > BigInt(Number.MAX_SAFE_INTEGER))
      throw new Invalid(`tensor ${quote(name)} is too large`);
    tensors.push({ name, offset: Number(offset), bytes: Number(bytes) });
  }
  return tensors;
}

async function checkLayout(piece: Piece, tensors: readonly Tensor[], data: number, alignment: number): Promise<void> {
  const { source } = piece;
  let expected = 0;
  for (const { name, offset, bytes } of tensors) {
    if (offset !== expected) {
      piece.report('gguf-broken', `tensor ${quote(name)} is at ${offset}, not at ${expected}`, data);
      if (offset > expected) await hidden(piece, data + expected, data + offset);
    }
    if (data + offset + bytes > source.size) throw new Invalid(`tensor ${quote(name)} reaches beyond the file`);
    expected = Math.max(expected, alignUp(offset + bytes, alignment));
  }
  if (data + expected < source.size) await hidden(piece, data + expected, source.size);
}

async function hidden(piece: Piece, start: number, end: number): Promise<void> {
  if (end <= start || start >= piece.source.size || isZero(piece.source, start, end)) return;
  piece.report('gguf-hidden', `${end - start} bytes belong to no tensor`, start);
  carvePickles(piece, start, end, 'bytes between tensors');
  await piece.inside(piece.part(start, end).source, `${piece.name}!hidden`, start, 'hidden').scan();
}

function alignUp(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}
