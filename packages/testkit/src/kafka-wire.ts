import assert from 'node:assert/strict';
import type { Field, Type } from './kafka-messages.ts';

export type Value = Record<string, unknown>;

export class Reading {
  readonly bytes: Buffer;
  at: number;
  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }
  int(size: 1 | 2 | 4): number {
    this.at += size;
    return this.bytes.readIntBE(this.at - size, size);
  }
  int64(): bigint {
    this.at += 8;
    return this.bytes.readBigInt64BE(this.at - 8);
  }
  /** Unsigned LEB128. */
  varint(): number {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = this.bytes[this.at++] ?? assert.fail('cut');
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  }
  /** Zigzag. */
  signed(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
  take(length: number): Buffer {
    assert.ok(length >= 0 && this.at + length <= this.bytes.length, 'cut');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  fields(list: readonly Field[], version: number, flexible: boolean): Value {
    const value: Value = {};
    for (const { name, type, from = 0 } of list) if (version >= from) value[name] = this.#value(type, version, flexible);
    if (flexible) assert.equal(this.varint(), 0, 'no tagged field is known');
    return value;
  }
  #value(type: Type, version: number, flexible: boolean): unknown {
    const length = (short: 2 | 4): number => (flexible ? this.varint() - 1 : this.int(short));
    if (typeof type !== 'string') return Array.from({ length: length(4) }, () => this.fields(type, version, flexible));
    switch (type) {
      case 'int16':
        return this.int(2);
      case 'int32':
        return this.int(4);
      case 'int64':
        return this.int64();
      case 'bool':
        return this.int(1) !== 0;
      case 'string':
      case 'bytes': {
        const size = length(type === 'string' ? 2 : 4);
        if (size < 0) return null;
        return type === 'string' ? this.take(size).toString() : this.take(size);
      }
      default:
        return assert.fail(type);
    }
  }
}

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest < 128 ? rest : (rest % 128) + 128);
    if (rest < 128) return Buffer.from(bytes);
  }
}

export function int(value: number, size: 1 | 2 | 4): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.writeIntBE(value, 0, size);
  return bytes;
}

export function written(list: readonly Field[], value: Value, version: number, flexible: boolean): Buffer {
  const length = (size: number, short: 2 | 4): Buffer => (flexible ? varint(size + 1) : int(size, short));
  const one = (type: Type, item: unknown): Buffer => {
    if (typeof type !== 'string') {
      const items = item as readonly Value[];
      return Buffer.concat([length(items.length, 4), ...items.map((each) => written(type, each, version, flexible))]);
    }
    switch (type) {
      case 'int16':
        return int(Number(item), 2);
      case 'int32':
        return int(Number(item), 4);
      case 'int64': {
        const bytes = Buffer.alloc(8);
        bytes.writeBigInt64BE(BigInt(item as bigint));
        return bytes;
      }
      case 'bool':
        return int(item === true ? 1 : 0, 1);
      case 'string':
      case 'bytes': {
        if (item === null) return length(-1, type === 'string' ? 2 : 4);
        const bytes = Buffer.from(item as string);
        return Buffer.concat([length(bytes.length, type === 'string' ? 2 : 4), bytes]);
      }
      default: {
        const items = item as readonly unknown[];
        return Buffer.concat([length(items.length, 4), ...items.map((each) => one(type === '[]int32' ? 'int32' : 'string', each))]);
      }
    }
  };
  const parts = list.filter(({ from = 0 }) => version >= from).map(({ name, type }) => one(type, value[name]));
  return Buffer.concat(flexible ? [...parts, varint(0)] : parts);
}
