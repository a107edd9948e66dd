import { createSecretKey, randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type CounterStore, Limiter, type LimitRequest, MemoryStore, openSharedStore, type SharedStore } from '@sallyport/access';
import { type LimitRule, type Principal, silentLogger, systemClock } from '@sallyport/core';
import { redisMissing, run as runProgram, startRedis } from '@sallyport/testkit';
import { describeMachine } from '../measure.ts';
import { figure, markdownTable } from '../table.ts';

const HELP = `usage: npm run bench limits -- [--decisions N] [--buckets N]

What a decision of the limits costs: in memory, by a Redis of its own on loopback, and the memory of a bucket in each.
  --decisions N   decisions measured in memory (default 200000); a twentieth of them by Redis
  --buckets N     buckets whose memory is measured (default 200000)
`;

const rule = (over: Partial<LimitRule>): LimitRule => ({
  name: JSON.stringify(over),
  per: 'key',
  quantity: 'tokens',
  amount: 1_000_000_000_000,
  window: 60_000,
  models: null,
  ...over,
});

/** What the configuration page shows first, and about everything at once. */
const SETS: Readonly<Record<string, readonly LimitRule[]>> = {
  '2 rules (key tokens, user requests)': [rule({}), rule({ per: 'user', quantity: 'requests' })],
  '8 rules (every kind)': [
    rule({}),
    rule({ per: 'user', quantity: 'requests' }),
    rule({ per: 'tenant', quantity: 'spend', window: 0, calendar: { unit: 'month', zone: 'Europe/Berlin' } }),
    rule({ per: 'model' }),
    rule({ per: 'upstream', quantity: 'concurrency', window: 0 }),
    rule({ per: 'address', quantity: 'requests', window: 1_000 }),
    rule({ per: 'role', quantity: 'output-tokens' }),
    rule({ per: 'session', quantity: 'input-tokens' }),
  ],
};

function principal(index: number): Principal {
  return {
    id: `app:${index}`,
    kind: 'application',
    tenant: `tenant-${index % 100}`,
    user: null,
    team: null,
    roles: ['user'],
    credential: { kind: 'api-key', id: `key-${index}`, expiresAt: null },
  };
}

function request(index: number): LimitRequest {
  return {
    principal: principal(index),
    model: 'chat',
    upstream: 'engine',
    address: '10.0.0.1',
    session: null,
    price: { input: 1, output: 2, cached: 1 },
    estimate: { input: 100, output: 200, outputBounded: true },
  };
}

const USED = { input: 90, output: 50, cached: 0, exact: true };
const KEYS = 1_000;
const PARALLEL = 64;

/** Decides, settles and ends `count` requests; microseconds of CPU time of this process for each. */
async function cost(
  store: CounterStore,
  rules: readonly LimitRule[],
  count: number,
  parallel: number,
): Promise<{ cpu: number; wall: number }> {
  const limiter = new Limiter(store);
  const limits = { rules, keyRules: () => [] };
  const requests = Array.from({ length: KEYS }, (_, index) => request(index));
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < count) {
      const reserved = limiter.reserve(limits, requests[next % KEYS] as LimitRequest);
      next += 1;
      const reservation = reserved instanceof Promise ? await reserved : reserved;
      reservation.settle(USED);
      reservation[Symbol.dispose]();
    }
  };
  const before = process.cpuUsage();
  const began = performance.now();
  await Promise.all(Array.from({ length: parallel }, client));
  const { user, system } = process.cpuUsage(before);
  return { cpu: (user + system) / count, wall: ((performance.now() - began) * 1000) / count };
}

async function inMemory(decisions: number): Promise<string[][]> {
  const rows: string[][] = [];
  for (const [name, rules] of Object.entries(SETS)) {
    const store = new MemoryStore(systemClock);
    await cost(store, rules, decisions / 4, 1);
    rows.push([name, figure((await cost(store, rules, decisions, 1)).cpu)]);
  }
  return rows;
}

async function openStore(url: string): Promise<SharedStore> {
  return await openSharedStore({
    counters: { url, password: null, onUnavailable: 'refuse', shares: 1 },
    pepper: createSecretKey(randomBytes(32)),
    clock: systemClock,
    random: { bytes: (length) => randomBytes(length) },
    logger: silentLogger,
    onState: (state) => process.stderr.write(`counters: ${state}\n`),
  });
}

/** A field of Redis's own figures. */
async function told(port: number, section: string, field: string): Promise<string> {
  const { stdout } = await runProgram('/usr/bin/redis-cli', ['-p', String(port), 'info', section]);
  return new RegExp(`^${field}:(.*)$`, 'm').exec(stdout)?.[1]?.trim() ?? '';
}

async function byRedis(decisions: number): Promise<string[][]> {
  const rows: string[][] = [];
  for (const [name, rules] of Object.entries(SETS)) {
    await using server = await startRedis({ durable: false });
    await using store = await openStore(server.url);
    await cost(store, rules, decisions / 10, PARALLEL);
    await runProgram('/usr/bin/redis-cli', ['-p', String(server.port), 'config', 'resetstat']);
    const busy = async (): Promise<number> =>
      (Number(await told(server.port, 'cpu', 'used_cpu_user')) + Number(await told(server.port, 'cpu', 'used_cpu_sys'))) * 1e6;
    const before = await busy();
    const { cpu, wall } = await cost(store, rules, decisions, PARALLEL);
    const alone = await cost(store, rules, decisions / 10, 1);
    const served = (await busy()) - before;
    const calls = Number(/calls=(\d+)/.exec(await told(server.port, 'commandstats', 'cmdstat_evalsha'))?.[1] ?? Number.NaN);
    const all = decisions * 1.1;
    rows.push([name, figure(cpu), figure(served / all), figure(1e6 / wall), figure(alone.wall), figure(calls / all)]);
  }
  return rows;
}

/** Frees what nothing refers to, so that what is measured is what is kept. */
const collect: () => void = (() => {
  setFlagsFromString('--expose-gc');
  const gc: () => void = runInNewContext('gc');
  return () => {
    gc();
    gc();
  };
})();

async function sizes(buckets: number): Promise<string[][]> {
  const kinds: readonly (readonly [string, LimitRule])[] = [
    ['sliding window', rule({})],
    ['calendar budget', rule({ window: 0, calendar: { unit: 'month', zone: 'UTC' } })],
    ['concurrency', rule({ quantity: 'concurrency', window: 0 })],
  ];
  const rows: string[][] = [];
  for (const [name, one] of kinds) {
    const store = new MemoryStore(systemClock);
    const limiter = new Limiter(store);
    collect();
    const memory = (): number => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
    const before = memory();
    const limits = { rules: [one], keyRules: () => [] };
    for (let index = 0; index < buckets; index += 1) void limiter.reserve(limits, request(index));
    collect();
    const local = (memory() - before) / buckets;
    await using server = await startRedis({ durable: false });
    await using shared = await openStore(server.url);
    const empty = Number(await told(server.port, 'memory', 'used_memory'));
    const asking = new Limiter(shared);
    const some = Math.min(buckets, 20_000);
    for (let from = 0; from < some; from += 500) {
      const held = await Promise.all(
        Array.from({ length: Math.min(500, some - from) }, (_, index) =>
          asking.reserve({ rules: [one], keyRules: () => [] }, request(from + index)),
        ),
      );
      // What is settled leaves its bucket and nothing else.
      if (one.quantity !== 'concurrency') for (const reservation of held) reservation.settle(USED);
    }
    await shared.peek([]);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const remote = (Number(await told(server.port, 'memory', 'used_memory')) - empty) / some;
    rows.push([name, figure(local), figure(remote)]);
    if (store.size !== buckets) throw new Error(`${store.size} buckets where ${buckets} were made`);
  }
  return rows;
}

/** Runs the suite. Exits 2 for wrong use. */
export async function run(args: string[]): Promise<void> {
  const options = new Map<string, number>([
    ['--decisions', 200_000],
    ['--buckets', 200_000],
  ]);
  for (let at = 0; at < args.length; at += 2) {
    const [name = '', value] = args.slice(at, at + 2);
    if (!options.has(name) || !/^[0-9]{3,8}$/.test(value ?? '')) {
      process.stderr.write(HELP);
      process.exitCode = name === '--help' ? 0 : 2;
      return;
    }
    options.set(name, Number(value));
  }
  const decisions = options.get('--decisions') ?? 0;
  process.stdout.write(`${JSON.stringify(describeMachine())}\n\n`);
  process.stdout.write(
    `In memory: a request decided, settled and ended\n\n${markdownTable(['rules', 'CPU, µs'], await inMemory(decisions))}\n\n`,
  );
  const missing = await redisMissing();
  if (missing !== null) {
    process.stdout.write(`By Redis: left out, ${missing}\n`);
    return;
  }
  const header = ['rules', 'gateway CPU, µs', 'Redis CPU, µs', `a second, ${PARALLEL} at a time`, 'alone, µs', 'scripts a request'];
  process.stdout.write(`By Redis on loopback: the same\n\n${markdownTable(header, await byRedis(decisions / 20))}\n\n`);
  process.stdout.write(
    `Memory of a bucket\n\n${markdownTable(['bucket', 'in the gateway, bytes', 'in Redis, bytes'], await sizes(options.get('--buckets') ?? 0))}\n`,
  );
}
