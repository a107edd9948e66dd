import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CONFIG_JSON_SCHEMA, ConfigError, parseConfig } from '@sallyport/control';
import { ACTIONS } from '@sallyport/core';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { parse } from 'yaml';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const EXAMPLES = join(ROOT, 'examples');
const published: unknown = JSON.parse(readFileSync(join(ROOT, 'sallyport.schema.json'), 'utf8'));
const accepts = new Ajv2020({ strict: true, strictTypes: false, allErrors: true }).compile(CONFIG_JSON_SCHEMA);

test('the published schema is the one the reader uses (write it anew: sallyport config schema > sallyport.schema.json)', () => {
  assert.deepEqual(published, JSON.parse(JSON.stringify(CONFIG_JSON_SCHEMA)));
});

describe('every example', () => {
  const files = readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml'));
  test('there are some', () => assert.ok(files.length >= 3));
  for (const name of files) {
    test(name, () => {
      const text = readFileSync(join(EXAMPLES, name), 'utf8');
      assert.match(text, /^# yaml-language-server: \$schema=\.\.\/sallyport\.schema\.json\n/);
      assert.ok(accepts(parse(text)), JSON.stringify(accepts.errors));
      assert.deepEqual(parseConfig(text).warnings, []);
    });
  }
});

/** Every object of the schema with its path, the schema of list items included. */
function* objects(node: unknown, path: string): Generator<{ readonly path: string; readonly node: Readonly<Record<string, unknown>> }> {
  if (typeof node !== 'object' || node === null) return;
  const schema = node as Readonly<Record<string, unknown>>;
  if (schema['type'] === 'object') yield { path, node: schema };
  for (const [key, value] of Object.entries(schema['properties'] ?? {})) yield* objects(value, path === '' ? key : `${path}.${key}`);
  if (schema['items'] !== undefined) yield* objects(schema['items'], `${path}[]`);
}

/** Mappings whose keys the operator chooses. */
const MAPS: readonly string[] = [
  'identity.issuers[].roleMap',
  'guards.pii.actions',
  'guards.content.actions',
  'guards.actions',
  'guards.contract.schema',
];

/** A guard policy is written in several places; the page describes its keys once. */
function described(path: string): string {
  return path.replace(
    /^guards\.(?:overrides\[\](?:\.shadow)?|shadow)(?=\.(?!name$|models$|endpoints$|roles$|tenants$|shadow$)|$)/,
    'guards',
  );
}

test('no object of the schema takes unknown keys', () => {
  const all = [...objects(CONFIG_JSON_SCHEMA, '')];
  assert.ok(all.length > 15);
  for (const { path, node } of all) {
    const open = node['additionalProperties'] !== false;
    assert.equal(open, MAPS.includes(described(path)), path);
  }
});

test('what the schema refuses the reader refuses', () => {
  const text = fc.constantFrom('a', 'demo', 'ollama', 'http://h:1', 'env:A', '1m', '10.0.0.0/8', '127.0.0.1:1', 'user', 'key', 'x y', '*');
  const scalar = fc.oneof(text, fc.integer({ min: -1, max: 100_000 }), fc.boolean());
  const paths = [...objects(CONFIG_JSON_SCHEMA, '')].flatMap(({ path, node }) =>
    Object.keys(node['properties'] ?? {}).map((key) => (path === '' ? key : `${path}.${key}`)),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...paths), fc.oneof(scalar, fc.array(scalar, { maxLength: 2 }))), { minLength: 1, maxLength: 6 }),
      (values) => {
        const document: Record<string, unknown> = {};
        for (const [path, value] of values) put(document, path.split('.'), value);
        if (accepts(document)) return;
        assert.throws(() => parseConfig(JSON.stringify(document)), ConfigError, JSON.stringify(document));
      },
    ),
    { numRuns: 500 },
  );
});

/** Sets the value at a path such as `upstreams[].tls.pins`, in the only item of each list; gives up where something else is in the way. */
function put(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [part = '', ...rest] = path;
  const key = part.replace('[]', '');
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  target[key] ??= part.endsWith('[]') ? [{}] : {};
  const next = target[key];
  const inner: unknown = Array.isArray(next) ? next[0] : next;
  if (typeof inner === 'object' && inner !== null) put(inner as Record<string, unknown>, rest, value);
}

describe('docs/configuration.md', () => {
  const page = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8');

  test('describes every key, and no other', () => {
    const rows = new Set([...page.matchAll(/^\| `([A-Za-z]+(?:\[\])?\.[^`]+)` \|/gm)].map((match) => match[1]));
    const known = new Set<string>();
    for (const { path, node } of objects(CONFIG_JSON_SCHEMA, '')) {
      for (const [key, value] of Object.entries(node['properties'] ?? {})) {
        const type: unknown = Reflect.get(Object(value), 'type');
        const items: unknown = Reflect.get(Object(value), 'items');
        const holdsMore = type === 'object' || (type === 'array' && Reflect.get(Object(items), 'type') === 'object');
        const whole = described(path === '' ? key : `${path}.${key}`);
        if (!holdsMore || MAPS.includes(whole) || key === 'headers') known.add(whole);
      }
    }
    assert.deepEqual([...rows].toSorted(), [...known].toSorted());
  });

  test('gives the defaults of the schema', () => {
    for (const { path, node } of objects(CONFIG_JSON_SCHEMA, '')) {
      for (const [key, value] of Object.entries(node['properties'] ?? {})) {
        const fallback: unknown = Reflect.get(Object(value), 'default');
        if (fallback === undefined) continue;
        const row = page.split('\n').find((line) => line.startsWith(`| \`${described(`${path}.${key}`)}\` |`)) ?? '';
        const shown = typeof fallback === 'string' ? fallback : JSON.stringify(fallback).replaceAll('"', '').replaceAll(',', ', ');
        assert.ok(row.includes(`\`${shown}\``), `${path}.${key}: ${shown}`);
      }
    }
  });

  test('its defaults are those that are in effect', () => {
    const { config } = parseConfig('upstreams: [{ name: u, kind: demo }]\nmodels: [{ name: m, upstream: u }]', { directory: '/d' });
    const explicit = parseConfig(
      `upstreams: [{ name: u, kind: demo, connections: 1024, retries: 1, timeouts: { connect: 3s, firstByte: 2m, idle: 1m, total: 10m } }]
models: [{ name: m, upstream: u, target: m, fallback: [] }]
listen: { gateway: 127.0.0.1:7070, control: 127.0.0.1:7071 }
http: { corsOrigins: [], trustedProxies: [], maxBodyBytes: 16777216, maxHeaderBytes: 16384, timeouts: { headers: 10s, body: 30s, keepAlive: 65s, drain: 30s } }
guards: { mode: transform, deny: [], onBlock: fault, onUnavailable: block, maxTextLength: 1000000, links: { hosts: [], only: false } }
storage: { url: "sqlite:.sallyport/state.db" }
counters: { url: "memory:" }
audit: { directory: .sallyport/ledger, exporters: [] }`,
      { directory: '/d' },
    );
    assert.deepEqual(explicit.config, config);
  });

  test('its examples can be used', () => {
    const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');
    assert.ok(blocks.length >= 5);
    for (const block of blocks) assert.ok(parseConfig(block).config, block);
  });

  test('names every action', () => {
    for (const action of ACTIONS) assert.ok(page.includes(`\`${action}\``), action);
  });
});
