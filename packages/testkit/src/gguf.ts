/**
 * Writes GGUF files (version 3, little endian; specification: ggml `docs/gguf.md`), and with it a tiny language model with random
 * weights that a real engine loads and runs. The text it produces means nothing; that it is produced token by token is the point.
 */

const MAGIC = 0x46554747; // 'GGUF' read as a little-endian u32
const VERSION = 3;
const ALIGNMENT = 32;
const TENSOR_F32 = 0;

const VALUE_TYPE = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9, u64: 10 } as const;

type ScalarType = 'u32' | 'i32' | 'f32' | 'bool' | 'string' | 'u64';
export type GgufScalar = number | bigint | boolean | string;

/** A metadata value with its wire type. */
export type GgufValue =
  | { readonly type: ScalarType; readonly value: GgufScalar }
  | { readonly type: 'array'; readonly of: ScalarType; readonly values: readonly GgufScalar[] };

/** A tensor of 32-bit floats. `shape[0]` is the fastest dimension (ggml's `ne[0]`); the product of `shape` is `data.length`. */
export interface GgufTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Encodes a file. Throws `RangeError` where a tensor's data does not fit its shape or a scalar its type. */
export function encodeGguf(metadata: ReadonlyMap<string, GgufValue>, tensors: readonly GgufTensor[]): Buffer {
  const head: Buffer[] = [u32(MAGIC), u32(VERSION), u64(tensors.length), u64(metadata.size)];
  for (const [key, value] of metadata) {
    head.push(text(key), u32(VALUE_TYPE[value.type]));
    if (value.type === 'array') {
      head.push(u32(VALUE_TYPE[value.of]), u64(value.values.length));
      for (const item of value.values) head.push(scalar(value.of, item));
    } else {
      head.push(scalar(value.type, value.value));
    }
  }
  let offset = 0;
  const body: Buffer[] = [];
  for (const tensor of tensors) {
    const size = tensor.shape.reduce((product, dimension) => product * dimension, 1);
    if (size !== tensor.data.length) throw new RangeError(`${tensor.name} holds ${tensor.data.length} numbers, its shape ${size}`);
    head.push(text(tensor.name), u32(tensor.shape.length), ...tensor.shape.map(u64), u32(TENSOR_F32), u64(offset));
    const bytes = Buffer.from(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
    const padding = Buffer.alloc(paddingAfter(bytes.length));
    body.push(bytes, padding);
    offset += bytes.length + padding.length;
  }
  const headLength = head.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([...head, Buffer.alloc(paddingAfter(headLength)), ...body]);
}

function paddingAfter(length: number): number {
  return (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT;
}

function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

function u64(value: number | bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([u64(bytes.length), bytes]);
}

const SCALAR_WRITERS: Readonly<Record<ScalarType, (value: GgufScalar) => Buffer>> = {
  u32: (value) => u32(Number(value)),
  u64: (value) => u64(typeof value === 'bigint' ? value : Number(value)),
  i32: (value) => {
    const buffer = Buffer.alloc(4);
    buffer.writeInt32LE(Number(value));
    return buffer;
  },
  f32: (value) => {
    const buffer = Buffer.alloc(4);
    buffer.writeFloatLE(Number(value));
    return buffer;
  },
  bool: (value) => Buffer.of(value === true ? 1 : 0),
  string: (value) => text(String(value)),
};

function scalar(type: ScalarType, value: GgufScalar): Buffer {
  return SCALAR_WRITERS[type](value);
}
