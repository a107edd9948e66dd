import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { compressSegment } from '../src/compress.ts';
import { gapPath, readGap } from '../src/gap.ts';
import { GapMark } from '../src/gap-mark.ts';
import { LedgerUnavailable, verifyLedger } from '../src/index.ts';
import { segmentPath } from '../src/segment.ts';
import { facts, openTestLedger, TemporaryDirectory } from './support.ts';

/** A real file system of two mebibytes, where this process may mount one. */
class SmallDisk implements AsyncDisposable {
  readonly path: string;
  readonly #directory: TemporaryDirectory;

  private constructor(directory: TemporaryDirectory) {
    this.#directory = directory;
    this.path = directory.path;
  }

  static async mount(): Promise<SmallDisk | null> {
    const directory = await TemporaryDirectory.create();
    const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', directory.path], { stdio: 'ignore' });
    if (status === 0) return new SmallDisk(directory);
    await directory[Symbol.asyncDispose]();
    return null;
  }

  remount(mode: 'ro' | 'rw'): void {
    execFileSync('mount', ['-o', `remount,${mode},size=2m`, this.path], { stdio: 'ignore' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    execFileSync('umount', [this.path], { stdio: 'ignore' });
    await this.#directory[Symbol.asyncDispose]();
  }
}

test('on a disk that really fills up, what was acknowledged stays, and space freed is used again', async (context) => {
  await using disk = await SmallDisk.mount();
  if (disk === null) return context.skip('this process may not mount a file system');
  const ballast = join(disk.path, 'ballast');
  await writeFile(ballast, Buffer.alloc(1 << 20));
  const ledger = await openTestLedger(disk.path, { syncMode: 'fdatasync', retryInterval: 5 });
  let acknowledged = 0;
  let refused: unknown = null;
  for (let group = 0; refused === null; group++) {
    const results = await Promise.allSettled(Array.from({ length: 100 }, (_, i) => ledger.append(facts({ id: `${group}-${i}` }))));
    for (const result of results) {
      if (result.status === 'fulfilled') acknowledged++;
      else refused = result.reason;
    }
  }
  assert.ok(refused instanceof LedgerUnavailable && refused.reason === 'disk-full');
  assert.equal(ledger.health().reason, 'disk-full');
  await rm(ballast);
  while (ledger.failing()) await new Promise((resolve) => setTimeout(resolve, 2));
  await ledger.append(facts({ id: 'after' }));
  await ledger.close();
  const report = await verifyLedger(disk.path);
  assert.deepEqual(report.logs[0]?.problems, []);
  // ledger.open, ledger.recovered, after, ledger.close.
  assert.equal(report.entries, acknowledged + 4);
});

test('on a full disk there is room for the mark of a gap', async (context) => {
  await using disk = await SmallDisk.mount();
  if (disk === null) return context.skip('this process may not mount a file system');
  await (await openTestLedger(disk.path)).close();
  for (const size of [1 << 16, 1]) {
    const fill = async (): Promise<void> => {
      for (;;) await writeFile(join(disk.path, 'ballast'), Buffer.alloc(size), { flag: 'a' });
    };
    await assert.rejects(fill(), { code: 'ENOSPC' });
  }
  await assert.rejects(writeFile(join(disk.path, 'another'), 'x'), { code: 'ENOSPC' });
  const path = gapPath(join(disk.path, 'logs/w1'));
  const gap = { reason: 'disk-full', since: 1_700_000_000_000, refused: 7 } as const;
  await new GapMark([path]).set(gap);
  assert.deepEqual(await readGap(path), gap);
});

test('a disk too full to compress a segment keeps it as it is, and leaves no half of a copy', async (context) => {
  await using disk = await SmallDisk.mount();
  if (disk === null) return context.skip('this process may not mount a file system');
  const directory = join(disk.path, 'segments');
  await mkdir(directory);
  // Bytes that do not get smaller: the copy finds no room.
  const lines = Array.from({ length: 600 }, () => randomBytes(1000).toString('base64url')).join('\n');
  const segment = { first: 0, path: segmentPath(disk.path, 0), compressed: false };
  await writeFile(segment.path, `${lines}\n`);
  await writeFile(join(disk.path, 'ballast'), Buffer.alloc(1_000_000));
  await assert.rejects(compressSegment(segment), { code: 'ENOSPC' });
  assert.deepEqual(await readdir(directory), ['0000000000000000.jsonl']);
  await rm(join(disk.path, 'ballast'));
  await compressSegment(segment);
  assert.deepEqual(await readdir(directory), ['0000000000000000.jsonl.zst']);
});

test('a ledger on a read-only disk does not open, and says why', async (context) => {
  await using disk = await SmallDisk.mount();
  if (disk === null) return context.skip('this process may not mount a file system');
  await (await openTestLedger(disk.path)).close();
  disk.remount('ro');
  await assert.rejects(openTestLedger(disk.path), (error: unknown) => error instanceof LedgerUnavailable && error.reason === 'read-only');
  disk.remount('rw');
  await (await openTestLedger(disk.path)).close();
});
