import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { verifyApiKey } from '@sallyport/access';
import { type EntryFacts, Fault, silentLogger, systemClock } from '@sallyport/core';
import { openStore } from '@sallyport/store';
import { postgresMissing, startPostgres, temporaryDirectory } from '@sallyport/testkit';
import { DEFAULT_GUARDS } from '../src/config/defaults.ts';
import { type ControlService, createControlService, KEY_LIFETIME } from '../src/service/index.ts';
import { bench, faultOf } from './service-fixture.ts';

test('the first start makes an owner with a key, and a first key for inference', async () => {
  await using b = await bench();
  const { id, owner, ownerKey, firstKey } = b.installation;
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.equal(await b.store.settings.get('installation-id'), id);
  assert.deepEqual([owner.name, owner.roles, owner.tenant], ['Ada', ['owner'], 'default']);
  assert.deepEqual([ownerKey.key.roles, ownerKey.key.user], [['owner'], owner.id]);
  assert.deepEqual([firstKey.key.roles, firstKey.key.user], [['user'], owner.id]);
  for (const { key, secret } of [ownerKey, firstKey]) {
    assert.equal(verifyApiKey(b.ports.pepper, secret, (await b.store.keys.get(key.id))?.digests ?? null, b.clock.now()), 'match');
  }
  assert.deepEqual(
    b.entries.map((entry) => [entry.kind, entry.action, entry.principal?.id]),
    ['installation.create', 'user.create', 'key.create', 'key.create'].map((action) => ['change', action, 'system']),
  );
});

test('it is done once, and not again where users exist without it', async () => {
  await using b = await bench();
  assert.equal(await b.service.initialised(), true);
  await assert.rejects(b.service.init({ owner: 'Eve' }), faultOf('conflict'));
  assert.deepEqual(
    (await b.service.users.list(b.owner, {})).items.map((user) => user.name),
    ['Ada'],
  );
});

test('a first start that cannot be recorded makes nothing, and can be tried again', async () => {
  await using store = await openStore('sqlite::memory:');
  let failing = true;
  const service = createControlService({
    ...portsOn(async () => {
      if (failing) throw new Error('disk full');
    }),
    store,
  });
  await assert.rejects(service.init({ owner: 'Ada' }), faultOf('not_ready'));
  assert.equal(await service.initialised(), false);
  assert.deepEqual(await store.state(0), { version: 0, keys: [], users: [], roles: [], prompts: [], allowances: [] });
  failing = false;
  assert.equal((await service.init({ owner: 'Ada' })).owner.name, 'Ada');
});

test('fields are checked before anything is made', async () => {
  await using store = await openStore('sqlite::memory:');
  const service = createControlService({ ...portsOn(async () => undefined), store });
  await assert.rejects(service.init({ owner: '' }), faultOf('invalid_request', 'name'));
  await assert.rejects(service.init({ owner: 'Ada', tenant: 'a b' }), faultOf('invalid_request', 'tenant'));
  await assert.rejects(service.init({ owner: 'Ada', email: 'x' }), faultOf('invalid_request', 'email'));
  assert.equal(await service.initialised(), false);
});

test('a short pepper is refused before anything is digested with it', async () => {
  await using store = await openStore('sqlite::memory:');
  const pepper = createSecretKey(randomBytes(16));
  assert.throws(() => createControlService({ ...portsOn(async () => undefined), store, pepper }), RangeError);
});

test('two first starts at once on one SQLite file make one installation', async () => {
  await using directory = await temporaryDirectory();
  await race(`sqlite:${directory.file('state.db')}`);
});

const missing = await postgresMissing();

describe('on PostgreSQL', { skip: missing === null ? false : `not run: ${missing}` }, () => {
  test('two first starts at once make one installation', async () => {
    await using server = await startPostgres();
    await race(server.url);
  });
});

async function race(url: string): Promise<void> {
  const entries: EntryFacts[] = [];
  await using first = await openStore(url);
  await using second = await openStore(url);
  const ports = portsOn(async (facts) => void entries.push(facts));
  const services: ControlService[] = [first, second, first, second].map((store) => createControlService({ ...ports, store }));
  const results = await Promise.allSettled(services.map((service, n) => service.init({ owner: `owner ${n}` })));
  const won = results.filter((result) => result.status === 'fulfilled');
  const lost = results.filter((result) => result.status === 'rejected');
  assert.equal(won.length, 1);
  for (const { reason } of lost) assert.ok(reason instanceof Fault && reason.code === 'conflict', String(reason));
  const state = await first.state(0);
  assert.deepEqual([state.users.length, state.keys.length], [1, 2]);
  assert.equal(entries.length, 4);
}

function portsOn(record: (facts: EntryFacts) => Promise<void>) {
  return {
    pepper: createSecretKey(randomBytes(32)),
    random: { bytes: (length: number) => randomBytes(length) },
    clock: systemClock,
    logger: silentLogger,
    record,
    configuredRoles: () => [],
    guards: () => DEFAULT_GUARDS,
    environment: 'test',
    keyLifetime: KEY_LIFETIME,
  } as const;
}
