import assert from 'node:assert/strict';
import { appendFile, open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { compressSegment } from '../src/compress.ts';
import { LogTail, readEntries, verifyLedger } from '../src/index.ts';
import { OpenSegment } from '../src/open-segment.ts';
import { contentLength, listSegments } from '../src/segment.ts';
import { readSegment } from '../src/segment-read.ts';
import { diskStore, type SegmentFile } from '../src/segment-store.ts';
import { facts, ManualClock, openTestLedger, TemporaryDirectory } from './support.ts';

async function busy(ledger: Awaited<ReturnType<typeof openTestLedger>>, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, i) => ledger.append(facts({ id: `r${sent + i}` }))));
  }
}

describe('room ahead of the lines of a busy log', () => {
  it('is there while it is written, is no part of it for any reader, and is gone when it is closed', async () => {
    await using directory = await TemporaryDirectory.create();
    const ledger = await openTestLedger(directory.path, { syncMode: 'fdatasync' });
    await busy(ledger, 600);
    await ledger.checkpoint();
    const log = join(directory.path, 'logs/w1');
    const [segment] = await listSegments(log);
    assert.ok(segment !== undefined);
    const bytes = await readFile(segment.path);
    const lines = bytes.lastIndexOf(0x0a) + 1;
    assert.ok(bytes.length > lines + 65_536, 'there is room');
    assert.ok(bytes.subarray(lines).every((byte) => byte === 0));
    const seen: string[] = [];
    for await (const { entry } of readEntries(directory.path)) seen.push(entry.id);
    assert.equal(seen.length, 601);
    const { logs, entries } = await verifyLedger(directory.path);
    assert.deepEqual([logs[0]?.problems, entries], [[], 601]);
    await using tail = new LogTail(log, 595);
    assert.equal((await tail.read(10_000, 100)).length, 6);
    assert.equal((await tail.read(10_000, 100)).length, 0, 'zeros are no line');
    await busy(ledger, 50);
    assert.equal((await tail.read(10_000, 100)).length, 50);
    await ledger.close();
    const closed = await readFile(segment.path);
    assert.equal(closed.indexOf(0), -1);
    assert.equal(closed.at(-1), 0x0a);
  });

  it('is left alone by a process whose log another one has taken over', async () => {
    await using directory = await TemporaryDirectory.create();
    const ledger = await openTestLedger(directory.path, { syncMode: 'fdatasync' });
    await busy(ledger, 600);
    const log = join(directory.path, 'logs/w1');
    const [segment] = await listSegments(log);
    assert.ok(segment !== undefined);
    await writeFile(join(log, 'lock/99'), await readFile(join(log, 'lock/1')), { mode: 0o600 });
    await using handle = await open(segment.path, 'r+');
    const end = await contentLength(handle);
    await handle.write('{"action":"of the new owner"}\n', end);
    await writeFile(join(log, 'checkpoint'), 'of the new owner');
    await ledger.close();
    assert.equal((await readFile(segment.path, 'utf8')).slice(end, end + 30), '{"action":"of the new owner"}\n');
    assert.equal(await readFile(join(log, 'checkpoint'), 'utf8'), 'of the new owner');
  });

  it('a process that stood still for longer than the lease writes nothing more where another one has its log', async () => {
    await using directory = await TemporaryDirectory.create();
    const clock = new ManualClock();
    const ledger = await openTestLedger(directory.path, { clock });
    await ledger.append(facts({ id: 'before' }));
    const log = join(directory.path, 'logs/w1');
    const [segment] = await listSegments(log);
    assert.ok(segment !== undefined);
    await writeFile(join(log, 'lock/99'), await readFile(join(log, 'lock/1')), { mode: 0o600 });
    await appendFile(segment.path, '{"action":"of the new owner"}\n');
    const before = await readFile(segment.path, 'utf8');
    clock.time += 6_000;
    await assert.rejects(ledger.append(facts({ id: 'after' })), { name: 'LedgerUnavailable', reason: 'lock-lost' });
    await ledger.close();
    assert.equal(await readFile(segment.path, 'utf8'), before);
  });

  it('left behind by a crash is no torn write; what follows it is', async () => {
    await using directory = await TemporaryDirectory.create();
    await (await openTestLedger(directory.path)).close();
    const [segment] = await listSegments(join(directory.path, 'logs/w1'));
    assert.ok(segment !== undefined);
    // More than a write can tear.
    await appendFile(segment.path, Buffer.alloc(4 << 20));
    const opened = async (): Promise<unknown> => {
      const ledger = await openTestLedger(directory.path);
      await ledger.close();
      const last: unknown[] = [];
      for await (const { entry } of readEntries(directory.path)) if (entry.action === 'ledger.open') last.push(entry.detail['torn']);
      return last.at(-1);
    };
    assert.equal(await opened(), 0);
    await appendFile(segment.path, Buffer.concat([Buffer.alloc(5000), Buffer.from('{"action":"half a wri'), Buffer.alloc(9000)]));
    assert.equal(await opened(), 5021);
    assert.deepEqual((await verifyLedger(directory.path)).logs[0]?.problems, []);
  });

  it('in the middle of the lines is damage, not room', async () => {
    await using directory = await TemporaryDirectory.create();
    const ledger = await openTestLedger(directory.path);
    await busy(ledger, 50);
    await ledger.close();
    const [segment] = await listSegments(join(directory.path, 'logs/w1'));
    const bytes = await readFile(segment?.path ?? '');
    bytes.fill(0, 3000, 3100);
    await writeFile(segment?.path ?? '', bytes);
    const { ok, logs } = await verifyLedger(directory.path);
    assert.equal(ok, false);
    assert.equal(logs[0]?.problems[0]?.code, 'altered');
    // Zeros in place of the newest lines are a cut.
    bytes.fill(0, 3000);
    await writeFile(segment?.path ?? '', bytes);
    assert.equal((await verifyLedger(directory.path)).logs[0]?.problems.at(-1)?.code, 'cut');
  });

  it('is not compressed with a closed segment', async () => {
    await using directory = await TemporaryDirectory.create();
    const path = join(directory.path, '0000000000000000.jsonl');
    await writeFile(path, Buffer.concat([Buffer.from('one\ntwo\n'), Buffer.alloc(200_000)]));
    await compressSegment({ first: 0, path, compressed: false });
    const lines: string[] = [];
    for await (const block of readSegment({ first: 0, path: `${path}.zst`, compressed: true })) {
      lines.push(...block.lines);
      assert.equal(block.rest.length, 0);
    }
    assert.deepEqual(lines, ['one', 'two']);
  });

  it('that the disk has no place for is done without', async () => {
    await using directory = await TemporaryDirectory.create();
    const path = join(directory.path, 'segment');
    const file = await diskStore('fdatasync').open(path, true);
    let most = Number.POSITIVE_INFINITY;
    const full: SegmentFile = {
      write: async (bytes, length, position) => {
        if (position + length > most) {
          await file.write(bytes, most - position, position);
          throw Object.assign(new Error('full'), { code: 'ENOSPC' });
        }
        await file.write(bytes, length, position);
      },
      sync: () => file.sync(),
      truncate: (length) => file.truncate(length),
      length: () => file.length(),
      close: () => file.close(),
    };
    const segment = await OpenSegment.open({ open: async () => full }, { first: 0, path, length: 0 }, true, 1 << 24);
    const group = Buffer.alloc(100_000, 'x');
    for (let n = 0; n < 2; n++) await segment.append(group, group.length);
    assert.equal(segment.wantsRoom(group.length), false, 'not busy yet');
    await segment.append(group, group.length);
    assert.equal(segment.wantsRoom(group.length), true);
    most = 400_000;
    await segment.makeRoom();
    assert.equal((await stat(path)).size, 300_000);
    assert.equal(segment.wantsRoom(group.length), false);
    await segment.append(group, group.length);
    assert.equal(segment.length, 400_000);
    await segment.close();
  });
});

describe('contentLength', () => {
  for (const [name, content, length] of [
    ['nothing', Buffer.alloc(0), 0],
    ['zeros alone', Buffer.alloc(200_000), 0],
    ['no zero', Buffer.alloc(70_000, 'x'), 70_000],
    ['zeros across the blocks it reads', Buffer.concat([Buffer.alloc(65_536, 'x'), Buffer.alloc(65_537)]), 65_536],
    ['a zero before the end', Buffer.from('a\0b\0\0'), 3],
  ] as const) {
    it(name, async () => {
      await using directory = await TemporaryDirectory.create();
      const path = join(directory.path, 'file');
      await writeFile(path, content);
      await using handle = await open(path, 'r');
      assert.equal(await contentLength(handle), length);
    });
  }
});
