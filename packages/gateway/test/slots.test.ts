import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Claim } from '../src/upstream/fair-queue.ts';
import { Slots, shareOf } from '../src/upstream/slots.ts';

const settings = (limit: number) => ({ limit, perSlot: 100, wait: 60_000 });
const claim = (tenant: string): Claim => ({ tenant, weight: 1, priority: '', priorityWeight: 1, cost: 1 });
const take = (slots: Slots, tenant: string): Promise<unknown> | null =>
  slots.take(
    () => () => undefined,
    tenant,
    () => claim(tenant),
  );
/** Whether who waits has been let in. */
const isIn = (waiting: Promise<unknown> | null): Promise<boolean> =>
  Promise.race([waiting?.then(() => true) ?? true, new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))]);

describe('the shares of workers', () => {
  it('are the whole limit together, nearly alike, and one at least', () => {
    for (let of = 1; of <= 9; of += 1) {
      for (const limit of [1, 2, 3, 8, 64, 100]) {
        const shares = Array.from({ length: of }, (_, number) => shareOf(limit, { number, of }));
        assert.equal(
          shares.reduce((sum, share) => sum + share, 0),
          Math.max(limit, of),
        );
        assert.ok(Math.max(...shares) - Math.min(...shares) <= 1);
      }
    }
    assert.equal(shareOf(Number.POSITIVE_INFINITY, { number: 1, of: 2 }), Number.POSITIVE_INFINITY);
  });
});

describe('slots under another configuration', () => {
  it('a limit that comes while calls run counts them, and whose they are', async () => {
    const slots = new Slots(settings(Number.POSITIVE_INFINITY));
    for (let i = 0; i < 3; i += 1) assert.equal(take(slots, 'flood'), null);
    assert.equal(take(slots, 'quiet'), null);
    slots.resize(settings(3));
    assert.equal(slots.busy, 4);
    const waiting = take(slots, 'quiet');
    assert.equal(await isIn(waiting), false, 'four run where three may');
    slots.release(1, 'flood');
    assert.equal(await isIn(waiting), false, 'three run');
    slots.release(1, 'flood');
    assert.equal(await isIn(waiting), true);
    // Of the flood one runs, of the other two: the last free slot is the flood's as much as anybody's.
    slots.release(1, 'quiet');
    assert.equal(slots.busy, 2);
    const again = take(slots, 'flood');
    assert.equal(await isIn(again), true);
    for (const tenant of ['flood', 'flood', 'quiet']) slots.release(1, tenant);
    assert.equal(slots.busy, 0);
  });

  it('what was taken before a limit came and is given back after it takes nothing from what was taken since', async () => {
    const slots = new Slots(settings(Number.POSITIVE_INFINITY));
    for (let i = 0; i < 2; i += 1) take(slots, 'flood');
    slots.resize(settings(4));
    assert.equal(await isIn(take(slots, 'flood')), true);
    assert.equal(await isIn(take(slots, 'quiet')), true);
    // The two of before end; the flood goes on with one, as the other does.
    for (let i = 0; i < 2; i += 1) slots.release(1, 'flood');
    assert.equal(await isIn(take(slots, 'flood')), true);
    // It holds two, the other one of four: the last one is kept for the other.
    const fourth = take(slots, 'flood');
    assert.equal(await isIn(fourth), false);
    assert.equal(await isIn(take(slots, 'quiet')), true);
    assert.equal(slots.busy, 4);
    for (const tenant of ['quiet', 'quiet', 'flood', 'flood']) slots.release(1, tenant);
    assert.equal(await isIn(fourth), true);
  });

  it('a limit that goes lets everybody in', async () => {
    const slots = new Slots(settings(1));
    assert.equal(take(slots, 'flood'), null);
    const waiting = Array.from({ length: 5 }, () => take(slots, 'flood'));
    slots.resize(settings(Number.POSITIVE_INFINITY));
    for (const one of waiting) assert.equal(await isIn(one), true);
    for (let i = 0; i < 6; i += 1) slots.release(1, 'flood');
    slots.resize(settings(1));
    assert.equal(slots.busy, 0);
    assert.equal(await isIn(take(slots, 'quiet')), true);
  });
});
