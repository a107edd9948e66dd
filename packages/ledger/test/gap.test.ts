import assert from 'node:assert/strict';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { type Entry, LedgerUnavailable, readEntries, type SegmentStore, UNRECORDED, verifyLedger } from '../src/index.ts';
import { FailingStore } from './failing-store.ts';
import { facts, openTestLedger, TemporaryDirectory } from './support.ts';

const gapOf = async (directory: string, gapDirectory?: string): Promise<unknown> =>
  (await verifyLedger(directory, gapDirectory === undefined ? {} : { gapDirectory })).logs[0]?.gap;

const recovered = async (directory: string): Promise<Entry['detail'][]> =>
  Array.fromAsync(readEntries(directory, { action: 'ledger.recovered' }), ({ entry }) => entry.detail);

for (const onFailure of ['refuse', 'unsafe-continue-unrecorded'] as const) {
  test(`${onFailure}: a gap that outlives the process is marked, and the next start puts it on record`, async () => {
    await using directory = await TemporaryDirectory.create();
    const store = new FailingStore();
    const ledger = await openTestLedger(directory.path, { store, onFailure, retryInterval: 60_000 });
    assert.equal(await gapOf(directory.path), null);
    store.failWrite = 'ENOSPC';
    const lost = ledger.append(facts());
    if (onFailure === 'refuse') await assert.rejects(lost, LedgerUnavailable);
    // Whoever is answered without a record is so after the mark: a kill finds it.
    else assert.equal(await lost, UNRECORDED);
    if (onFailure !== 'refuse') assert.partialDeepStrictEqual(await gapOf(directory.path), { reason: 'disk-full', refused: 1 });
    await Promise.allSettled([ledger.append(facts()), ledger.append(facts())]);
    // The disk still refuses when it stops.
    await ledger.close();
    const report = await verifyLedger(directory.path);
    assert.equal(report.ok, true);
    assert.partialDeepStrictEqual(report.logs[0]?.gap, { reason: 'disk-full', refused: 3 });
    assert.deepEqual(await recovered(directory.path), []);

    await (await openTestLedger(directory.path)).close();
    assert.partialDeepStrictEqual(await recovered(directory.path), [{ reason: 'disk-full', refused: 3, ended: false }]);
    assert.equal(await gapOf(directory.path), null);
    await (await openTestLedger(directory.path)).close();
    assert.equal((await recovered(directory.path)).length, 1, 'once');
    assert.equal((await verifyLedger(directory.path)).ok, true);
  });
}

test('a gap that ends while the process runs leaves no mark', async () => {
  await using directory = await TemporaryDirectory.create();
  const store = new FailingStore();
  const ledger = await openTestLedger(directory.path, { store, retryInterval: 5 });
  store.failWrite = 'EIO';
  await assert.rejects(ledger.append(facts()), LedgerUnavailable);
  store.failWrite = null;
  while (ledger.failing()) await new Promise((resolve) => setTimeout(resolve, 2));
  await ledger.close();
  assert.equal(await gapOf(directory.path), null);
  await (await openTestLedger(directory.path)).close();
  assert.equal((await recovered(directory.path)).length, 1);
});

test('where the directory of the log takes no mark, the second place does', async () => {
  await using directory = await TemporaryDirectory.create();
  const gapDirectory = join(directory.path, 'gaps');
  const mark = join(directory.path, 'logs/w1/gap');
  await mkdir(mark, { recursive: true });
  const store = new FailingStore();
  const ledger = await openTestLedger(directory.path, {
    store,
    gapDirectory,
    onFailure: 'unsafe-continue-unrecorded',
    retryInterval: 60_000,
  });
  store.failWrite = 'EROFS';
  assert.equal(await ledger.append(facts()), UNRECORDED);
  await ledger.close();
  await rm(mark, { recursive: true });
  assert.equal(await gapOf(directory.path), null);
  assert.partialDeepStrictEqual(await gapOf(directory.path, gapDirectory), { reason: 'read-only', refused: 1 });
  await (await openTestLedger(directory.path, { gapDirectory })).close();
  assert.partialDeepStrictEqual(await recovered(directory.path), [{ reason: 'read-only', refused: 1, ended: false }]);
  assert.equal(await gapOf(directory.path, gapDirectory), null);
});

test('a mark that is not ours is a gap of unknown extent, and nothing of its text is recorded', async () => {
  await using directory = await TemporaryDirectory.create();
  await (await openTestLedger(directory.path)).close();
  const mark = join(directory.path, 'logs/w1/gap');
  assert.equal((await readFile(mark)).length, 512, 'room is there before the disk is full');
  for (const text of [
    '{"reason":"alice","since":"2026-01-01T00:00:00.000Z","refused":1}',
    '{"refused":-1}',
    'null',
    '\u0000'.repeat(512),
  ]) {
    await writeFile(mark, text);
    await (await openTestLedger(directory.path)).close();
    const told = (await recovered(directory.path)).at(-1);
    assert.deepEqual(told, { ended: false, reason: 'io', refused: 0, since: '1970-01-01T00:00:00.000Z' });
  }
  assert.equal((await recovered(directory.path)).length, 4);
});

test('a mark that is longer than ours is told of once', async () => {
  await using directory = await TemporaryDirectory.create();
  await (await openTestLedger(directory.path)).close();
  const mark = join(directory.path, 'logs/w1/gap');
  for (const [i, text] of ['x'.repeat(2000), `${' '.repeat(600)}x`].entries()) {
    await writeFile(mark, text);
    for (let start = 0; start < 2; start++) await (await openTestLedger(directory.path)).close();
    assert.equal((await recovered(directory.path)).length, i + 1);
    assert.equal((await readFile(mark)).length, 512);
  }
});

test('what is no file in the place of a mark is reported, and what a link leads to is left alone', async () => {
  await using directory = await TemporaryDirectory.create();
  await (await openTestLedger(directory.path)).close();
  const mark = join(directory.path, 'logs/w1/gap');
  const other = join(directory.path, 'other');
  await writeFile(other, 'of somebody else');
  for (const place of [() => mkdir(mark), () => symlink(other, mark)]) {
    await rm(mark, { recursive: true });
    await place();
    await (await openTestLedger(directory.path)).close();
    const { ok, logs } = await verifyLedger(directory.path);
    assert.equal(ok, false);
    assert.deepEqual(
      logs[0]?.problems.map(({ code, file }) => [code, file]),
      [['unreadable', 'gap']],
    );
    assert.equal(logs[0]?.gap, null);
  }
  assert.equal(await readFile(other, 'utf8'), 'of somebody else');
  assert.deepEqual(await recovered(directory.path), []);
});

for (const onFailure of ['refuse', 'unsafe-continue-unrecorded'] as const) {
  test(`${onFailure}: a start that fails keeps the mark of an earlier process`, async () => {
    await using directory = await TemporaryDirectory.create();
    await (await openTestLedger(directory.path)).close();
    const since = '2026-01-01T00:00:00.000Z';
    await writeFile(join(directory.path, 'logs/w1/gap'), JSON.stringify({ reason: 'read-only', since, refused: 5000 }));
    const store = new FailingStore();
    store.failWrite = 'ENOSPC';
    const start = openTestLedger(directory.path, { store, onFailure, retryInterval: 60_000 });
    const left = { reason: 'read-only', since: Date.parse(since) };
    if (onFailure === 'refuse') {
      await assert.rejects(start, LedgerUnavailable);
      assert.deepEqual(await gapOf(directory.path), { ...left, refused: 5000 });
      await (await openTestLedger(directory.path)).close();
      assert.deepEqual(await recovered(directory.path), [{ ended: false, reason: 'read-only', refused: 5000, since }]);
    } else {
      const ledger = await start;
      assert.equal(await ledger.append(facts()), UNRECORDED);
      await ledger.retry();
      assert.deepEqual(await gapOf(directory.path), { ...left, refused: 5001 });
      store.failWrite = null;
      assert.equal((await ledger.retry()).state, 'ok');
      await ledger.close();
      const [earlier, own] = await recovered(directory.path);
      assert.deepEqual(earlier, { ended: false, reason: 'read-only', refused: 5000, since });
      assert.partialDeepStrictEqual(own, { reason: 'disk-full', refused: 1 });
    }
    assert.equal(await gapOf(directory.path), null);
  });
}

test('the entry of a gap counts what was refused until it was written', async () => {
  await using directory = await TemporaryDirectory.create();
  const disk = new FailingStore();
  const reopening = Promise.withResolvers<void>();
  const mayOpen = Promise.withResolvers<void>();
  let opened = 0;
  const store: SegmentStore = {
    open: async (path, create) => {
      if (opened++ > 0) {
        reopening.resolve();
        await mayOpen.promise;
      }
      return disk.open(path, create);
    },
  };
  const ledger = await openTestLedger(directory.path, { store, retryInterval: 60_000 });
  disk.failWrite = 'EIO';
  await assert.rejects(ledger.append(facts()), LedgerUnavailable);
  disk.failWrite = null;
  const retrying = ledger.retry();
  await reopening.promise;
  for (let i = 0; i < 50; i++) await assert.rejects(ledger.append(facts()), LedgerUnavailable);
  mayOpen.resolve();
  assert.equal((await retrying).state, 'ok');
  await ledger.close();
  assert.partialDeepStrictEqual(await recovered(directory.path), [{ refused: 51 }]);
});
