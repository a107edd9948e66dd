import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { type Clock, type Fault, type LimitRule, silentLogger, systemClock } from '@sallyport/core';
import { eventually, type RedisServer, redisMissing, startRedis } from '@sallyport/testkit';
import fc from 'fast-check';
import { Redis } from 'iovalkey';
import {
  Limiter,
  type LimitRequest,
  type LimitRules,
  MemoryStore,
  openSharedStore,
  type Reservation,
  type SharedCounters,
  type SharedStore,
} from '../src/index.ts';
import { request, rule, rules, tokens } from './limit-rules.ts';

const missing = await redisMissing();
const pepper = createSecretKey(randomBytes(32));
const random = { bytes: (length: number): Uint8Array => randomBytes(length) };
let names = 0;

/** A rule with a name of its own, so that no test finds another's counts. */
const fresh = (over: Partial<LimitRule>): LimitRule => {
  names += 1;
  return rule({ name: `shared-${names}`, ...over });
};

interface Replica extends AsyncDisposable {
  readonly store: SharedStore;
  readonly limiter: Limiter;
  readonly states: string[];
  reserve(limits: LimitRules, asked?: LimitRequest): Promise<Reservation>;
  codeOf(limits: LimitRules, asked?: LimitRequest): Promise<string>;
  used(limits: LimitRules): Promise<number[]>;
}

async function replica(
  url: string,
  over: Partial<SharedCounters> = {},
  clock: Clock = systemClock,
  lease: number = 30_000,
): Promise<Replica> {
  const states: string[] = [];
  const store = await openSharedStore({
    counters: { url, password: null, onUnavailable: 'refuse', shares: 2, ...over },
    pepper,
    clock,
    random,
    logger: silentLogger,
    onState: (state) => states.push(state),
    lease,
  });
  const limiter = new Limiter(store);
  const reserve = async (limits: LimitRules, asked: LimitRequest = request()): Promise<Reservation> => limiter.reserve(limits, asked);
  return {
    store,
    limiter,
    states,
    reserve,
    codeOf: async (limits, asked) =>
      await reserve(limits, asked).then(
        () => 'none',
        (error: Fault) => error.code,
      ),
    used: async (limits) => (await limiter.standings(limits, request())).map(({ used }) => used),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

describe('limits counted in Redis', { skip: missing ?? false }, () => {
  let server: RedisServer;
  before(async () => {
    server = await startRedis();
  });
  after(() => server[Symbol.asyncDispose]());

  it('counts for two processes as for one, whatever their clocks say', async () => {
    const skewed: Clock = { now: () => Date.now() + 3_600_000, monotonic: () => performance.now() + 7_777 };
    await using a = await replica(server.url);
    await using b = await replica(server.url, {}, skewed);
    const limits = rules(
      fresh({ amount: 100 }),
      fresh({ quantity: 'requests', amount: 50, window: 0, calendar: { unit: 'hour', zone: 'UTC' } }),
    );
    const first = await a.reserve(limits);
    await b.reserve(limits);
    assert.deepEqual(await a.used(limits), [40, 2]);
    assert.deepEqual(await b.used(limits), [40, 2]);
    first.settle(tokens(10, 3));
    await eventually('it is settled', async () => (await b.used(limits))[0] === 33);
    assert.equal(await b.codeOf(limits, request({ estimate: { input: 60, output: 8, outputBounded: true } })), 'rate_limit_exceeded');
    assert.equal(await b.codeOf(limits, request({ estimate: { input: 60, output: 7, outputBounded: true } })), 'none');
  });

  it('takes all or nothing, tells which rule refused, how it stands and when to come back', async () => {
    await using a = await replica(server.url);
    const wide = fresh({ quantity: 'requests', amount: 9 });
    const narrow = fresh({ quantity: 'requests', amount: 1, per: 'model', window: 30_000 });
    await a.reserve(rules(wide, narrow));
    let headers: readonly string[] = [];
    const refused = await a.reserve(rules(wide, narrow), { ...request(), onRefused: (told) => (headers = told) }).then(
      () => null,
      (error: Fault) => error,
    );
    assert.equal(refused?.detail, narrow.name);
    assert.ok((refused?.retryAfter ?? 0) >= 29 && (refused?.retryAfter ?? 0) <= 31);
    assert.equal(headers[headers.indexOf('x-ratelimit-remaining-requests') + 1], '0');
    assert.deepEqual(await a.used(rules(wide)), [1]);
  });

  it('agrees with counters in memory on any sequence', async () => {
    await using a = await replica(server.url);
    const act = fc.record({
      input: fc.nat(30),
      output: fc.nat(40),
      bounded: fc.boolean(),
      share: fc.integer({ min: 0, max: 100 }),
      extend: fc.nat(20),
      end: fc.constantFrom('settle' as const, 'crash' as const),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 15 }), async (acts) => {
        const limits = rules(
          fresh({ amount: 200 }),
          fresh({ quantity: 'output-tokens', amount: 120, window: 0, calendar: { unit: 'month', zone: 'UTC' } }),
          fresh({ quantity: 'concurrency', amount: 3, window: 0 }),
        );
        const memory = new Limiter(new MemoryStore(systemClock));
        for (const { input, output, bounded, share, extend, end } of acts) {
          const asked = request({ estimate: { input, output, outputBounded: bounded } });
          const results = await Promise.allSettled([a.reserve(limits, asked), (async () => memory.reserve(limits, asked))()]);
          const [ours, theirs] = results.map((one) => (one.status === 'fulfilled' ? one.value : null));
          assert.equal(ours === null, theirs === null);
          if (ours === null || theirs === null || ours === undefined || theirs === undefined) continue;
          assert.equal(ours.coveredOutput, theirs.coveredOutput);
          if (extend > 0 && Number.isFinite(ours.coveredOutput))
            assert.equal((await ours.extend(extend))?.code, (await theirs.extend(extend))?.code);
          const used = Math.floor((Math.min(ours.coveredOutput, 1_000) * share) / 100);
          for (const one of [ours, theirs]) {
            if (end === 'settle') one.settle(tokens(input, used));
            one[Symbol.dispose]();
          }
          const standings = async (limiter: Limiter): Promise<number[]> => (await limiter.standings(limits, asked)).map((one) => one.used);
          assert.deepEqual(await standings(a.limiter), await standings(memory));
        }
      }),
      { numRuns: 30 },
    );
  });

  it('frees the places of a process that is gone, and forgets nothing of what it reserved', async () => {
    const limits = rules(fresh({ quantity: 'concurrency', amount: 1, window: 0 }), fresh({ amount: 100 }));
    const gone = await replica(server.url, {}, systemClock, 300);
    await gone.reserve(limits);
    await using other = await replica(server.url);
    // Three times its lease: as long as the process lives, what it runs keeps its place.
    await new Promise((resolve) => setTimeout(resolve, 900));
    assert.equal(await other.codeOf(limits), 'concurrency_exceeded');
    await gone.store[Symbol.asyncDispose]();
    await eventually('its place is free', async () => (await other.used(limits))[0] === 0);
    assert.deepEqual(await other.used(limits), [0, 20]);
  });

  it('does not take places again that are given back while the others are renewed', async () => {
    const lease = 1_500;
    await using a = await replica(server.url, {}, systemClock, lease);
    const limits = rules(fresh({ quantity: 'concurrency', amount: 10_000 }));
    const started = performance.now();
    const held: Reservation[] = [];
    while (held.length < 2_000) held.push(...(await Promise.all(Array.from({ length: 100 }, () => a.reserve(limits)))));
    // Renewals come at every third of the lease; the newest places are in the last of their batches.
    const renewal = (Math.floor((performance.now() - started) / (lease / 3)) + 1) * (lease / 3);
    await new Promise((resolve) => setTimeout(resolve, renewal - (performance.now() - started) - 20));
    while (held.length > 0) {
      for (let i = 0; i < 20; i += 1) held.pop()?.[Symbol.dispose]();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.deepEqual(await a.used(limits), [0]);
  });

  it('empties what an operator resets, and what was reserved before gives nothing back', async () => {
    await using a = await replica(server.url);
    const limits = rules(fresh({ amount: 100 }));
    const held = await a.reserve(limits, request({ estimate: { input: 50, output: 40, outputBounded: true } }));
    await a.limiter.clear((await a.limiter.standings(limits, request())).map(({ claim }) => claim));
    assert.deepEqual(await a.used(limits), [0]);
    held.settle(tokens(1, 1));
    await a.reserve(limits);
    assert.deepEqual(await a.used(limits), [20]);
  });

  for (const [name, over] of [
    ['a window', {}],
    ['a calendar period', { calendar: { unit: 'month', zone: 'UTC' } }],
  ] as const) {
    it(`gives nothing back of what was reserved after a reset: ${name}`, async () => {
      await using a = await replica(server.url);
      const limits = rules(fresh({ amount: 100, ...over }));
      const big = request({ estimate: { input: 50, output: 40, outputBounded: true } });
      const old = await a.reserve(limits, big);
      await a.limiter.clear((await a.limiter.standings(limits, request())).map(({ claim }) => claim));
      const held = await a.reserve(limits, big);
      old.settle(tokens(1, 1));
      assert.deepEqual(await a.used(limits), [90]);
      assert.equal(await a.codeOf(limits), !('calendar' in over) ? 'rate_limit_exceeded' : 'quota_exceeded');
      held.settle(tokens(1, 1));
      assert.deepEqual(await a.used(limits), [2]);
    });
  }

  it('keeps no name of a caller in the server, and leaves nothing behind but windows', async () => {
    const reader = new Redis(server.url);
    await reader.flushall();
    await using a = await replica(server.url);
    const limits = rules(
      fresh({ per: 'user', quantity: 'tokens', window: 1_000, amount: 100 }),
      fresh({ quantity: 'requests', amount: 5 }),
    );
    const held = await a.reserve(limits, request({ principal: { ...request().principal, user: 'ada.lovelace' } }));
    held.settle(tokens(1, 1));
    held[Symbol.dispose]();
    await eventually('its record is gone', async () => (await reader.keys('*:r:*')).length === 0);
    const keys = await reader.keys('*');
    assert.ok(keys.every((key) => !key.includes('ada') && !key.includes('user')));
    for (const key of keys) if (!key.endsWith('mark')) assert.ok((await reader.pttl(key)) > 0, `${key} never ends`);
    reader.disconnect();
  });
});

describe('a counter server that goes away', { skip: missing ?? false }, () => {
  it('refuses while it is away, settles what ended meanwhile once it is back, and has lost nothing', async () => {
    await using server = await startRedis();
    await using a = await replica(server.url);
    const limits = rules(fresh({ amount: 1_000 }), fresh({ quantity: 'concurrency', amount: 5, window: 0 }));
    const held = await a.reserve(limits, request({ estimate: { input: 100, output: 400, outputBounded: true } }));
    await server.kill();
    await eventually('it is noticed', async () => (await a.codeOf(limits)) === 'not_ready');
    held.settle(tokens(100, 50));
    held[Symbol.dispose]();
    await server.start();
    await eventually('it is back', async () => (await a.codeOf(limits)) === 'none', 10_000);
    await eventually('it is settled', async () => JSON.stringify(await a.used(limits)) === '[170,1]');
    assert.deepEqual(a.states, ['away-refusing', 'back']);
  });

  it('admits its share of each limit where policy says so, and no more than the limit in all processes', async () => {
    await using server = await startRedis();
    await using a = await replica(server.url, { onUnavailable: 'local', shares: 4 });
    const limits = rules(fresh({ quantity: 'requests', amount: 10 }));
    await server.kill();
    await eventually('it is noticed', () => a.states.length > 0);
    const origins: string[] = [];
    for (let i = 0; i < 5; i += 1) {
      const held = await a.reserve(limits).catch(() => null);
      if (held !== null) origins.push(held.origin);
    }
    assert.deepEqual(origins, ['local', 'local']);
    assert.deepEqual(a.states, ['away-local-shares']);
  });

  it('notices a server that hangs, does not wait for it for long, and goes on with it', async () => {
    await using server = await startRedis();
    await using a = await replica(server.url);
    const limits = rules(fresh({ amount: 1_000 }));
    await a.reserve(limits);
    server.pause();
    assert.equal(await a.codeOf(limits), 'not_ready');
    assert.equal(await a.codeOf(limits), 'not_ready');
    server.resume();
    await eventually('it is back', async () => (await a.codeOf(limits)) === 'none', 10_000);
    // What was asked of it while it hung was done when it went on, and given back.
    await eventually('nothing leaks', async () => (await a.used(limits))[0] === 40);
  });

  it('says so where it came back without its counts', async () => {
    await using server = await startRedis({ durable: false });
    await using a = await replica(server.url);
    await server.kill();
    await eventually('it is noticed', () => a.states.length > 0);
    await server.start();
    await eventually('it is back', () => a.states.length > 1, 10_000);
    assert.deepEqual(a.states, ['away-refusing', 'back-without-counts']);
  });

  it('starts while the server is away', async () => {
    await using server = await startRedis();
    await server.kill();
    await using a = await replica(server.url);
    const limits = rules(fresh({}));
    assert.equal(await a.codeOf(limits), 'not_ready');
    await server.start();
    await eventually('it is there', async () => (await a.codeOf(limits)) === 'none', 10_000);
  });
});
