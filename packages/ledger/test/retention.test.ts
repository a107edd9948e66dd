import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import {
  createSigner,
  LedgerUnavailable,
  LogDamaged,
  proveConsistency,
  proveInclusion,
  readEntries,
  retainIdle,
  verifyEntryProof,
  verifyLedger,
} from '../src/index.ts';
import { leafHash } from '../src/merkle.ts';
import { listSegments, segmentPath } from '../src/segment.ts';
import { serialiseEntry } from '../src/serialise.ts';
import { systemFacts } from '../src/system-entry.ts';
import { facts, ManualClock, openTestLedger, random, TemporaryDirectory, testKeys } from './support.ts';

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
  assert.deepEqual(await ledger.retain(start), { segments: 0, from: 0, until: 0, clockAhead: 0 });
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

/** Chains `count` lines of nobody's to a closed log, the first of which claims that entries 0 to 511 were removed; then removes them. */
async function forgeRemoval(log: string, count: number): Promise<void> {
  const segments = await listSegments(log);
  const newest = segments.at(-1)?.path ?? '';
  const [{ seq, hash, time }] = (await readFile(newest, 'utf8'))
    .trimEnd()
    .split('\n')
    .slice(-1)
    .map((line) => JSON.parse(line));
  let prev: string = hash;
  let at: number = seq;
  let path = newest;
  const lines = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    if (++at === 1792) path = segmentPath(log, at);
    const retention = systemFacts({ random, writer: 'w1' }, 'ledger.retention', { from: 0, until: 512, before: time });
    const entry = serialiseEntry(i === 0 ? retention : facts(), at, time, prev);
    prev = leafHash(entry.head + entry.tail);
    lines.set(path, `${lines.get(path) ?? ''}${entry.head},"hash":"${prev}"${entry.tail}\n`);
  }
  for (const [name, text] of lines) await appendFile(name, text);
  for (const { first, path: old } of segments) if (first < 512) await rm(old);
}

for (const [what, count] of [
  ['the open segment', 1],
  ['a closed segment', 2000],
] as const) {
  test(`an unsigned entry of retention in ${what} excuses no removal, and no start signs it`, async () => {
    await using directory = await TemporaryDirectory.create();
    const clock = new ManualClock();
    await tenDays(directory.path, clock);
    await forgeRemoval(join(directory.path, 'logs/w1'), count);
    const { logs } = await verifyLedger(directory.path, { threads: count === 1 ? 0 : 1 });
    assert.deepEqual(
      logs[0]?.problems.map(({ code, seq, until }) => [code, seq, until]),
      [['missing', 0, 512]],
    );
    await assert.rejects(openTestLedger(directory.path, { clock }), LogDamaged);
  });
}

test('nothing is removed before the entry that says so is under a signed checkpoint', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  const start = clock.time;
  await tenDays(directory.path, clock);
  const log = join(directory.path, 'logs/w1');
  const ledger = await openTestLedger(directory.path, { clock, segmentBytes: 100_000, checkpointInterval: 60_000 });
  await mkdir(join(log, 'checkpoint.new'));
  await assert.rejects(ledger.retain(start + 6 * DAY), LedgerUnavailable);
  assert.equal((await listSegments(log))[0]?.first, 0);
  await rm(join(log, 'checkpoint.new'), { recursive: true });
  assert.equal((await ledger.retain(start + 6 * DAY)).segments, 2);
  const { logs } = await verifyLedger(directory.path);
  assert.deepEqual(logs[0]?.problems, []);
  await ledger.close();
});

test('a segment stays while any of its entries is young, whatever the last one says', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  const start = clock.time;
  const ledger = await openTestLedger(directory.path, { clock, segmentBytes: 100_000 });
  const append = (count: number): Promise<unknown> => Promise.all(Array.from({ length: count }, () => ledger.append(facts())));
  clock.time = start + 5 * DAY;
  await append(100);
  clock.time = start;
  for (let i = 0; i < 6; i++) await append(100);
  assert.equal((await ledger.retain(start + 3 * DAY)).segments, 0);
  assert.equal((await ledger.retain(start + 6 * DAY)).segments, 1);
  await ledger.close();
});

test('a clock that is far ahead when the log is opened ages nothing', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  await tenDays(directory.path, clock);
  const newest = clock.time;
  clock.time += 400 * DAY;
  const ledger = await openTestLedger(directory.path, { clock, segmentBytes: 100_000 });
  const { segments, clockAhead } = await ledger.retain(clock.time - 20 * DAY);
  assert.deepEqual({ segments, clockAhead }, { segments: 0, clockAhead: clock.time - newest });
  // Time that passes counts.
  clock.time += 15 * DAY;
  assert.equal((await ledger.retain(clock.time - 20 * DAY)).segments, 1);
  await ledger.close();
});

test('nor when it is opened again, until processes have run as long as entries are kept, or the clock is right', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  const doubt = join(directory.path, 'logs/w1/clock');
  await tenDays(directory.path, clock);
  /** Runs the ledger for some days; answers how far the clock is believed to be ahead after them, in days. */
  const run = async (days: number): Promise<number> => {
    const ledger = await openTestLedger(directory.path, { clock, segmentBytes: 100_000 });
    await ledger.retain(clock.time - 5 * DAY);
    clock.time += days * DAY;
    const { clockAhead } = await ledger.retain(clock.time - 5 * DAY);
    await ledger.close();
    return Math.round(clockAhead / DAY);
  };
  clock.time += 400 * DAY;
  assert.equal(await run(0), 400);
  // Away for a while: that nobody ran then is not known either.
  clock.time += 30 * DAY;
  assert.equal(await run(0), 430);
  assert.equal(await run(2), 430);
  const kept = await Array.fromAsync(readEntries(directory.path, { kind: 'request' }), ({ entry }) => entry.id);
  assert.ok(kept.includes('d8-0'), 'what is four days old by then is there');
  // Five days in all: what was there before is old by now, whatever the clock says.
  assert.equal(await run(3), 0);
  await assert.rejects(readFile(doubt), { code: 'ENOENT' });
});

test('a doubt ends with a clock that was put right', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  await tenDays(directory.path, clock);
  const right = clock.time;
  for (const [time, isDoubted] of [
    [right + 400 * DAY, true],
    [right + DAY, false],
  ] as const) {
    clock.time = time;
    const ledger = await openTestLedger(directory.path, { clock, segmentBytes: 100_000 });
    assert.equal((await ledger.retain(clock.time - 30 * DAY)).clockAhead > 0, isDoubted);
    await ledger.close();
  }
  await assert.rejects(readFile(join(directory.path, 'logs/w1/clock')), { code: 'ENOENT' });
});

test('a log that nobody writes any more is kept no longer than others; one that is written, or is of others, is left alone', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  const start = clock.time;
  await tenDays(directory.path, clock);
  clock.time += 400 * DAY;
  const { digestKey, signer } = await testKeys();
  const common = { directory: directory.path, writer: 'w1', clock, random, digestKey, segmentBytes: 100_000 };
  const idle = { ...common, signer, knownTime: clock.time };
  const description = join(directory.path, 'logs/w1/log.json');
  const before = await readFile(description, 'utf8');
  const stranger = createSigner([{ type: 1, ...generateKeyPairSync('ed25519') }]);
  assert.equal(await retainIdle({ ...idle, signer: stranger }, start + 6 * DAY), null);
  assert.equal(await readFile(description, 'utf8'), before, 'not a byte of it was written');
  assert.equal(await retainIdle(idle, start), null, 'nothing is that old');
  assert.equal((await retainIdle({ ...common, signer }, start + 6 * DAY))?.segments, 0, 'a clock that nothing speaks for');
  const writing = await openTestLedger(directory.path, { clock });
  assert.equal(await retainIdle(idle, start + 6 * DAY), null);
  await writing.close();
  assert.ok(((await retainIdle(idle, start + 6 * DAY))?.segments ?? 0) > 0);
  const { ok, logs } = await verifyLedger(directory.path, { now: clock.time });
  assert.ok(ok);
  assert.ok((logs[0]?.first ?? 0) > 0);
});

test('an idle log is checked before its lock is taken: nobody who starts has to wait for that', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  const start = clock.time;
  await tenDays(directory.path, clock);
  const tile = join(directory.path, 'logs/w1/tile/0/000');
  const bytes = await readFile(tile);
  // The first use of it is the lock's: whatever is compared with tiles from then on does not hold.
  const locking = {
    bytes: (length: number): Uint8Array => {
      writeFileSync(tile, Buffer.alloc(8192));
      return random.bytes(length);
    },
  };
  const options = { directory: directory.path, writer: 'w1', clock, random: locking, ...(await testKeys()), segmentBytes: 100_000 };
  const removed = await retainIdle({ ...options, knownTime: clock.time }, start + 6 * DAY);
  assert.deepEqual(removed, { segments: 2, from: 0, until: 512, clockAhead: 0 });
  await writeFile(tile, bytes);
  assert.deepEqual((await verifyLedger(directory.path, { now: clock.time })).logs[0]?.problems, []);
  assert.equal(await retainIdle({ ...options, knownTime: clock.time }, start + 6 * DAY), null);
});

test('a new log believes its clock no more than the others know of the time', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  await tenDays(directory.path, clock);
  const ahead = async (writer: string): Promise<number> => {
    await using ledger = await openTestLedger(directory.path, { clock, writer });
    await ledger.append(facts());
    return Math.round((await ledger.retain(clock.time - 90 * DAY)).clockAhead / DAY);
  };
  clock.time += DAY;
  assert.equal(await ahead('young'), 0);
  clock.time += 3 * 365 * DAY;
  assert.equal(await ahead('wrong'), 3 * 365);
  assert.equal(await ahead('wrong-too'), 3 * 365, 'what the first wrote with that clock speaks for nothing');
  assert.equal(await ahead('wrong'), 3 * 365);
});

test('a doubt ends after as long as entries are kept too where each start is a new log', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  await tenDays(directory.path, clock);
  clock.time += 40 * DAY;
  const ahead: number[] = [];
  for (let week = 0; week < 5; week++) {
    await using ledger = await openTestLedger(directory.path, { clock, writer: `pod-${week}` });
    for (let day = 0; day < 7; day++) {
      await ledger.append(facts());
      ahead.push(Math.round((await ledger.retain(clock.time - 20 * DAY)).clockAhead / DAY));
      clock.time += DAY;
    }
  }
  assert.equal(ahead[0], 40);
  // The last day of each process is not counted: nothing was asked of it then.
  const inDoubt = ahead.filter((days) => days > 0).length;
  assert.ok(inDoubt >= 20 && inDoubt <= 24, ahead.join());
  assert.ok(
    ahead.slice(inDoubt).every((days) => days === 0),
    ahead.join(),
  );
});

test('a new log believes no other that was opened under the same wrong clock and has said nothing of it yet', async () => {
  await using directory = await TemporaryDirectory.create();
  const clock = new ManualClock();
  await tenDays(directory.path, clock);
  clock.time += 1000 * DAY;
  await using first = await openTestLedger(directory.path, { clock, writer: 'first' });
  await using second = await openTestLedger(directory.path, { clock, writer: 'second' });
  for (const ledger of [second, first]) assert.equal(Math.round((await ledger.retain(clock.time - 90 * DAY)).clockAhead / DAY), 1000);
});

test('what retention removes after the last block was read is not missed', async () => {
  await using directory = await TemporaryDirectory.create();
  await tenDays(directory.path, new ManualClock());
  const segments = await listSegments(join(directory.path, 'logs/w1'));
  const onProgress = (entries: number): void => {
    if (entries > 1000) for (const { path } of segments.slice(0, 1)) rmSync(path, { force: true });
  };
  const { logs } = await verifyLedger(directory.path, { onProgress, threads: 0 });
  assert.deepEqual(logs[0]?.problems, []);
  assert.equal((await listSegments(join(directory.path, 'logs/w1'))).length, segments.length - 1);
});
