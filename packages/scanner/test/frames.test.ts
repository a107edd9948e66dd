import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32, zstdCompressSync } from 'node:zlib';
import * as w from './writers.ts';
import { bytes, EVIL, PLAIN, pk, rulesOf, scanBytes, u32, u64 } from './writers.ts';

/** A frame that decoders of zstd and lz4 skip, whose first byte is chosen. */
const skipped = (first: string, content: Buffer): Buffer => bytes(first, '*M\x18', u32(content.length), content);
const CALL: Buffer = bytes(pk.global('os', 'system'), "(S'x'\ntR.");
const LZ4: Buffer = bytes('\x04\x22\x4d\x18\x40\x40\xc0\x04\0\0\x80{}\n\n\0\0\0\0');

describe('frames of zstd and lz4', () => {
  it('one to be skipped may be a pickle by its first byte', async () => {
    for (const rest of [zstdCompressSync(PLAIN), LZ4])
      for (const file of [skipped('U', bytes('A'.repeat(36), CALL)), skipped('V', bytes('A\n', CALL))]) {
        const report = await scanBytes(bytes(file, rest));
        assert.equal(report.verdict, 'malicious');
        assert.equal(report.format, 'pickle');
        assert.equal((await scanBytes(w.torchZip(bytes(file, rest)))).verdict, 'malicious');
      }
  });
  it('one to be skipped is searched, wherever it stands', async () => {
    const packed = zstdCompressSync(PLAIN);
    for (const file of [
      bytes(skipped('P', EVIL), packed),
      bytes(packed, skipped('Z', EVIL), packed),
      bytes(packed, skipped('_', EVIL)),
      bytes(LZ4, skipped('S', EVIL)),
    ])
      assert.ok(rulesOf(await scanBytes(file)).includes('pickle-hidden'));
  });
  it('parallel, concatenated and seekable files are clean and read to their end', async () => {
    const [front, back] = [PLAIN.subarray(0, 5), PLAIN.subarray(5)].map((part) => zstdCompressSync(part)) as [Buffer, Buffer];
    const table = skipped('^', bytes(u32(front.length), u32(5), u32(back.length), u32(PLAIN.length - 5), u32(2), 0, u32(0x8f92eab1)));
    for (const file of [
      bytes(skipped('P', u32(front.length)), front, skipped('P', u32(back.length)), back),
      bytes(front, back),
      bytes(front, back, table),
      bytes(zstdCompressSync(Buffer.alloc(0)), front, back),
    ])
      assert.deepEqual(rulesOf(await scanBytes(file)), []);
    const [evil, more] = [EVIL.subarray(0, 9), EVIL.subarray(9)].map((part) => zstdCompressSync(part)) as [Buffer, Buffer];
    assert.equal((await scanBytes(bytes(evil, skipped('P', u32(0)), more))).verdict, 'malicious');
    assert.equal((await scanBytes(bytes(front, back.subarray(0, -3)))).verdict, 'malformed');
  });
});

const ZSTD = '\x04\xf7\x11\x01';

/** A 7z archive of the folder `packed`, which says that it holds `size` bytes. */
function sevenZip(method: string, packed: Buffer, size: number, properties: Buffer = Buffer.alloc(0)): Buffer {
  const coder = bytes(
    (properties.length > 0 ? 0x20 : 0) + method.length,
    method,
    ...(properties.length > 0 ? [properties.length, properties] : []),
  );
  const name = bytes(0, 'a\0\0\0');
  return archive(
    packed,
    bytes(1, 4, 6, 0, 1, 9, packed.length, 0, 7, 11, 1, 0, 1, coder, 12, size, 0, 0, 5, 1, 17, name.length, name, 0, 0),
  );
}

function archive(body: Buffer, header: Buffer): Buffer {
  const start = bytes(u64(body.length), u64(header.length), u32(crc32(header)));
  return bytes("7z\xbc\xaf'\x1c\0\x04", u32(crc32(start)), start, body, header);
}

/** LZMA2 that holds `content` as it is. */
const stored = (content: Buffer): Buffer => bytes(1, 0, content.length - 1, content, 0);

describe('folders of 7z', () => {
  it('every frame of zstd is read', async () => {
    for (const packed of [
      zstdCompressSync(EVIL),
      bytes(zstdCompressSync(Buffer.alloc(0)), zstdCompressSync(EVIL)),
      bytes(zstdCompressSync(EVIL.subarray(0, 7)), zstdCompressSync(EVIL.subarray(7))),
      bytes(skipped('P', u32(0)), zstdCompressSync(EVIL)),
    ])
      assert.equal((await scanBytes(sevenZip(ZSTD, packed, EVIL.length))).verdict, 'malicious');
    assert.equal((await scanBytes(sevenZip(ZSTD, zstdCompressSync(PLAIN), PLAIN.length))).verdict, 'clean');
  });
  it('less than is announced is malformed, by every method', async () => {
    const size = PLAIN.length;
    for (const [method, packed, properties] of [
      ['\0', PLAIN, undefined],
      [ZSTD, zstdCompressSync(PLAIN), undefined],
      ['\x21', stored(PLAIN), bytes(24)],
    ] as const) {
      assert.equal((await scanBytes(sevenZip(method, packed, size, properties))).verdict, 'clean', method);
      assert.equal((await scanBytes(sevenZip(method, packed, size + 1, properties))).verdict, 'malformed', method);
    }
  });
  it('what is packed behind the end of a stream is reported and scanned', async () => {
    const report = await scanBytes(sevenZip('\x21', bytes(stored(PLAIN), EVIL), PLAIN.length, bytes(24)));
    assert.equal(report.verdict, 'malicious');
    assert.ok(rulesOf(report).includes('zip-hidden'));
  });
  it('folders and streams without end are paid for while their header is read', async () => {
    const folders = 100_000;
    const count = bytes(0xc0 | (folders >> 16), folders & 255, (folders >> 8) & 255);
    const many = bytes(1, 4, 7, 11, count, 0, Buffer.alloc(3 * folders, bytes(1, 1, 0)), 12, Buffer.alloc(folders), 0, 0, 0);
    assert.ok(rulesOf(await scanBytes(archive(Buffer.alloc(0), many))).includes('limit-work'));
    const few = bytes(1, 4, 7, 11, count, 0, 1, 1, 0, 12, 0, 0, 0, 0);
    assert.equal((await scanBytes(archive(Buffer.alloc(0), few))).verdict, 'malformed');
  });
});
