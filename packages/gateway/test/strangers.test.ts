import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { it } from 'node:test';
import { silentLogger, systemClock } from '@sallyport/core';
import { Strangers } from '../src/strangers.ts';
import { MemoryLedger } from './harness.ts';

function counting(): { readonly ledger: MemoryLedger; readonly strangers: Strangers } {
  const ledger = new MemoryLedger();
  const random = { bytes: (length: number): Uint8Array => randomBytes(length) };
  return { ledger, strangers: new Strangers({ ledger, logger: silentLogger, clock: systemClock, random }) };
}

it('loses no count of a stranger while the ledger refuses', async () => {
  const { ledger, strangers } = counting();
  for (const ip of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) strangers.count('unknown', ip, 100_000);
  ledger.broken = true;
  await strangers.flush();
  assert.equal(ledger.entries.length, 0);
  ledger.broken = false;
  await strangers[Symbol.asyncDispose]();
  assert.deepEqual(
    ledger.entries.map(({ source, detail }) => [source?.ip, detail['unknown']]),
    [
      ['192.0.2.1', 100_000],
      ['192.0.2.2', 100_000],
      ['192.0.2.3', 100_000],
    ],
  );
});

it('a reason whose name the ledger would not take is counted under one that it takes, and holds up no other', async () => {
  const { ledger, strangers } = counting();
  for (const reason of ['risk:throttle:address', 'slow reader', 'TypeError', 'x'.repeat(200), '']) strangers.count(reason, '192.0.2.1');
  strangers.count('unknown', '192.0.2.2');
  await strangers[Symbol.asyncDispose]();
  assert.deepEqual(
    ledger.entries.map(({ detail }) => detail),
    [{ 'risk-throttle-address': 1, 'slow-reader': 1, 'reason-TypeError': 1, ['x'.repeat(64)]: 1, 'reason-': 1 }, { unknown: 1 }],
  );
});
