import assert from 'node:assert/strict';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { type LedgerReport, verifyLedger } from '../src/index.ts';
import { leafHash } from '../src/merkle.ts';
import { listSegments, type Segment } from '../src/segment.ts';
import { readSegment } from '../src/segment-read.ts';
import { scanSegment } from '../src/verify/stretch.ts';
import { facts, openTestLedger, TemporaryDirectory, testKeys } from './support.ts';

/** Four segments, each of more than two tiles, so that threads have something to skip; checkpoints also in the middle of them. */
async function makeLog(directory: string): Promise<string[]> {
  await using ledger = await openTestLedger(directory, { segmentBytes: 600_000 });
  const notes: string[] = [];
  for (let at = 0; at < 3000; at += 250) {
    await Promise.all(
      Array.from({ length: 250 }, (_, i) => ledger.append(facts({ id: `r${at + i}`, resource: (at + i) % 700 === 0 ? 'Zoë’s' : 'chat' }))),
    );
    await ledger.checkpoint();
    notes.push(await readFile(join(directory, 'logs', 'w1', 'checkpoint'), 'utf8'));
  }
  return notes;
}

/** Puts other lines in place of a closed segment's. */
async function rewrite(segment: Segment, change: (lines: string[]) => string[]): Promise<void> {
  const lines = await Array.fromAsync(readSegment(segment), (block) => block.lines);
  await rm(segment.path);
  await writeFile(
    segment.path.replace('.zst', ''),
    change(lines.flat())
      .map((line) => `${line}\n`)
      .join(''),
  );
}

const edit = (line: string): string => line.replace('"outcome":"answered"', '"outcome":"refused"');

/** The line with the hash that fits what it says. */
function rehash(line: string): string {
  const bare = line.replace(/,"hash":"[0-9a-f]{64}"(,"id")/, '$1');
  return bare.replace(/,"id":/, `,"hash":"${leafHash(bare)}","id":`);
}

const at = (index: number, change: (line: string) => string[]): ((lines: string[]) => string[]) => {
  return (lines) => lines.flatMap((line, i) => (i === index ? change(line) : [line]));
};

/** What an attacker may do to the second segment. */
const TAMPERINGS: readonly (readonly [name: string, change: (lines: string[]) => string[]])[] = [
  ['an edit in its first tile', at(3, (line) => [edit(line)])],
  ['an edit that has its hash', at(300, (line) => [rehash(edit(line))])],
  ['an edit in its last line', (lines) => lines.with(-1, edit(lines.at(-1) ?? ''))],
  ['its first line removed', at(0, () => [])],
  ['a line removed', at(200, () => [])],
  ['a line twice', at(100, (line) => [line, line])],
  ['two lines swapped', (lines) => lines.with(5, lines[6] ?? '').with(6, lines[5] ?? '')],
  ['a line of its own put in', at(50, (line) => [line, rehash(edit(line))])],
  ['its end cut off', (lines) => lines.slice(0, 300)],
  ['nothing left', () => []],
  ['not text', at(9, () => ['\u0000\u0000'])],
  ['an edit beside a text that is not ASCII', (lines) => lines.map((line) => (line.includes('Zoë') ? edit(line) : line))],
  ['a text that is not UTF-8', at(400, (line) => [line.replace('"resource":"chat"', '"resource":"\ufffd"')])],
  ['a time before the one before', at(77, (line) => [rehash(line.replace(/"time":"2/, '"time":"1'))])],
];

test('threads find what one thread finds, word for word', async (t) => {
  await using directory = await TemporaryDirectory.create();
  const original = join(directory.path, 'original');
  const notes = await makeLog(original);
  const { signer } = await testKeys();
  const publicKeys = signer.verifierKeys(`sallyport/${signer.fingerprint}/w1`);
  const both = async (where: string, known: readonly string[] = []): Promise<LedgerReport> => {
    const now = Date.now();
    const [one, several] = [
      await verifyLedger(where, { publicKeys, known, threads: 0, now }),
      await verifyLedger(where, { publicKeys, known, threads: 2, now }),
    ];
    assert.deepEqual(several, one);
    return several;
  };
  const segments = await listSegments(join(original, 'logs', 'w1'));
  assert.ok(segments.length >= 4);
  const second = segments[1] ?? assert.fail();

  await t.test('a sound log, and checkpoints in the middle of a segment', async () => {
    const stretch = (await scanSegment(second)) ?? assert.fail();
    assert.equal(stretch.first, second.first);
    assert.ok(stretch.count >= 256 && stretch.count % 256 === 0 && stretch.rest.length >= 256);
    assert.equal((await both(original)).ok, true);
    assert.equal((await both(original, notes)).ok, true);
  });

  for (const [name, change] of TAMPERINGS) {
    await t.test(name, async () => {
      const copy = join(directory.path, 'copy');
      await cp(original, copy, { recursive: true });
      const [, segment = assert.fail()] = await listSegments(join(copy, 'logs', 'w1'));
      await rewrite(segment, change);
      assert.equal((await both(copy, notes)).ok, false);
      await rm(copy, { recursive: true });
    });
  }

  await t.test('a segment gone, one put in place of another, one that does not decompress, tiles gone', async () => {
    const changes: readonly ((log: string) => Promise<void>)[] = [
      (log) => rm(join(log, 'segments', second.path.split('/').at(-1) ?? '')),
      async (log) => {
        const [, , third = assert.fail()] = await listSegments(log);
        await cp(third.path, join(log, 'segments', second.path.split('/').at(-1) ?? ''));
      },
      async (log) => {
        const [, segment = assert.fail()] = await listSegments(log);
        const bytes = await readFile(segment.path);
        await writeFile(segment.path, bytes.subarray(0, bytes.length / 2));
      },
      async (log) => {
        const tile = join(log, 'tile', '0', '002');
        const bytes = await readFile(tile);
        bytes[4000] = (bytes[4000] ?? 0) ^ 1;
        await writeFile(tile, bytes);
      },
      async (log) => {
        for (const name of (await readdir(join(log, 'tile', '0'))).slice(0, 2)) await rm(join(log, 'tile', '0', name), { recursive: true });
      },
    ];
    for (const change of changes) {
      const copy = join(directory.path, 'copy');
      await cp(original, copy, { recursive: true });
      await change(join(copy, 'logs', 'w1'));
      assert.equal((await both(copy)).ok, false);
      await rm(copy, { recursive: true });
    }
  });

  await t.test('after retention', async () => {
    const copy = join(directory.path, 'copy');
    await cp(original, copy, { recursive: true });
    const ledger = await openTestLedger(copy, { segmentBytes: 600_000 });
    assert.ok((await ledger.retain(Date.now() + 1000)).segments > 0);
    await ledger.close();
    assert.equal((await both(copy)).ok, true);
  });
});
