import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import type { EntryFacts } from '@sallyport/core';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { ENTRY_LIMITS, GENESIS, InvalidEntry, printable } from '../src/entry.ts';
import { parseLine } from '../src/line.ts';
import { leafHash } from '../src/merkle.ts';
import { serialiseEntry } from '../src/serialise.ts';
import { facts } from './support.ts';

const schema: object = JSON.parse(readFileSync(new URL('../ledger-entry.schema.json', import.meta.url), 'utf8'));
const validate = new Ajv2020({ allowUnionTypes: true }).compile(schema);
const TIME = '2026-01-02T03:04:05.678Z';

function line(value: EntryFacts, seq = 7): string {
  const { head, tail } = serialiseEntry(value, seq, TIME, GENESIS);
  return `${head},"hash":"${leafHash(head + tail)}"${tail}`;
}

/** RFC 8785 the plain way. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(',')}}`;
}

const nullable = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { nil: null });
const name = fc.string({ maxLength: 60, unit: 'binary' });
const count = fc.nat();
const time = fc.double({ min: 0, max: 1e9, noNaN: true });
const hex = fc.stringMatching(/^[0-9a-f]{64}$/);

const anyFacts: fc.Arbitrary<EntryFacts> = fc.record({
  id: name,
  kind: fc.constantFrom('request', 'auth', 'decision', 'change', 'tool', 'finding', 'system'),
  principal: nullable(fc.record({ id: name, kind: fc.constantFrom('person', 'application', 'workload'), tenant: name, credential: name })),
  source: nullable(fc.record({ ip: name, port: fc.nat(65535), tls: nullable(name) })),
  action: name,
  resource: nullable(name),
  decision: nullable(fc.record({ effect: fc.constantFrom('permit', 'deny'), rule: name })),
  model: nullable(fc.record({ name, upstream: nullable(name), artifact: nullable(name) })),
  usage: nullable(fc.record({ input: count, output: count, cached: count, exact: fc.boolean() })),
  latency: nullable(fc.record({ overhead: time, ttft: nullable(time), total: time })),
  verdicts: fc.array(fc.record({ detector: name, action: name, category: name, count }), { maxLength: 4 }),
  outcome: fc.constantFrom('open', 'answered', 'refused', 'blocked', 'failed', 'cut', 'abandoned', 'done'),
  fault: nullable(name),
  digest: fc.record({ prompt: nullable(hex), reply: nullable(hex) }),
  detail: fc.dictionary(
    fc.stringMatching(/^[a-z][A-Za-z0-9_.-]{0,12}$/),
    fc.oneof(name, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null)),
    { maxKeys: 6 },
  ),
});

test('every entry is canonical JSON, valid under the published schema, and read back by the verifier', () => {
  fc.assert(
    fc.property(anyFacts, fc.nat(), (value, seq) => {
      const text = line(value, seq);
      const entry: unknown = JSON.parse(text);
      assert.equal(text, canonical(entry));
      assert.ok(validate(entry), JSON.stringify(validate.errors));
      const parsed = parseLine(text);
      assert.ok(parsed !== null);
      assert.equal(parsed.seq, seq);
      assert.equal(leafHash(parsed.leaf), parsed.hash);
    }),
  );
});

test('no fact can start a new line, hide characters or reorder what a terminal shows', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 40, unit: 'binary' }), (text) => {
      const written = line(facts({ resource: text, detail: { note: text } }));
      assert.doesNotMatch(written, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
    }),
  );
  const hostile = 'a\n{"action":"forged"}\r\u2028\u202e\u200b\u0085\x1b[2J\ud800"\\';
  const written = line(facts({ resource: hostile }));
  assert.equal(JSON.parse(written).resource, 'a\ufffd{"action":"forged"}\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd[2J\ufffd"\\');
});

test('printable cuts long text and says so', () => {
  assert.equal(printable('x'.repeat(300)), `${'x'.repeat(255)}…`);
  assert.equal(printable(`${'x'.repeat(254)}😀y`), `${'x'.repeat(254)}…`);
  assert.equal(printable('llama3.2'), 'llama3.2');
});

const base = facts();
const refused: [string, unknown][] = [
  ['entry', { ...base, extra: 1 }],
  ['entry', { ...base, detail: undefined, extra: 1, other: 2 }],
  ['action', { ...base, action: 'x'.repeat(ENTRY_LIMITS.name + 1) }],
  ['action', { ...base, action: 7 }],
  ['kind', { ...base, kind: 'note' }],
  ['kind', { ...base, kind: 'toString' }],
  ['outcome', { ...base, outcome: 'ok' }],
  ['resource', { ...base, resource: 'x'.repeat(ENTRY_LIMITS.text + 1) }],
  ['principal', { ...base, principal: { ...base.principal, email: 'a@b.example' } }],
  ['principal.kind', { ...base, principal: { ...base.principal, kind: 'robot' } }],
  ['source.port', { ...base, source: { ip: '::1', port: 1.5, tls: null } }],
  ['usage.input', { ...base, usage: { input: Number.NaN, output: 0, cached: 0, exact: true } }],
  ['usage.exact', { ...base, usage: { input: 0, output: 0, cached: 0, exact: 1 } }],
  ['latency.total', { ...base, latency: { overhead: 0, ttft: null, total: Number.POSITIVE_INFINITY } }],
  ['latency.overhead', { ...base, latency: { overhead: -1, ttft: null, total: 1 } }],
  ['digest.prompt', { ...base, digest: { prompt: 'the prompt itself', reply: null } }],
  ['detail', { ...base, detail: [] }],
  ['detail', { ...base, detail: { 'bad key': 1 } }],
  ['detail.n', { ...base, detail: { n: Number.NaN } }],
  ['detail.o', { ...base, detail: { o: { nested: true } } }],
  ['detail', { ...base, detail: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`k${i}`, i])) }],
  ['verdicts', { ...base, verdicts: {} }],
  ['verdicts', { ...base, verdicts: Array.from({ length: 65 }, () => base.verdicts[0]) }],
  ['verdicts[].count', { ...base, verdicts: [{ detector: 'd', action: 'a', category: 'c', count: -1 }] }],
];

for (const [field, value] of refused) {
  test(`refuses ${field}: ${JSON.stringify(value).slice(-60)}`, () => {
    // The type of a hostile or mistaken caller.
    const wrong: EntryFacts = Object.assign(Object.create(null), value);
    assert.throws(
      () => serialiseEntry(wrong, 0, TIME, GENESIS),
      (error: unknown) => error instanceof InvalidEntry && error.field === field,
    );
  });
}

test('refuses an entry larger than a log entry of tlog-tiles may be', () => {
  const wide = '語'.repeat(ENTRY_LIMITS.text);
  const detail = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`k${i}`, wide]));
  assert.throws(() => serialiseEntry(facts({ detail }), 0, TIME, GENESIS), InvalidEntry);
});

const good = line(facts());
const unacceptable: [string, string][] = [
  ['white space', good.replace('","', '", "')],
  ['an unknown member', good.replace(',"verdicts"', ',"unknown":1,"verdicts"')],
  ['members out of order', good.replace('{"action":"model.infer","decision"', '{"decision"').replace(/\}$/, ',"action":"model.infer"}')],
  ['hash inside detail', good.replace(/,"hash":"[0-9a-f]{64}"/, '').replace('"reason":null}', `"reason":null,"hash":"${GENESIS}"}`)],
  ['a number with leading zeros', good.replace('"seq":7', '"seq":07')],
  ['an escaped letter', good.replace('"chat"', '"ch\\u0061t"')],
  ['a raw control character', good.replace('"chat"', '"ch\tat"')],
  ['two members hash', good.replace(',"id"', `,"hash":"${GENESIS}","id"`)],
];

for (const [what, text] of unacceptable) {
  test(`the line grammar refuses ${what}`, () => {
    assert.notEqual(text, good);
    assert.equal(parseLine(text), null);
  });
}
