import assert from 'node:assert/strict';
import { cp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { readMemory, rememberLog, verifyLedger } from '../src/index.ts';
import { facts, openTestLedger, TemporaryDirectory } from './support.ts';

async function write(directory: string, count: number): Promise<void> {
  const ledger = await openTestLedger(directory);
  for (let at = 0; at < count; at++) await ledger.append(facts({ id: `r${at}` }));
  await ledger.close();
}

test('a log that grows is remembered as it grows', async () => {
  await using home = await TemporaryDirectory.create();
  const [memory, directory] = [join(home.path, 'memory'), join(home.path, 'ledger')];
  assert.equal(await rememberLog(memory, directory, 'w1'), 'nothing');
  assert.deepEqual(await readMemory(memory), []);
  for (let round = 0; round < 3; round++) {
    await write(directory, 150);
    assert.equal(await rememberLog(memory, directory, 'w1'), 'remembered');
    const [remembered] = await readMemory(memory);
    assert.deepEqual(remembered, { log: 'w1', note: await readFile(join(directory, 'logs/w1/checkpoint'), 'utf8') });
  }
  assert.equal((await verifyLedger(directory, { remembered: await readMemory(memory) })).ok, true);
});

test('a log that is gone, shortened or another is found, and never remembered in its place', async () => {
  await using home = await TemporaryDirectory.create();
  const [memory, directory, old] = [join(home.path, 'memory'), join(home.path, 'ledger'), join(home.path, 'old')];
  await write(directory, 20);
  await cp(directory, old, { recursive: true });
  await write(directory, 20);
  await rememberLog(memory, directory, 'w1');
  const remembered = await readMemory(memory);
  const found = async (where: string): Promise<string[]> =>
    (await verifyLedger(where, { remembered })).logs.flatMap(({ problems }) => problems.map(({ code }) => code));
  assert.deepEqual(await found(directory), []);
  assert.deepEqual(await found(old), ['rolled-back']);
  assert.equal(await rememberLog(memory, old, 'w1'), 'contradicts');
  assert.deepEqual(await found(join(home.path, 'nowhere')), ['unreadable']);
  // Grown past what is remembered, so that only the content tells.
  await write(old, 200);
  assert.deepEqual(await found(old), ['forked']);
  assert.equal(await rememberLog(memory, old, 'w1'), 'contradicts');
  assert.deepEqual(await readMemory(memory), remembered);
});

test('a ledger without any log is not in order', async () => {
  await using home = await TemporaryDirectory.create();
  const report = await verifyLedger(home.path);
  assert.equal(report.ok, false);
  await rm(home.path, { recursive: true });
  assert.equal((await verifyLedger(home.path)).ok, false);
});
