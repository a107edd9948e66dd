import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { adminRoutes } from '../src/admin/index.ts';
import { parseStrictJson } from '../src/admin/json.ts';
import { describeRoutes } from '../src/admin/openapi.ts';
import { adminBench, at, type Json, type Reply } from './admin-fixture.ts';

const ROUTES = adminRoutes('0');
/** As clients get it. */
const DOCUMENT: Json = JSON.parse(JSON.stringify(describeRoutes(ROUTES, '0')));

/** The statuses the OpenAPI document names for a route. */
function documented({ path, method }: (typeof ROUTES)[number]): string[] {
  return Object.keys(at(DOCUMENT, 'paths', path, method.toLowerCase(), 'responses') ?? {});
}

/** Values that have broken validators: wrong types, edges of numbers, texts that are SQL, paths, markup or names of JavaScript. */
const odd = fc.oneof(
  { weight: 3, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1e308,
    2 ** 53,
    '',
    'owner',
    'user',
    '1m',
    '0s',
    '999999999d',
    '2027-01-31T12:00:00Z',
    '9999-12-31T23:59:59Z',
  ),
  fc.constantFrom(
    "' or 1=1 --",
    '../../etc/passwd',
    '<script>',
    '\u202e',
    '\u0000',
    'constructor',
    'toString',
    '*',
    '10.0.0.0/8',
    '::/0',
    '::ffff:1.2.3.4/0',
  ),
);
const fields = fc.constantFrom(
  'name',
  'roles',
  'kind',
  'user',
  'tenant',
  'team',
  'models',
  'allowedIps',
  'limits',
  'expiresAt',
  'reason',
  'overlap',
  'email',
  'actions',
  'action',
  'resource',
  'key',
  'address',
);
const values = fc.oneof(
  odd,
  fc.array(odd, { maxLength: 3 }),
  fc.array(fc.constantFrom('owner', 'user', 'auditor', 'model.infer', 'llama*'), { maxLength: 3 }),
  fc
    .record({ quantity: fc.constantFrom('tokens', 'concurrency', 'x'), amount: fc.double(), window: odd }, { requiredKeys: [] })
    .map((limit) => [limit]),
  fc.record({ kind: fc.constantFrom('model', 'key', 'x'), name: odd }, { requiredKeys: [] }),
);
const bodies = fc.oneof(
  { weight: 4, arbitrary: fc.dictionary(fields, values, { maxKeys: 6 }).map((body) => JSON.stringify(body)) },
  { weight: 1, arbitrary: fc.json({ maxDepth: 20 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }) },
);

test('A22: no body makes any route fail or fall silent', async () => {
  await using a = await adminBench();
  const ids = [a.bench.installation.firstKey.key.id, a.bench.installation.owner.id, 'zzzzzzzzzzzz'];
  const withBody = ROUTES.filter((route) => route.schemas.body !== null);
  assert.ok(withBody.length >= 7);
  for (const route of withBody) {
    const property = fc.asyncProperty(bodies, fc.constantFrom(...ids), async (body, id) => {
      const reply = await a.call(route.method, route.path.replace('{id}', id), { body });
      check(reply, `${route.id} ${body}`);
      assert.ok(
        documented(route).includes(String(reply.status)),
        `${route.id} answers ${reply.status}, which its description does not name`,
      );
    });
    await fc.assert(property, { numRuns: 60 });
  }
  assert.deepEqual(
    a.log.filter((line) => line.event === 'admin.defect'),
    [],
  );
});

test('A22: no path and no query makes any route fail or fall silent', async () => {
  await using a = await adminBench();
  const segment = fc.oneof(
    fc.webSegment(),
    fc.string({ maxLength: 20 }).map((text) => encodeURIComponent(text.toWellFormed())),
    fc.constantFrom('..', '%00', '%', '%2e', 'u_', '__proto__'),
  );
  const query = fc.oneof(
    fc.webQueryParameters(),
    fc.dictionary(fc.constantFrom('limit', 'cursor', 'tenant', 'user'), fc.string({ maxLength: 20 }), { maxKeys: 3 }).map((pairs) =>
      Object.entries(pairs)
        .map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`)
        .join('&'),
    ),
    fc
      .string({ minLength: 0, maxLength: 30 })
      .map((text) => Buffer.from(text).toString('base64url'))
      .map((cursor) => `cursor=${cursor}`),
  );
  for (const route of ROUTES.filter((candidate) => candidate.method === 'GET')) {
    const property = fc.asyncProperty(segment, query, async (part, text) => {
      const path = route.path.replace(/\{[a-z]+\}/, part);
      check(await a.call('GET', `${path}?${text}`), `${path}?${text}`);
    });
    await fc.assert(property, { numRuns: 25 });
  }
  assert.deepEqual(
    a.log.filter((line) => line.event === 'admin.defect'),
    [],
  );
});

test('the strict reader takes what JSON.parse takes, less what is refused, and gives the same value', () => {
  const property = fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: 'grapheme' }), (value) => {
    const text = JSON.stringify(value);
    const refused = hasForbiddenName(value);
    if (refused) assert.throws(() => parseStrictJson(Buffer.from(text)));
    else assert.deepEqual(parseStrictJson(Buffer.from(text)), JSON.parse(text));
  });
  fc.assert(property, { numRuns: 300 });
});

test('the strict reader finds a name given twice, however it is written and wherever it stands', () => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
    .filter((text) => !['__proto__', 'constructor', 'prototype'].includes(text));
  const escaped = (text: string): string =>
    `"${[...text].map((char) => [...Array(char.length).keys()].map((n) => `\\u${char.charCodeAt(n).toString(16).padStart(4, '0')}`).join('')).join('')}"`;
  const property = fc.property(name, fc.boolean(), fc.boolean(), fc.integer({ min: 0, max: 10 }), (text, first, second, depth) => {
    const pair = `{${first ? escaped(text) : JSON.stringify(text)}:[{}] , ${second ? escaped(text) : JSON.stringify(text)} : "a:{}"}`;
    const nested = `${'[{"x":'.repeat(Math.floor(depth / 2))}${pair}${'}]'.repeat(Math.floor(depth / 2))}`;
    assert.throws(() => parseStrictJson(Buffer.from(nested)), /twice/);
  });
  fc.assert(property, { numRuns: 200 });
});

function check(reply: Reply, what: string): void {
  // A 503 is an answer of /health/ready and /admin/v1/snapshot while there is no snapshot.
  assert.ok(reply.status < 500 || reply.status === 503, `${what}: ${reply.status} ${reply.text}`);
  const type = reply.headers.get('content-type') ?? '';
  if (reply.status >= 400 && reply.status !== 503) assert.equal(type, 'application/problem+json', what);
  assert.equal(reply.headers.get('x-content-type-options'), 'nosniff');
}

function hasForbiddenName(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some(hasForbiddenName);
  return Object.entries(value).some(
    ([name, member]) => ['__proto__', 'constructor', 'prototype'].includes(name) || hasForbiddenName(member),
  );
}
