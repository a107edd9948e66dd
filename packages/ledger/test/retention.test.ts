import assert from 'node:assert/strict';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { LogDamaged, proveConsistency, proveInclusion, readEntries, verifyEntryProof, verifyLedger } from '../src/index.ts';
import { listSegments } from '../src/segment.ts';
import { facts, ManualClock, openTestLedger, TemporaryDirectory, testKeys } from './support.ts';

const DAY = 86_400_000;

/** Ten days of a hundred entries, in segments of 256; the clock stands on the eleventh day. */
async function tenDays(directory: string, clock: ManualClock): Promise<void> {
  const ledger = await openTestLedger(directory, { clock, segmentBytes: 100_000 });
  for (let day = 0; day < 10; day++) {
    await Promise.all(Array.from({ length: 100 }, (_, i) => ledger.append(facts({ id: `d${day}-${i}` }))));
    clock.time += DAY;
  }
  await ledger.close();
}

test('segments expire, and what is left verifies, is proved and goes on', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  const start = clock.time;
  await tenDays(directory.path, clock);
  const ledger = await openTestLedger(directory.path, { clock, segmentBytes: 100_000 });
  assert.deepEqual(await ledger.retain(start), { segments: 0, from: 0, until: 0 });
  const { segments, from, until } = await ledger.retain(start + 6 * DAY);
  assert.deepEqual({ segments, from, until }, { segments: 2, from: 0, until: 512 });
  await ledger.append(facts({ id: 'after' }));
  await ledger.close();
  const { signer } = await testKeys();
  const keys = signer.verifierKeys(ledger.origin);
  const report = await verifyLedger(directory.path, { publicKeys: keys });
  assert.deepEqual(report.logs[0]?.problems, []);
  assert.equal(report.logs[0]?.first, 512);
  assert.equal(verifyEntryProof(await proveInclusion(directory.path, 'w1', 600), keys).entry.seq, 600);
  assert.ok((await proveConsistency(directory.path, 'w1', 100)).proof.length > 0);
  const ids: string[] = [];
  for await (const { entry } of readEntries(directory.path, { kind: 'request' })) ids.push(entry.id);
  assert.equal(ids[0], 'd5-11');
  assert.equal(ids.at(-1), 'after');
});

test('what the ledger did not remove itself is missed, whoever removed it', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  const start = clock.time;
  await tenDays(directory.path, clock);
  const ledger = await openTestLedger(directory.path, { clock, segmentBytes: 100_000 });
  await ledger.retain(start + 3 * DAY);
  await ledger.close();
  const [first] = await listSegments(join(directory.path, 'logs/w1'));
  assert.ok(first !== undefined && first.first === 256);
  await rm(first.path);
  const { logs } = await verifyLedger(directory.path);
  assert.deepEqual(
    logs[0]?.problems.map(({ code, seq, until }) => [code, seq, until]),
    [['missing', 256, 512]],
  );
});

test('a segment that is not what its tiles say is kept', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  const start = clock.time;
  await tenDays(directory.path, clock);
  const log = join(directory.path, 'logs/w1');
  const ledger = await openTestLedger(directory.path, { clock, segmentBytes: 100_000 });
  await writeFile(join(log, 'tile/0/000'), Buffer.alloc(8192));
  await assert.rejects(ledger.retain(start + 9 * DAY), LogDamaged);
  await ledger.close();
  assert.equal((await readdir(join(log, 'segments'))).length, 4);
});
