import assert from 'node:assert/strict';
import { appendFile, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { HASH_MEMBER } from '../src/entry.ts';
import { frameEnd, MalformedFrames } from '../src/frames.ts';
import { buildIndexes, proveInclusion, readEntries, verifyLedger } from '../src/index.ts';
import { leafHash } from '../src/merkle.ts';
import { listSegments, type Segment } from '../src/segment.ts';
import { readSegment, SHORTEST_LINE } from '../src/segment-read.ts';
import { serialiseEntry } from '../src/serialise.ts';
import { facts, openTestLedger, TemporaryDirectory } from './support.ts';

/** Entries of which the first segment, of several tiles, is compressed. */
async function makeLog(directory: string): Promise<Segment> {
  await using ledger = await openTestLedger(directory, { segmentBytes: 800_000 });
  for (let at = 0; at < 2000; at += 250)
    await Promise.all(Array.from({ length: 250 }, (_, i) => ledger.append(facts({ id: `r${at + i}` }))));
  await ledger.close();
  const [first = assert.fail()] = await listSegments(join(directory, 'logs/w1'));
  assert.ok(first.compressed);
  return first;
}

function framesOf(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = frameEnd(bytes, start) ?? assert.fail('a frame is cut');
    frames.push(bytes.subarray(start, end));
    start = end;
  }
  return frames;
}

async function linesOf(segment: Segment): Promise<string[]> {
  return (await Array.fromAsync(readSegment(segment), ({ lines }) => lines)).flat();
}

async function ids(directory: string, id: string, index: boolean): Promise<string[]> {
  return Array.fromAsync(readEntries(directory, { id }, { index }), ({ entry }) => entry.id);
}

test('a closed segment is a row of frames, each of the entries of one tile', async () => {
  await using directory = await TemporaryDirectory.create();
  const segment = await makeLog(directory.path);
  const counts: number[] = [];
  for await (const { lines, frameEnd: end } of readSegment(segment)) {
    assert.notEqual(end, null);
    counts.push(lines.length);
  }
  assert.ok(counts.length >= 3);
  assert.deepEqual(
    counts,
    counts.map(() => 256),
  );
  assert.equal(framesOf(await readFile(segment.path)).length, counts.length);
});

test('a query reads the frames with candidates and no other', async () => {
  await using directory = await TemporaryDirectory.create();
  const segment = await makeLog(directory.path);
  await buildIndexes(directory.path);
  const [first = assert.fail(), second = assert.fail()] = framesOf(await readFile(segment.path));
  await using file = await open(segment.path, 'r+');
  // The checksum of the second frame: who decompresses it, fails.
  await file.write(Buffer.alloc(4), 0, 4, first.length + second.length - 4);
  assert.deepEqual(await ids(directory.path, 'r3', true), ['r3']);
  assert.deepEqual(await ids(directory.path, 'r600', true), ['r600']);
  await assert.rejects(ids(directory.path, 'r300', true));
  await assert.rejects(ids(directory.path, 'r600', false));
});

test('an index whose frames are not those of the segment changes no answer', async () => {
  await using directory = await TemporaryDirectory.create();
  const segment = await makeLog(directory.path);
  await buildIndexes(directory.path);
  const path = join(directory.path, 'index/w1/0000000000000000.idx');
  const index = await readFile(path);
  for (const [offset, value] of [
    [40, 17],
    [40, 0xffff_fff0],
    [44, 1],
    [48, 60],
  ] as const) {
    const damaged = Buffer.from(index);
    damaged.writeUInt32LE(value, offset);
    await writeFile(path, damaged);
    for (const id of ['r3', 'r300', 'r600']) assert.deepEqual(await ids(directory.path, id, true), [id], `${offset}: ${value}`);
  }
  // Another segment in its place, frames and all.
  const lines = await linesOf(segment);
  await writeFile(segment.path, zstdCompressSync(`${lines.join('\n')}\n`));
  await writeFile(path, index);
  assert.deepEqual(await ids(directory.path, 'r300', true), ['r300']);
});

test('a segment in one frame, as they were before, is read, looked up, proved, verified and gone on from', async () => {
  await using directory = await TemporaryDirectory.create();
  const segment = await makeLog(directory.path);
  const lines = await linesOf(segment);
  await writeFile(segment.path, zstdCompressSync(`${lines.join('\n')}\n`));
  assert.deepEqual(await linesOf(segment), lines);
  assert.deepEqual(await ids(directory.path, 'r300', false), ['r300']);
  await buildIndexes(directory.path);
  assert.deepEqual(await ids(directory.path, 'r300', true), ['r300']);
  await proveInclusion(directory.path, 'w1', 300);
  for (const threads of [0, 2]) assert.deepEqual((await verifyLedger(directory.path, { threads })).logs[0]?.problems, []);
  await (await openTestLedger(directory.path)).close();
});

/** A line that fits nowhere, with its hash. */
function forged(line: string): string {
  const bare = line.replace(/,"hash":"[0-9a-f]{64}"(,"id")/, '$1').replace('"outcome":"answered"', '"outcome":"refused"');
  return `${bare.replace(/,"id":/, `,"hash":"${leafHash(bare)}","id":`)}\n`;
}

const SKIPPABLE = Buffer.from([0x5e, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);

test('what another tool would show beside the frames, or inside one, is found', async () => {
  await using directory = await TemporaryDirectory.create();
  const segment = await makeLog(directory.path);
  const bytes = await readFile(segment.path);
  const [first = assert.fail()] = framesOf(bytes);
  const lines = await linesOf(segment);
  const line = forged(lines[3] ?? '');
  const whole = zstdCompressSync(`${lines.join('\n')}\n`);
  const changed: readonly (readonly [string, Buffer])[] = [
    ['a frame at the end', Buffer.concat([bytes, zstdCompressSync(line)])],
    ['a frame in between', Buffer.concat([first, zstdCompressSync(line), bytes.subarray(first.length)])],
    ['an empty frame with no newline', Buffer.concat([bytes, zstdCompressSync('x')])],
    ['a skippable frame at the end', Buffer.concat([bytes, SKIPPABLE])],
    ['a skippable frame in front', Buffer.concat([SKIPPABLE, bytes])],
    ['other bytes at the end', Buffer.concat([bytes, Buffer.from('{"action":"forged"}\n')])],
    ['one byte at the end', Buffer.concat([bytes, Buffer.from([0])])],
    ['a second frame after one of before', Buffer.concat([whole, zstdCompressSync(line)])],
    ['nothing', Buffer.alloc(0)],
    ['a frame missing', bytes.subarray(first.length)],
    ['two frames exchanged', Buffer.concat([bytes.subarray(first.length), first])],
  ];
  for (const [what, content] of changed) {
    await writeFile(segment.path, content);
    for (const threads of [0, 2]) assert.equal((await verifyLedger(directory.path, { threads })).ok, false, `${what}, ${threads} threads`);
  }
  for (let cut = 1; cut < 400; cut += 57) {
    await writeFile(segment.path, bytes.subarray(0, bytes.length - cut));
    assert.equal((await verifyLedger(directory.path)).ok, false, `${cut} bytes less`);
  }
  await rm(segment.path);
  await appendFile(segment.path, bytes);
  assert.equal((await verifyLedger(directory.path)).ok, true, 'as it was');
});

test('the frame walk takes what Zstandard writes, whatever is in it, and nothing cut', () => {
  const random = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (Math.imul(i, 0x9e37_79b1) >>> 13) & 0xff));
  for (const content of ['', 'x', 'x'.repeat(1_000_000), 'abc'.repeat(70), random, random.subarray(0, 255)]) {
    const frame = zstdCompressSync(content);
    assert.equal(frameEnd(Buffer.concat([frame, frame]), 0), frame.length);
    assert.equal(frameEnd(Buffer.concat([frame, frame]), frame.length), 2 * frame.length);
    for (let cut = 1; cut < Math.min(frame.length, 50); cut++) assert.equal(frameEnd(frame.subarray(0, -cut), 0), null);
  }
  assert.throws(() => frameEnd(Buffer.from('garbage'), 0), MalformedFrames);
  // A block of the reserved type.
  assert.throws(() => frameEnd(Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 0x07, 0, 0]), 0), MalformedFrames);
});

/** A frame of raw blocks without content, and `content` in the last one. */
function hollow(blocks: number, content: Buffer): Buffer {
  const frame = Buffer.alloc(6 + 3 * (blocks + 1) + content.length);
  frame.set([0x28, 0xb5, 0x2f, 0xfd, 0, 0x58]);
  frame.writeUIntLE((content.length << 3) | 1, 6 + 3 * blocks, 3);
  frame.set(content, 6 + 3 * (blocks + 1));
  return frame;
}

/** A frame that claims `mebibytes` of one byte, in blocks of four bytes for 128 KiB. */
function bomb(mebibytes: number): Buffer {
  const blocks = mebibytes * 8;
  const frame = Buffer.alloc(6 + 4 * blocks);
  frame.set([0x28, 0xb5, 0x2f, 0xfd, 0, 0x58]);
  for (let n = 0; n < blocks; n++) {
    frame.writeUIntLE((131_072 << 3) | 2 | (n === blocks - 1 ? 1 : 0), 6 + 4 * n, 3);
    frame[9 + 4 * n] = 0x61;
  }
  return frame;
}

test('a frame that comes in pieces ends where it ends in one', async () => {
  await using directory = await TemporaryDirectory.create();
  const path = join(directory.path, 'segment.zst');
  const content = Buffer.from('a line\n');
  // Over several of the pieces that are read at once, with blocks across their ends.
  const frame = hollow(900_001, content);
  assert.equal(frameEnd(frame, 0), frame.length);
  await writeFile(path, frame);
  assert.deepEqual(await linesOf({ first: 0, path, compressed: true }), ['a line']);
  await writeFile(path, frame.subarray(0, -1));
  await assert.rejects(linesOf({ first: 0, path, compressed: true }), MalformedFrames);
});

test('a small file that claims to hold a great deal, or in a great many frames, is read no further', async () => {
  await using directory = await TemporaryDirectory.create();
  const path = join(directory.path, 'segment.zst');
  let bytes = 0;
  const read = async (content: Buffer): Promise<void> => {
    await writeFile(path, content);
    bytes = 0;
    for await (const { lines, rest } of readSegment({ first: 0, path, compressed: true }))
      bytes += rest.length + lines.reduce((sum, line) => sum + line.length, 0);
  };
  await assert.rejects(read(Buffer.concat(Array.from({ length: 5 }, () => bomb(16)))), MalformedFrames);
  assert.ok(bytes <= 64 << 20, `${bytes}`);
  await assert.rejects(read(bomb(80)), MalformedFrames);
  const tiny = zstdCompressSync('{}\n');
  await assert.rejects(read(Buffer.concat(Array.from({ length: 1000 }, () => tiny))), MalformedFrames);
  assert.ok(bytes < 100);
});

test('no entry is shorter than a frame of a tile is taken to need', () => {
  const nothing = { action: '', decision: null, detail: {}, digest: { prompt: null, reply: null }, fault: null, id: '', latency: null };
  const { head, tail } = serialiseEntry(
    facts({
      ...nothing,
      model: null,
      principal: null,
      resource: null,
      source: null,
      usage: null,
      verdicts: [],
      kind: 'auth',
      outcome: 'cut',
    }),
    0,
    '2026-01-01T00:00:00.000Z',
    '0'.repeat(64),
  );
  assert.ok(head.length + tail.length + HASH_MEMBER + 1 >= SHORTEST_LINE, `${head.length + tail.length + HASH_MEMBER + 1}`);
});
