import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Claim, FairQueue } from '../src/upstream/fair-queue.ts';

interface Waiter {
  readonly claim: Claim;
  readonly nth: number;
}

const claim = (tenant: string, change: Partial<Claim> = {}): Claim => ({
  tenant,
  weight: 1,
  priority: '',
  priorityWeight: 1,
  cost: 1,
  ...change,
});

function served(queue: FairQueue<Waiter>, count: number): Waiter[] {
  return Array.from({ length: count }, () => queue.next()).filter((one) => one !== null);
}

const share = (of: readonly Waiter[], tenant: string): number => of.filter((one) => one.claim.tenant === tenant).length;

describe('the fair queue', () => {
  it('a tenant with 500 waiting does not hold up another: the other is next but one at the latest', () => {
    const queue = new FairQueue<Waiter>();
    for (let nth = 0; nth < 500; nth += 1) queue.add({ claim: claim('flood'), nth });
    served(queue, 7);
    for (let round = 0; round < 20; round += 1) {
      queue.add({ claim: claim('quiet'), nth: round });
      assert.equal(share(served(queue, 2), 'quiet'), 1);
    }
  });

  it('gives by weight and by tokens', () => {
    const queue = new FairQueue<Waiter>();
    for (let nth = 0; nth < 400; nth += 1) {
      queue.add({ claim: claim('one'), nth });
      queue.add({ claim: claim('three', { weight: 3 }), nth });
    }
    assert.deepEqual([share(served(queue, 200), 'three')], [150]);
    const sized = new FairQueue<Waiter>();
    for (let nth = 0; nth < 400; nth += 1) {
      sized.add({ claim: claim('small', { cost: 100 }), nth });
      sized.add({ claim: claim('large', { cost: 900 }), nth });
    }
    const small = share(served(sized, 100), 'small');
    assert.ok(small >= 89 && small <= 91, String(small));
  });

  it('priorities come first, and none is starved', () => {
    const queue = new FairQueue<Waiter>();
    for (let nth = 0; nth < 400; nth += 1) {
      queue.add({ claim: claim('batch', { priority: 'batch', priorityWeight: 1 }), nth });
      for (const tenant of ['a', 'b']) queue.add({ claim: claim(tenant, { priority: 'people', priorityWeight: 9 }), nth });
    }
    const first = served(queue, 100);
    assert.deepEqual([share(first, 'batch'), share(first, 'a'), share(first, 'b')], [10, 45, 45]);
  });

  it('who was idle has saved up nothing', () => {
    const queue = new FairQueue<Waiter>();
    queue.add({ claim: claim('idle'), nth: 0 });
    queue.next();
    for (let nth = 0; nth < 300; nth += 1) queue.add({ claim: claim('busy'), nth });
    served(queue, 200);
    for (let nth = 0; nth < 100; nth += 1) queue.add({ claim: claim('idle'), nth });
    const next = served(queue, 40);
    assert.ok(Math.abs(share(next, 'idle') - 20) <= 1, String(share(next, 'idle')));
  });

  it('loses and invents nobody, keeps the order within a tenant, and shares evenly, whatever comes and goes', () => {
    const tenants = ['a', 'b', 'c'];
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('add', 'add', 'next', 'leave'), fc.constantFrom(...tenants)), { maxLength: 300 }),
        (steps) => {
          const queue = new FairQueue<Waiter>();
          const waiting = new Map<string, Waiter[]>(tenants.map((tenant) => [tenant, []]));
          let nth = 0;
          for (const [step, tenant] of steps) {
            const line = waiting.get(tenant) ?? [];
            if (step === 'add') {
              const waiter = { claim: claim(tenant), nth: nth++ };
              line.push(waiter);
              queue.add(waiter);
            } else if (step === 'leave') {
              const gone = line.pop();
              if (gone !== undefined) queue.remove(gone);
            } else {
              const next = queue.next();
              const size = [...waiting.values()].reduce((sum, one) => sum + one.length, 0);
              assert.equal(next === null, size === 0);
              if (next !== null) assert.equal(waiting.get(next.claim.tenant)?.shift(), next);
            }
            assert.equal(
              queue.size,
              [...waiting.values()].reduce((sum, one) => sum + one.length, 0),
            );
          }
        },
      ),
    );
  });
});
