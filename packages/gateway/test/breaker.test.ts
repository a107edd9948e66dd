import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Breaker, type BreakerState, type Leave } from '../src/upstream/breaker.ts';
import { RetryBudget } from '../src/upstream/retry-budget.ts';

const SETTINGS = { failures: 3, open: 100, maxOpen: 1_000 };

function make(settings = SETTINGS): { breaker: Breaker; states: BreakerState[] } {
  const states: BreakerState[] = [];
  return { breaker: new Breaker(settings, (state) => states.push(state)), states };
}

function fail(breaker: Breaker, now: number, times = 1): void {
  for (let i = 0; i < times; i += 1) breaker.failed(breaker.admit(now), now, 'status 500');
}

describe('a circuit breaker', () => {
  it('opens after failures in a row, tries one call, and closes on its success', () => {
    const { breaker, states } = make();
    fail(breaker, 0, 2);
    breaker.succeeded('free');
    fail(breaker, 0, 3);
    assert.deepEqual(states, ['open']);
    assert.equal(breaker.wait(0), 100);
    assert.equal(breaker.admit(99), 'refused');
    const trial = breaker.admit(100);
    assert.equal(trial, 'trial');
    assert.equal(breaker.admit(100), 'refused');
    breaker.succeeded(trial);
    assert.deepEqual(states, ['open', 'half-open', 'closed']);
    assert.equal(breaker.admit(100), 'free');
  });

  it('stays open twice as long each time a trial fails, up to its bound', () => {
    const { breaker } = make();
    fail(breaker, 0, 3);
    let now = 0;
    const waits: number[] = [];
    for (let i = 0; i < 6; i += 1) {
      now += breaker.wait(now);
      fail(breaker, now);
      waits.push(breaker.wait(now));
    }
    assert.deepEqual(waits, [200, 400, 800, 1_000, 1_000, 1_000]);
    now += breaker.wait(now);
    breaker.succeeded(breaker.admit(now));
    fail(breaker, now, 3);
    assert.equal(breaker.wait(now), 100);
  });

  it('opens where half of the last outcomes are failures, never three in a row', () => {
    const { breaker, states } = make();
    for (let i = 0; i < 5; i += 1) {
      breaker.succeeded(breaker.admit(0));
      fail(breaker, 0);
    }
    assert.deepEqual(states, ['open']);
    const few = make();
    for (let i = 0; i < 30; i += 1) {
      for (let j = 0; j < 3; j += 1) few.breaker.succeeded(few.breaker.admit(0));
      fail(few.breaker, 0);
    }
    assert.deepEqual(few.states, []);
  });

  it('believes a server that says when to come back, within its bound', () => {
    const { breaker, states } = make();
    breaker.busy(0, 500, 'status 429');
    assert.equal(breaker.wait(0), 500);
    breaker.busy(0, 86_400_000, 'status 429');
    assert.equal(breaker.wait(0), 1_000);
    assert.deepEqual(states, ['open']);
  });

  it('leaves a trial that says nothing to the next, and calls from before it opened prove nothing', () => {
    const { breaker, states } = make();
    const early: Leave = breaker.admit(0);
    fail(breaker, 0, 3);
    breaker.succeeded(early);
    assert.equal(breaker.state, 'open');
    const trial = breaker.admit(200);
    breaker.succeeded(early);
    breaker.abandon(early);
    assert.equal(breaker.admit(200), 'refused');
    breaker.abandon(trial);
    assert.equal(breaker.admit(200), 'trial');
    assert.deepEqual(states, ['open', 'half-open']);
  });

  it('is tried at once when a probe was answered, and never opens where it is turned off', () => {
    const { breaker } = make();
    fail(breaker, 0, 3);
    breaker.hint(10);
    assert.equal(breaker.admit(10), 'trial');
    const off = make({ failures: 0, open: 100, maxOpen: 1_000 });
    fail(off.breaker, 0, 100);
    off.breaker.busy(0, 1_000, 'status 429');
    assert.equal(off.breaker.admit(0), 'free');
  });
});

it('a retry budget lets a fifth of the calls be repeated, with some in hand', () => {
  const budget = new RetryBudget();
  let retries = 0;
  for (let i = 0; i < 1_000; i += 1) {
    budget.called();
    if (budget.take()) retries += 1;
  }
  assert.ok(retries >= 200 && retries <= 212, String(retries));
});
