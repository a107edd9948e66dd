import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { EntryFacts, EntryKind, ExportFormat, Outcome } from '@sallyport/core';
import { encoder, isSound, readEvent, type SoundEvent } from '@sallyport/export';
import { readEntries } from '@sallyport/ledger';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { gelfDatagrams, gelfMessage } from '../src/destination/gelf.ts';
import { octetCounted, syslogMessage } from '../src/format/syslog.ts';
import { Bench, facts } from './support.ts';

const KINDS: readonly EntryKind[] = ['request', 'auth', 'decision', 'change', 'tool', 'finding', 'system'];
const OUTCOMES: readonly Outcome[] = ['open', 'answered', 'refused', 'blocked', 'failed', 'cut', 'abandoned', 'done'];
const ACTIONS = [
  'model.infer',
  'key.create',
  'key.rotate',
  'key.revoke',
  'role.manage',
  'process.start',
  'process.stop',
  'configuration.reload',
  'ledger.retention',
  'sign-in',
];
const EMPTY: Partial<EntryFacts> = {
  principal: null,
  source: null,
  resource: null,
  decision: null,
  model: null,
  usage: null,
  latency: null,
  digest: { prompt: null, reply: null },
};
const VARIANTS: readonly Partial<EntryFacts>[] = [
  {},
  EMPTY,
  { model: { name: 'chat', upstream: null, artifact: 'sha256:1' }, usage: null, source: { ip: '2001:db8::1', port: 0, tls: null } },
  {
    decision: { effect: 'deny', rule: 'default-deny' },
    fault: 'forbidden',
    verdicts: [{ detector: 'pii', action: 'redact', category: 'email', count: 2 }],
  },
];

/** Every kind of entry with every outcome, action and shape, as the ledger holds them. */
async function everyEvent(): Promise<SoundEvent[]> {
  await using bench = await Bench.create();
  const appending: Promise<unknown>[] = [];
  for (const kind of KINDS)
    for (const outcome of OUTCOMES)
      for (const action of ACTIONS)
        for (const variant of VARIANTS) appending.push(bench.ledger.append({ ...facts(), kind, outcome, action, ...variant }));
  await Promise.all(appending);
  await bench.ledger.checkpoint();
  const events: SoundEvent[] = [];
  for await (const { log, entry } of readEntries(bench.directory)) {
    const event = readEvent(log, entry.seq, JSON.stringify(entry));
    assert.ok(isSound(event));
    events.push(event);
  }
  return events;
}

const events = await everyEvent();
const ORIGIN = { host: 'gw-1', version: '0.1.0' };

function validator(file: string): (value: unknown) => string | null {
  const ajv = addFormats.default(new Ajv2020({ allErrors: true, strict: false, discriminator: false }));
  const validate = ajv.compile(JSON.parse(readFileSync(new URL(`schema/${file}`, import.meta.url), 'utf8')));
  return (value) => (validate(value) ? null : ajv.errorsText(validate.errors));
}

describe('events of every kind are valid', () => {
  for (const [format, file] of [
    ['ocsf', 'ocsf-1.8.0.json'],
    ['ecs', 'ecs-9.4.0.json'],
  ] as const satisfies readonly (readonly [ExportFormat, string])[]) {
    test(`${format} against ${file}`, () => {
      const problem = validator(file);
      const encode = encoder(format, ORIGIN);
      assert.ok(events.length > KINDS.length * OUTCOMES.length * ACTIONS.length * VARIANTS.length);
      for (const event of events) assert.equal(problem(JSON.parse(encode(event))), null, encode(event));
    });

    test(`${file} refuses what is wrong`, () => {
      const problem = validator(file);
      const good = JSON.parse(encoder(format, ORIGIN)(events[5] ?? assert.fail()));
      assert.notEqual(problem({ ...good, invented: 1 }), null);
      const wrong = format === 'ocsf' ? { ...good, type_uid: 1 } : { ...good, event: { ...good.event, category: ['nothing'] } };
      assert.notEqual(problem(wrong), null);
    });
  }

  test('the native format is the line of the ledger', () => {
    for (const event of events) assert.equal(encoder('json', ORIGIN)(event), event.line);
  });
});

test('CEF escapes what would end a field, and keeps every value', () => {
  const entry = hostileEntry('a|b\\c=d');
  const line = encoder('cef', ORIGIN)(entry);
  const [head = '', ...rest] = line.split(/(?<!\\)\|/).slice(0, 8);
  assert.equal(head, 'CEF:0');
  assert.equal(rest[3], 'a\\|b\\\\c=d');
  const extension = parseCef(
    line
      .split(/(?<!\\)\|/)
      .slice(7)
      .join('|'),
  );
  assert.equal(extension.get('act'), 'a|b\\c=d');
  assert.equal(extension.get('suser'), 'eve=admin outcome');
  assert.equal(extension.get('outcome'), 'answered');
});

/** The extension read back as its specification says. */
function parseCef(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const [, key = '', value = ''] of text.matchAll(/(?:^| )([A-Za-z0-9]+)=((?:\\.|[^\\=]|=(?!))*?)(?=(?: [A-Za-z0-9]+=)|$)/g))
    fields.set(key, value.replace(/\\n/g, '\n').replace(/\\([\\=])/g, '$1'));
  return fields;
}

test('syslog: header fields hold printable ASCII, parameters are escaped, the length counts bytes', () => {
  const message = syslogMessage(hostileEntry('über alles'), 'naïve', 'höst name');
  assert.match(
    message,
    /^<110>1 \S+Z h_st_name sallyport serve _ber_alles \[sallyport@32473 id="[0-9a-f]{64}" log="serve" seq="\d+" outcome="answered"\] \ufeffna/,
  );
  assert.ok(octetCounted('é').startsWith('2 '));
});

test('GELF over UDP: chunks make the message again, and 128 are the most', () => {
  const message = Buffer.from(gelfMessage(events[0] ?? assert.fail(), 'h', 'x'.repeat(100_000)));
  const chunks = gelfDatagrams(message) ?? assert.fail();
  for (const [i, chunk] of chunks.entries()) {
    assert.equal(chunk.readUInt16BE(0), 0x1e0f);
    assert.deepEqual([chunk[10], chunk[11]], [i, chunks.length]);
    assert.ok(chunk.length <= 1420);
  }
  assert.ok(Buffer.concat(chunks.map((chunk) => chunk.subarray(12))).equals(message));
  assert.equal(gelfDatagrams(Buffer.alloc(200_000)), null);
  assert.equal(gelfDatagrams(Buffer.from('{}'))?.length, 1);
});

/** An event whose action and principal are chosen by somebody who knows the formats. */
function hostileEntry(action: string): SoundEvent {
  const event = events[10] ?? assert.fail();
  const { entry } = event;
  const principal = { id: 'eve=admin outcome', kind: 'person', tenant: 'acme', credential: 'c' } as const;
  return { ...event, entry: { ...entry, kind: 'request', action, outcome: 'answered', principal, verdicts: [], decision: null } };
}
