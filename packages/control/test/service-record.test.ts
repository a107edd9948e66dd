import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { type Action, type EntryFacts, type Resource, silentLogger, systemClock } from '@sallyport/core';
import { loadLedgerKeys, openLedger } from '@sallyport/ledger';
import type { Store, Tables } from '@sallyport/store';
import { temporaryDirectory } from '@sallyport/testkit';
import { createControlService } from '../src/service/index.ts';
import { bench, faultOf } from './service-fixture.ts';

test('each change is a row in the store and an entry in the ledger, and they agree', async () => {
  await using b = await bench();
  const { issued } = await b.holder({ roles: ['user'] });
  await b.service.keys.revoke(b.owner, issued.key.id, 'test');
  const changes = await b.store.changes.after(0, 100);
  const entries = b.entries.filter((entry) => entry.kind === 'change');
  assert.deepEqual(
    changes.map(({ seq, actor, action, object, before, after }) => [seq, actor, action, object, before, after]),
    entries.map((entry) => [
      entry.detail['seq'],
      entry.principal?.id,
      entry.action,
      entry.resource,
      entry.detail['before'],
      entry.detail['after'],
    ]),
  );
  const [created, revoked] = changes.slice(-2);
  assert.deepEqual([created?.action, revoked?.action], ['key.create', 'key.revoke']);
  assert.equal(created?.before, null);
  assert.match(created?.after ?? '', /^[0-9a-f]{64}$/);
  assert.equal(revoked?.before, created?.after, 'what it was is what it was made as');
  assert.notEqual(revoked?.after, revoked?.before);
});

test('an entry names the principal, the credential, the address, the rule and the request', async () => {
  await using b = await bench();
  await b.service.keys.revoke(b.owner, b.installation.firstKey.key.id, null);
  const entry = b.entries.at(-1);
  assert.deepEqual(entry?.principal, {
    id: b.installation.owner.id,
    kind: 'person',
    tenant: 'default',
    credential: `api-key:${b.installation.ownerKey.key.id}`,
  });
  assert.deepEqual(entry.source, { ip: '192.0.2.7', port: 4711, tls: null });
  assert.deepEqual(entry.decision, { effect: 'permit', rule: 'role:owner/key.revoke' });
  assert.equal(entry.id, b.owner.request);
  assert.equal(entry.outcome, 'done');
});

test('reading is recorded, and so is what was refused', async () => {
  await using b = await bench();
  await b.service.keys.list(b.owner, {});
  assert.deepEqual([b.entries.at(-1)?.kind, b.entries.at(-1)?.action, b.entries.at(-1)?.outcome], ['decision', 'key.list', 'done']);
  const { actor } = await b.holder({ roles: ['user'] });
  await assert.rejects(b.service.users.list(actor, {}), faultOf('forbidden'));
  const refused = b.entries.at(-1);
  assert.deepEqual([refused?.kind, refused?.action, refused?.outcome, refused?.fault], ['decision', 'user.manage', 'refused', 'forbidden']);
  assert.deepEqual(refused?.decision, { effect: 'deny', rule: 'default-deny' });
});

test('while the ledger refuses nothing is changed and nothing is shown', async () => {
  await using b = await bench();
  const before = await b.store.state(0);
  b.ledgerFails(true);
  await assert.rejects(b.service.keys.create(b.owner, { name: 'x', roles: ['user'] }), faultOf('not_ready'));
  await assert.rejects(b.service.keys.revoke(b.owner, b.installation.firstKey.key.id, null), faultOf('not_ready'));
  await assert.rejects(b.service.users.create(b.owner, { name: 'x', roles: ['user'] }), faultOf('not_ready'));
  await assert.rejects(b.service.keys.list(b.owner, {}), faultOf('not_ready'));
  assert.deepEqual(await b.store.state(0), before);
  b.ledgerFails(false);
  await b.service.keys.revoke(b.owner, b.installation.firstKey.key.id, null);
});

test('a refusal stands also where it cannot be recorded', async () => {
  await using b = await bench();
  const { actor } = await b.holder({ roles: ['user'] });
  b.ledgerFails(true);
  await assert.rejects(b.service.users.list(actor, {}), faultOf('forbidden'));
});

test('a change that was recorded but not committed is recorded as failed', async () => {
  await using b = await bench();
  const failing: Store = {
    ...b.store,
    keys: b.store.keys,
    users: b.store.users,
    roles: b.store.roles,
    write: (change) =>
      b.store.write(async (tables: Tables) => {
        await change(tables);
        throw new Error('the commit failed');
      }),
  };
  const entries: EntryFacts[] = [];
  const service = createControlService({ ...b.ports, store: failing, record: async (facts) => void entries.push(facts) });
  await assert.rejects(service.keys.revoke(b.owner, b.installation.firstKey.key.id, null), /the commit failed/);
  assert.deepEqual(
    entries.map((entry) => [entry.action, entry.outcome]),
    [
      ['key.revoke', 'done'],
      ['key.revoke', 'failed'],
    ],
  );
  assert.equal((await b.store.keys.get(b.installation.firstKey.key.id))?.revokedAt, null);
});

test('no entry holds a name, an address of a person, or any other text a client chose', async () => {
  await using b = await bench();
  const marker = 'Zebra';
  const user = await b.service.users.create(b.owner, { name: marker, roles: ['user'], email: `${marker}@example.org`, team: marker });
  const { key } = await b.service.keys.create(b.owner, { name: marker, roles: ['user'], models: [marker], user: user.id });
  await b.service.keys.revoke(b.owner, key.id, marker);
  await b.service.policy.explain(b.owner, { roles: [marker], action: 'model.infer', resource: { kind: 'model', name: marker } });
  await assert.rejects(b.service.keys.show(b.owner, marker), faultOf('not_found'));
  await assert.rejects(b.service.keys.create(b.owner, { name: 'x', roles: [marker] }), faultOf('forbidden'));
  assert.equal(JSON.stringify([b.entries, await b.store.changes.after(0, 100)]).includes(marker), false);
});

test('the real ledger takes every entry', async () => {
  await using directory = await temporaryDirectory();
  await using b = await bench();
  const random = { bytes: (length: number) => randomBytes(length) };
  const keys = await loadLedgerKeys(directory.file('keys'), random);
  await using ledger = await openLedger({
    directory: directory.file('ledger'),
    writer: 'control',
    clock: systemClock,
    random,
    signer: keys.signer,
    digestKey: keys.digestKey,
  });
  let count = 0;
  const record = async (facts: EntryFacts): Promise<void> => {
    await ledger.append(facts);
    count++;
  };
  const service = createControlService({ ...b.ports, record, logger: silentLogger });
  const user = await service.users.create(b.owner, { name: 'Max', roles: ['user'] });
  await service.keys.create(b.owner, { name: 'x', roles: ['user'], user: user.id });
  await service.roles.create(b.owner, { name: 'tester', actions: ['model.infer'] });
  await service.roles.delete(b.owner, 'tester');
  await service.users.disable(b.operator, user.id);
  await assert.rejects(service.keys.create(b.owner, { name: 'x', roles: ['\u0000'.repeat(5_000)] }), faultOf('forbidden'));
  const everything: readonly [Action, Resource][] = [['config.read', { kind: 'config', name: '*' }]];
  for (const [action, resource] of everything) await service.authorise(b.owner, action, resource);
  assert.equal(count, 7);
});
