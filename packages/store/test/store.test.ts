import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Fault } from '@sallyport/core';
import fc from 'fast-check';
import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { CorruptRow, NewerSchema, openStore, SCHEMA_VERSION, type Store, type StoredKey } from '../src/index.ts';
import { openSqlite } from '../src/sqlite.ts';
import { aKey, aRole, aUser, DATABASES } from './databases.ts';

for (const kind of DATABASES) {
  describe(`the store on ${kind.name}`, { skip: kind.skip }, () => {
    before(() => kind.start());
    after(() => kind.stop());

    test('an empty database is migrated, and what was written is there after opening it again', async () => {
      const url = await kind.fresh();
      const key = aKey({ models: ['llama*'], allowedIps: ['10.0.0.0/8'], expiresAt: 2_000_000_000_000 });
      await using first = await openStore(url);
      assert.equal(first.dialect, kind.name === 'SQLite' ? 'sqlite' : 'postgres');
      assert.equal(await first.version(), 0);
      await first.write(async (tables) => {
        await tables.keys.insert(key);
        await tables.settings.set('installation-id', 'x');
      });
      await first.close();
      await using second = await openStore(url);
      assert.deepEqual(await second.keys.get(key.id), key);
      assert.equal(await second.settings.get('installation-id'), 'x');
      assert.equal(await second.version(), 1);
      assert.equal(
        await raw(url, async (db) => (await sql<{ n: number }>`select version as n from schema_version`.execute(db)).rows.length),
        SCHEMA_VERSION,
      );
    });

    test('several processes may open an empty database at once', async () => {
      const url = await kind.fresh();
      const stores = await Promise.all(Array.from({ length: 4 }, () => openStore(url)));
      const versions = await Promise.all(stores.map((store) => store.version()));
      await Promise.all(stores.map((store) => store.close()));
      assert.deepEqual(versions, [0, 0, 0, 0]);
    });

    test('a database that a newer version wrote is refused and left alone', async () => {
      const url = await kind.fresh();
      await using store = await openStore(url);
      await store.close();
      await raw(url, (db) => sql`insert into schema_version (version, applied_at) values (${SCHEMA_VERSION + 1}, 0)`.execute(db));
      await assert.rejects(openStore(url), NewerSchema);
    });

    test('every write raises the version by one, and a failed one leaves nothing behind', async () => {
      await using store = await openStore(await kind.fresh());
      assert.equal(await store.write(async (tables) => tables.version), 1);
      const failure = new Error('stop');
      const write = store.write(async (tables) => {
        await tables.keys.insert(aKey());
        await tables.changes.append({ time: 1, actor: 'a', action: 'b', object: 'c', before: null, after: null });
        throw failure;
      });
      await assert.rejects(write, failure);
      assert.equal(await store.version(), 1);
      assert.equal(await store.keys.get('aaaaaaaaaaaa'), null);
      assert.deepEqual(await store.changes.after(0, 10), []);
      assert.equal(await store.write(async (tables) => tables.version), 2);
    });

    test('a key comes back as it was written, whatever its texts hold (A1)', async () => {
      await using store = await openStore(await kind.fresh());
      let count = 0;
      // NUL is the one character that PostgreSQL's text cannot hold; the control plane refuses it before it gets here.
      const text = fc.string({ unit: 'grapheme', maxLength: 40 }).map((value) => value.replaceAll('\0', ''));
      const injection = fc.constantFrom(
        "'",
        "'; drop table api_keys; --",
        '" or 1=1 --',
        "' union select * from settings --",
        '%',
        '_',
        '\\',
        '$1',
        '?',
      );
      const any = fc.oneof(text, injection);
      const property = fc.asyncProperty(any, any, any, fc.array(any, { maxLength: 3 }), async (name, tenant, team, list) => {
        const key = aKey({ id: `k${++count}`, name, tenant, team, roles: list, models: list, revokeReason: name });
        await store.write((tables) => tables.keys.insert(key));
        assert.deepEqual(await store.keys.get(key.id), key);
        const page = await store.keys.list({ limit: 500, tenant });
        assert.ok(page.items.every((item) => item.tenant === tenant));
        assert.ok(page.items.some((item) => item.id === key.id));
        assert.equal(await store.keys.get(name), name === key.id ? key : null);
      });
      await fc.assert(property, { numRuns: 40 });
    });

    test('keys are renewed and revoked, and the first revocation stands', async () => {
      await using store = await openStore(await kind.fresh());
      const digests = [
        { hmac: 'B'.repeat(43), until: null },
        { hmac: 'A'.repeat(43), until: 5_000 },
      ];
      await store.write(async (tables) => {
        await tables.keys.insert(aKey());
        await tables.keys.renew('aaaaaaaaaaaa', { digests, expiresAt: 9_000, lifetime: 8_000 });
        await tables.keys.revoke('aaaaaaaaaaaa', 3_000, 'leaked');
        await tables.keys.revoke('aaaaaaaaaaaa', 4_000, 'again');
      });
      const expected = aKey({ digests, expiresAt: 9_000, lifetime: 8_000, revokedAt: 3_000, revokeReason: 'leaked' });
      assert.deepEqual(await store.keys.get('aaaaaaaaaaaa'), expected);
    });

    test('noting uses leaves the version alone and never goes back', async () => {
      await using store = await openStore(await kind.fresh());
      await store.write((tables) => tables.keys.insert(aKey()));
      await store.touchKeys(
        new Map([
          ['aaaaaaaaaaaa', 130_000],
          ['unknown', 130_000],
        ]),
      );
      await store.touchKeys(new Map([['aaaaaaaaaaaa', 70_000]]));
      await store.touchKeys(new Map());
      assert.equal((await store.keys.get('aaaaaaaaaaaa'))?.lastUsedAt, 120_000);
      assert.equal(await store.version(), 1);
    });

    test('pages show every key once, newest first, also where many have the same time', async () => {
      await using store = await openStore(await kind.fresh());
      const keys = Array.from({ length: 23 }, (_, n) =>
        aKey({ id: `key${String(n).padStart(9, '0')}`, createdAt: 1_000 + Math.floor(n / 10) }),
      );
      await store.write(async (tables) => {
        for (const key of keys) await tables.keys.insert(key);
        await tables.keys.insert(aKey({ id: 'elsewhere000', tenant: 'other' }));
      });
      const seen = await pages(store, 'default');
      assert.deepEqual(
        seen.map((key) => key.id),
        keys.map((key) => key.id).reverse(),
      );
    });

    test('a cursor that no list returned is refused', async () => {
      await using store = await openStore(await kind.fresh());
      for (const cursor of ['', 'x', "'; drop table api_keys", 'A'.repeat(500), Buffer.from('1.a b').toString('base64url')]) {
        await assert.rejects(store.keys.list({ limit: 1, cursor }), faultOf('invalid_request'));
      }
    });

    test('users are found by id, by name within their tenant, and by role', async () => {
      await using store = await openStore(await kind.fresh());
      const ada = aUser({ roles: ['owner', 'user'], email: 'ada@example.org', team: 'x' });
      const other = aUser({ id: 'u_2', tenant: 'other', roles: ['own%'] });
      await store.write(async (tables) => {
        assert.equal(await tables.users.any(), false);
        await tables.users.insert(ada);
        await tables.users.insert(other);
      });
      assert.deepEqual(await store.users.get('u_1'), ada);
      assert.deepEqual(await store.users.named('default', 'Ada'), ada);
      assert.equal(await store.users.named('default', 'ada'), null);
      assert.deepEqual((await store.users.list({ limit: 10, tenant: 'other' })).items, [other]);
      assert.deepEqual(await store.users.holding('owner'), [ada]);
      assert.deepEqual(await store.users.holding('own%'), [other]);
      await store.write((tables) => tables.users.disable('u_1', 7));
      assert.deepEqual(await store.users.get('u_1'), { ...ada, status: 'disabled', disabledAt: 7 });
      assert.deepEqual(await store.users.holding('owner'), []);
      await assert.rejects(store.write((tables) => tables.users.insert({ ...ada, id: 'u_3' })));
    });

    test('keys are found by their user and by role', async () => {
      await using store = await openStore(await kind.fresh());
      const mine = aKey({ user: 'u_1', roles: ['auditor'] });
      const ended = aKey({ id: 'bbbbbbbbbbbb', user: 'u_1', roles: ['auditor'], revokedAt: 1 });
      const expired = aKey({ id: 'cccccccccccc', roles: ['auditor'], expiresAt: 10 });
      await store.write(async (tables) => {
        await tables.users.insert(aUser());
        for (const key of [mine, ended, expired]) await tables.keys.insert(key);
      });
      assert.deepEqual(await store.keys.ofUser('u_1'), [mine]);
      assert.deepEqual(await store.keys.holding('auditor', 10), [mine]);
      assert.deepEqual((await store.keys.holding('auditor', 9)).length, 2);
      assert.deepEqual(await store.keys.holding('audit', 9), []);
    });

    test('a key cannot belong to a user that does not exist', async () => {
      await using store = await openStore(await kind.fresh());
      await assert.rejects(store.write((tables) => tables.keys.insert(aKey({ user: 'u_nobody' }))));
      assert.equal(await store.version(), 0);
    });

    test('roles come back with the actions this version knows', async () => {
      const url = await kind.fresh();
      await using store = await openStore(url);
      await store.write((tables) => tables.roles.insert(aRole({ models: ['a*'] })));
      await raw(url, (db) => sql`update roles set actions = '["model.infer","model.from-the-future"]'`.execute(db));
      assert.deepEqual(await store.roles.list(), [aRole({ models: ['a*'] })]);
      await store.write((tables) => tables.roles.delete('reader'));
      assert.equal(await store.roles.get('reader'), null);
    });

    test('the state is of one version and leaves out what ended long ago', async () => {
      await using store = await openStore(await kind.fresh());
      const current = aKey();
      const lately = aKey({ id: 'bbbbbbbbbbbb', revokedAt: 5_000 });
      await store.write(async (tables) => {
        await tables.users.insert(aUser());
        await tables.roles.insert(aRole());
        for (const key of [current, lately]) await tables.keys.insert(key);
        await tables.keys.insert(aKey({ id: 'cccccccccccc', revokedAt: 4_999 }));
        await tables.keys.insert(aKey({ id: 'dddddddddddd', expiresAt: 4_999 }));
        for (let n = 0; n < 600; n++) await tables.keys.insert(aKey({ id: `z${String(n).padStart(11, '0')}` }));
      });
      const state = await store.state(5_000);
      assert.equal(state.version, 1);
      assert.equal(state.keys.length, 602);
      assert.deepEqual(state.keys.slice(0, 2), [current, lately]);
      assert.deepEqual(state.users, [aUser()]);
      assert.deepEqual(state.roles, [aRole()]);
    });

    test('a row that Sallyport did not write ends in an error and not in a key without restrictions', async () => {
      const url = await kind.fresh();
      await using store = await openStore(url);
      await store.write((tables) => tables.keys.insert(aKey()));
      for (const [column, value] of [
        ['roles', '"owner"'],
        ['models', '[1]'],
        ['allowed_ips', '{}'],
        ['digests', '[{"hmac":1,"until":null}]'],
        ['limits', '[{"name":"x"}]'],
        ['limits', '{'],
      ] as const) {
        await raw(url, (db) => sql`update api_keys set ${sql.ref(column)} = ${value}`.execute(db));
        await assert.rejects(store.keys.get('aaaaaaaaaaaa'), (error) => error instanceof CorruptRow && !error.message.includes('owner'));
        await assert.rejects(store.state(0), CorruptRow);
        const restored = { roles: '["user"]', models: null, allowed_ips: null, digests: '[]', limits: '[]' }[column];
        await raw(url, (db) => sql`update api_keys set ${sql.ref(column)} = ${restored}`.execute(db));
      }
    });
  });
}

test('a URL that names no database is refused', async () => {
  for (const url of [
    '',
    'sqlite:',
    'mysql://localhost/x',
    'postgres://',
    'postgres://localhost',
    'postgres://h/db?options=-c%20x',
    'file:/x',
  ]) {
    await assert.rejects(openStore(url), faultOf('invalid_request'));
  }
});

function faultOf(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Fault && error.code === code;
}

async function pages(store: Store, tenant: string): Promise<StoredKey[]> {
  const all: StoredKey[] = [];
  for (let cursor: string | null = null, turns = 0; turns < 100; turns++) {
    const page = await store.keys.list({ limit: 4, tenant, ...(cursor === null ? {} : { cursor }) });
    all.push(...page.items);
    cursor = page.next;
    if (cursor === null) return all;
  }
  throw new Error('the pages do not end');
}

/** Works on the database past the store, as an operator with a shell would. */
async function raw<T>(url: string, run: (db: Kysely<unknown>) => Promise<T>): Promise<T> {
  const dialect = url.startsWith('sqlite:')
    ? openSqlite(url.slice('sqlite:'.length))
    : new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 1 }) });
  const db = new Kysely<unknown>({ dialect });
  try {
    return await run(db);
  } finally {
    await db.destroy();
  }
}
