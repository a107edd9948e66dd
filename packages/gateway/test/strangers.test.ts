import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { it } from 'node:test';
import { silentLogger, systemClock } from '@sallyport/core';
import { Strangers } from '../src/strangers.ts';
import { MemoryLedger } from './harness.ts';

it('loses no count of a stranger while the ledger refuses', async () => {
  const ledger = new MemoryLedger();
  const strangers = new Strangers({ ledger, logger: silentLogger, clock: systemClock, random: { bytes: (n) => randomBytes(n) } });
  for (const ip of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) strangers.count('unknown key', ip, 100_000);
  ledger.broken = true;
  await strangers.flush();
  assert.equal(ledger.entries.length, 0);
  ledger.broken = false;
  await strangers[Symbol.asyncDispose]();
  assert.deepEqual(
    ledger.entries.map(({ source, detail }) => [source?.ip, detail['unknown key']]),
    [
      ['192.0.2.1', 100_000],
      ['192.0.2.2', 100_000],
      ['192.0.2.3', 100_000],
    ],
  );
});
