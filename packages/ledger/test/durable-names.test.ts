import assert from 'node:assert/strict';
import { type FileHandle, mkdir, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { makeDirectory } from '../src/files.ts';
import { buildIndexes, readEntries, verifyLedger } from '../src/index.ts';
import { LONGEST_SEGMENT } from '../src/open-segment.ts';
import { diskStore } from '../src/segment-store.ts';
import { facts, ManualClock, openTestLedger, TemporaryDirectory } from './support.ts';

/** Counts `fsync` of whatever is open: directories, in the calls below. The first `failing` of them fail. */
async function countSyncs(context: TestContext, failing: number): Promise<{ count(): number; has(inode: number): boolean }> {
  const handle = await open(process.execPath, 'r');
  const prototype: { sync(): Promise<void> } = Object.getPrototypeOf(handle);
  await handle.close();
  const original = prototype.sync;
  let calls = 0;
  const inodes = new Set<number>();
  context.mock.method(prototype, 'sync', async function (this: FileHandle) {
    if (++calls <= failing) throw Object.assign(new Error('i/o'), { code: 'EIO', syscall: 'fsync' });
    await original.call(this);
    inodes.add((await this.stat()).ino);
  });
  return { count: () => calls, has: (inode) => inodes.has(inode) };
}

test('the name of a segment is made durable by whoever opens it, also where the one who made it could not', async (context) => {
  await using directory = await TemporaryDirectory.create();
  const path = join(directory.path, 'segment');
  const store = diskStore('fdatasync');
  const syncs = await countSyncs(context, 1);
  await assert.rejects(store.open(path, true), { code: 'EIO' });
  assert.equal(syncs.count(), 1);
  const file = await store.open(path, true);
  assert.equal(syncs.count(), 2);
  await file.close();
});

test('a segment whose name cannot be made durable takes no entry; the ledger goes on in it once it can', async (context) => {
  await using directory = await TemporaryDirectory.create();
  const ledger = await openTestLedger(directory.path, { syncMode: 'fdatasync', segmentBytes: 100_000, retryInterval: 5 });
  const group = (name: string, count: number): Promise<PromiseSettledResult<unknown>[]> =>
    Promise.allSettled(Array.from({ length: count }, (_, i) => ledger.append(facts({ id: `${name}${i}` }))));
  await group('a', 255);
  await ledger.checkpoint();
  await countSyncs(context, 1);
  const [refused] = await group('b', 1);
  assert.equal(refused?.status, 'rejected');
  while (ledger.failing()) await new Promise((resolve) => setTimeout(resolve, 2));
  const [taken] = await group('c', 1);
  assert.equal(taken?.status, 'fulfilled');
  await ledger.close();
  assert.ok((await readdir(join(directory.path, 'logs/w1/segments'))).some((name) => name.startsWith('0000000000000256')));
});

test('the names of directories that are there are made durable by whoever opens the log', async (context) => {
  await using directory = await TemporaryDirectory.create();
  await mkdir(join(directory.path, 'logs/w1/segments'), { recursive: true });
  const synced = await countSyncs(context, 0);
  await (await openTestLedger(directory.path)).close();
  for (const name of ['', 'logs', 'logs/w1', 'logs/w1/segments']) {
    const { ino } = await stat(join(directory.path, name));
    assert.ok(synced.has(ino), name);
  }
});

test('directories are made with durable names, each of them', async (context) => {
  await using directory = await TemporaryDirectory.create();
  const syncs = await countSyncs(context, 0);
  await makeDirectory(join(directory.path, 'a/b/c'));
  assert.equal(syncs.count(), 3);
  await makeDirectory(join(directory.path, 'a/b/c'));
  assert.equal(syncs.count(), 3);
});

test('a segment longer than a reader takes cannot be asked for', async () => {
  await using directory = await TemporaryDirectory.create();
  for (const segmentBytes of [0, -1, 1.5, Number.NaN, LONGEST_SEGMENT + 1])
    await assert.rejects(openTestLedger(directory.path, { segmentBytes }), {
      name: 'RangeError',
      message: /segmentBytes must be from 1 to/,
    });
  await (await openTestLedger(directory.path, { segmentBytes: LONGEST_SEGMENT })).close();
});

test('with the entries that retention removes go their indexes, their other form, and what recovery cut off by then', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  const log = join(directory.path, 'logs/w1');
  const first = await openTestLedger(directory.path, { clock, segmentBytes: 100_000 });
  for (let at = 0; at < 1100; at += 100)
    await Promise.all(Array.from({ length: 100 }, (_, i) => first.append(facts({ id: `r${at + i}` }))));
  await first.close();
  const names = (await readdir(join(log, 'segments'))).sort();
  const last = names.at(-1) ?? assert.fail();
  await writeFile(join(log, 'segments', last), `${await readFile(join(log, 'segments', last), 'utf8')}{"action":"half a wri`);
  clock.time += 1000;
  const ledger = await openTestLedger(directory.path, { clock, segmentBytes: 100_000 });
  await buildIndexes(directory.path);
  const indexes = await readdir(join(directory.path, 'index/w1'));
  assert.ok(indexes.length >= 3);
  assert.equal((await readdir(join(log, 'torn'))).length, 1);
  clock.time += 1000;
  assert.ok((await ledger.retain(clock.time)).segments > 0);
  assert.deepEqual(await readdir(join(log, 'torn')), []);
  const kept = (await readdir(join(log, 'segments'))).map((name) => name.slice(0, 16));
  assert.deepEqual(
    (await readdir(join(directory.path, 'index/w1'))).map((name) => name.slice(0, 16)).filter((name) => !kept.includes(name)),
    [],
  );
  await ledger.close();
});

test('who reads while retention removes reads what is left', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  const ledger = await openTestLedger(directory.path, { clock, segmentBytes: 100_000 });
  for (let at = 0; at < 1100; at += 100)
    await Promise.all(Array.from({ length: 100 }, (_, i) => ledger.append(facts({ id: `r${at + i}` }))));
  // The last of the rotations may still be compressing.
  await ledger.close();
  const again = await openTestLedger(directory.path, { clock, segmentBytes: 100_000 });
  const seen: number[] = [];
  for await (const { entry } of readEntries(directory.path)) {
    if (seen.push(entry.seq) === 1) assert.ok((await again.retain(clock.time + 1000)).segments > 1);
  }
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
  assert.ok(seen.length < 1100 && seen.includes(1099));
  await again.close();
  assert.equal((await verifyLedger(directory.path)).ok, true);
});
