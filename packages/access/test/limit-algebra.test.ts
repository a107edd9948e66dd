import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Fault, LimitRule, Principal } from '@sallyport/core';
import fc from 'fast-check';
import { Limiter, type LimitRequest, type LimitRules, MemoryStore, type Reservation } from '../src/index.ts';
import { codeOf, principal, request, rule, rules, tokens } from './limit-rules.ts';

interface Bench {
  readonly clock: { time: number };
  readonly limiter: Limiter;
  reserve(limits: LimitRules, asked: LimitRequest): Reservation;
  used(limits: LimitRules, asked: LimitRequest): Promise<number[]>;
}

function bench(time: number = Date.UTC(2026, 0, 1)): Bench {
  const clock = { time };
  const limiter = new Limiter(new MemoryStore({ now: () => clock.time, monotonic: () => clock.time }));
  return {
    clock,
    limiter,
    reserve: (limits, asked) => limiter.reserve(limits, asked) as Reservation,
    used: async (limits, asked) => (await limiter.standings(limits, asked)).map(({ used }) => used),
  };
}

describe('budgets of the calendar', () => {
  const budget = (unit: 'hour' | 'day' | 'week' | 'month', zone: string): LimitRule =>
    rule({ quantity: 'requests', amount: 1, window: 0, calendar: { unit, zone } });
  const turns: [unit: 'hour' | 'day' | 'week' | 'month', zone: string, last: string, first: string][] = [
    ['month', 'UTC', '2026-01-31T23:59:59.999Z', '2026-02-01T00:00:00Z'],
    ['month', 'Europe/Berlin', '2026-03-31T21:59:59.999Z', '2026-03-31T22:00:00Z'],
    // The day on which clocks go forward has 23 hours.
    ['day', 'Europe/Berlin', '2026-03-29T21:59:59.999Z', '2026-03-29T22:00:00Z'],
    ['day', 'Asia/Kolkata', '2026-06-01T18:29:59.999Z', '2026-06-01T18:30:00Z'],
    ['week', 'UTC', '2026-11-29T23:59:59.999Z', '2026-11-30T00:00:00Z'],
    ['hour', 'Asia/Kolkata', '2026-06-01T18:29:59.999Z', '2026-06-01T18:30:00Z'],
  ];
  for (const [unit, zone, last, first] of turns) {
    it(`a ${unit} in ${zone} ends at ${first}`, () => {
      const { clock, reserve } = bench(Date.parse(last));
      const limits = rules(budget(unit, zone));
      reserve(limits, request());
      let fault: Fault | null = null;
      try {
        reserve(limits, request());
      } catch (error) {
        fault = error as Fault;
      }
      assert.deepEqual([fault?.code, fault?.retryAfter], ['quota_exceeded', 1]);
      clock.time = Date.parse(first);
      assert.equal(
        codeOf(() => reserve(limits, request())),
        'none',
      );
    });
  }

  it('opens no period a second time when the wall clock is set back', () => {
    const { clock, reserve } = bench(Date.parse('2026-02-01T00:00:00Z'));
    const limits = rules(budget('month', 'UTC'));
    reserve(limits, request());
    clock.time = Date.parse('2026-01-31T12:00:00Z');
    assert.equal(
      codeOf(() => reserve(limits, request())),
      'quota_exceeded',
    );
  });
});

describe('spend', () => {
  const price = { input: 3, output: 15, cached: 0.3 };
  // Five hundredths of a unit.
  const limits = rules(rule({ quantity: 'spend', amount: 50_000 }));

  it('counts what tokens cost, cached ones by their own price, to a millionth', async () => {
    const { reserve, used } = bench();
    const asked = request({ price, estimate: { input: 1_000, output: 1_000, outputBounded: true } });
    const held = reserve(limits, asked);
    assert.deepEqual(await used(limits, asked), [18_000]);
    held.settle({ input: 1_000, output: 10, cached: 900, exact: true });
    assert.deepEqual(await used(limits, asked), [300 + 270 + 150]);
  });

  it('refuses for ever what costs more than the whole limit, and costs nothing where the model has no price', () => {
    const { reserve } = bench();
    const dear = request({ price, estimate: { input: 0, output: 4_000, outputBounded: true } });
    assert.equal(
      codeOf(() => reserve(limits, dear)),
      'quota_exceeded',
    );
    assert.equal(
      codeOf(() => reserve(limits, { ...dear, price: null })),
      'none',
    );
  });
});

describe('dimensions', () => {
  const ann = (id: string, over: Partial<Principal> = {}): Principal => principal(id, { user: 'ann', team: 'red', ...over });
  const cases: [per: LimitRule['per'], first: Partial<LimitRequest>, together: Partial<LimitRequest>, apart: Partial<LimitRequest>][] = [
    ['key', { principal: ann('a') }, { principal: ann('a', { user: 'bob' }) }, { principal: ann('b') }],
    ['user', { principal: ann('a') }, { principal: ann('b') }, { principal: ann('a', { tenant: 'other' }) }],
    ['team', { principal: ann('a') }, { principal: ann('b', { user: 'bob' }) }, { principal: ann('a', { tenant: 'other' }) }],
    ['tenant', { principal: ann('a') }, { principal: ann('b') }, { principal: ann('a', { tenant: 'other' }) }],
    ['role', { principal: ann('a') }, { principal: ann('b', { tenant: 'other' }) }, { principal: ann('a', { roles: ['owner'] }) }],
    ['model', { model: 'm' }, { model: 'm', principal: ann('b', { tenant: 'other' }) }, { model: 'n' }],
    ['upstream', { upstream: 'u' }, { upstream: 'u', principal: ann('b', { tenant: 'other' }) }, { upstream: 'v' }],
    ['address', { address: '2001:db8:0:1::1' }, { address: '2001:db8:0:1::2' }, { address: '2001:db8:0:2::1' }],
    ['session', { session: 's' }, { session: 's', model: 'n' }, { session: 's', principal: ann('b') }],
  ];
  for (const [per, first, together, apart] of cases) {
    it(`counts by ${per}, and nobody else's with it`, () => {
      const { reserve } = bench();
      const limits = rules(rule({ per, quantity: 'requests', amount: 1 }));
      const codes = [first, together, apart].map((over) => codeOf(() => reserve(limits, request({ principal: ann('a'), ...over }))));
      assert.deepEqual(codes, ['none', 'rate_limit_exceeded', 'none']);
    });
  }

  it('counts everybody together where the rule is global', () => {
    const { reserve } = bench();
    const limits = rules(rule({ per: 'global', quantity: 'requests', amount: 1 }));
    const codes = [ann('a'), ann('b', { tenant: 'other' })].map((one) => codeOf(() => reserve(limits, request({ principal: one }))));
    assert.deepEqual(codes, ['none', 'rate_limit_exceeded']);
  });

  it('counts sessions of one caller apart, those of others never together, and no session by credential', () => {
    const { reserve } = bench();
    const limits = rules(rule({ per: 'session', quantity: 'requests', amount: 1 }));
    const ask = (session: string | null, id = 'k1'): string =>
      codeOf(() => reserve(limits, request({ session, principal: principal(id) })));
    assert.deepEqual([ask('a'), ask('b'), ask('a'), ask('a', 'k2')], ['none', 'none', 'rate_limit_exceeded', 'none']);
    assert.deepEqual([ask(null), ask(null)], ['none', 'rate_limit_exceeded']);
  });

  it('counts a bucket once where a caller has a role twice, and by the stricter of two rules that count the same', async () => {
    const { reserve, used } = bench();
    const twice = request({ principal: principal('k1', { roles: ['user', 'user'] }) });
    const perRole = rules(rule({ per: 'role', quantity: 'requests', amount: 5 }));
    reserve(perRole, twice);
    assert.deepEqual(await used(perRole, twice), [1]);
    const two = rules(rule({ quantity: 'requests', amount: 9 }), rule({ quantity: 'requests', amount: 1 }));
    reserve(two, request());
    assert.equal(
      codeOf(() => reserve(two, request())),
      'rate_limit_exceeded',
    );
  });
});

describe('a request that goes elsewhere', () => {
  const perUpstream = rule({ name: 'up', per: 'upstream', quantity: 'tokens', amount: 25 });
  const perModel = rule({ name: 'big', per: 'model', quantity: 'requests', amount: 1, models: ['big'] });
  const running = rule({ name: 'run', per: 'upstream', quantity: 'concurrency', amount: 1, window: 0 });
  const limits = rules(rule({ name: 'own', quantity: 'tokens', amount: 1_000 }), perUpstream, perModel, running);
  const small = request({ model: 'small', upstream: 'a' });
  const big = { model: 'big', upstream: 'b', price: null };

  it('holds what the second place asks for, gives back what the first held, and counts the caller once', async () => {
    const { reserve, used } = bench();
    const held = reserve(limits, small);
    assert.deepEqual(await used(limits, small), [20, 20, 1]);
    await held.move(big);
    assert.deepEqual(await used(limits, small), [20, 0, 0]);
    assert.deepEqual(await used(limits, { ...small, ...big }), [20, 20, 1, 1]);
    held.settle(tokens(10, 3));
    held[Symbol.dispose]();
    assert.deepEqual(await used(limits, { ...small, ...big }), [13, 13, 1, 0]);
  });

  it('keeps what it held where the second place has no room', async () => {
    const { reserve, used } = bench();
    reserve(limits, { ...small, ...big });
    const held = reserve(limits, small);
    assert.equal(
      codeOf(() => held.move(big)),
      'rate_limit_exceeded',
    );
    assert.deepEqual(await used(limits, small), [40, 20, 1]);
  });

  it('is held to rules that did not apply to the first place at all', () => {
    const { reserve } = bench();
    const only = rules(perModel);
    reserve(only, { ...small, ...big });
    const held = reserve(only, small);
    assert.equal(
      codeOf(() => held.move(big)),
      'rate_limit_exceeded',
    );
  });
});

describe('a request that two servers are asked for', () => {
  const limits = rules(
    rule({ name: 'own', quantity: 'tokens', amount: 1_000 }),
    rule({ name: 'asked', quantity: 'requests', amount: 10 }),
    rule({ name: 'up', per: 'upstream', quantity: 'tokens', amount: 40 }),
    rule({ name: 'run', per: 'upstream', quantity: 'concurrency', amount: 1, window: 0 }),
  );
  const at = (upstream: string): LimitRequest => request({ upstream });

  it('counts the input once more while both are asked, and all is whole where the second reads nothing', async () => {
    const { reserve, used } = bench();
    const held = reserve(limits, at('a'));
    const hedge = (await held.hedge('b')) ?? assert.fail();
    assert.deepEqual(
      [await used(limits, at('a')), await used(limits, at('b'))],
      [
        [30, 1, 20, 1],
        [30, 1, 20, 1],
      ],
    );
    hedge.lost(false);
    assert.deepEqual(
      [await used(limits, at('a')), await used(limits, at('b'))],
      [
        [20, 1, 20, 1],
        [20, 1, 0, 0],
      ],
    );
    held.settle(tokens(10, 3));
    held[Symbol.dispose]();
    assert.deepEqual(await used(limits, at('a')), [13, 1, 13, 0]);
  });

  it('where the second wins its reply is extended and settled by the rules of that one, the first keeps the input', async () => {
    const { reserve, used } = bench();
    const held = reserve(limits, at('a'));
    ((await held.hedge('b')) ?? assert.fail()).won(true);
    assert.deepEqual(
      [await used(limits, at('a')), await used(limits, at('b'))],
      [
        [30, 1, 10, 0],
        [30, 1, 20, 1],
      ],
    );
    assert.equal(await held.extend(15), null);
    assert.deepEqual(
      [await used(limits, at('a')), await used(limits, at('b'))],
      [
        [45, 1, 10, 0],
        [45, 1, 35, 1],
      ],
    );
    assert.equal((await held.extend(10))?.code, undefined, 'what there is room for');
    assert.equal((await held.extend(10))?.code, 'rate_limit_exceeded');
    held.settle(tokens(12, 25));
    held[Symbol.dispose]();
    assert.deepEqual(
      [await used(limits, at('a')), await used(limits, at('b'))],
      [
        [47, 1, 10, 0],
        [47, 1, 37, 0],
      ],
    );
  });

  it('is asked of one alone where a rule has no room for the second', async () => {
    const { reserve, used } = bench();
    reserve(limits, at('b'));
    const held = reserve(limits, at('a'));
    assert.equal(await held.hedge('b'), null);
    assert.deepEqual(await used(limits, at('a')), [40, 2, 20, 1]);
  });
});

describe('a request that goes on from place to place', () => {
  it('is counted again where it comes back to, once, and the places between are whole', async () => {
    const { reserve, used } = bench();
    const limits = rules(
      rule({ per: 'upstream', quantity: 'tokens' }),
      rule({ name: 'run', per: 'upstream', quantity: 'concurrency', amount: 1 }),
    );
    const at = (upstream: string): LimitRequest => request({ upstream });
    const held = reserve(limits, at('a'));
    await held.move({ model: 'm2', upstream: 'b', price: null });
    await held.move({ model: 'm3', upstream: 'a', price: null });
    assert.deepEqual(
      [await used(limits, at('a')), await used(limits, at('b'))],
      [
        [20, 1],
        [0, 0],
      ],
    );
    held.settle(tokens(10, 15));
    held[Symbol.dispose]();
    assert.deepEqual(
      [await used(limits, at('a')), await used(limits, at('b'))],
      [
        [25, 0],
        [0, 0],
      ],
    );
  });

  it('is extended by the rules of where it is, not of where it was', async () => {
    const { reserve, used } = bench();
    const limits = rules(rule({ per: 'model', quantity: 'output-tokens', amount: 30 }));
    const at = (model: string): LimitRequest => request({ model, estimate: { input: 0, output: 10, outputBounded: true } });
    const held = reserve(limits, at('m'));
    await held.move({ model: 'n', upstream: 'u', price: null });
    reserve(limits, { ...at('m'), estimate: { input: 0, output: 30, outputBounded: true } });
    assert.equal(await held.extend(15), null);
    held.settle(tokens(0, 25));
    assert.deepEqual([await used(limits, at('m')), await used(limits, at('n'))], [[30], [25]]);
  });

  it('is held to the rules of its key where only those apply, and not at first', async () => {
    const { reserve } = bench();
    const limits: LimitRules = { rules: [], keyRules: () => [rule({ quantity: 'requests', amount: 1, models: ['big'] })] };
    reserve(limits, request({ model: 'big' }));
    const held = reserve(limits, request({ model: 'small' }));
    assert.equal(
      codeOf(() => held.move({ model: 'big', upstream: 'b', price: null })),
      'rate_limit_exceeded',
    );
  });
});

describe('a stream that outgrows its reservation', () => {
  const unbounded = request({ estimate: { input: 10, output: 50, outputBounded: false } });

  it('is extended while there is room, and cut when there is none', async () => {
    const { reserve, used } = bench();
    const limits = rules(rule({ amount: 100 }));
    const held = reserve(limits, unbounded);
    assert.equal(held.coveredOutput, 50);
    assert.equal(await held.extend(30), null);
    assert.equal(held.coveredOutput, 80);
    // What is left is less than asked for, and is taken.
    assert.equal(await held.extend(30), null);
    assert.equal(held.coveredOutput, 90);
    assert.equal((await held.extend(30))?.code, 'rate_limit_exceeded');
    held.settle(tokens(10, 85));
    assert.deepEqual(await used(limits, unbounded), [95]);
  });

  it('gives back what an extension took and did not use, also over several', async () => {
    const { reserve, used } = bench();
    const limits = rules(rule({ amount: 1_000 }), rule({ quantity: 'output-tokens', amount: 1_000 }));
    const held = reserve(limits, unbounded);
    await held.extend(100);
    await held.extend(100);
    assert.deepEqual(await used(limits, unbounded), [260, 250]);
    held.settle(tokens(10, 60));
    assert.deepEqual(await used(limits, unbounded), [70, 60]);
  });

  it('is never cut by a rule that lets streams finish', () => {
    const { reserve } = bench();
    assert.equal(reserve(rules(rule({ amount: 100, overrun: 'finish' })), unbounded).coveredOutput, Number.POSITIVE_INFINITY);
  });

  it('is covered as far as its money reaches', async () => {
    const { reserve } = bench();
    const limits = rules(rule({ quantity: 'spend', amount: 1_000 }));
    const held = reserve(limits, { ...unbounded, price: { input: 10, output: 10, cached: 10 } });
    assert.equal(held.coveredOutput, 50);
    await held.extend(100);
    assert.equal(held.coveredOutput, 90);
    assert.equal((await held.extend(1))?.code, 'rate_limit_exceeded');
  });
});

/** What a reference that keeps every event says of one bucket: exact where the limiter is allowed to err on the strict side only. */
class Reference {
  readonly events: { at: number; amount: number }[] = [];

  inWindow(now: number, window: number): number {
    return this.events.filter(({ at }) => at > now - window).reduce((sum, { amount }) => sum + amount, 0);
  }
}

describe('any interleaving', () => {
  const WINDOW = 6_000;
  const AMOUNT = 100;
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('reserve' as const), input: fc.nat(30), output: fc.nat(60), bounded: fc.boolean() }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('settle' as const), which: fc.nat(20), share: fc.integer({ min: 0, max: 100 }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('extend' as const), which: fc.nat(20), by: fc.integer({ min: 1, max: 40 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const), which: fc.nat(20) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), time: fc.integer({ min: 0, max: 4_000 }) }) },
  );
  interface Running {
    readonly reservation: Reservation;
    readonly input: number;
    /** What it took, and when: at its reservation, and at each extension. */
    readonly events: { at: number; amount: number }[];
  }

  it('counts what a reference counts, never more than the limit, and is whole after quiet; a crash keeps what was reserved', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const { clock, reserve, used } = bench();
        const limits = rules(
          rule({ name: 'tokens', amount: AMOUNT, window: WINDOW }),
          rule({ name: 'wide', per: 'tenant', amount: AMOUNT * 3, window: WINDOW }),
          rule({ name: 'run', quantity: 'concurrency', amount: 4, window: 0 }),
        );
        const reference = new Reference();
        let running: Running[] = [];
        const took = (one: Running, amount: number): void => {
          const event = { at: clock.time, amount };
          one.events.push(event);
          reference.events.push(event);
        };
        const settle = (one: Running, output: number): void => {
          one.reservation.settle(tokens(one.input, output));
          one.reservation[Symbol.dispose]();
          let rest = one.input + output;
          for (const event of one.events) {
            event.amount = Math.min(event.amount, rest);
            rest -= event.amount;
          }
          running = running.filter((other) => other !== one);
        };
        for (const act of steps) {
          const one = 'which' in act ? running[act.which % Math.max(1, running.length)] : undefined;
          if (act.kind === 'wait') clock.time += act.time;
          else if (act.kind === 'reserve') {
            const asked = request({ estimate: { input: act.input, output: act.output, outputBounded: act.bounded } });
            const code = codeOf(() => {
              const reservation = reserve(limits, asked);
              const started = { reservation, input: act.input, events: [] };
              took(started, act.input + reservation.coveredOutput);
              running.push(started);
            });
            assert.ok(code !== 'concurrency_exceeded' || running.length === 4);
          } else if (one === undefined) continue;
          else if (act.kind === 'settle') settle(one, Math.floor((one.reservation.coveredOutput * act.share) / 100));
          else if (act.kind === 'extend') {
            const covered = one.reservation.coveredOutput;
            await one.reservation.extend(act.by);
            const more = one.reservation.coveredOutput - covered;
            assert.ok(more >= 0 && more <= act.by);
            took(one, more);
          } else {
            // The process is gone: its slot with it, what it reserved stays counted.
            one.reservation[Symbol.dispose]();
            running = running.filter((other) => other !== one);
          }
          const [counted = 0, wide = 0, busy = 0] = await used(limits, request());
          assert.ok(counted <= AMOUNT && wide <= AMOUNT * 3, `${counted} of ${AMOUNT}`);
          assert.ok(counted >= reference.inWindow(clock.time, WINDOW), 'forgets too early');
          assert.ok(counted <= reference.inWindow(clock.time, WINDOW + WINDOW / 60), 'forgets too late');
          // A rule with more room may hold more of an output without a bound.
          assert.ok(wide >= counted);
          assert.equal(busy, running.length);
        }
        for (const one of running) settle(one, 0);
        clock.time += WINDOW * 2;
        assert.deepEqual(await used(limits, request()), [0, 0, 0]);
      }),
      { numRuns: 200 },
    );
  });

  it('agrees with a reference that keeps every event, where everything is settled at once', async () => {
    const call = fc.record({ wait: fc.integer({ min: 0, max: 3_000 }), input: fc.nat(60) });
    await fc.assert(
      fc.asyncProperty(fc.array(call, { maxLength: 80 }), async (calls) => {
        const { clock, reserve } = bench();
        const limits = rules(rule({ quantity: 'input-tokens', amount: AMOUNT, window: WINDOW }));
        const reference = new Reference();
        for (const { wait, input } of calls) {
          clock.time += wait;
          const strict = reference.inWindow(clock.time, WINDOW + WINDOW / 60) + input <= AMOUNT;
          const lax = reference.inWindow(clock.time, WINDOW) + input <= AMOUNT;
          const admitted = codeOf(() => reserve(limits, request({ estimate: { input, output: 0, outputBounded: true } }))) === 'none';
          // Between the asked length and a slice more the limiter is free; outside it has no choice.
          if (strict) assert.ok(admitted);
          if (admitted) {
            assert.ok(lax);
            reference.events.push({ at: clock.time, amount: input });
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
