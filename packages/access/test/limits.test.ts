import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Fault, LimitRule } from '@sallyport/core';
import fc from 'fast-check';
import {
  type CounterAnswer,
  CounterDesk,
  type CounterQuestion,
  Limiter,
  type LimitRequest,
  type LimitRules,
  MemoryStore,
  RelayStore,
  type Reservation,
} from '../src/index.ts';
import { codeOf, principal, request, rule, rules } from './limit-rules.ts';

/** A limiter over counters in this process, which answers at once. */
interface LocalLimiter {
  reserve(rules: LimitRules, request: LimitRequest): Reservation;
}

function harness(): { clock: { time: number }; limiter: LocalLimiter } {
  const clock = { time: 1_000_000 };
  const limiter = new Limiter(new MemoryStore({ now: () => clock.time, monotonic: () => clock.time }));
  return { clock, limiter: { reserve: (rules, request) => limiter.reserve(rules, request) as Reservation } };
}

describe('limits', () => {
  it('counts renewed tokens and certificates of one principal together, and keeps callers with alike names apart', () => {
    const { limiter } = harness();
    const perKey = rules(rule({ quantity: 'requests', amount: 1 }));
    const bearer = (id: string, jti: string, tenant = 'acme'): LimitRequest =>
      request({ principal: principal(id, { tenant, credential: { kind: 'jwt', id: jti, expiresAt: null } }) });
    limiter.reserve(perKey, bearer('ann', 'token-1'));
    const again = codeOf(() => limiter.reserve(perKey, bearer('ann', 'token-2')));
    assert.equal(again, 'rate_limit_exceeded');
    limiter.reserve(perKey, bearer('ann', 'token-1', 'other'));
    const perUser = rules(rule({ per: 'user', quantity: 'requests', amount: 1 }));
    limiter.reserve(perUser, request({ principal: principal('x', { tenant: 'a/b', user: 'c' }) }));
    limiter.reserve(perUser, request({ principal: principal('y', { tenant: 'a', user: 'b/c' }) }));
    limiter.reserve(perUser, request({ principal: principal('c', { tenant: 'a/b', user: null }) }));
  });

  it('refuses the call that does not fit, tells when to come back, and admits it then', () => {
    const { clock, limiter } = harness();
    const limits = rules(rule({ quantity: 'requests', amount: 2, window: 60_000 }));
    limiter.reserve(limits, request());
    limiter.reserve(limits, request());
    let wait = 0;
    try {
      limiter.reserve(limits, request());
    } catch (error) {
      wait = (error as Fault).retryAfter ?? 0;
      assert.equal((error as Fault).code, 'rate_limit_exceeded');
    }
    assert.ok(wait >= 59 && wait <= 62, `retry after ${wait} s`);
    clock.time += wait * 1000;
    assert.equal(
      codeOf(() => limiter.reserve(limits, request())),
      'none',
    );
  });

  it('counts nothing when one of several rules refuses', () => {
    const { limiter } = harness();
    const wide = rule({ name: 'wide', quantity: 'requests', amount: 3 });
    const narrow = rule({ name: 'narrow', per: 'model', quantity: 'requests', amount: 1 });
    limiter.reserve(rules(wide, narrow), request());
    for (let i = 0; i < 5; i += 1)
      assert.equal(
        codeOf(() => limiter.reserve(rules(wide, narrow), request())),
        'rate_limit_exceeded',
      );
    assert.equal(
      codeOf(() => limiter.reserve(rules(wide), request())),
      'none',
    );
    assert.equal(
      codeOf(() => limiter.reserve(rules(wide), request())),
      'none',
    );
    assert.equal(
      codeOf(() => limiter.reserve(rules(wide), request())),
      'rate_limit_exceeded',
    );
  });

  it('gives back what was reserved and not used', () => {
    const { limiter } = harness();
    const limits = rules(rule({ amount: 100 }));
    const first = limiter.reserve(limits, request({ estimate: { input: 10, output: 80, outputBounded: true } }));
    assert.equal(
      codeOf(() => limiter.reserve(limits, request())),
      'rate_limit_exceeded',
    );
    first.settle({ input: 10, output: 5, cached: 0, exact: true });
    first.settle({ input: 0, output: 0, cached: 0, exact: true });
    const second = limiter.reserve(limits, request({ estimate: { input: 10, output: 75, outputBounded: true } }));
    assert.equal(second.headers[second.headers.indexOf('x-ratelimit-remaining-tokens') + 1], '0');
  });

  it('keeps what was reserved where a call is never settled', () => {
    const { limiter } = harness();
    const limits = rules(rule({ amount: 100 }));
    limiter.reserve(limits, request({ estimate: { input: 50, output: 40, outputBounded: true } }))[Symbol.dispose]();
    assert.equal(
      codeOf(() => limiter.reserve(limits, request())),
      'rate_limit_exceeded',
    );
  });

  it('says that a request larger than the whole limit will never fit', () => {
    const { limiter } = harness();
    assert.equal(
      codeOf(() => limiter.reserve(rules(rule({ amount: 15 })), request())),
      'quota_exceeded',
    );
  });

  it('does not refuse a first request because its output has no bound', () => {
    const { limiter } = harness();
    const unbounded = request({ estimate: { input: 10, output: 5000, outputBounded: false } });
    assert.equal(
      codeOf(() => limiter.reserve(rules(rule({ amount: 100 })), unbounded)),
      'none',
    );
    assert.equal(
      codeOf(() => limiter.reserve(rules(rule({ name: 'o', quantity: 'output-tokens', amount: 100 })), unbounded)),
      'none',
    );
  });

  it('frees a concurrent slot once, however often it is disposed', () => {
    const { limiter } = harness();
    const limits = rules(rule({ quantity: 'concurrency', amount: 1, window: 0 }));
    const held = limiter.reserve(limits, request());
    assert.equal(
      codeOf(() => limiter.reserve(limits, request())),
      'concurrency_exceeded',
    );
    held[Symbol.dispose]();
    held[Symbol.dispose]();
    limiter.reserve(limits, request());
    assert.equal(
      codeOf(() => limiter.reserve(limits, request())),
      'concurrency_exceeded',
    );
  });

  it('keeps the buckets of different keys, models and networks apart, and those of one IPv6 /64 together', () => {
    const { limiter } = harness();
    const one = (per: LimitRule['per'], r: LimitRequest): string =>
      codeOf(() => limiter.reserve(rules(rule({ name: per, per, quantity: 'requests', amount: 1 })), r));
    assert.deepEqual(
      [one('key', request()), one('key', request({ principal: principal('k2') })), one('key', request())],
      ['none', 'none', 'rate_limit_exceeded'],
    );
    assert.deepEqual([one('model', request()), one('model', request({ model: 'n' }))], ['none', 'none']);
    const from = (address: string): string => one('address', request({ address }));
    assert.deepEqual([from('2001:db8::1'), from('2001:db8:0:0:ffff::2'), from('2001:db8:0:1::1')], ['none', 'rate_limit_exceeded', 'none']);
  });

  it('applies a rule only to the models it names', () => {
    const { limiter } = harness();
    const limits = rules(rule({ quantity: 'requests', amount: 1, models: ['big-*'] }));
    for (let i = 0; i < 3; i += 1)
      assert.equal(
        codeOf(() => limiter.reserve(limits, request())),
        'none',
      );
    limiter.reserve(limits, request({ model: 'big-1' }));
    assert.equal(
      codeOf(() => limiter.reserve(limits, request({ model: 'big-2' }))),
      'rate_limit_exceeded',
    );
  });

  it('never admits more than the limit in any window, under any interleaving, and is whole again after quiet', () => {
    const step = fc.record({
      wait: fc.integer({ min: 0, max: 2_000 }),
      amount: fc.integer({ min: 1, max: 60 }),
      used: fc.integer({ min: 0, max: 60 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 600, max: 7_000 }), (steps, window) => {
        const { clock, limiter } = harness();
        const limits = rules(rule({ quantity: 'output-tokens', amount: 100, window }));
        const admitted: { at: number; amount: number }[] = [];
        for (const { wait, amount, used } of steps) {
          clock.time += wait;
          if (
            codeOf(() => {
              const reservation = limiter.reserve(limits, request({ estimate: { input: 0, output: amount, outputBounded: true } }));
              // Settled to less than was reserved: what counts is what was used.
              const spent = Math.min(used, amount);
              reservation.settle({ input: 0, output: spent, cached: 0, exact: true });
              admitted.push({ at: clock.time, amount: spent });
            }) === 'none'
          ) {
            const inWindow = admitted.filter((call) => call.at > clock.time - window).reduce((sum, call) => sum + call.amount, 0);
            assert.ok(inWindow <= 100, `${inWindow} in one window`);
          }
        }
        clock.time += window * 2;
        const whole = request({ estimate: { input: 0, output: 100, outputBounded: true } });
        assert.equal(
          codeOf(() => limiter.reserve(limits, whole)),
          'none',
        );
      }),
      { numRuns: 300 },
    );
  });
});

describe('sessions and addresses that a caller makes up', () => {
  const limits = rules(
    rule({ per: 'session', quantity: 'requests', amount: 2 }),
    rule({ per: 'address', quantity: 'requests', amount: 2 }),
  );
  const store = (): { clock: { time: number }; counts: MemoryStore; one: (id: string, session: string, address?: string) => string } => {
    const clock = { time: 1_000_000, now: () => clock.time, monotonic: () => clock.time };
    const counts = new MemoryStore(clock);
    const limiter = new Limiter(counts, clock);
    return {
      clock,
      counts,
      one: (id, session, address = '10.0.0.1') =>
        codeOf(() => limiter.reserve(limits, request({ principal: principal(id), session, address }))),
    };
  };

  it('share a bucket beyond 10,000, so that no number of them fills the memory, and take nothing from another caller', () => {
    const { clock, counts, one } = store();
    const of = (i: number): [string, string] => [`s${i}`, `10.1.${i >> 8}.${i & 255}`];
    assert.deepEqual(
      [one('victim', 'a', '10.9.9.9'), one('victim', 'a', '10.9.9.9'), one('victim', 'a', '10.9.9.9')].at(-1),
      'rate_limit_exceeded',
    );
    for (let i = 0; i < 10_000; i += 1) assert.equal(one('attacker', ...of(i)), 'none');
    // All further ones together have what one has.
    const further = Array.from({ length: 20_000 }, (_, i) => one('attacker', ...of(10_000 + i)));
    assert.equal(further.filter((code) => code === 'none').length, 2);
    assert.ok(counts.size <= 20_000 + 4, String(counts.size));
    // Neither is anything of the victim's forgotten, nor is it refused for the attacker's sake.
    assert.equal(one('victim', 'a', '10.9.9.9'), 'rate_limit_exceeded');
    assert.equal(one('victim', 'b', '10.9.9.8'), 'none');
    // The attacker's own first ones go on as they were: one request of two.
    assert.deepEqual([one('attacker', ...of(0)), one('attacker', ...of(0))], ['none', 'rate_limit_exceeded']);
    // A place is given up once nothing of it counts.
    clock.time += 120_000;
    assert.deepEqual([one('attacker', ...of(40_000)), one('attacker', ...of(40_000))], ['none', 'none']);
  });

  it('are found again by their name, so nothing is gained by being forgotten', () => {
    const { clock, one } = store();
    for (let i = 0; i < 10_000; i += 1) one('k', `s${i}`, `10.1.${i >> 8}.${i & 255}`);
    clock.time += 59_000;
    assert.equal(one('k', 's0', '10.1.0.0'), 'none');
    clock.time += 2_000;
    // The first 10,000 but for s0 have been idle for longer than the window: these take their places.
    for (let i = 0; i < 10_000; i += 1) one('k', `t${i}`, `10.2.${i >> 8}.${i & 255}`);
    assert.deepEqual([one('k', 's0', '10.1.0.0'), one('k', 's0', '10.1.0.0')], ['none', 'rate_limit_exceeded']);
  });
});

describe('the counters of a worker', () => {
  it('are waited for a second at most, and what a late answer took goes back', async () => {
    const clock = { now: () => 1_000, monotonic: () => 1_000 };
    const answers: CounterAnswer[] = [];
    const desk = new CounterDesk(new MemoryStore(clock), (worker, told) => (worker === 1 ? relay.receive(told) : answers.push(...told)));
    const asked: CounterQuestion[] = [];
    const relay = new RelayStore((questions) => void asked.push(...questions), clock, 10);
    const claims = [{ rule: rule({ quantity: 'concurrency', amount: 1, window: 0 }), bucket: 'b', least: 1, most: 1 }];
    await assert.rejects(Promise.resolve(relay.take(claims)), { code: 'not_ready', retryAfter: 1 });
    await assert.rejects(Promise.resolve(relay.peek(claims)), { code: 'not_ready' });
    desk.serve(1, asked.splice(0));
    assert.equal(desk.open, 1);
    await turn();
    await turn();
    desk.serve(1, asked.splice(0));
    assert.equal(desk.open, 0);
    desk.serve(2, [{ ask: 'take', id: 1, claims, often: false }]);
    await turn();
    assert.deepEqual(answers, [{ id: 1, taken: [1], standings: [{ used: 1, reset: 1_000 }] }]);
  });
});

describe('the process that counts for workers', () => {
  it('takes nothing for a worker that has ended, however late its question comes', async () => {
    const clock = { now: () => 1_000, monotonic: () => 1_000 };
    const told: [worker: number, answer: CounterAnswer][] = [];
    const desk = new CounterDesk(new MemoryStore(clock), (worker, answers) => {
      for (const answer of answers) told.push([worker, answer]);
    });
    const one = rule({ quantity: 'concurrency', amount: 1 });
    const claims = [{ rule: one, bucket: 'b', least: 1, most: 1 }];
    const taken = { id: 1, taken: [1], standings: [{ used: 1, reset: 1_000 }] };
    desk.serve(1, [{ ask: 'take', id: 1, claims, often: false }]);
    desk.gone(1);
    desk.serve(1, [{ ask: 'take', id: 2, claims, often: false }]);
    assert.equal(desk.open, 0);
    desk.serve(2, [{ ask: 'take', id: 1, claims, often: false }]);
    await turn();
    assert.deepEqual(told, [
      [1, taken],
      [2, taken],
    ]);
  });
});

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
