import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import { chmod, readdir, readFile, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import {
  buildSnapshot,
  deserializeSnapshot,
  parseConfig,
  SnapshotCache,
  SnapshotError,
  type StoredSnapshot,
  serializeSnapshot,
} from '@sallyport/control';
import type { KeyRecord, Role, Snapshot } from '@sallyport/core';
import type { StoredKey, User } from '@sallyport/store';
import { temporaryDirectory } from '@sallyport/testkit/tempdir';
import fc from 'fast-check';

const { config } = parseConfig(
  `upstreams: [{ name: u, kind: vllm, url: "https://h", credential: "env:CRED", tls: { pins: ["sha256/${'A'.repeat(43)}="] } }]
models: [{ name: m, upstream: u, fallback: [n] }, { name: n, upstream: u }]
roles: [{ name: helper, actions: [model.infer], models: ["m*"] }]
identity: { issuers: [{ name: i, issuer: "https://i", audience: [a], jwksUri: "https://i/k", claims: { roles: r }, roleMap: { __proto__: user, staff: helper } }] }
limits: [{ per: key, tokens: 5, window: 1m, models: [m] }]`,
  { directory: '/d' },
);

function key(id: string, facts: Partial<StoredKey> = {}): StoredKey {
  return {
    id,
    name: `key ${id}`,
    digests: [{ hmac: 'AAAA', until: null }],
    principal: 'p',
    kind: 'application',
    tenant: 'default',
    user: null,
    team: null,
    roles: ['user'],
    models: null,
    allowedIps: ['10.0.0.0/8'],
    expiresAt: null,
    revokedAt: null,
    limits: [{ name: 'l', per: 'key', quantity: 'requests', amount: 1, window: 1_000, models: ['m'] }],
    createdAt: 5,
    lifetime: null,
    createdBy: 'somebody',
    lastUsedAt: 6,
    revokeReason: 'private note',
    ...facts,
  };
}

const user = (id: string, facts: Partial<User> = {}): User => ({
  id,
  name: id,
  email: null,
  tenant: 'default',
  team: null,
  roles: ['owner'],
  status: 'active',
  createdAt: 1,
  createdBy: 'x',
  disabledAt: null,
  ...facts,
});

function build(facts: { keys?: readonly KeyRecord[]; roles?: readonly Role[]; users?: readonly User[] } = {}): Snapshot {
  const users = facts.users === undefined ? null : new Map(facts.users.map((each) => [each.id, each]));
  return buildSnapshot({
    config,
    keys: facts.keys ?? [key('k1'), key('k2')],
    roles: facts.roles ?? [],
    prompts: [],
    allowances: [],
    users,
    version: 7,
    builtAt: 1_000,
  });
}

/** Every object reachable from a value, through maps too. */
function* reachable(value: unknown): Generator<object> {
  if (typeof value !== 'object' || value === null) return;
  yield value;
  if (value instanceof Map) for (const item of value.values()) yield* reachable(item);
  for (const item of Object.values(value)) yield* reachable(item);
}

describe('a snapshot', () => {
  test('has what the data plane needs, by name', () => {
    const snapshot = build();
    assert.equal(snapshot.version, 7);
    assert.equal(snapshot.keys.get('k1')?.principal, 'p');
    assert.equal(snapshot.upstreams.get('u')?.credential, 'env:CRED');
    assert.deepEqual(snapshot.routes.get('m')?.fallback, ['n']);
    assert.deepEqual(snapshot.roles.get('helper')?.actions, ['model.infer']);
    assert.equal(snapshot.roles.get('owner')?.builtIn, true);
    assert.equal(snapshot.issuers[0]?.roleMap['staff'], 'helper');
    assert.equal(snapshot.issuers[0]?.roleMap['toString'], undefined);
    assert.deepEqual(Object.entries(snapshot.issuers[0]?.roleMap ?? {}), [
      ['__proto__', 'user'],
      ['staff', 'helper'],
    ]);
  });

  test('is frozen through and through', () => {
    const snapshot = build();
    for (const object of reachable(snapshot)) assert.ok(Object.isFrozen(object));
    const { keys } = snapshot;
    assert.ok(keys instanceof Map);
    assert.throws(() => keys.set('k3', key('k3')), TypeError);
    assert.throws(() => keys.delete('k1'), TypeError);
    assert.throws(() => keys.clear(), TypeError);
    assert.throws(() => Reflect.set(snapshot, 'version', 8) || assert.fail('not set'), /not set/);
    assert.equal(snapshot.keys.size, 2);
  });

  test('shares nothing with what it was made of', () => {
    const source = key('k1', { roles: ['user'] });
    const roles: string[] = ['user'];
    const snapshot = build({ keys: [{ ...source, roles }] });
    roles.push('owner');
    assert.deepEqual(snapshot.keys.get('k1')?.roles, ['user']);
    const held = new Set(reachable(snapshot));
    for (const object of reachable({ config, source })) assert.ok(!held.has(object));
  });

  test('holds nothing of what people noted about a key', () => {
    assert.doesNotMatch(JSON.stringify([...build().keys.values()]), /private note|somebody|createdAt|lastUsedAt/);
  });

  test('has the roles of the file before those of the store, and no redefined built-in one', () => {
    const stored: Role[] = [
      { name: 'helper', builtIn: false, actions: ['key.create'], models: null },
      { name: 'user', builtIn: false, actions: ['user.manage'], models: null },
      { name: 'other', builtIn: false, actions: ['model.list'], models: null },
    ];
    const { roles } = build({ roles: stored });
    assert.deepEqual(roles.get('helper')?.actions, ['model.infer']);
    assert.ok(!roles.get('user')?.actions.includes('user.manage'));
    assert.equal(roles.get('user')?.builtIn, true);
    assert.deepEqual(roles.get('other')?.actions, ['model.list']);
  });

  test('gives a key no more than its owner has now', () => {
    const keys = [
      key('of-owner', { user: 'boss', roles: ['owner'] }),
      key('of-author', { user: 'author', roles: ['prompt-author', 'owner'] }),
      key('of-disabled', { user: 'gone' }),
      key('of-nobody', { user: 'never-was' }),
      key('of-application'),
    ];
    const users = [user('boss'), user('author', { roles: ['prompt-author'] }), user('gone', { status: 'disabled', disabledAt: 500 })];
    const snapshot = build({ keys, users });
    assert.deepEqual(snapshot.keys.get('of-owner')?.roles, ['owner']);
    assert.deepEqual(snapshot.keys.get('of-author')?.roles, ['prompt-author']);
    assert.equal(snapshot.keys.get('of-disabled')?.revokedAt, 500);
    assert.deepEqual(snapshot.keys.get('of-disabled')?.roles, []);
    assert.notEqual(snapshot.keys.get('of-nobody')?.revokedAt, null);
    assert.deepEqual(snapshot.keys.get('of-application')?.roles, ['user']);
  });

  test('is not made of two keys with one id', () => {
    assert.throws(() => build({ keys: [key('k'), key('k')] }), SnapshotError);
  });
});

const pepper = createSecretKey(randomBytes(32));
const stored = (snapshot: Snapshot = build()): StoredSnapshot => ({
  snapshot,
  origin: { id: 'installation', version: 41, roles: [], prompts: [], allowances: [] },
});

describe('a snapshot file', () => {
  test('reads as it was written', () => {
    const back = deserializeSnapshot(serializeSnapshot(stored(), pepper), pepper);
    assert.deepEqual(back, stored());
    for (const object of reachable(back.snapshot)) assert.ok(Object.isFrozen(object));
    assert.equal(Object.getPrototypeOf(back.snapshot.issuers[0]?.roleMap), null);
  });

  test('of the same snapshot is the same', () => assert.equal(serializeSnapshot(stored(), pepper), serializeSnapshot(stored(), pepper)));

  test('of another installation is refused', () => {
    const text = serializeSnapshot(stored(), pepper);
    assert.throws(() => deserializeSnapshot(text, createSecretKey(randomBytes(32))), /changed, or belongs to another/);
  });

  test('with any character changed, added or taken away is refused', () => {
    const text = serializeSnapshot(stored(), pepper);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom('x', '0', '1', '"', '{', ' ', '\n', ''), fc.boolean(), (at, put, insert) => {
        const changed = text.slice(0, at) + put + text.slice(insert ? at : at + 1);
        if (changed === text) return;
        assert.throws(() => deserializeSnapshot(changed, pepper), SnapshotError);
      }),
      { numRuns: 2_000 },
    );
  });

  test('with another version in its head is refused', () => {
    const text = serializeSnapshot(stored(), pepper);
    assert.throws(() => deserializeSnapshot(text.replace('"version":7', '"version":8'), pepper), /changed/);
    assert.throws(() => deserializeSnapshot(text.replace(/sallyport-snapshot\/\d+/, 'sallyport-snapshot/0'), pepper), /another version/);
  });

  test('that is anything else is refused', () => {
    for (const text of [
      '',
      '\n',
      '{}',
      '{}\n{}\n',
      'null\n',
      '[]\n[]',
      '{"schema":1}\n',
      '\u0000',
      '{"schema":"sallyport-snapshot/4","version":1,"tag":""}\n{}\n',
    ]) {
      assert.throws(() => deserializeSnapshot(text, pepper), SnapshotError);
    }
    fc.assert(fc.property(fc.string(), (text) => void assert.throws(() => deserializeSnapshot(text, pepper), SnapshotError)));
  });

  test('holds no secret', () => {
    assert.doesNotMatch(serializeSnapshot(stored(), pepper), /private note/);
    assert.match(serializeSnapshot(stored(), pepper), /env:CRED/);
  });
});

describe('the cached file', () => {
  test('is written whole, readable by its owner only, and leaves nothing behind', async () => {
    await using directory = await temporaryDirectory();
    const cache = new SnapshotCache(directory.file('snapshot.json'), pepper);
    assert.equal(await cache.read(), null);
    await cache.write(stored());
    assert.equal(((await stat(cache.path)).mode & 0o777).toString(8), '600');
    assert.deepEqual(await cache.read(), stored());
    await Promise.all(Array.from({ length: 10 }, () => cache.write(stored())));
    assert.deepEqual(await readdir(directory.path), ['snapshot.json']);
    assert.deepEqual(await cache.read(), stored());
  });

  test('stays as it was where writing fails', async () => {
    await using directory = await temporaryDirectory();
    const cache = new SnapshotCache(directory.file('snapshot.json'), pepper);
    await cache.write(stored());
    const before = await readFile(cache.path, 'utf8');
    const elsewhere = new SnapshotCache(directory.file('gone', 'snapshot.json'), pepper);
    await assert.rejects(elsewhere.write(stored()));
    assert.equal(await readFile(cache.path, 'utf8'), before);
  });

  test('that was cut off, changed or is a link is refused', async () => {
    await using directory = await temporaryDirectory();
    const cache = new SnapshotCache(directory.file('snapshot.json'), pepper);
    await cache.write(stored());
    const { size } = await stat(cache.path);
    for (const length of [0, 1, 100, size - 2]) {
      await cache.write(stored());
      await truncate(cache.path, length);
      await assert.rejects(cache.read(), SnapshotError);
    }
    await cache.write(stored());
    await symlink(cache.path, directory.file('link'));
    await assert.rejects(new SnapshotCache(directory.file('link'), pepper).read(), SnapshotError);
    await assert.rejects(new SnapshotCache(directory.path, pepper).read(), SnapshotError);
  });

  test('is freed of what killed writers left, and not of what one is writing', async () => {
    await using directory = await temporaryDirectory();
    const cache = new SnapshotCache(directory.file('snapshot.json'), pepper);
    const old = new Date(Date.now() - 3_600_000);
    for (const name of ['snapshot.json.1.aa.tmp', 'snapshot.json.2.bb.tmp', 'other.tmp']) await writeFile(directory.file(name), '');
    await utimes(directory.file('snapshot.json.1.aa.tmp'), old, old);
    await cache.sweep();
    assert.deepEqual((await readdir(directory.path)).toSorted(), ['other.tmp', 'snapshot.json.2.bb.tmp']);
  });

  test('is of no use to others even with its mode changed: its tag stands', async () => {
    await using directory = await temporaryDirectory();
    const cache = new SnapshotCache(directory.file('snapshot.json'), pepper);
    await cache.write(stored());
    await chmod(cache.path, 0o644);
    const text = await readFile(cache.path, 'utf8');
    await writeFile(cache.path, text.replace('"revokedAt":null', '"revokedAt":0000'));
    await assert.rejects(cache.read(), /changed/);
  });
});
