import assert from 'node:assert/strict';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { Reading } from './kafka-wire.ts';

/* A record batch of format 2 (the documentation's "Record Batch"), read back. */

/** CRC-32C (Castagnoli), bit by bit. */
function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

export type Compression = 'none' | 'gzip' | 'zstd';

/** By the lowest three bits of a batch's attributes; the others stay zero. */
const COMPRESSIONS = new Map<number, { readonly name: Compression; readonly decompress: (bytes: Buffer) => Buffer }>([
  [0, { name: 'none', decompress: (bytes) => bytes }],
  [1, { name: 'gzip', decompress: (bytes) => gunzipSync(bytes) }],
  [4, { name: 'zstd', decompress: (bytes) => zstdDecompressSync(bytes) }],
]);

export interface StoredRecord {
  readonly key: string;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface RecordBatch {
  readonly compression: Compression;
  readonly producerId: bigint;
  readonly epoch: number;
  readonly sequence: number;
  readonly records: readonly StoredRecord[];
}

export function readBatch(bytes: Buffer): RecordBatch {
  const reading = new Reading(bytes);
  assert.equal(reading.int64(), 0n, 'a producer writes base offset 0');
  assert.equal(reading.int(4), bytes.length - 12, 'one batch, of the length it says');
  reading.int(4);
  assert.equal(reading.int(1), 2, 'magic');
  assert.equal(reading.int(4) >>> 0, crc32c(bytes.subarray(21)), 'checksum');
  const compression = COMPRESSIONS.get(reading.int(2)) ?? assert.fail('compressed as we know it, create time');
  const last = reading.int(4);
  const [first, most] = [reading.int64(), reading.int64()];
  assert.ok(first > 0n && most >= first, 'timestamps');
  const [producerId, epoch, sequence, count] = [reading.int64(), reading.int(2), reading.int(4), reading.int(4)];
  assert.equal(last, count - 1);
  const plain = new Reading(compression.decompress(bytes.subarray(reading.at)));
  const records = Array.from({ length: count }, (_, i) => readRecord(plain, i));
  assert.equal(plain.at, plain.bytes.length);
  return { compression: compression.name, producerId, epoch, sequence, records };
}

function readRecord(reading: Reading, i: number): StoredRecord {
  const end = reading.signed() + reading.at;
  assert.equal(reading.int(1), 0);
  reading.signed();
  assert.equal(reading.signed(), i, 'offsets follow one another');
  const key = reading.take(reading.signed()).toString();
  const value = reading.take(reading.signed()).toString();
  const headers = Object.fromEntries(
    Array.from({ length: reading.signed() }, () => [reading.take(reading.signed()).toString(), reading.take(reading.signed()).toString()]),
  );
  assert.equal(reading.at, end);
  return { key, value, headers };
}
