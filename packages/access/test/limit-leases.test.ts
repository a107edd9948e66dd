import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { LimitRule } from '@sallyport/core';
import fc from 'fast-check';
import {
  type CounterAnswer,
  CounterDesk,
  type CounterQuestion,
  Limiter,
  type LimitRequest,
  type LimitStanding,
  MemoryStore,
  RelayStore,
  type Reservation,
} from '../src/index.ts';
import { claimsOf } from '../src/limits/claim.ts';
import { request, rule, rules, tokens } from './limit-rules.ts';

/** Longer than a lease lasts, and than a recall is waited for, milliseconds. */
const QUIET = 600;

interface Worker {
  readonly relay: RelayStore;
  readonly limiter: Limiter;
  readonly toDesk: (readonly CounterQuestion[])[];
  readonly toWorker: (readonly CounterAnswer[])[];
  alive: boolean;
}

interface Started {
  done: Reservation | string | null;
}

/** Workers and the process that counts for them, with messages that arrive when the test says so. Timers and clock go together. */
class Bench {
  readonly clock = { time: Date.UTC(2026, 0, 1, 10), now: () => this.clock.time, monotonic: () => this.clock.time };
  readonly workers: Worker[];
  readonly store: MemoryStore = new MemoryStore(this.clock);
  readonly desk: CounterDesk;
  readonly operator: Limiter;
  questions = 0;
  readonly #mock: TestContext['mock'];

  constructor(context: TestContext, count: number, patience: number = 60_000) {
    this.#mock = context.mock;
    this.#mock.timers.enable({ apis: ['setTimeout', 'setImmediate'] });
    this.desk = new CounterDesk(this.store, (worker, answers) => {
      this.workers[worker]?.toWorker.push(structuredClone(answers));
    });
    this.operator = new Limiter(this.desk, this.clock);
    this.workers = Array.from({ length: count }, () => {
      const toDesk: (readonly CounterQuestion[])[] = [];
      const relay = new RelayStore((questions) => void toDesk.push(structuredClone(questions)), this.clock, patience);
      return { relay, limiter: new Limiter(relay, this.clock), toDesk, toWorker: [], alive: true };
    });
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 12; i += 1) await Promise.resolve();
  }

  /** One message of a worker arrives, and one for it. */
  async deliver(worker: number): Promise<boolean> {
    const { toDesk, toWorker, relay, alive } = this.workers[worker] as Worker;
    const asked = toDesk.shift();
    if (asked !== undefined) {
      this.questions += 1;
      this.desk.serve(worker, asked);
    }
    const told = toWorker.shift();
    if (told !== undefined && alive) relay.receive(told);
    await this.settle();
    return asked !== undefined || told !== undefined;
  }

  async deliverAll(): Promise<void> {
    for (let again = true; again; ) {
      // What waits for the end of a turn leaves.
      this.#mock.timers.tick(0);
      await this.settle();
      again = false;
      for (const worker of this.workers.keys()) again = (await this.deliver(worker)) || again;
    }
  }

  async pass(time: number): Promise<void> {
    this.clock.time += time;
    this.#mock.timers.tick(time);
    await this.settle();
  }

  /** Time in which everything arrives. */
  async quiet(time: number): Promise<void> {
    await this.deliverAll();
    for (let passed = 0; passed < time; passed += 50) {
      await this.pass(Math.min(50, time - passed));
      await this.deliverAll();
    }
  }

  kill(worker: number): void {
    const one = this.workers[worker] as Worker;
    one.alive = false;
    one.toDesk.length = 0;
    this.desk.gone(worker);
  }

  /** A request that has not been answered yet. */
  async start(worker: number, limits: readonly LimitRule[], asked: LimitRequest): Promise<Started> {
    const started: Started = { done: null };
    const asking = async (): Promise<Reservation> => await (this.workers[worker] as Worker).limiter.reserve(rules(...limits), asked);
    void asking().then(
      (reservation) => {
        started.done = reservation;
      },
      ({ code }) => {
        started.done = code;
      },
    );
    await this.settle();
    return started;
  }

  /** What comes of a request once every message has arrived. */
  async ask(worker: number, limits: readonly LimitRule[], asked: LimitRequest): Promise<Reservation | string> {
    const started = await this.start(worker, limits, asked);
    await this.deliverAll();
    return started.done ?? assert.fail('no answer');
  }

  /** What comes of requests of which all are asked before the first is answered. */
  async askAtOnce(count: number, worker: number, limits: readonly LimitRule[], asked: LimitRequest): Promise<(Reservation | string)[]> {
    const started = await Promise.all(Array.from({ length: count }, () => this.start(worker, limits, asked)));
    await this.deliverAll();
    return started.map(({ done }) => done ?? assert.fail('no answer'));
  }

  /** What counts where all is counted, with all that is granted. */
  counted(limits: readonly LimitRule[], asked: LimitRequest): number[] {
    const claims = claimsOf(rules(...limits), { ...asked }, asked.estimate);
    return this.store.peek(claims).map(({ used }) => used);
  }

  async standings(limits: readonly LimitRule[], asked: LimitRequest): Promise<readonly LimitStanding[]> {
    let done: readonly LimitStanding[] | null = null;
    void this.operator.standings(rules(...limits), asked).then((standings) => {
      done = standings;
    });
    await this.settle();
    await this.deliverAll();
    return done ?? assert.fail('no standings');
  }

  async used(limits: readonly LimitRule[], asked: LimitRequest): Promise<number[]> {
    return (await this.standings(limits, asked)).map(({ used }) => used);
  }

  [Symbol.dispose](): void {
    this.#mock.timers.reset();
  }
}

const one = (input: number): LimitRequest => request({ estimate: { input, output: 0, outputBounded: true } });
const end = (reservation: Reservation | string, input: number): void => {
  assert.ok(typeof reservation !== 'string', String(reservation));
  reservation.settle(tokens(input, 0));
  reservation[Symbol.dispose]();
};

describe('leases of workers', () => {
  const limits = [rule({ amount: 100_000 }), rule({ name: 'requests', quantity: 'requests', amount: 10_000 })];

  it('spare most questions where a bucket is far from full, and every worker counts exactly what was used', async (context) => {
    using bench = new Bench(context, 2);
    for (let i = 0; i < 200; i += 1) end(await bench.ask(i % 2, limits, one(10)), 4);
    assert.ok(bench.questions < 60, `${bench.questions} messages for 200 requests`);
    assert.deepEqual(await bench.used(limits, one(0)), [800, 200]);
    const [header] = [(await bench.ask(0, limits, one(10))) as Reservation].map(({ headers }) => headers);
    assert.equal(header?.[header.indexOf('x-ratelimit-remaining-tokens') + 1], String(100_000 - 800 - 10));
  });

  it('are not shown as used to whom they belong, also where a request is larger than the limit', async (context) => {
    using bench = new Bench(context, 1);
    for (let i = 0; i < 5; i += 1) end(await bench.ask(0, limits, one(10)), 10);
    const told: string[] = [];
    const large = { ...one(200_000), onRefused: (headers: readonly string[]) => void told.push(...headers) };
    assert.equal(await bench.ask(0, limits, large), 'quota_exceeded');
    assert.equal(told[told.indexOf('x-ratelimit-remaining-tokens') + 1], String(100_000 - 50));
  });

  it('are whole again after quiet, wherever they were', async (context) => {
    using bench = new Bench(context, 3);
    for (let i = 0; i < 30; i += 1) end(await bench.ask(i % 3, limits, one(10)), 10);
    await bench.quiet(QUIET + 2 * 60_000);
    const whole = await bench.ask(1, limits, one(100_000));
    assert.notEqual(typeof whole, 'string', String(whole));
  });

  it('come back before another worker is refused, to the last token', async (context) => {
    using bench = new Bench(context, 3);
    for (let i = 0; i < 30; i += 1) end(await bench.ask(i % 3, limits, one(10)), 10);
    end(await bench.ask(0, limits, one(100_000 - 300)), 100_000 - 300);
    assert.equal(await bench.ask(1, limits, one(1)), 'rate_limit_exceeded');
  });

  it('of a worker that was killed count as used, and keep nobody waiting', async (context) => {
    using bench = new Bench(context, 2);
    for (let i = 0; i < 10; i += 1) end(await bench.ask(0, limits, one(10)), 10);
    const running = [rule({ name: 'run', quantity: 'concurrency', amount: 8, window: 0 })];
    for (let i = 0; i < 4; i += 1) await bench.ask(0, running, one(0));
    bench.kill(0);
    const [used = 0] = await bench.used(limits, one(0));
    assert.ok(used >= 100 && used <= 100_000 / 16 + 100, String(used));
    assert.deepEqual(await bench.used(running, one(0)), [0]);
    for (let i = 0; i < 8; i += 1) assert.notEqual(typeof (await bench.ask(1, running, one(0))), 'string');
    assert.equal(await bench.ask(1, running, one(0)), 'concurrency_exceeded');
  });

  it('of a worker that asks for much at once are no larger than those of any other, so its death costs little', async (context) => {
    const month = [rule({ name: 'budget', amount: 1_000_000, window: 0, calendar: { unit: 'month', zone: 'UTC' } })];
    const day = [rule({ name: 'day', amount: 1_000_000, window: 86_400_000 })];
    const hour = [rule({ name: 'hour', amount: 1_000_000, window: 3_600_000 })];
    const small = [rule({ name: 'requests', quantity: 'requests', amount: 1_000 })];
    for (const [limited, used, most] of [
      [month, 30_000, 10_000],
      [day, 30_000, 10_000],
      [hour, 30_000, 62_500],
      [small, 100, 62],
    ] as const) {
      using bench = new Bench(context, 2);
      for (const reservation of await bench.askAtOnce(100, 0, limited, one(1_000))) end(reservation, 300);
      await bench.quiet(100);
      bench.kill(0);
      const [counted = 0] = await bench.used(limited, one(0));
      assert.ok(counted > used && counted <= used + most, `${limited[0]?.name}: ${counted} of which ${used} were used`);
    }
  });

  it('of places are no more than half of those that are free, however many ask at once', async (context) => {
    using bench = new Bench(context, 2);
    const running = [rule({ name: 'run', quantity: 'concurrency', amount: 100, window: 0 })];
    await bench.askAtOnce(20, 0, running, one(0));
    const [counted = 0] = bench.counted(running, one(0));
    assert.ok(counted > 20 && counted <= 20 + 50, String(counted));
  });

  it('are filled up when they are used up, and then hold no more than before', async (context) => {
    using bench = new Bench(context, 2);
    for (let i = 0; i < 1_000; i += 1) end(await bench.ask(0, limits, one(10)), 10);
    assert.ok(bench.questions < 60, `${bench.questions} messages for 1000 requests`);
    bench.kill(0);
    const [used = 0] = await bench.used(limits, one(0));
    assert.ok(used >= 10_000 && used <= 10_000 + 64 * 10, String(used));
  });

  it('of a worker that is stopped count as used when they lapsed, and leave the window in their time', async (context) => {
    using bench = new Bench(context, 2);
    const window = [rule({ name: 'requests', quantity: 'requests', amount: 1_000, window: 10_000 })];
    for (const reservation of await bench.askAtOnce(100, 0, window, one(0))) end(reservation, 0);
    const silent = bench.workers[0] as Worker;
    const pass = async (time: number): Promise<void> => {
      for (let passed = 0; passed < time; passed += 50) {
        await bench.pass(50);
        silent.toWorker.length = 0;
        silent.toDesk.length = 0;
        await bench.deliver(1);
      }
    };
    await pass(10_200);
    const [lapsed = 0] = bench.counted(window, one(0));
    assert.ok(lapsed > 0 && lapsed <= 64, `${lapsed} may have been used within the window`);
    await pass(300);
    assert.deepEqual(bench.counted(window, one(0)), [0]);
    for (let i = 0; i < 1_000; i += 1) end(await bench.ask(1, window, one(0)), 0);
    const over = await bench.start(1, window, one(0));
    await pass(300);
    assert.equal(over.done, 'rate_limit_exceeded');
  });

  it('that have lapsed are not spent, though the worker was too busy to end them', async (context) => {
    using bench = new Bench(context, 2);
    for (let i = 0; i < 10; i += 1) end(await bench.ask(0, limits, one(10)), 10);
    const before = bench.questions;
    end(await bench.ask(0, limits, one(10)), 10);
    assert.equal(bench.questions, before, 'from the lease');
    // Its timers have not run yet.
    bench.clock.time += 250;
    const started = await bench.start(0, limits, one(10));
    assert.equal(started.done, null, 'asks');
    await bench.deliverAll();
    end(started.done ?? assert.fail(), 10);
    await bench.quiet(QUIET);
    assert.deepEqual(await bench.used(limits, one(0)), [120, 12]);
  });

  it('end in time also where the time of leases was over before the answer came', async (context) => {
    using bench = new Bench(context, 1);
    end(await bench.ask(0, limits, one(10)), 10);
    await bench.pass(249);
    const started = await bench.start(0, limits, one(10));
    await bench.pass(1);
    await bench.deliverAll();
    end(started.done ?? assert.fail(), 10);
    const [counted = 0] = bench.counted(limits, one(0));
    assert.ok(counted > 20, 'it has a lease');
    await bench.quiet(QUIET);
    assert.deepEqual(bench.counted(limits, one(0)), [20, 2]);
  });

  it('go on after a request was refused for its size, and after an operator has looked', async (context) => {
    using bench = new Bench(context, 2);
    const messages = async (): Promise<number> => {
      const before = bench.questions;
      for (let i = 0; i < 40; i += 1) end(await bench.ask(0, limits, one(10)), 10);
      return bench.questions - before;
    };
    await messages();
    assert.equal(await bench.ask(1, limits, one(100_000)), 'rate_limit_exceeded');
    const refused = await messages();
    assert.ok(refused < 10, `${refused} messages for 40 requests after a refusal`);
    await bench.used(limits, one(0));
    const shown = await messages();
    assert.ok(shown < 10, `${shown} messages for 40 requests after a look`);
  });

  it('of several buckets are recalled at once, and from a worker that did not answer once no more', async (context) => {
    using bench = new Bench(context, 2, 1_000);
    const many = ['a', 'b', 'c', 'd', 'e'].map((name) => rule({ name, amount: 100_000 }));
    for (let i = 0; i < 10; i += 1) end(await bench.ask(0, many, one(10)), 10);
    const silent = bench.workers[0] as Worker;
    const started = await bench.start(1, many, one(99_900));
    for (let passed = 0; passed < 1_000 && started.done === null; passed += 50) {
      await bench.pass(50);
      silent.toWorker.length = 0;
      silent.toDesk.length = 0;
      await bench.deliver(1);
    }
    assert.equal(started.done, 'rate_limit_exceeded');
    const again = await bench.start(1, many, one(99_900));
    await bench.pass(1);
    await bench.deliver(1);
    await bench.deliver(1);
    assert.equal(again.done, 'rate_limit_exceeded', 'at once');
    assert.equal(silent.toWorker.length, 0);
  });

  it('that do not come back count as used: nobody waits for them longer than a moment', async (context) => {
    using bench = new Bench(context, 2);
    for (let i = 0; i < 10; i += 1) end(await bench.ask(0, limits, one(10)), 10);
    const silent = bench.workers[0] as Worker;
    const asked = (bench.workers[1] as Worker).limiter.reserve(rules(...limits), one(99_900)) as Promise<Reservation>;
    const refused = assert.rejects(asked, { code: 'rate_limit_exceeded' });
    for (let i = 0; i < 20; i += 1) {
      await bench.pass(50);
      silent.toWorker.length = 0;
      silent.toDesk.length = 0;
      await bench.deliver(1);
    }
    await refused;
  });

  it('are gone after an operator has emptied the bucket, and what they were is not counted again', async (context) => {
    using bench = new Bench(context, 2);
    const held: Reservation[] = [];
    for (let i = 0; i < 20; i += 1) held.push((await bench.ask(0, limits, one(10))) as Reservation);
    const [bucket] = await bench.standings(limits, one(0));
    for (let i = 0; i < 4; i += 1) held.push((await bench.ask(0, limits, one(10))) as Reservation);
    void bench.operator.clear([bucket?.claim ?? assert.fail()]);
    await bench.deliverAll();
    assert.deepEqual(await bench.used(limits, one(0)), [0, 24]);
    end(await bench.ask(1, limits, one(10)), 10);
    for (const reservation of held) end(reservation, 1);
    await bench.quiet(QUIET);
    assert.deepEqual(await bench.used(limits, one(0)), [10, 25]);
  });

  it('of which the answer came too late go back, and what the worker had of the bucket before with them', async (context) => {
    using bench = new Bench(context, 2, 100);
    for (let i = 0; i < 4; i += 1) end(await bench.ask(0, limits, one(10)), 10);
    const late = assert.rejects((bench.workers[0] as Worker).limiter.reserve(rules(...limits), one(700)) as Promise<Reservation>);
    await bench.pass(110);
    await late;
    await bench.deliverAll();
    end(await bench.ask(1, limits, one(100_000 - 40)), 0);
  });

  it('give back in its own place what was not used', async (context) => {
    using bench = new Bench(context, 1);
    const short = [rule({ amount: 10_000, window: 3_000 })];
    for (let i = 0; i < 2; i += 1) end(await bench.ask(0, short, one(10)), 0);
    await bench.pass(2);
    await bench.deliverAll();
    const before = bench.questions;
    const first = await bench.ask(0, short, one(10));
    await bench.pass(100);
    await bench.deliverAll();
    const second = await bench.ask(0, short, one(10));
    assert.equal(bench.questions, before, 'from the lease');
    end(first, 0);
    end(second, 10);
    assert.deepEqual(await bench.used(short, one(0)), [10]);
    await bench.pass(3_000);
    assert.deepEqual(await bench.used(short, one(0)), [10], 'the place of the second is still in the window');
    await bench.pass(150);
    assert.deepEqual(await bench.used(short, one(0)), [0]);
  });

  it('end where the limit was lowered', async (context) => {
    using bench = new Bench(context, 1);
    for (let i = 0; i < 10; i += 1) end(await bench.ask(0, limits, one(10)), 10);
    assert.equal(await bench.ask(0, [rule({ amount: 105 })], one(10)), 'rate_limit_exceeded');
  });

  it('of a budget go with its period', async (context) => {
    using bench = new Bench(context, 2);
    const budget = [rule({ amount: 100_000, window: 0, calendar: { unit: 'hour', zone: 'UTC' } })];
    bench.clock.time = Date.UTC(2026, 0, 1, 10, 59, 59, 950);
    for (let i = 0; i < 10; i += 1) end(await bench.ask(0, budget, one(10)), 10);
    await bench.pass(100);
    await bench.deliverAll();
    const before = bench.questions;
    end(await bench.ask(0, budget, one(10)), 10);
    assert.equal(bench.questions, before, 'from the lease');
    assert.deepEqual(await bench.used(budget, one(0)), [10 + 80], 'what was not told before the turn counts after it');
  });
});

/** What a reference that keeps every event says of one bucket. */
class Reference {
  readonly events: { at: number; amount: number }[] = [];

  inWindow(now: number, window: number): number {
    return this.events.filter(({ at }) => at > now - window).reduce((sum, { amount }) => sum + amount, 0);
  }
}

describe('leases in any interleaving', () => {
  const WINDOW = 6_000;
  const WORKERS = 3;
  const worker = fc.nat(WORKERS - 1);
  const step = fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({ kind: fc.constant('reserve' as const), worker, input: fc.nat(20), times: fc.integer({ min: 1, max: 6 }) }),
    },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('settle' as const), which: fc.nat(30), share: fc.nat(100) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill' as const), worker }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('deliver' as const), worker, times: fc.integer({ min: 1, max: 5 }) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), time: fc.integer({ min: 0, max: 1_500 }) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('deliver-all' as const) }) },
  );

  for (const amount of [300, 2_000, 20_000]) {
    it(`never admit more than ${amount}, refuse nobody for what lies unused, and are whole after quiet`, async (context) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 100 }), async (steps) => {
          using bench = new Bench(context, WORKERS);
          const list = [
            rule({ name: 'tokens', quantity: 'input-tokens', amount, window: WINDOW }),
            rule({ name: 'wide', per: 'tenant', quantity: 'requests', amount: 10_000, window: WINDOW }),
            rule({ name: 'run', quantity: 'concurrency', amount: 40, window: 0 }),
          ];
          const reference = new Reference();
          const requests = new Reference();
          type Running = { reservation: Reservation; event: { amount: number }; worker: number };
          let running: Running[] = [];
          const reserve = (at: number, input: number): void => {
            const { limiter, alive } = bench.workers[at] as Worker;
            if (!alive) return;
            const begin = (reservation: Reservation): void => {
              if (!bench.workers[at]?.alive) return;
              const event = { at: bench.clock.time, amount: input };
              reference.events.push(event);
              requests.events.push({ at: bench.clock.time, amount: 1 });
              running.push({ reservation, event, worker: at });
            };
            const taking = limiter.reserve(rules(...list), one(input));
            if (taking instanceof Promise) void taking.then(begin, () => undefined);
            else begin(taking);
          };
          for (const act of steps) {
            if (act.kind === 'reserve') for (let i = 0; i < act.times; i += 1) reserve(act.worker, act.input);
            else if (act.kind === 'wait') await bench.pass(act.time);
            else if (act.kind === 'deliver-all') await bench.deliverAll();
            else if (act.kind === 'deliver') for (let i = 0; i < act.times; i += 1) await bench.deliver(act.worker);
            else if (act.kind === 'kill') {
              if (bench.workers.filter(({ alive }) => alive).length === 1) continue;
              bench.kill(act.worker);
              running = running.filter((other) => other.worker !== act.worker);
            } else {
              const chosen = running[act.which % Math.max(1, running.length)];
              if (chosen === undefined) continue;
              const used = Math.floor((chosen.event.amount * act.share) / 100);
              end(chosen.reservation, used);
              chosen.event.amount = used;
              running = running.filter((other) => other !== chosen);
            }
            await bench.settle();
            const counted = reference.inWindow(bench.clock.time, WINDOW);
            assert.ok(counted <= amount, `${counted} of ${amount}`);
            assert.ok(running.length <= 40);
          }
          // Once everything has arrived, whoever counts knows what the reference knows; of those killed it may know more.
          await bench.deliverAll();
          const killed = bench.workers.some(({ alive }) => !alive);
          const [used = 0, asked = 0, busy = 0] = await bench.used(list, one(0));
          assert.ok(used >= reference.inWindow(bench.clock.time, WINDOW), 'forgets too early');
          if (!killed) {
            assert.ok(used <= reference.inWindow(bench.clock.time, WINDOW * (1 + 1 / 60)), 'forgets too late');
            assert.ok(asked >= requests.inWindow(bench.clock.time, WINDOW));
            assert.ok(asked <= requests.inWindow(bench.clock.time, WINDOW * (1 + 1 / 60)));
          }
          assert.equal(busy, running.length);
          // Nobody is refused for what lies in the lease of another.
          const alive = bench.workers.findIndex((other) => other.alive);
          if (used < amount && busy < 40) {
            const rest = await bench.ask(alive, list, one(amount - used));
            assert.notEqual(typeof rest, 'string', `${amount - used} of ${amount} are free: ${String(rest)}`);
            end(rest, 0);
          }
          for (const { reservation } of running) end(reservation, 0);
          await bench.quiet(QUIET);
          await bench.pass(WINDOW * 2);
          await bench.deliverAll();
          assert.deepEqual(await bench.used(list, one(0)), [0, 0, 0]);
          end(await bench.ask(alive, list, one(amount)), 0);
        }),
        { numRuns: 150 },
      );
    });
  }
});
