import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adminBench, at } from './admin-fixture.ts';

const INJECTIONS = [
  "'",
  "' OR '1'='1",
  "'; DROP TABLE api_keys; --",
  "' UNION SELECT * FROM settings --",
  '" OR ""="',
  '\\',
  '%',
  '_',
  '$1',
  'x\u00a0y',
];

test('A1: no text in a credential or a path reaches the database as SQL', async () => {
  await using a = await adminBench({ server: { failuresPerMinute: 10_000 } });
  const { secret } = a.bench.installation.ownerKey;
  for (const text of INJECTIONS) {
    const latin = Buffer.from(text, 'utf8').toString('latin1');
    for (const key of [latin, secret + latin, latin + secret, secret.replace('sp_test', latin), `sp_test_${latin}_${secret.slice(-49)}`]) {
      const reply = await a.call('GET', '/admin/v1/keys', { key });
      // fetch strips a trailing space only; every other change makes another key.
      assert.equal(reply.status, 401, `${key}: ${reply.text}`);
      assert.equal(/sql|sqlite|syntax|column|table/i.test(reply.text), false);
    }
    const encoded = encodeURIComponent(text);
    assert.equal((await a.call('GET', `/admin/v1/keys/${encoded}`)).status, 404);
    assert.equal((await a.call('DELETE', `/admin/v1/roles/${encoded}`)).status, 404);
    for (const name of ['cursor', 'tenant', 'user']) {
      const reply = await a.call('GET', `/admin/v1/keys?${name}=${encoded}`);
      assert.equal(reply.status, 400, `${name}=${text}: ${reply.text}`);
      assert.equal(at(reply.json, 'param'), name);
    }
  }
  assert.equal((await a.call('GET', '/admin/v1/keys')).status, 200);
});

test('A1: an identity header is no credential, and neither is a key outside Authorization', async () => {
  await using a = await adminBench();
  const { secret } = a.bench.installation.ownerKey;
  for (const headers of [
    { 'x-api-key': secret },
    { 'api-key': secret },
    { cookie: `key=${secret}` },
    { authorization: `Basic ${Buffer.from(`x:${secret}`).toString('base64')}` },
    { 'x-forwarded-user': 'owner', 'x-user-id': a.bench.installation.owner.id, 'x-remote-user': 'owner' },
  ]) {
    assert.equal((await a.call('GET', '/admin/v1/keys', { key: null, headers })).status, 401, JSON.stringify(headers));
  }
  assert.equal((await a.call('GET', `/admin/v1/keys?key=${secret}`, { key: null })).status, 401);
  assert.equal((await a.call('GET', '/admin/v1/keys', { headers: { 'x-api-key': a.bench.installation.firstKey.secret } })).status, 400);
});

test('A2: a key made over the API has no right that its maker lacks, however it is asked for', async () => {
  await using a = await adminBench();
  const { issued } = await a.bench.holder({ roles: ['model-manager'] });
  const make = (body: object) => a.call('POST', '/admin/v1/keys', { key: issued.secret, body: { name: 'x', ...body } });
  assert.equal((await make({ roles: ['owner'] })).status, 403);
  assert.equal((await make({ roles: ['inference-only', 'security-admin'] })).status, 403);
  assert.equal((await make({ roles: ['inference-only'], tenant: 'other' })).status, 403);
  for (const extra of [
    { allowedRoutes: ['/*'] },
    { scopes: ['*'] },
    { actions: ['key.create'] },
    { isAdmin: true },
    { createdBy: 'x' },
    { digests: [] },
  ]) {
    const reply = await make({ roles: ['inference-only'], ...extra });
    assert.deepEqual([reply.status, at(reply.json, 'param')], [400, Object.keys(extra)[0]]);
  }
  const made = await make({ roles: ['inference-only'] });
  assert.equal(made.status, 201);
  const secret = String(at(made.json, 'secret'));
  assert.equal((await a.call('GET', '/admin/v1/keys', { key: secret })).status, 403);
  assert.equal((await a.call('POST', '/admin/v1/keys', { key: secret, body: { name: 'y', roles: ['inference-only'] } })).status, 403);
});

test('A3: no field beyond those of the route is taken, on any route with a body', async () => {
  await using a = await adminBench();
  const { id } = a.bench.installation.firstKey.key;
  const bodies: readonly [string, object][] = [
    ['/admin/v1/keys', { name: 'x', roles: ['user'] }],
    [`/admin/v1/keys/${id}/revoke`, { reason: 'x' }],
    [`/admin/v1/keys/${id}/rotate`, { overlap: '1h' }],
    ['/admin/v1/users', { name: 'x', roles: ['user'] }],
    [`/admin/v1/users/${a.bench.installation.owner.id}/disable`, {}],
    ['/admin/v1/roles', { name: 'x', actions: ['model.infer'] }],
    ['/admin/v1/policy/explain', { roles: ['user'], action: 'model.infer', resource: { kind: 'model', name: 'x' } }],
  ];
  const version = await a.bench.store.version();
  for (const [path, body] of bodies) {
    for (const field of ['role', 'id', 'status', 'revokedAt', 'admin', '__proto__', 'constructor']) {
      const text = JSON.stringify(body).replace(/\}$/, `${Object.keys(body).length === 0 ? '' : ','}${JSON.stringify(field)}:"owner"}`);
      const reply = await a.call('POST', path, { body: text });
      assert.equal(reply.status, 400, `${path} ${field}: ${reply.text}`);
    }
  }
  const nested = await a.call('POST', '/admin/v1/keys', {
    body: { name: 'x', roles: ['user'], limits: [{ quantity: 'tokens', amount: 1, window: '1m', per: 'global' }] },
  });
  assert.deepEqual([nested.status, at(nested.json, 'param')], [400, 'limits[0].per']);
  assert.equal(await a.bench.store.version(), version);
});

test('A7: two tenants, every route with an id: the other’s objects do not exist', async () => {
  await using a = await adminBench();
  const actions = ['key.list', 'key.revoke', 'key.rotate', 'user.manage', 'role.list'];
  await a.bench.service.roles.create(a.bench.owner, { name: 'local-admin', actions });
  const mine = await a.bench.holder({ roles: ['local-admin'], tenant: 'a' });
  const theirs = await a.bench.holder({ roles: ['inference-only'], tenant: 'b' });
  const user = await a.bench.service.users.create(a.bench.owner, { name: 'Max', roles: ['inference-only'], tenant: 'b' });
  const before = await a.bench.store.state(0);
  for (const [method, path] of [
    ['GET', `/admin/v1/keys/${theirs.issued.key.id}`],
    ['POST', `/admin/v1/keys/${theirs.issued.key.id}/revoke`],
    ['POST', `/admin/v1/keys/${theirs.issued.key.id}/rotate`],
    ['GET', `/admin/v1/users/${user.id}`],
    ['POST', `/admin/v1/users/${user.id}/disable`],
  ] as const) {
    const reply = await a.call(method, path, { key: mine.issued.secret });
    const none = await a.call(
      method,
      path.replace(/[0-9a-z]{12,}(?=\/|$)/, 'zzzzzzzzzzzz').replace(/u_[0-9a-f]{24}/, 'u_000000000000000000000000'),
      {
        key: mine.issued.secret,
      },
    );
    assert.equal(reply.status, 404, `${method} ${path}: ${reply.text}`);
    assert.deepEqual([none.status, at(none.json, 'detail')], [404, at(reply.json, 'detail')], 'as if it had never been');
  }
  for (const path of ['/admin/v1/keys', '/admin/v1/users']) {
    assert.equal((await a.call('GET', `${path}?tenant=b`, { key: mine.issued.secret })).status, 403);
    const list = await a.call('GET', path, { key: mine.issued.secret });
    assert.equal(list.text.includes('"tenant":"b"'), false);
  }
  assert.deepEqual((await a.bench.store.state(0)).keys, before.keys);
  assert.equal((await a.call('GET', `/admin/v1/keys/${theirs.issued.key.id}`)).status, 200, 'an owner sees every tenant');
});

test('A21: a body that names somebody does not make the caller somebody', async () => {
  await using a = await adminBench({ server: { failuresPerMinute: 1_000 } });
  const { owner } = a.bench.installation;
  for (const body of [{ userId: owner.id }, { user: owner.id }, { principal: owner.id }, { actor: { id: owner.id, roles: ['owner'] } }]) {
    const reply = await a.call('POST', '/admin/v1/keys', { key: null, body: { name: 'x', roles: ['owner'], ...body } });
    assert.equal(reply.status, 401, JSON.stringify(body));
  }
  const { issued } = await a.bench.holder({ roles: ['user'] });
  const reply = await a.call('POST', '/admin/v1/keys', { key: issued.secret, body: { name: 'x', roles: ['user'], user: owner.id } });
  assert.equal(reply.status, 403);
});

test('a key that was ended is refused at once', async () => {
  await using a = await adminBench();
  const { issued } = await a.bench.holder({ roles: ['auditor'] });
  const get = () => a.call('GET', '/admin/v1/keys', { key: issued.secret });
  assert.equal((await get()).status, 200);
  await a.call('POST', `/admin/v1/keys/${issued.key.id}/revoke`);
  assert.equal((await get()).status, 401);
});

test('what is wrong with a credential is for the ledger and the log, not for the caller', async () => {
  await using a = await adminBench();
  const { issued } = await a.bench.holder({ roles: ['auditor'] });
  const other = await a.bench.holder({ roles: ['auditor'] });
  await a.bench.service.keys.revoke(a.bench.owner, issued.key.id, null);
  const mixed = `${other.issued.secret.slice(0, 20)}x`;
  const texts = new Set<string>();
  for (const key of [issued.secret, mixed, 'nonsense']) {
    const reply = await a.call('GET', '/admin/v1/keys', { key });
    assert.equal(reply.status, 401);
    texts.add(String(at(reply.json, 'detail')));
  }
  assert.equal(texts.size, 1);
  const failures = a.bench.entries.filter((entry) => entry.kind === 'auth');
  assert.deepEqual(
    failures.map((entry) => [entry.outcome, entry.detail['reason'], entry.source?.ip]),
    [
      ['refused', 'revoked', '127.0.0.1'],
      ['refused', 'not-a-key', '127.0.0.1'],
      ['refused', 'not-a-key', '127.0.0.1'],
    ],
  );
  const everything = JSON.stringify([a.bench.entries, a.log]);
  for (const secret of [issued.secret, other.issued.secret, a.bench.installation.ownerKey.secret])
    assert.equal(everything.includes(secret), false);
});

test('who fails to authenticate again and again is put off before anything is looked up or recorded', async () => {
  await using a = await adminBench({ server: { failuresPerMinute: 3 } });
  const statuses: number[] = [];
  for (let n = 0; n < 5; n++) statuses.push((await a.call('GET', '/admin/v1/keys', { key: 'wrong' })).status);
  assert.deepEqual(statuses, [401, 401, 401, 429, 429]);
  const put = await a.call('GET', '/admin/v1/keys');
  assert.deepEqual([put.status, put.headers.get('retry-after')], [429, '60']);
  assert.equal(a.bench.entries.filter((entry) => entry.kind === 'auth').length, 3);
  a.bench.clock.advance(60_000);
  assert.equal((await a.call('GET', '/admin/v1/keys')).status, 200);
});
