import assert from 'node:assert/strict';
import { it } from 'node:test';
import { CounterDesk, type CounterQuestion, Limiter, MemoryStore, RelayStore, type Reservation } from '../src/index.ts';
import { principal, request, rule, rules } from './limit-rules.ts';

const REPLICAS = 1_000;
const KEYS = 100;
const REQUESTS = 20_000;
const AMOUNT = 2_000;
const WINDOW = 1_000;
/** Milliseconds between a replica and whoever counts, one way. */
const FARTHEST = 40;

/** Numbers that are the same in every run (Park and Miller's generator). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

interface Taken {
  readonly key: string;
  readonly at: number;
  /** What was reserved, then what was used. */
  amount: number;
}

it('a thousand replicas that ask late, end in between and never meet hold every key to its limit in every window', async () => {
  const clock = { time: 1_000_000, now: () => clock.time, monotonic: () => clock.time };
  const random = numbers(20_261_127);
  const limits = rules(rule({ amount: AMOUNT, window: WINDOW }), rule({ name: 'running', quantity: 'concurrency', amount: 50, window: 0 }));
  const due = new Map<number, (() => void)[]>();
  const later = (act: () => void, wait: number): void => {
    const at = clock.time + 1 + wait;
    due.set(at, [...(due.get(at) ?? []), act]);
  };
  // What was really taken, by the counts of this test.
  const taken = new Map<string, Taken>();
  const gone = new Set<number>();
  const bucketOf = new Map<string, string>();
  const desk = new CounterDesk(new MemoryStore(clock), (replica, answers) => {
    for (const answer of answers) {
      if (!('taken' in answer)) continue;
      const name = `${replica}/${answer.id}`;
      taken.set(name, { key: bucketOf.get(name) ?? '', at: clock.time, amount: answer.taken[0] ?? 0 });
    }
    later(() => gone.has(replica) || limiters[replica]?.relay.receive(answers), replica % FARTHEST);
  });
  const serve = (replica: number, questions: readonly CounterQuestion[]): void => {
    for (const question of questions) {
      const name = `${replica}/${'id' in question ? question.id : ''}`;
      if (question.ask === 'take') bucketOf.set(name, question.claims[0]?.bucket ?? '');
      else if (question.ask === 'settle') {
        const known = taken.get(name);
        const used = question.used[0] ?? null;
        if (known !== undefined && used !== null) known.amount = used;
      }
    }
    desk.serve(replica, questions);
  };
  const limiters = Array.from({ length: REPLICAS }, (_, replica) => {
    const send = (questions: readonly CounterQuestion[]): void => {
      // A connection keeps its order, so all of one replica take the same time.
      later(() => gone.has(replica) || serve(replica, questions), replica % FARTHEST);
    };
    const relay = new RelayStore(send, clock, 3_000);
    return { relay, limiter: new Limiter(relay, clock) };
  });
  let admitted = 0;
  let refused = 0;
  const pass = async (milliseconds: number): Promise<void> => {
    for (let i = 0; i < milliseconds; i += 1) {
      clock.time += 1;
      for (const act of due.get(clock.time) ?? []) act();
      due.delete(clock.time);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  for (let i = 0; i < REQUESTS; i += 1) {
    const replica = random(REPLICAS);
    if (gone.has(replica)) continue;
    const [input, output, used, time] = [random(20) + 1, random(80) + 1, random(81), random(120)];
    const asked = request({ principal: principal(`key-${random(KEYS)}`), estimate: { input, output, outputBounded: true } });
    void Promise.resolve(limiters[replica]?.limiter.reserve(limits, asked) as Promise<Reservation>).then(
      (reservation) => {
        admitted += 1;
        later(() => {
          if (gone.has(replica)) return;
          reservation.settle({ input, output: Math.min(used, output), cached: 0, exact: true });
          reservation[Symbol.dispose]();
        }, time);
      },
      () => {
        refused += 1;
      },
    );
    if (i % 400 === 399) {
      const killed = random(REPLICAS);
      gone.add(killed);
      desk.gone(killed);
    }
    if (i % 10 === 9) await pass(1);
  }
  await pass(400);
  assert.ok(admitted > REQUESTS / 5 && refused > REQUESTS / 20, `${admitted} admitted, ${refused} refused`);
  // In every window of every key, by when it was taken.
  const byKey = Map.groupBy([...taken.values()], ({ key }) => key);
  assert.equal(byKey.size, KEYS);
  let most = 0;
  for (const all of byKey.values()) {
    let from = 0;
    let sum = 0;
    for (const one of all) {
      sum += one.amount;
      while ((all[from]?.at ?? 0) <= one.at - WINDOW) {
        sum -= all[from]?.amount ?? 0;
        from += 1;
      }
      most = Math.max(most, sum);
    }
  }
  assert.ok(most <= AMOUNT, `${most} in one window`);
  assert.ok(most > AMOUNT * 0.95, `only ${most} of ${AMOUNT} in the fullest window`);
  assert.equal(desk.open, 0, 'nothing is held when all have ended');
  // After quiet every bucket is whole again.
  await pass(2 * WINDOW);
  const survivor = Array.from({ length: REPLICAS }, (_, replica) => replica).find((replica) => !gone.has(replica)) ?? assert.fail();
  for (let key = 0; key < KEYS; key += 1) {
    const whole = request({ principal: principal(`key-${key}`), estimate: { input: AMOUNT, output: 0, outputBounded: true } });
    let held: Reservation | null = null;
    void Promise.resolve(limiters[survivor]?.limiter.reserve(limits, whole) as Promise<Reservation>).then((reservation) => {
      held = reservation;
    });
    await pass(2 * FARTHEST + 4);
    assert.notEqual(held, null, `key-${key} is whole again`);
  }
});

it('a thousand replicas on local shares admit no more than the limit together', () => {
  const clock = { now: () => 1_000, monotonic: () => 1_000 };
  const limits = rules(rule({ quantity: 'requests', amount: 5_500 }));
  let admitted = 0;
  for (let replica = 0; replica < REPLICAS; replica += 1) {
    const limiter = new Limiter(new MemoryStore(clock, 1 / REPLICAS), clock);
    for (let i = 0; i < 10; i += 1) {
      try {
        limiter.reserve(limits, request());
        admitted += 1;
      } catch {
        break;
      }
    }
  }
  assert.equal(admitted, 5_000);
});
