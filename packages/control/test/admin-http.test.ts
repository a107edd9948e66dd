import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { CONTENT_TYPES } from '@sallyport/control';
import { Fault } from '@sallyport/core';
import { postgresMissing, rawExchange, requestBytes, startPostgres } from '@sallyport/testkit';
import { Authority } from '@sallyport/testkit/certificates';
import { type AdminBench, adminBench, at } from './admin-fixture.ts';

const KEYS = '/admin/v1/keys';

function raw(a: AdminBench, method: string, target: string, headers: readonly (readonly [string, string])[], body: Buffer | string = '') {
  const authorization = ['authorization', `Bearer ${a.bench.installation.ownerKey.secret}`] as const;
  return rawExchange({ port: a.port }, requestBytes({ method, target, headers: [authorization, ...headers], body }), method);
}

test('a body must be JSON and say so', async () => {
  await using a = await adminBench();
  const json = JSON.stringify({ name: 'x', roles: ['user'] });
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=utf-16',
    'application/jsonp',
    '',
  ]) {
    const reply = await a.call('POST', KEYS, { body: json, headers: { 'content-type': type } });
    assert.deepEqual([reply.status, at(reply.json, 'code')], [415, 'unsupported_media_type'], type);
  }
  assert.equal((await a.call('POST', KEYS, { body: json, headers: { 'content-encoding': 'gzip' } })).status, 415);
  for (const type of ['application/json', 'Application/JSON; charset=UTF-8', 'application/json;charset="utf-8"']) {
    assert.equal((await a.call('POST', KEYS, { body: json, headers: { 'content-type': type } })).status, 201, type);
  }
});

test('malformed bodies are 400, and nothing of them is shown again', async () => {
  await using a = await adminBench();
  const bodies: readonly (Buffer | string)[] = [
    '{',
    '[]',
    'null',
    '"text"',
    '{"name":"x","roles":["user"]} trailing',
    '{"name":"x","name":"y","roles":["user"]}',
    '{"name":"x","\\u006eame":"y","roles":["user"]}',
    '{"name":"x","roles":["user"],"limits":[{"amount":1,"amount":2,"quantity":"tokens"}]}',
    '{"name":"\\ud800","roles":["user"]}',
    '{"name":"x","roles":["user"],"__proto__":{"admin":true}}',
    `{"name":${'['.repeat(17)}${']'.repeat(17)}}`,
    '['.repeat(100_000),
    `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
    '{"name":NaN}',
    "{'name':'x'}",
    '{"name":"x",}',
    '\ufeff{"name":"x","roles":["user"]}',
    Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    '{"name":"a\u0000b","roles":["user"]}',
    '{"name":"a\\u0000b","roles":["user"]}',
    '{"name":1e999,"roles":["user"]}',
  ];
  for (const body of bodies) {
    const reply = await raw(a, 'POST', KEYS, [['content-type', 'application/json']], body);
    const text = reply.body.toString();
    assert.equal(reply.status, 400, `${body.toString().slice(0, 60)} ${text}`);
    assert.equal(reply.header('content-type'), 'application/problem+json');
    assert.equal(/SyntaxError|JSON\.parse|position|at /.test(text), false, text);
  }
});

test('a large body is refused, announced or not', async () => {
  await using a = await adminBench();
  const announced = await raw(a, 'POST', KEYS, [['content-type', 'application/json']], Buffer.alloc(1_048_577, 0x20));
  assert.deepEqual([announced.status, announced.header('connection')], [413, 'close']);
  const chunk = Buffer.alloc(65_536, 0x20);
  const chunks = Array.from({ length: 17 }, () => Buffer.concat([Buffer.from('10000\r\n'), chunk, Buffer.from('\r\n')]));
  const head = `POST ${KEYS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${a.bench.installation.ownerKey.secret}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`;
  const chunked = await rawExchange({ port: a.port }, Buffer.concat([Buffer.from(head), ...chunks]));
  assert.equal(chunked.status, 413);
  assert.equal((await a.call('GET', KEYS)).status, 200);
});

test('a body where none is taken is refused, so that it cannot be read as the next request', async () => {
  await using a = await adminBench();
  const reply = await raw(a, 'GET', KEYS, [['content-length', '5']], 'GET /');
  assert.equal(reply.status, 400);
});

test('a refusal reaches a client that is still sending', async () => {
  await using a = await adminBench();
  const body = JSON.stringify({ name: 'x'.repeat(900_000), roles: ['user'] });
  const reply = await a.call('POST', KEYS, { key: a.bench.installation.firstKey.secret, body });
  assert.deepEqual([reply.status, at(reply.json, 'code')], [403, 'forbidden']);
  assert.equal((await a.call('POST', KEYS, { key: 'wrong', body })).status, 401);
  assert.equal((await a.call('POST', '/nowhere', { body })).status, 404);
});

test('requests that two programs could read differently are refused', async () => {
  await using a = await adminBench();
  const auth = `authorization: Bearer ${a.bench.installation.ownerKey.secret}\r\n`;
  for (const bytes of [
    `POST ${KEYS} HTTP/1.1\r\nhost: x\r\n${auth}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    `POST ${KEYS} HTTP/1.1\r\nhost: x\r\n${auth}content-length: 4\r\ncontent-length: 5\r\n\r\n{}{}`,
    `POST ${KEYS} HTTP/1.1\r\nhost: x\r\n${auth}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    `GET ${KEYS} HTTP/1.1\r\n${auth}\r\n`,
    `GET ${KEYS} HTTP/1.1\r\nhost: x\r\n${auth}x-bad\r\n\r\n`,
    `GET ${KEYS} HTTP/1.1\r\nhost: x\r\n${auth}x: a\r\n b\r\n\r\n`,
    `GET ${KEYS}\u0000 HTTP/1.1\r\nhost: x\r\n${auth}\r\n`,
    'nonsense\r\n\r\n',
    `GET ${KEYS} HTTP/1.1\r\nhost: x\r\n${auth}${auth}\r\n`,
    `GET ${KEYS} HTTP/1.1\r\nhost: x\r\nconnection: authorization\r\n${auth}\r\n`,
  ]) {
    const reply = await rawExchange({ port: a.port }, bytes, 'GET');
    assert.equal(reply.status, 400, JSON.stringify(bytes.slice(0, 80)));
  }
  const large = `GET ${KEYS} HTTP/1.1\r\nhost: x\r\n${auth}x: ${'y'.repeat(20_000)}\r\n\r\n`;
  const reply = await rawExchange({ port: a.port }, large, 'GET');
  assert.deepEqual([reply.status, reply.header('content-type')], [431, 'application/problem+json']);
  assert.equal((await raw(a, 'POST', KEYS, [['expect', '200-maybe']], '{}')).status, 417);
});

test('paths are taken as they are', async () => {
  await using a = await adminBench();
  for (const target of [
    '//admin/v1/keys',
    '/admin/v1/keys/',
    '/admin/v1/../v1/keys',
    '/admin/v1/%6beys',
    '/ADMIN/v1/keys',
    '/admin/v1/keys;x',
    'http://x/admin/v1/keys',
    '*',
  ]) {
    assert.equal((await raw(a, 'GET', target, [])).status, 404, target);
  }
  assert.equal((await raw(a, 'GET', `${KEYS}?x=${'y'.repeat(3_000)}`, [])).status, 400);
  assert.equal((await raw(a, 'GET', `${KEYS}?limit=1&limit=2`, [])).status, 400);
  assert.equal((await raw(a, 'GET', `${KEYS}?unknown=1`, [])).status, 400);
  for (const limit of ['0', '501', '-1', '1e2', '', '9999999999', '1.5']) {
    assert.equal((await raw(a, 'GET', `${KEYS}?limit=${limit}`, [])).status, 400, limit);
  }
});

test('methods: HEAD is GET without a body, the rest is 405 and says what there is', async () => {
  await using a = await adminBench();
  const head = await a.call('HEAD', KEYS);
  assert.deepEqual([head.status, head.text], [200, '']);
  for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']) {
    const reply = await raw(a, method, KEYS, []);
    assert.deepEqual([reply.status, reply.header('allow')], [405, 'GET, POST'], method);
  }
});

test('pages of other sites get no answer, and no page is invited', async () => {
  await using a = await adminBench({ server: { origins: ['https://console.example.org'] } });
  for (const headers of [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `http://127.0.0.1:${a.port}.evil.example` },
    { origin: `http://evil.example:${a.port}`, host: `evil.example:${a.port}` },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ]) {
    const reply = await a.call('GET', KEYS, { headers });
    assert.deepEqual([reply.status, at(reply.json, 'code')], [403, 'forbidden'], JSON.stringify(headers));
  }
  for (const origin of ['https://console.example.org', `http://127.0.0.1:${a.port}`, `http://localhost:${a.port}`]) {
    const reply = await raw(a, 'GET', KEYS, [
      ['origin', origin],
      ['sec-fetch-site', 'same-origin'],
    ]);
    assert.equal(reply.status, 200, origin);
    assert.equal(reply.header('access-control-allow-origin'), null);
  }
  const preflight = await raw(a, 'OPTIONS', KEYS, [
    ['origin', 'https://console.example.org'],
    ['access-control-request-method', 'POST'],
  ]);
  assert.equal(preflight.status, 405);
  assert.equal(
    preflight.headers.some(([name]) => name.toLowerCase().startsWith('access-control')),
    false,
  );
});

test('the Host header changes nothing', async () => {
  await using a = await adminBench();
  const reply = await raw(a, 'GET', '/', [
    ['x-forwarded-host', 'evil.example'],
    ['x-forwarded-proto', 'https'],
  ]);
  const other = await rawExchange({ port: a.port }, 'GET / HTTP/1.1\r\nhost: evil.example\r\n\r\n', 'GET');
  assert.deepEqual(other.body, reply.body);
  assert.equal(other.body.includes('evil'), false);
});

const SECURITY_HEADERS = [
  'content-security-policy',
  'x-content-type-options',
  'x-frame-options',
  'referrer-policy',
  'permissions-policy',
  'cross-origin-opener-policy',
  'cross-origin-resource-policy',
  'cache-control',
  'x-request-id',
];

test('every answer has the security headers, errors too', async () => {
  await using a = await adminBench();
  const replies = [
    await raw(a, 'GET', '/', []),
    await raw(a, 'GET', '/nowhere', []),
    await raw(a, 'PUT', KEYS, []),
    await raw(a, 'POST', KEYS, [['content-type', 'text/plain']], 'x'),
    await rawExchange({ port: a.port }, 'nonsense\r\n\r\n', 'GET'),
    await rawExchange({ port: a.port }, `GET ${KEYS} HTTP/1.1\r\nhost: x\r\n\r\n`, 'GET'),
  ];
  assert.deepEqual(
    replies.map((reply) => reply.status),
    [200, 404, 405, 415, 400, 401],
  );
  for (const reply of replies) {
    for (const name of SECURITY_HEADERS) assert.notEqual(reply.header(name), null, `${reply.status} ${name}`);
    assert.equal(reply.header('strict-transport-security'), null, 'not over plain HTTP');
    assert.equal(reply.header('server'), null);
    assert.equal(reply.header('x-powered-by'), null);
  }
});

test('over TLS', async () => {
  const authority = await Authority.create();
  const { cert, key } = await authority.issueServer();
  await using a = await adminBench({ server: { tls: { cert, key, minVersion: 'TLSv1.2' } } });
  const bytes = requestBytes({
    method: 'GET',
    target: KEYS,
    headers: [['authorization', `Bearer ${a.bench.installation.ownerKey.secret}`]],
  });
  const target = { port: a.port, tls: { ca: authority.cert, servername: 'localhost' } };
  const reply = await rawExchange(target, bytes, 'GET');
  assert.equal(reply.status, 200);
  assert.match(reply.header('strict-transport-security') ?? '', /max-age=\d{8}/);
  assert.match(a.bench.entries.at(-1)?.source?.tls ?? '', /^TLSv1\.[23]$/);
  await assert.rejects(rawExchange({ ...target, tls: { ...target.tls, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' } }, bytes, 'GET'));
});

test('certificates are replaced without a restart', async () => {
  const [first, second] = [await Authority.create('First'), await Authority.create('Second')];
  const issued = await first.issueServer();
  await using a = await adminBench({ server: { tls: { cert: issued.cert, key: issued.key, minVersion: 'TLSv1.2' } } });
  const get = (ca: string) =>
    rawExchange({ port: a.port, tls: { ca, servername: 'localhost' } }, requestBytes({ method: 'GET', target: '/health/live' }), 'GET');
  assert.equal((await get(first.cert)).status, 200);
  a.server.reloadTls(await second.issueServer());
  assert.equal((await get(second.cert)).status, 200);
  await assert.rejects(get(first.cert));
  await using plain = await adminBench();
  assert.throws(() => plain.server.reloadTls({}), /no TLS/);
});

test('garbage behind a request does not get in front of its answer', async () => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  await using a = await adminBench({
    server: {
      metricsPublic: true,
      metrics: async () => {
        await held;
        return { contentType: CONTENT_TYPES.prometheus, text: 'late 1\n' };
      },
    },
  });
  const exchange = rawExchange({ port: a.port }, 'GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\nnonsense\r\n\r\n', 'GET');
  const outcome = exchange.then(
    (reply) => reply.body.toString(),
    () => 'closed',
  );
  await new Promise((resolve) => setTimeout(resolve, 50));
  release();
  assert.ok(['late 1\n', 'closed'].includes(await outcome));
});

test('a defect of ours is a 500 that tells nothing, and the log knows where it was', async () => {
  await using a = await adminBench({
    server: {
      authenticate: () => {
        throw new TypeError('secret words of a client');
      },
    },
  });
  const reply = await a.call('GET', KEYS);
  assert.deepEqual([reply.status, at(reply.json, 'code')], [500, 'internal_error']);
  assert.equal(reply.text.includes('secret words'), false);
  const defect = a.log.find((line) => line.event === 'admin.defect');
  assert.equal(defect?.fields['error'], 'TypeError');
  assert.equal(defect?.fields['id'], at(reply.json, 'requestId'));
  assert.equal(JSON.stringify(a.log).includes('secret words'), false);
});

test('a fault shows its message and field, never its detail', async () => {
  await using a = await adminBench({
    server: {
      authenticate: () => {
        throw new Fault('not_ready', 'Try again.', { detail: 'postgres: ECONNREFUSED db.internal', retryAfter: 3 });
      },
    },
  });
  const reply = await a.call('GET', KEYS);
  assert.deepEqual([reply.status, reply.headers.get('retry-after'), at(reply.json, 'detail')], [503, '3', 'Try again.']);
  assert.equal(reply.text.includes('db.internal'), false);
});

test('metrics take a permission, unless they are opened and only this machine can ask', async () => {
  await using closed = await adminBench();
  assert.equal((await closed.call('GET', '/metrics', { key: null })).status, 401);
  assert.equal((await closed.call('GET', '/metrics', { key: closed.bench.installation.firstKey.secret })).status, 403);
  assert.equal((await closed.call('GET', '/metrics')).text, 'sallyport_up 1\n');
  await using opened = await adminBench({ server: { metricsPublic: true } });
  assert.equal((await opened.call('GET', '/metrics', { key: null })).text, 'sallyport_up 1\n');
  assert.equal((await opened.call('GET', '/admin/v1/status', { key: null })).status, 401);
});

test('a page whose name was pointed at this machine reads no metrics (DNS rebinding)', async () => {
  await using a = await adminBench({ server: { metricsPublic: true } });
  const get = async (host: string): Promise<number> => {
    const reply = await rawExchange({ port: a.port }, `GET /metrics HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`, 'GET');
    return reply.status;
  };
  for (const host of ['localhost', 'LOCALHOST:7071', '127.0.0.1', `127.0.0.1:${a.port}`, '[::1]:7071', '127.8.9.1'])
    assert.equal(await get(host), 200, host);
  for (const host of [
    'attacker.example',
    'attacker.example:7071',
    'localhost.attacker.example',
    '127.0.0.1.attacker.example',
    '0.0.0.0',
    '',
  ])
    assert.equal(await get(host), 401, host);
});

test('where a call came from is the socket, or what a trusted proxy says', async () => {
  const headers = { 'x-forwarded-for': '203.0.113.9' };
  await using plain = await adminBench();
  const bound = await plain.bench.holder({ roles: ['auditor'], allowedIps: ['203.0.113.9'] });
  assert.equal((await plain.call('GET', KEYS, { key: bound.issued.secret, headers })).status, 401);
  await using proxied = await adminBench({ server: { trustedProxies: ['127.0.0.0/8'] } });
  const other = await proxied.bench.holder({ roles: ['auditor'], allowedIps: ['203.0.113.9'] });
  assert.equal((await proxied.call('GET', KEYS, { key: other.issued.secret, headers })).status, 200);
  assert.equal(proxied.bench.entries.at(-1)?.source?.ip, '203.0.113.9');
});

test('a client that leaves in the middle of its body leaves nothing behind', async () => {
  await using a = await adminBench();
  const socket = connect(a.port, '127.0.0.1');
  const head = `POST ${KEYS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${a.bench.installation.ownerKey.secret}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"name":`;
  await new Promise<void>((resolve) => socket.write(head, () => resolve()));
  const logged = until(() => a.log.some((line) => line.event === 'admin.request'));
  socket.destroy();
  await logged;
  assert.equal((await a.call('GET', KEYS)).status, 200);
  assert.equal(await a.bench.store.version(), 1);
});

test('a body that stops or breaks is answered, and its request comes to an end', async () => {
  await using a = await adminBench();
  a.server.server.requestTimeout = 300;
  a.server.server.headersTimeout = 200;
  const head = `POST ${KEYS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${a.bench.installation.ownerKey.secret}\r\ncontent-type: application/json\r\n`;
  const slow = await rawExchange({ port: a.port }, `${head}content-length: 100\r\n\r\n{"name":`);
  assert.equal(slow.status, 408);
  const broken = await rawExchange({ port: a.port }, `${head}transfer-encoding: chunked\r\n\r\n5\r\n{"nam\r\nzz\r\n`);
  assert.deepEqual([broken.status, broken.header('connection')], [400, 'close']);
  const headless = await rawExchange({ port: a.port }, 'GET / HTTP/1.1\r\nho', 'GET');
  assert.equal(headless.status, 408);
  await until(() => a.log.filter((line) => line.event === 'admin.request').length === 2);
  assert.equal(await a.bench.store.version(), 1);
});

const missing = await postgresMissing();

describe('with PostgreSQL', { skip: missing === null ? false : `not run: ${missing}` }, () => {
  test('while the database is away it says 503 and not ready, and goes on when it is back', async () => {
    await using server = await startPostgres();
    await using a = await adminBench({ url: server.url });
    a.snapshot = { version: 1, builtAt: 0, sourceVersion: 1, staleSince: null };
    assert.equal((await a.call('GET', '/health/ready', { key: null })).status, 200);
    await server.stop();
    const away = await a.call('GET', KEYS);
    assert.deepEqual([away.status, at(away.json, 'code')], [503, 'not_ready']);
    assert.deepEqual((await a.call('GET', '/health/ready', { key: null })).json, { status: 'not-ready', problems: ['database'] });
    assert.equal((await a.call('GET', '/health/live', { key: null })).status, 200);
    await server.start();
    assert.equal((await a.call('GET', KEYS)).status, 200);
    assert.equal((await a.call('GET', '/health/ready', { key: null })).status, 200);
  });
});

async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; turns < 500 && !condition(); turns++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(condition());
}
