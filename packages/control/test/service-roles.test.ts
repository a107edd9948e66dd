import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUILT_IN_ROLES } from '@sallyport/access';
import type { Role } from '@sallyport/core';
import { bench, faultOf } from './service-fixture.ts';

const CONFIGURED: Role = { name: 'reader', builtIn: false, actions: ['config.read'], models: null };

test('the list tells where a role comes from', async () => {
  await using b = await bench({ configuredRoles: [CONFIGURED] });
  await b.service.roles.create(b.owner, { name: 'tester', actions: ['model.infer'], models: ['test-*'] });
  const roles = await b.service.roles.list(b.owner);
  assert.deepEqual(
    roles.map((role) => [role.name, role.origin]),
    [...BUILT_IN_ROLES.map((role) => [role.name, 'built-in']), ['reader', 'configuration'], ['tester', 'custom']],
  );
  assert.deepEqual(roles.at(-1), { name: 'tester', origin: 'custom', actions: ['model.infer'], models: ['test-*'] });
});

test('a role of the configuration file can be given and counts', async () => {
  await using b = await bench({ configuredRoles: [CONFIGURED] });
  const { actor } = await b.holder({ roles: ['reader'] });
  await b.service.authorise(actor, 'config.read', { kind: 'config', name: '*' });
  await assert.rejects(b.service.authorise(actor, 'config.write', { kind: 'config', name: '*' }), faultOf('forbidden'));
});

test('A2: nobody writes a role with rights they do not hold', async () => {
  await using b = await bench();
  const admin = await b.holder({ roles: ['security-admin'] });
  await assert.rejects(b.service.roles.create(admin.actor, { name: 'more', actions: ['model.infer'] }), faultOf('forbidden'));
  await assert.rejects(b.service.roles.create(admin.actor, { name: 'more', actions: ['audit.read', 'key.create'] }), faultOf('forbidden'));
  assert.equal((await b.service.roles.create(admin.actor, { name: 'less', actions: ['audit.read'] })).name, 'less');
});

test('names and actions are checked, and no role is redefined', async () => {
  await using b = await bench({ configuredRoles: [CONFIGURED] });
  const wrong: readonly [string, object][] = [
    ['name', { name: 'Owner' }],
    ['name', { name: 'owner' }],
    ['name', { name: '../x' }],
    ['name', { name: 'a'.repeat(65) }],
    ['actions', { actions: [] }],
    ['actions', { actions: ['model.infer', '*'] }],
    ['models', { models: [] }],
  ];
  for (const [param, fields] of wrong) {
    await assert.rejects(
      b.service.roles.create(b.owner, { name: 'x', actions: ['model.infer'], ...fields }),
      faultOf('invalid_request', param),
    );
  }
  await b.service.roles.create(b.owner, { name: 'x', actions: ['model.infer'] });
  for (const name of ['x', 'reader']) {
    await assert.rejects(b.service.roles.create(b.owner, { name, actions: ['model.infer'] }), faultOf('conflict', 'name'));
  }
});

test('a role that somebody has is not deleted, so that it cannot come back as something else', async () => {
  await using b = await bench();
  await b.service.roles.create(b.owner, { name: 'tester', actions: ['model.infer'] });
  const { issued } = await b.holder({ roles: ['tester'] });
  await assert.rejects(b.service.roles.delete(b.owner, 'tester'), faultOf('conflict', 'name'));
  await b.service.keys.revoke(b.owner, issued.key.id, null);
  const user = await b.service.users.create(b.owner, { name: 'Max', roles: ['tester'] });
  await assert.rejects(b.service.roles.delete(b.owner, 'tester'), faultOf('conflict', 'name'));
  await b.service.users.disable(b.owner, user.id);
  await b.service.roles.delete(b.owner, 'tester');
  await assert.rejects(b.service.roles.delete(b.owner, 'tester'), faultOf('not_found'));
});

test('built-in roles stay', async () => {
  await using b = await bench();
  await assert.rejects(b.service.roles.delete(b.owner, 'auditor'), faultOf('forbidden'));
  for (const name of ['', 'Owner', "x'--", '__proto__']) await assert.rejects(b.service.roles.delete(b.owner, name), faultOf('not_found'));
});

test('a role is deleted only by who could have written it', async () => {
  await using b = await bench();
  const admin = await b.holder({ roles: ['security-admin'] });
  await b.service.roles.create(b.owner, { name: 'tester', actions: ['model.infer'] });
  await assert.rejects(b.service.roles.delete(admin.actor, 'tester'), faultOf('forbidden'));
});

test('explain names the rule for a key, a user and a set of roles', async () => {
  await using b = await bench();
  const { issued } = await b.holder({ roles: ['user'], models: ['llama*'], allowedIps: ['10.0.0.0/8'] });
  const ask = (question: object) =>
    b.service.policy.explain(b.owner, { action: 'model.infer', resource: { kind: 'model', name: 'llama3' }, ...question });
  const permitted = await ask({ key: issued.key.id, address: '10.1.1.1' });
  assert.deepEqual(permitted.decision, { effect: 'permit', rule: 'role:user/model.infer' });
  assert.equal(permitted.considered.filter((rule) => rule.decides).length, 1);
  assert.equal((await ask({ key: issued.key.id })).decision.rule, 'address');
  assert.equal(
    (await ask({ key: issued.key.id, address: '10.1.1.1', resource: { kind: 'model', name: 'qwen' } })).decision.rule,
    'key:models',
  );
  assert.equal((await ask({ roles: ['auditor'] })).decision.rule, 'default-deny');
  assert.equal((await ask({ user: b.installation.owner.id })).decision.effect, 'permit');
});

test('explain tells a narrowed key as it counts', async () => {
  await using b = await bench();
  const user = await b.service.users.create(b.owner, { name: 'Max', roles: ['user'] });
  const issued = await b.service.keys.create(b.owner, { name: 'x', roles: ['user'], user: user.id });
  await b.service.users.disable(b.owner, user.id);
  const question = { action: 'model.infer', resource: { kind: 'model', name: 'llama3' } };
  const ofKey = await b.service.policy.explain(b.owner, { ...question, key: issued.key.id });
  assert.deepEqual([ofKey.decision.effect, ofKey.roles], ['deny', []]);
  assert.equal((await b.service.policy.explain(b.owner, { ...question, user: user.id })).decision.effect, 'deny');
});

test('explain refuses questions it cannot answer, and about other tenants', async () => {
  await using b = await bench();
  const auditor = await b.holder({ roles: ['auditor'], tenant: 'a' });
  const wrong: readonly [string, object][] = [
    ['action', { roles: ['user'], action: 'model.everything' }],
    ['resource.kind', { roles: ['user'], resource: { kind: 'planet', name: 'x' } }],
    ['resource.name', { roles: ['user'], resource: { kind: 'model', name: '' } }],
    ['key', {}],
    ['key', { roles: ['user'], user: 'x' }],
    ['key', { key: 'zzzzzzzzzzzz' }],
    ['key', { key: b.installation.ownerKey.key.id }],
    ['user', { user: b.installation.owner.id }],
    ['address', { roles: ['user'], address: 'here' }],
  ];
  for (const [param, fields] of wrong) {
    const question = { action: 'model.infer', resource: { kind: 'model', name: 'x' }, ...fields };
    await assert.rejects(b.service.policy.explain(auditor.actor, question), faultOf('invalid_request', param), JSON.stringify(fields));
  }
});
