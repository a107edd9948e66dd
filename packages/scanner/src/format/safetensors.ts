import { carvePickles } from '../pickle/carve.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { isZero } from '../source.ts';
import { at, type Json, JsonError, type JsonMap, parseJson } from './json.ts';

/** safetensors: the header may have 100 MB at most (safetensors/src/tensor.rs, MAX_HEADER_SIZE). */
const HEADER_LIMIT = 100_000_000;
/** Bits of one element. Types below a byte must fill whole bytes. */
const BITS: Readonly<Record<string, number>> = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F8_E8M0: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
};
const OBJECT_NAMES: ReadonlySet<string> = new Set([
  '__proto__',
  'constructor',
  'prototype',
  '__class__',
  '__init__',
  '__dict__',
  '__globals__',
]);

interface Tensor {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** Checks the header against every rule of the format, and that each byte belongs to exactly one tensor. Tensors are not read. */
export async function scanSafetensors(piece: Piece): Promise<void> {
  const { source } = piece;
  const length = source.read(0, 8).readBigUInt64LE(0);
  if (length > BigInt(HEADER_LIMIT)) {
    broken(piece, `the header says it has ${length} bytes`);
    return;
  }
  if (length > BigInt(piece.limits.document) && Number(length) + 8 <= source.size) {
    piece.report('limit-document', `a header of ${length} bytes`);
    return;
  }
  const data = 8 + Number(length);
  if (data > source.size) {
    broken(piece, 'the header reaches beyond the file');
    return;
  }
  let header: Json;
  try {
    header = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(source.read(8, Number(length))));
  } catch (error) {
    if (!(error instanceof JsonError || (error instanceof TypeError && 'code' in error))) throw error;
    if (error instanceof JsonError && error.kind === 'size') piece.report('limit-document', `the header ${error.message}`);
    else broken(piece, `the header is no sound JSON: ${error instanceof JsonError ? error.message : 'invalid UTF-8'}`, 8);
    return;
  }
  if (!(header instanceof Map)) {
    broken(piece, 'the header is no object', 8);
    return;
  }
  checkMetadata(piece, header);
  const tensors = readTensors(piece, header);
  if (tensors !== null) await checkLayout(piece, tensors, data);
}

function broken(piece: Piece, message: string, offset: number = 0): void {
  piece.report('safetensors-broken', message, offset);
}

function checkMetadata(piece: Piece, header: JsonMap): void {
  const metadata = header.get('__metadata__');
  if (metadata === undefined) return;
  if (!(metadata instanceof Map) || ![...metadata.values()].every((value) => typeof value === 'string'))
    broken(piece, '__metadata__ must be an object of strings', 8);
}

function readTensors(piece: Piece, header: JsonMap): Tensor[] | null {
  const tensors: Tensor[] = [];
  for (const [name, entry] of header) {
    if (name === '__metadata__') continue;
    if (OBJECT_NAMES.has(name)) piece.report('safetensors-names', `a tensor is called ${quote(name)}`, 8);
    const type = at(entry, 'dtype');
    const shape = at(entry, 'shape');
    const offsets = at(entry, 'data_offsets');
    const [start, end] = Array.isArray(offsets) ? offsets : [];
    if (
      typeof type !== 'string' ||
      !Array.isArray(shape) ||
      !isSize(start) ||
      !isSize(end) ||
      !Array.isArray(offsets) ||
      offsets.length !== 2
    ) {
      broken(piece, `tensor ${quote(name)} needs dtype, shape and data_offsets`, 8);
      return null;
    }
    const bits = Object.hasOwn(BITS, type) ? BITS[type] : undefined;
    if (bits === undefined) {
      broken(piece, `tensor ${quote(name)} has the unknown type ${quote(type)}`, 8);
      return null;
    }
    let total = BigInt(bits);
    for (const size of shape) {
      if (!isSize(size)) {
        broken(piece, `tensor ${quote(name)} has an invalid shape`, 8);
        return null;
      }
      total *= BigInt(size);
    }
    if (end < start || total % 8n !== 0n || total / 8n !== BigInt(end - start)) {
      broken(piece, `tensor ${quote(name)} has a shape that does not fit its bytes`, 8);
      return null;
    }
    tensors.push({ name, start, end });
  }
  return tensors.sort((one, other) => one.start - other.start || one.end - other.end);
}

function isSize(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

async function checkLayout(piece: Piece, tensors: readonly Tensor[], data: number): Promise<void> {
  const { source } = piece;
  let position = 0;
  for (const { name, start, end } of tensors) {
    if (start < position) broken(piece, `tensor ${quote(name)} overlaps another`, data + start);
    if (start > position) await hidden(piece, data + position, data + start, `the hole before tensor ${quote(name)}`);
    position = Math.max(position, end);
    if (data + end > source.size) {
      broken(piece, `tensor ${quote(name)} reaches beyond the file`, data + start);
      return;
    }
  }
  if (data + position < source.size) await hidden(piece, data + position, source.size, 'what follows the last tensor');
}

async function hidden(piece: Piece, start: number, end: number, what: string): Promise<void> {
  piece.report('safetensors-hidden', `${end - start} bytes belong to no tensor: ${what}`, start);
  if (isZero(piece.source, start, end)) return;
  carvePickles(piece, start, end, 'bytes between tensors');
  await piece.inside(piece.part(start, end).source, `${piece.name}!hidden`, start, 'hidden').scan();
}
