import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API_KEY_PATTERN, verifyApiKey } from '@sallyport/access';
import { actorOf, bench, DAY, faultOf } from './service-fixture.ts';

test('a new key is of the published form, ends in 90 days, and its secret is kept nowhere', async () => {
  await using b = await bench();
  const { key, secret } = await b.service.keys.create(b.owner, {
    name: 'ci',
    roles: ['user'],
    models: ['llama*'],
    allowedIps: ['10.1.2.3'],
  });
  assert.match(secret, new RegExp(`^(?:${API_KEY_PATTERN.source})$`));
  assert.ok(secret.includes(key.id));
  assert.equal(key.expiresAt, b.clock.now() + 90 * DAY);
  assert.deepEqual(key.allowedIps, ['10.1.2.3/32']);
  assert.equal(key.status, 'active');
  assert.equal('digests' in key, false);
  const stored = await b.store.keys.get(key.id);
  assert.equal(verifyApiKey(b.ports.pepper, secret, stored?.digests ?? null, b.clock.now()), 'match');
  const everything = JSON.stringify([await b.store.state(0), await b.store.changes.after(0, 100), b.entries]);
  assert.equal(everything.includes(secret.slice(-49)), false);
});

test('A2: nobody makes a key with rights they do not hold', async () => {
  await using b = await bench();
  const manager = await b.holder({ roles: ['model-manager'] });
  for (const roles of [
    ['owner'],
    ['security-admin'],
    ['auditor'],
    ['user', 'owner'],
    ['prompt-author'],
    ['no-such-role'],
    ['*'],
    ['__proto__'],
  ]) {
    await assert.rejects(b.service.keys.create(manager.actor, { name: 'more', roles }), faultOf('forbidden'), roles.join());
  }
  const { key } = await b.service.keys.create(manager.actor, { name: 'less', roles: ['inference-only'] });
  assert.deepEqual(key.roles, ['inference-only']);
});

test('A2: a key that is kept to some models makes no key for others', async () => {
  await using b = await bench();
  const manager = await b.holder({ roles: ['model-manager'], models: ['llama*'] });
  await assert.rejects(b.service.keys.create(manager.actor, { name: 'all', roles: ['user'] }), faultOf('forbidden'));
  await assert.rejects(b.service.keys.create(manager.actor, { name: 'other', roles: ['user'], models: ['qwen'] }), faultOf('forbidden'));
  const { key } = await b.service.keys.create(manager.actor, { name: 'some', roles: ['user'], models: ['llama3.2'] });
  assert.deepEqual(key.models, ['llama3.2']);
});

test('A2: rights are checked when they are used, not only when they were given', async () => {
  await using b = await bench();
  const user = await b.service.users.create(b.owner, { name: 'Max', roles: ['model-manager'] });
  const issued = await b.service.keys.create(b.owner, { name: 'of Max', roles: ['model-manager'], user: user.id });
  const max = actorOf(issued);
  await b.service.keys.list(max, {});
  await b.service.users.disable(b.owner, user.id);
  await assert.rejects(b.service.keys.list(max, {}), faultOf('forbidden'));
});

test('a key that was revoked or has expired acts no more, whatever the listener still believes', async () => {
  await using b = await bench();
  const revoked = await b.holder({ roles: ['auditor'] });
  const expiring = await b.holder({ roles: ['auditor'], expiresAt: b.clock.now() + 1_000 });
  await b.service.keys.list(revoked.actor, {});
  await b.service.keys.revoke(b.owner, revoked.issued.key.id, null);
  await assert.rejects(b.service.keys.list(revoked.actor, {}), faultOf('forbidden'));
  await b.service.keys.list(expiring.actor, {});
  b.clock.advance(1_000);
  await assert.rejects(b.service.keys.list(expiring.actor, {}), faultOf('forbidden'));
});

test('a key bound to addresses administers from there only', async () => {
  await using b = await bench();
  const { actor } = await b.holder({ roles: ['auditor'], allowedIps: ['192.0.2.0/24'] });
  await b.service.keys.list(actor, {});
  const elsewhere = { ...actor, source: { ip: '198.51.100.1', port: 1, tls: null } };
  await assert.rejects(b.service.keys.list(elsewhere, {}), faultOf('forbidden'));
});

test('A21: who acts comes from the credential, never from what is asked for', async () => {
  await using b = await bench();
  const manager = await b.holder({ roles: ['model-manager'] });
  await assert.rejects(
    b.service.keys.create(b.owner, { name: 'x', roles: ['user'], user: b.installation.owner.id, kind: 'workload' }),
    faultOf('invalid_request', 'kind'),
  );
  const { key } = await b.service.keys.create(manager.actor, { name: 'x', roles: ['user'] });
  assert.equal(key.createdBy, manager.issued.key.principal);
  // An actor that claims more than its key has gets what its key has.
  const forged = { ...manager.actor, principal: { ...manager.actor.principal, roles: ['owner'], tenant: 'other' } };
  await assert.rejects(b.service.users.list(forged, {}), faultOf('forbidden'));
  await assert.rejects(b.service.keys.list(forged, { tenant: 'other' }), faultOf('forbidden'));
});

test('a key of a user has no role that the user does not have, and belongs to the user', async () => {
  await using b = await bench();
  const user = await b.service.users.create(b.owner, { name: 'Max', roles: ['user'], team: 'red' });
  await assert.rejects(b.service.keys.create(b.owner, { name: 'x', roles: ['auditor'], user: user.id }), faultOf('forbidden'));
  const { key } = await b.service.keys.create(b.owner, { name: 'x', roles: ['inference-only'], user: user.id });
  assert.deepEqual([key.principal, key.kind, key.user, key.team], [user.id, 'person', user.id, 'red']);
  await b.service.users.disable(b.owner, user.id);
  await assert.rejects(b.service.keys.create(b.owner, { name: 'x', roles: ['user'], user: user.id }), faultOf('conflict', 'user'));
  await assert.rejects(
    b.service.keys.create(b.owner, { name: 'x', roles: ['user'], user: 'u_000000000000000000000000' }),
    faultOf('invalid_request', 'user'),
  );
});

test('fields hold what they may hold', async () => {
  await using b = await bench();
  const now = b.clock.now();
  const wrong: readonly [string, object][] = [
    ['name', { name: '' }],
    ['name', { name: 'a\u202eb' }],
    ['name', { name: ' x' }],
    ['name', { name: 'x'.repeat(129) }],
    ['name', { name: 'a\0b' }],
    ['roles', { roles: [] }],
    ['tenant', { tenant: '../x' }],
    ['team', { team: 'a b' }],
    ['models', { models: [] }],
    ['models[1]', { models: ['a', ''] }],
    ['allowedIps[0]', { allowedIps: ['10.0.0.0/33'] }],
    ['allowedIps', { allowedIps: [] }],
    ['expiresAt', { expiresAt: now }],
    ['expiresAt', { expiresAt: now + 366 * DAY }],
    ['expiresAt', { expiresAt: Number.NaN }],
    ['limits[0].amount', { limits: [{ quantity: 'tokens', amount: -1, window: 60_000 }] }],
    ['limits[0].amount', { limits: [{ quantity: 'tokens', amount: 1.5, window: 60_000 }] }],
    ['limits[0].window', { limits: [{ quantity: 'tokens', amount: 1, window: 0 }] }],
    ['limits[0].window', { limits: [{ quantity: 'concurrency', amount: 1, window: 1_000 }] }],
  ];
  for (const [param, fields] of wrong) {
    await assert.rejects(
      b.service.keys.create(b.owner, { name: 'x', roles: ['user'], ...fields }),
      faultOf('invalid_request', param),
      JSON.stringify(fields),
    );
  }
  const limits = [
    { quantity: 'tokens', amount: 100_000, window: 60_000 },
    { quantity: 'concurrency', amount: 2, window: 0, models: ['llama*'] },
  ] as const;
  const { key } = await b.service.keys.create(b.owner, { name: 'x', roles: ['user', 'user'], limits, expiresAt: now + 365 * DAY });
  assert.deepEqual(key.roles, ['user']);
  assert.deepEqual(
    key.limits.map(({ per, quantity, amount, window, models }) => [per, quantity, amount, window, models]),
    [
      ['key', 'tokens', 100_000, 60_000, null],
      ['key', 'concurrency', 2, 0, ['llama*']],
    ],
  );
});

test('rotation gives the same key a new secret, and the old one goes on for the overlap', async () => {
  await using b = await bench();
  const { issued } = await b.holder({ roles: ['user'], expiresAt: b.clock.now() + 10 * DAY });
  b.clock.advance(4 * DAY);
  const rotated = await b.service.keys.rotate(b.owner, issued.key.id, { overlap: 3_600_000 });
  assert.equal(rotated.key.id, issued.key.id);
  assert.notEqual(rotated.secret, issued.secret);
  assert.equal(rotated.key.overlapUntil, b.clock.now() + 3_600_000);
  assert.equal(rotated.key.expiresAt, b.clock.now() + 10 * DAY);
  const verify = async (secret: string): Promise<string> =>
    verifyApiKey(b.ports.pepper, secret, (await b.store.keys.get(issued.key.id))?.digests ?? null, b.clock.now());
  assert.deepEqual([await verify(issued.secret), await verify(rotated.secret)], ['match', 'match']);
  b.clock.advance(3_600_000);
  assert.deepEqual([await verify(issued.secret), await verify(rotated.secret)], ['ended', 'match']);
  assert.equal((await b.service.keys.show(b.owner, issued.key.id)).overlapUntil, null);
  const again = await b.service.keys.rotate(b.owner, issued.key.id, { overlap: 0 });
  assert.deepEqual([await verify(rotated.secret), await verify(again.secret)], ['mismatch', 'match']);
  assert.equal(again.key.expiresAt, b.clock.now() + 10 * DAY, 'the life of a key does not grow with its rotations');
});

test('an old secret never outlives the end it was given', async () => {
  await using b = await bench();
  const { issued } = await b.holder({ roles: ['user'], expiresAt: b.clock.now() + 10_000 });
  const end = b.clock.now() + 10_000;
  const { key } = await b.service.keys.rotate(b.owner, issued.key.id, { overlap: 3_600_000, expiresAt: b.clock.now() + DAY });
  assert.equal(key.overlapUntil, end);
});

test('A2: rotating shows a secret, so it takes every right of the key', async () => {
  await using b = await bench();
  const manager = await b.holder({ roles: ['model-manager'] });
  await assert.rejects(b.service.keys.rotate(manager.actor, b.installation.ownerKey.key.id, {}), faultOf('forbidden'));
  const { issued } = await b.holder({ roles: ['user'] });
  assert.equal((await b.service.keys.rotate(manager.actor, issued.key.id, {})).key.id, issued.key.id);
});

test('an ended key cannot be rotated back to life', async () => {
  await using b = await bench();
  const revoked = await b.holder({ roles: ['user'] });
  const expired = await b.holder({ roles: ['user'], expiresAt: b.clock.now() + 1_000 });
  await b.service.keys.revoke(b.owner, revoked.issued.key.id, null);
  b.clock.advance(1_000);
  for (const { issued } of [revoked, expired]) {
    await assert.rejects(b.service.keys.rotate(b.owner, issued.key.id, {}), faultOf('conflict'));
  }
  for (const overlap of [-1, 1.5, 73 * 3_600_000]) {
    await assert.rejects(
      b.service.keys.rotate(b.owner, b.installation.firstKey.key.id, { overlap }),
      faultOf('invalid_request', 'overlap'),
    );
  }
});

test('revoking ends a key once; the first time and reason stand', async () => {
  await using b = await bench();
  const { id } = b.installation.firstKey.key;
  const first = await b.service.keys.revoke(b.owner, id, 'leaked');
  assert.deepEqual([first.status, first.revokedAt, first.revokeReason], ['revoked', b.clock.now(), 'leaked']);
  b.clock.advance(5_000);
  assert.deepEqual(await b.service.keys.revoke(b.owner, id, 'again'), first);
  await assert.rejects(b.service.keys.revoke(b.owner, id, 'a\u0007'), faultOf('invalid_request', 'reason'));
  assert.equal((await b.store.keys.get(id))?.revokeReason, 'leaked');
});

test('A7: a tenant does not see, list, revoke or rotate what another owns; an owner does', async () => {
  await using b = await bench();
  const mine = await b.holder({ roles: ['model-manager'], tenant: 'a' });
  const theirs = await b.holder({ roles: ['user'], tenant: 'b' });
  const { id } = theirs.issued.key;
  const verbs: readonly (() => Promise<unknown>)[] = [
    () => b.service.keys.show(mine.actor, id),
    () => b.service.keys.revoke(mine.actor, id, null),
    () => b.service.keys.rotate(mine.actor, id, {}),
  ];
  for (const verb of verbs) {
    await assert.rejects(verb(), faultOf('not_found'));
    assert.equal(b.entries.at(-1)?.decision?.rule, 'tenant');
  }
  await assert.rejects(b.service.keys.show(mine.actor, 'zzzzzzzzzzzz'), faultOf('not_found'), 'the same answer as for no key at all');
  await assert.rejects(b.service.keys.list(mine.actor, { tenant: 'b' }), faultOf('forbidden'));
  await assert.rejects(b.service.keys.create(mine.actor, { name: 'x', roles: ['user'], tenant: 'b' }), faultOf('forbidden'));
  assert.deepEqual(
    (await b.service.keys.list(mine.actor, {})).items.map((key) => key.tenant),
    ['a'],
  );
  assert.equal((await b.service.keys.show(b.owner, id)).tenant, 'b');
  assert.deepEqual(
    (await b.service.keys.list(b.owner, { tenant: 'b' })).items.map((key) => key.id),
    [id],
  );
  assert.equal((await b.service.keys.revoke(b.owner, id, null)).status, 'revoked');
});

test('A7: a cursor of one tenant shows another tenant nothing', async () => {
  await using b = await bench();
  const mine = await b.holder({ roles: ['model-manager'], tenant: 'a' });
  for (let n = 0; n < 3; n++) await b.holder({ roles: ['user'], tenant: 'b' });
  const page = await b.service.keys.list(b.owner, { tenant: 'b', limit: 1 });
  assert.ok(page.next !== null);
  const seen = await b.service.keys.list(mine.actor, { cursor: page.next });
  assert.ok(seen.items.every((key) => key.tenant === 'a'));
});

test('a custom role with every action still sees its own tenant only', async () => {
  await using b = await bench();
  await b.service.roles.create(b.owner, { name: 'helper', actions: ['key.list', 'key.revoke', 'user.manage'] });
  const helper = await b.holder({ roles: ['helper'], tenant: 'a' });
  const theirs = await b.holder({ roles: ['user'], tenant: 'b' });
  await assert.rejects(b.service.keys.show(helper.actor, theirs.issued.key.id), faultOf('not_found'));
  await assert.rejects(b.service.users.show(helper.actor, b.installation.owner.id), faultOf('not_found'));
  await assert.rejects(b.service.users.disable(helper.actor, b.installation.owner.id), faultOf('not_found'));
});

test('ids that were never given out are not looked up', async () => {
  await using b = await bench();
  for (const id of ['', '..', "' or 1=1 --", 'A'.repeat(12), 'a\0aaaaaaaaaa', 'x'.repeat(4096)]) {
    await assert.rejects(b.service.keys.show(b.owner, id), faultOf('not_found'));
    await assert.rejects(b.service.users.show(b.owner, id), faultOf('not_found'));
  }
});

test("A2: a manager of keys takes nothing of the owner's and speaks in nobody's name", async () => {
  await using b = await bench();
  const { actor } = await b.holder({ roles: ['model-manager'] });
  const { owner, ownerKey, firstKey } = b.installation;
  for (const { key } of [ownerKey, firstKey]) {
    await assert.rejects(b.service.keys.revoke(actor, key.id, null), faultOf('forbidden'));
    await assert.rejects(b.service.keys.rotate(actor, key.id, {}), faultOf('forbidden'));
    assert.equal((await b.service.keys.show(b.owner, key.id)).status, 'active');
  }
  const admin = await b.holder({ roles: ['security-admin'] });
  await assert.rejects(b.service.keys.revoke(admin.actor, ownerKey.key.id, null), faultOf('forbidden'));
  const loose = await b.service.keys.create(b.operator, { name: 'owner of no person', roles: ['owner'] });
  await assert.rejects(b.service.keys.revoke(actor, loose.key.id, null), faultOf('forbidden'));

  const person = await b.service.users.create(b.owner, { name: 'Max', roles: ['user'] });
  for (const user of [owner.id, person.id]) {
    await assert.rejects(b.service.keys.create(actor, { name: 'as them', roles: ['user'], user }), faultOf('forbidden'));
  }
  const theirs = await b.service.keys.create(b.owner, { name: 'of Max', roles: ['user'], user: person.id });
  await assert.rejects(b.service.keys.rotate(actor, theirs.key.id, {}), faultOf('forbidden'));
  assert.equal((await b.service.keys.revoke(actor, theirs.key.id, 'left the desk open')).status, 'revoked');
  const refused = b.entries.filter((facts) => facts.decision?.rule.startsWith('separation:') === true);
  assert.deepEqual(new Set(refused.map(({ decision }) => decision?.rule)), new Set(['separation:owner', 'separation:person']));
});

test('a person with the right to makes and renews keys of their own, and an owner those of anybody', async () => {
  await using b = await bench();
  const max = await b.service.users.create(b.owner, { name: 'Max', roles: ['model-manager'] });
  const first = await b.service.keys.create(b.owner, { name: 'of Max', roles: ['model-manager'], user: max.id });
  const actor = actorOf(first);
  const second = await b.service.keys.create(actor, { name: 'also of Max', roles: ['user'], user: max.id });
  assert.equal(second.key.principal, max.id);
  assert.notEqual((await b.service.keys.rotate(actor, second.key.id, {})).secret, second.secret);
  assert.equal((await b.service.keys.rotate(b.owner, second.key.id, {})).key.id, second.key.id);
  assert.equal((await b.service.keys.revoke(b.owner, b.installation.firstKey.key.id, null)).status, 'revoked');
});
