import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CounterStore, Limiter, type LimitRules, MemoryStore, type Reservation } from '@sallyport/access';
import type { LimitRule } from '@sallyport/core';
import { FakeClock } from '@sallyport/testkit';
import { type Bench, type BenchOptions, bench, faultOf } from './service-fixture.ts';

const rule = (name: string, per: LimitRule['per'], over: Partial<LimitRule> = {}): LimitRule => ({
  name,
  per,
  quantity: 'tokens',
  amount: 1_000,
  window: 60_000,
  models: null,
  ...over,
});

const RULES = [
  rule('by-key', 'key'),
  rule('big-models', 'key', { models: ['big-*'] }),
  rule('by-tenant', 'tenant'),
  rule('by-role', 'role'),
  rule('by-model', 'model'),
  rule('by-address', 'address'),
  rule('by-session', 'session'),
  rule('running', 'key', { quantity: 'concurrency', amount: 3, window: 0 }),
  rule('all', 'global'),
];

/** An installation whose requests are counted in memory. */
async function counted(
  options: BenchOptions = {},
): Promise<{ b: Bench; store: MemoryStore; use: (key: string, tokens: number) => Promise<Reservation> }> {
  const store = new MemoryStore(new FakeClock());
  const b = await bench({ limits: { rules: () => RULES, counters: () => store }, ...options });
  const limiter = new Limiter(store);
  const use = async (id: string, tokens: number): Promise<Reservation> => {
    const key = (await b.store.keys.get(id)) ?? assert.fail(id);
    const rules: LimitRules = { rules: RULES, keyRules: () => key.limits };
    const { principal, kind, tenant, user, team, roles } = key;
    return limiter.reserve(rules, {
      principal: { id: principal, kind, tenant, user, team, roles, credential: { kind: 'api-key', id, expiresAt: null } },
      model: 'big-1',
      upstream: 'u',
      address: '192.0.2.9',
      session: 's1',
      price: null,
      estimate: { input: tokens, output: 0, outputBounded: true },
    });
  };
  return { b, store, use };
}

test('limits show tells what a key, and what follows from it, has used; of nobody, what all have', async () => {
  const { b, use } = await counted();
  await using _ = b;
  const { issued } = await b.holder({ roles: ['user'], limits: [{ quantity: 'requests', amount: 5, window: 60_000 }] });
  await use(issued.key.id, 100);
  const shown = async (selection: Parameters<typeof b.service.limits.show>[1]): Promise<string[]> =>
    (await b.service.limits.show(b.owner, selection)).map(
      ({ rule: { name }, of, used, remaining }) => `${name} ${of} ${used} ${remaining}`,
    );
  const { id } = issued.key;
  assert.deepEqual(await shown({ key: id }), [
    `by-key ${id} 100 900`,
    `big-models ${id} 100 900`,
    'by-tenant default 100 900',
    'by-role user 100 900',
    // Of a session that was not named: what the key used without one.
    `by-session k:${id} 0 1000`,
    `running ${id} 1 2`,
    'all * 100 900',
    `key-requests-60000 ${id} 1 4`,
  ]);
  assert.deepEqual((await shown({ key: id, session: 's1', model: 'small', address: '192.0.2.9' })).slice(1, 6), [
    'by-tenant default 100 900',
    'by-role user 100 900',
    'by-model small 0 1000',
    'by-address 192.0.2.9 100 900',
    'by-session s1 100 900',
  ]);
  assert.deepEqual(await shown({}), ['all * 100 900']);
  assert.deepEqual(await shown({ role: 'user', tenant: 'other' }), ['by-tenant other 0 1000', 'by-role user 100 900', 'all * 100 900']);
});

test('limits reset empties one bucket, and the ledger has what was in it before it is done', async () => {
  const { b, use } = await counted();
  await using _ = b;
  const { issued } = await b.holder({ roles: ['user', 'auditor'] });
  const { id } = issued.key;
  const running = await use(id, 100);
  b.ledgerFails(true);
  await assert.rejects(b.service.limits.reset(b.owner, 'by-key', { key: id }), faultOf('not_ready'));
  const used = async (): Promise<number[]> => (await b.service.limits.show(b.owner, { key: id })).map((one) => one.used);
  b.ledgerFails(false);
  assert.deepEqual((await used())[0], 100);
  const done = await b.service.limits.reset(b.owner, 'by-key', { key: id });
  assert.deepEqual([done.before, done.used, done.remaining], [100, 0, 1_000]);
  assert.deepEqual((await used()).slice(0, 3), [0, 100, 100]);
  const entry = b.entries.find(({ action }) => action === 'limits.reset') ?? assert.fail('no entry');
  assert.deepEqual([entry.kind, entry.resource, entry.outcome], ['change', 'policy:by-key', 'done']);
  assert.deepEqual(entry.detail, { per: 'key', of: id, quantity: 'tokens', before: 100, after: 0 });
  // What runs gives nothing back to a bucket that was emptied.
  running.settle({ input: 10, output: 0, cached: 0, exact: true });
  assert.deepEqual((await used())[0], 0);
  await assert.rejects(b.service.limits.reset(b.owner, 'running', { key: id }), faultOf('invalid_request', 'limit'));
  await assert.rejects(b.service.limits.reset(b.owner, 'by-role', { key: id }), faultOf('invalid_request', 'limit'));
  await assert.rejects(b.service.limits.reset(b.owner, 'by-model', { key: id }), faultOf('invalid_request', 'limit'));
  assert.equal((await b.service.limits.reset(b.owner, 'by-role', { key: id, role: 'user' })).of, 'user');
  assert.equal((await b.service.limits.reset(b.owner, 'by-session', { key: id, session: 's1' })).before, 10);
  assert.equal(b.entries.at(-1)?.detail['of'], null, "a session's name is a client's text");
});

test('who sees one tenant is shown its own callers, nothing that all share, and resets nothing without the right', async () => {
  const { b, use } = await counted();
  await using _ = b;
  const theirs = await b.holder({ roles: ['user'], tenant: 'other' });
  const ours = await b.holder({ roles: ['user'] });
  await use(ours.issued.key.id, 50);
  const { actor } = await b.holder({ roles: ['security-admin'], tenant: 'other' });
  assert.deepEqual(
    (await b.service.limits.show(actor, { key: theirs.issued.key.id, model: 'm', role: 'user', address: '192.0.2.9' })).map(
      ({ rule: { name } }) => name,
    ),
    ['by-key', 'by-tenant', 'by-session', 'running'],
  );
  await assert.rejects(b.service.limits.show(actor, { key: ours.issued.key.id }), faultOf('invalid_request', 'key'));
  await assert.rejects(b.service.limits.show(actor, { tenant: 'default' }), faultOf('forbidden'));
  await assert.rejects(b.service.limits.reset(actor, 'all', {}), faultOf('invalid_request', 'limit'));
  await assert.rejects(b.service.limits.reset(theirs.actor, 'by-key', { key: theirs.issued.key.id }), faultOf('forbidden'));
  await assert.rejects(b.service.limits.show(theirs.actor, {}), faultOf('forbidden'));
});

test('a process that counts nothing says so, and one whose server is away does too', async () => {
  const away: CounterStore = Object.assign(new MemoryStore(new FakeClock()), { shared: false });
  await using one = (await counted({ limits: { rules: () => RULES, counters: () => null } })).b;
  await assert.rejects(one.service.limits.show(one.owner, {}), faultOf('not_found'));
  await using other = (await counted({ limits: { rules: () => RULES, counters: () => away } })).b;
  await assert.rejects(other.service.limits.show(other.owner, {}), faultOf('not_ready'));
  for (const wrong of [
    { key: 'x' },
    { user: 'u_1' },
    { address: 'nowhere' },
    { session: 's' },
    { key: 'a', caller: 'b' },
    { tenant: '../x' },
  ])
    await assert.rejects(one.service.limits.show(one.owner, wrong), faultOf('invalid_request'));
});
