import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '@sallyport/core';
import { loadLedgerKeys, openLedger, readEntries, verifyLedger } from '../src/index.ts';
import { listSegments } from '../src/segment.ts';
import { random, TemporaryDirectory } from './support.ts';

/** SALLYPORT_TORTURE_ROUNDS=1000 for the long run. */
const ROUNDS = Number(process.env['SALLYPORT_TORTURE_ROUNDS'] ?? 30);
const WRITER = fileURLToPath(new URL('./torture-writer.ts', import.meta.url));

/** Lets a process write and kills it within `limit` milliseconds of its log being open. Answers what it was acknowledged. */
async function writeAndKill(directory: string, round: number, limit: number): Promise<string[]> {
  const child = spawn(process.execPath, [WRITER, directory, String(round)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const late = setTimeout(() => child.kill('SIGTERM'), 60_000);
  let output = '';
  child.stdout.setEncoding('utf8');
  for await (const chunk of child.stdout) {
    if (output === '') setTimeout(() => child.kill('SIGKILL'), Math.random() * limit);
    output += chunk;
  }
  clearTimeout(late);
  const [code, signal] = await closed;
  assert.equal(signal, 'SIGKILL', `the writer ended by itself with ${code}`);
  assert.ok(output.startsWith('open\n'));
  // The last line may be half of one.
  return output.slice(5, output.lastIndexOf('\n')).split('\n').filter(Boolean);
}

test(`${ROUNDS} times kill -9 under load: no acknowledged entry lost, none twice, no number used twice, and the log verifies`, async () => {
  await using directory = await TemporaryDirectory.create();
  const acknowledged = new Map<string, string>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const line of await writeAndKill(directory.path, round, 60)) {
      const [id, ...place] = line.split(' ');
      acknowledged.set(id ?? '', place.join(' '));
    }
    // Every third crash also leaves half a write at the end, as a power cut may.
    const last = (await listSegments(join(directory.path, 'logs/w1'))).at(-1);
    if (round % 3 === 2 && last?.compressed === false) await appendFile(last.path, '{"action":"half a wri');
  }
  const { signer, digestKey } = await loadLedgerKeys(join(directory.path, 'keys'), random);
  const ledger = await openLedger({ signer, digestKey, directory: directory.path, writer: 'w1', clock: systemClock, random });
  await ledger.close();
  const report = await verifyLedger(directory.path, { publicKeys: signer.verifierKeys(ledger.origin) });
  assert.deepEqual(report.logs[0]?.problems, []);
  const found = new Map<string, string>();
  const hashes = new Set<string>();
  for await (const { entry } of readEntries(directory.path)) {
    assert.ok(!found.has(entry.id), `${entry.id} stands in the log twice`);
    found.set(entry.id, `${entry.seq} ${entry.hash}`);
    hashes.add(entry.hash);
  }
  assert.equal(hashes.size, report.entries);
  assert.ok(acknowledged.size > 0);
  for (const [id, place] of acknowledged) assert.equal(found.get(id), place, id);
});
