import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Breaker, type BreakerState, type Leave } from '../src/upstream/breaker.ts';
import { Breakers } from '../src/upstream/breakers.ts';
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
    breaker.succeeded('free', 0);
    fail(breaker, 0, 3);
    assert.deepEqual(states, ['open']);
    assert.equal(breaker.wait(0), 100);
    assert.equal(breaker.admit(99), 'refused');
    const trial = breaker.admit(100);
    assert.equal(typeof trial, 'object');
    assert.equal(breaker.admit(100), 'refused');
    breaker.succeeded(trial, 0);
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
    breaker.succeeded(breaker.admit(now), now);
    fail(breaker, now, 3);
    assert.equal(breaker.wait(now), 100);
  });

  it('opens where half of the last outcomes are failures, never three in a row', () => {
    const { breaker, states } = make();
    for (let i = 0; i < 5; i += 1) {
      breaker.succeeded(breaker.admit(0), 0);
      fail(breaker, 0);
    }
    assert.deepEqual(states, ['open']);
    const few = make();
    for (let i = 0; i < 30; i += 1) {
      for (let j = 0; j < 3; j += 1) few.breaker.succeeded(few.breaker.admit(0), 0);
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
    breaker.succeeded(early, 0);
    assert.equal(breaker.state, 'open');
    const trial = breaker.admit(200);
    breaker.succeeded(early, 0);
    breaker.abandon(early);
    assert.equal(breaker.admit(200), 'refused');
    breaker.abandon(trial);
    assert.equal(typeof breaker.admit(200), 'object');
    assert.deepEqual(states, ['open', 'half-open']);
  });

  it('a trial that ends after the server has said when to come back decides nothing for the next one', () => {
    const { breaker } = make();
    fail(breaker, 0, 3);
    const late = breaker.admit(200);
    breaker.busy(200, 500, 'status 503');
    const next = breaker.admit(800);
    assert.equal(typeof next, 'object');
    breaker.abandon(late);
    assert.equal(breaker.admit(800), 'refused', 'one at a time');
    breaker.succeeded(late, 800);
    assert.equal(breaker.state, 'half-open');
    breaker.failed(late, 800, 'status 500');
    assert.equal(breaker.state, 'half-open');
    breaker.succeeded(next, 800);
    assert.equal(breaker.state, 'closed');
  });

  it('is tried at once when a probe was answered, and never opens where it is turned off', () => {
    const { breaker } = make();
    fail(breaker, 0, 3);
    breaker.hint(10);
    assert.equal(typeof breaker.admit(10), 'object');
    const off = make({ failures: 0, open: 100, maxOpen: 1_000 });
    fail(off.breaker, 0, 100);
    off.breaker.busy(0, 1_000, 'status 429');
    assert.equal(off.breaker.admit(0), 'free');
  });
});

describe('breakers and who makes a server fail', () => {
  const settings = { failures: 3, open: 100, maxOpen: 1_000 };
  const make = (): { all: Breakers; states: BreakerState[]; ends: (caller: string, good: boolean, now?: number) => string } => {
    const states: BreakerState[] = [];
    const all = new Breakers(settings, (state) => states.push(state));
    const ends = (caller: string, good: boolean, now = 0): string => {
      const pass = all.admit(now, caller);
      if (pass === null) return 'refused';
      if (good) all.succeeded(pass, now);
      else all.failed(pass, now, 'status 500', true);
      return 'passed';
    };
    return { all, states, ends };
  };

  it('one caller whose calls fail is kept out, and nobody else, while the calls of others succeed', () => {
    const { states, ends } = make();
    ends('ann', true);
    for (let round = 0; round < 200; round += 1) {
      for (let i = 0; i < 5; i += 1) ends('mallory', false, round);
      assert.equal(ends('ann', true, round), 'passed');
    }
    assert.deepEqual(states, []);
    assert.equal(ends('mallory', false, 200), 'refused');
  });

  it('a caller who mixes failures with good calls is kept out by their share, and nobody else is', () => {
    const { states, ends } = make();
    ends('ann', true);
    for (let i = 0; i < 60; i += 1) {
      ends('mallory', i % 3 === 0, i);
      assert.equal(ends('ann', true, i), 'passed');
    }
    assert.deepEqual(states, []);
    assert.equal(ends('mallory', true, 60), 'refused');
  });

  it('several callers whose calls fail open it for everybody', () => {
    const { states, ends } = make();
    ends('zoe', true);
    for (const caller of ['ann', 'ben', 'ann', 'ben']) ends(caller, false);
    assert.deepEqual(states, ['open']);
    assert.equal(ends('zoe', true, 10), 'refused');
    assert.equal(ends('zoe', true, 100), 'passed');
    assert.deepEqual(states, ['open', 'half-open', 'closed']);
  });

  it('where nobody else was there it opens, and the first call of anybody else is the trial', () => {
    const { states, ends } = make();
    ends('mallory', true);
    for (let i = 0; i < 3; i += 1) ends('mallory', false);
    assert.deepEqual(states, ['open']);
    assert.equal(ends('mallory', true, 10), 'refused');
    assert.equal(ends('ann', true, 10), 'passed');
    assert.deepEqual(states, ['open', 'half-open', 'closed']);
    // It is closed for everybody but the one whose calls fail.
    assert.equal(ends('mallory', true, 20), 'refused');
    assert.equal(ends('mallory', true, 110), 'passed');
  });

  it('a second caller whose trial fails leaves it open for everybody, and a poisoned trial does not hold others up', () => {
    const { states, ends } = make();
    for (let i = 0; i < 3; i += 1) ends('mallory', false);
    assert.equal(ends('ann', false, 10), 'passed');
    assert.deepEqual(states, ['open', 'half-open', 'open']);
    assert.equal(ends('ben', true, 20), 'refused');
    // Whoever gets the trial may be the one whose calls fail: the next caller tries at once.
    assert.equal(ends('carol', false, 400), 'passed');
    assert.equal(ends('ben', true, 401), 'passed');
    assert.equal(states.at(-1), 'closed');
  });

  it('what happened before anything was sent is nobody in particular', () => {
    const { all, states } = make();
    for (let i = 0; i < 3; i += 1) {
      const pass = all.admit(0, 'ann') ?? assert.fail();
      all.failed(pass, 0, 'ECONNREFUSED', false);
    }
    assert.deepEqual(states, ['open']);
    assert.ok(all.wait(0, 'ben') > 0);
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
