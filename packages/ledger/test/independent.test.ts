import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { facts, openTestLedger, TemporaryDirectory } from './support.ts';

const SCRIPT = fileURLToPath(new URL('./independent.py', import.meta.url));

test('forty lines of Python that know only the documentation come to the same root', async (context) => {
  if (spawnSync('python3', ['--version']).status !== 0) return context.skip('python3 is not installed');
  await using directory = await TemporaryDirectory.create();
  const ledger = await openTestLedger(directory.path);
  const odd = ['naïve 😀 "quoted" \\ back', '\u0000\u001f\u007f', '', '语言', '\ud83d'];
  await Promise.all(
    Array.from({ length: 700 }, (_, i) =>
      ledger.append(
        facts({
          resource: odd[i % odd.length] ?? '',
          latency: { overhead: i / 7, ttft: null, total: i * 1000 },
          detail: { b: i, a: odd[i % 5] ?? '' },
        }),
      ),
    ),
  );
  await ledger.close();
  const log = join(directory.path, 'logs/w1');
  const { status, stdout, stderr } = spawnSync('python3', [SCRIPT, join(log, 'segments/0000000000000000.jsonl'), join(log, 'checkpoint')]);
  assert.equal(status, 0, stderr.toString());
  assert.deepEqual(JSON.parse(stdout.toString()), { origin: ledger.origin, entries: 702, size: 702 });
});
