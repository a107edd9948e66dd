import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '@sallyport/core';
import { loadLedgerKeys, openLedger, readEntries, verifyLedger } from '../src/index.ts';
import { random, TemporaryDirectory } from './support.ts';

/** Points that are tried; SALLYPORT_TORTURE_ROUNDS=1000 tries each one. */
const ROUNDS = Number(process.env['SALLYPORT_TORTURE_ROUNDS'] ?? 12);
const WRITER = fileURLToPath(new URL('./crash-writer.ts', import.meta.url));

interface Run {
  readonly killed: boolean;
  readonly acknowledged: readonly (readonly [id: string, place: string])[];
  /** Calls that changed the disk, where it came to its end. */
  readonly calls: number;
}

function run(directory: string, point: number): Run {
  const { stdout, stderr, signal, status } = spawnSync(process.execPath, [WRITER, directory, String(point)], { encoding: 'utf8' });
  assert.ok(signal === 'SIGKILL' || status === 0, stderr);
  const lines = stdout.split('\n').filter((line) => line !== '');
  const calls = Number(/^calls (\d+)$/.exec(lines.at(-1) ?? '')?.[1] ?? 0);
  const acknowledged = lines
    .filter((line) => !line.startsWith('calls'))
    .map((line): [string, string] => {
      const [id = '', ...place] = line.split(' ');
      return [id, place.join(' ')];
    });
  return { killed: signal !== null, acknowledged, calls };
}

test('killed at any call that changes the disk, of opening, appending, rotating, compressing, signing and closing: all acknowledged is there', async () => {
  await using directory = await TemporaryDirectory.create();
  const { calls } = run(join(directory.path, 'whole'), 0);
  assert.ok(calls > 60, `${calls} calls`);
  const step = Math.max(1, Math.ceil(calls / ROUNDS));
  // Different points from one run of the tests to the next.
  const start = 1 + Math.floor(Math.random() * step);
  for (let point = start; point <= calls; point += step) {
    const log = join(directory.path, String(point));
    const { acknowledged, killed } = run(log, point);
    // Killed again while it recovers from that, near the beginning.
    const again = killed ? run(log, 1 + (point % 12)).acknowledged : [];
    const { signer, digestKey } = await loadLedgerKeys(join(log, 'keys'), random);
    const ledger = await openLedger({ signer, digestKey, directory: log, writer: 'w1', clock: systemClock, random });
    await ledger.close();
    const report = await verifyLedger(log, { publicKeys: signer.verifierKeys(ledger.origin) });
    assert.deepEqual(report.logs[0]?.problems, [], `point ${point}`);
    const found = new Map<string, string>();
    for await (const { entry } of readEntries(log)) {
      assert.ok(!found.has(entry.id), `point ${point}: ${entry.id} stands in the log twice`);
      found.set(entry.id, `${entry.seq} ${entry.hash}`);
    }
    for (const [id, place] of [...acknowledged, ...again]) assert.equal(found.get(id), place, `point ${point}: ${id}`);
  }
});
