import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bench, faultOf } from './service-fixture.ts';

test('A3: nobody gives a user a role they do not hold, not even to themselves', async () => {
  await using b = await bench();
  const admin = await b.holder({ roles: ['security-admin'] });
  for (const roles of [['owner'], ['user'], ['model-manager'], ['security-admin', 'owner']]) {
    await assert.rejects(b.service.users.create(admin.actor, { name: 'Max', roles }), faultOf('forbidden'), roles.join());
  }
  assert.deepEqual((await b.service.users.create(admin.actor, { name: 'Max', roles: ['auditor'] })).roles, ['auditor']);
});

test('a name is taken once in each tenant', async () => {
  await using b = await bench();
  await b.service.users.create(b.owner, { name: 'Max', roles: ['user'], email: 'max@example.org' });
  await assert.rejects(b.service.users.create(b.owner, { name: 'Max', roles: ['user'] }), faultOf('conflict', 'name'));
  assert.equal((await b.service.users.create(b.owner, { name: 'Max', roles: ['user'], tenant: 'b' })).tenant, 'b');
});

test('fields hold what they may hold', async () => {
  await using b = await bench();
  const wrong: readonly [string, object][] = [
    ['name', { name: 'x\u200b' }],
    ['email', { email: 'not an address' }],
    ['email', { email: 'a@b\r\nbcc: c@d' }],
    ['team', { team: '' }],
    ['tenant', { tenant: 'a/b' }],
    ['roles', { roles: [] }],
  ];
  for (const [param, fields] of wrong) {
    await assert.rejects(b.service.users.create(b.owner, { name: 'Max', roles: ['user'], ...fields }), faultOf('invalid_request', param));
  }
});

test('disabling a user ends their keys in the same breath', async () => {
  await using b = await bench();
  const user = await b.service.users.create(b.owner, { name: 'Max', roles: ['user'] });
  const first = await b.service.keys.create(b.owner, { name: '1', roles: ['user'], user: user.id });
  const second = await b.service.keys.create(b.owner, { name: '2', roles: ['user'], user: user.id });
  const version = await b.store.version();
  const { user: disabled, endedKeys } = await b.service.users.disable(b.owner, user.id);
  assert.deepEqual([disabled.status, disabled.disabledAt], ['disabled', b.clock.now()]);
  assert.deepEqual([...endedKeys].sort(), [first.key.id, second.key.id].sort());
  assert.equal(await b.store.version(), version + 1);
  for (const id of endedKeys) assert.equal((await b.service.keys.show(b.owner, id)).status, 'revoked');
  assert.deepEqual(await b.service.users.disable(b.owner, user.id), { user: disabled, endedKeys: [] });
  const did = b.entries.filter((entry) => entry.kind === 'change').slice(-3);
  assert.deepEqual(
    did.map((entry) => entry.action),
    ['user.disable', 'key.revoke', 'key.revoke'],
  );
});

test('only an owner disables an owner, and never the last one', async () => {
  await using b = await bench();
  const admin = await b.holder({ roles: ['security-admin'] });
  const { id } = b.installation.owner;
  await assert.rejects(b.service.users.disable(admin.actor, id), faultOf('forbidden'));
  await assert.rejects(b.service.users.disable(b.owner, id), faultOf('conflict'));
  const other = await b.service.users.create(b.owner, { name: 'Grace', roles: ['owner'] });
  assert.equal((await b.service.users.disable(b.owner, other.id)).user.status, 'disabled');
  await assert.rejects(b.service.users.disable(b.owner, id), faultOf('conflict'));
});

test('A7: a tenant does not see, list or disable the users of another; an owner does', async () => {
  await using b = await bench();
  const admin = await b.holder({ roles: ['security-admin'], tenant: 'a' });
  const theirs = await b.service.users.create(b.owner, { name: 'Max', roles: ['auditor'], tenant: 'b' });
  await assert.rejects(b.service.users.show(admin.actor, theirs.id), faultOf('not_found'));
  await assert.rejects(b.service.users.disable(admin.actor, theirs.id), faultOf('not_found'));
  await assert.rejects(b.service.users.list(admin.actor, { tenant: 'b' }), faultOf('forbidden'));
  await assert.rejects(b.service.users.create(admin.actor, { name: 'x', roles: ['auditor'], tenant: 'b' }), faultOf('forbidden'));
  assert.deepEqual((await b.service.users.list(admin.actor, {})).items, []);
  assert.deepEqual((await b.service.users.list(b.owner, { tenant: 'b' })).items, [theirs]);
  assert.deepEqual(await b.service.users.show(b.owner, theirs.id), theirs);
});

test('a key for a user of another tenant cannot be made by naming the user', async () => {
  await using b = await bench();
  const manager = await b.holder({ roles: ['model-manager'], tenant: 'a' });
  const theirs = await b.service.users.create(b.owner, { name: 'Max', roles: ['user'], tenant: 'b' });
  await assert.rejects(
    b.service.keys.create(manager.actor, { name: 'x', roles: ['user'], user: theirs.id }),
    faultOf('invalid_request', 'user'),
  );
  await assert.rejects(
    b.service.keys.create(b.owner, { name: 'x', roles: ['user'], user: theirs.id, tenant: 'a' }),
    faultOf('invalid_request', 'tenant'),
  );
});

test('lists are paged and their size is bounded', async () => {
  await using b = await bench();
  for (let n = 0; n < 5; n++) await b.service.users.create(b.owner, { name: `u${n}`, roles: ['user'] });
  const first = await b.service.users.list(b.owner, { limit: 4 });
  const second = await b.service.users.list(b.owner, { limit: 4, ...(first.next === null ? {} : { cursor: first.next }) });
  assert.equal(new Set([...first.items, ...second.items].map((user) => user.id)).size, 6);
  assert.equal(second.next, null);
  for (const limit of [0, -1, 501, 1.5])
    await assert.rejects(b.service.users.list(b.owner, { limit }), faultOf('invalid_request', 'limit'));
});
