import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { EndpointId } from '../src/endpoint.ts';
import type { ReplyEvent } from '../src/reply/format.ts';
import { format, payloadOf, readOne, readStream, STREAMS } from './reply-fixtures.ts';

/**
 * Members that are no text as long as they look like what they are. This is the whole table: a string anywhere else must be found by
 * the reader, whatever its shape.
 */
const NOT_TEXT: ReadonlySet<string> = new Set([
  // ids
  ...[
    'id',
    'item_id',
    'call_id',
    'container_id',
    'file_id',
    'tool_use_id',
    'system_fingerprint',
    'previous_response_id',
    'approval_request_id',
  ],
  // words of the protocol
  ...['type', 'object', 'role', 'status', 'finish_reason', 'stop_reason', 'done_reason', 'service_tier', 'truncation', 'tool_choice'],
  ...['effort', 'summary', 'verbosity', 'reason', 'output_format', 'background', 'quality', 'phase'],
  // sealed or binary
  ...['signature', 'data', 'encrypted_content', 'encrypted_index', 'partial_image_b64', 'embedding', 'images', 'obfuscation'],
  // dates and digests
  ...['created_at', 'modified_at', 'digest'],
]);

/** Replaced by the public name, whatever it holds. */
const MODEL: ReadonlySet<string> = new Set(['model', 'remote_model', 'remote_host']);

type Step = string | number;

function* stringPlaces(value: unknown, path: readonly Step[] = []): Generator<readonly Step[]> {
  if (typeof value === 'string') yield path;
  else if (Array.isArray(value)) for (const [i, item] of value.entries()) yield* stringPlaces(item, [...path, i]);
  else if (typeof value === 'object' && value !== null)
    for (const [name, item] of Object.entries(value)) yield* stringPlaces(item, [...path, name]);
}

function withValue(value: unknown, path: readonly Step[], planted: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return planted;
  if (Array.isArray(value)) return value.map((item, i) => (i === step ? withValue(item, rest, planted) : item));
  assert.ok(typeof value === 'object' && value !== null);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, name === step ? withValue(item, rest, planted) : item]));
}

function lastName(path: readonly Step[]): string {
  return path.findLast((step): step is string => typeof step === 'string') ?? '';
}

/** All payloads of the recorded streams and whole replies, with a way to read a changed one. */
const PAYLOADS: readonly { readonly endpoint: EndpointId; readonly payload: unknown; readonly read: (payload: unknown) => ReplyEvent }[] = [
  ...STREAMS.flatMap(({ endpoint, bytes }) =>
    readStream(endpoint, [bytes])
      .events.filter(({ raw }) => raw.includes('{'))
      .map(({ raw }) => ({ endpoint, payload: payloadOf(raw), read: (payload: unknown) => readOne(endpoint, payload) })),
  ),
  ...(
    Object.entries(JSON.parse(readFileSync(new URL('./testdata/reply/wholes.json', import.meta.url), 'utf8'))) as [EndpointId, unknown][]
  ).map(([endpoint, payload]) => ({
    endpoint,
    payload,
    read: (changed: unknown) => format(endpoint).readWhole(Buffer.from(JSON.stringify(changed))),
  })),
];

function isFound(event: ReplyEvent, marker: string): boolean {
  return event.kind === 'malformed' || event.texts.some(({ text }) => text.includes(marker));
}

test('a sentence is found at every place where a string can stand, but a model name', () => {
  const marker = 'Plänted «marker» 4711';
  let places = 0;
  for (const { endpoint, payload, read } of PAYLOADS) {
    for (const path of stringPlaces(payload)) {
      if (MODEL.has(lastName(path))) continue;
      places++;
      assert.ok(isFound(read(withValue(payload, path, marker)), marker), `${endpoint} ${path.join('.')}`);
    }
  }
  assert.ok(places > 400);
});

test('a word is found at every place too, unless the table says that the member is no text', () => {
  for (const marker of ['plantedmarker', 'PLANTEDmarker+4711/==']) {
    for (const { endpoint, payload, read } of PAYLOADS) {
      for (const path of stringPlaces(payload)) {
        const name = lastName(path);
        if (MODEL.has(name) || NOT_TEXT.has(name)) continue;
        assert.ok(isFound(read(withValue(payload, path, marker)), marker), `${endpoint} ${path.join('.')}`);
      }
    }
  }
});

test('a sentence is found in members that no server sends, at every level, as a value, in a list and as a name', () => {
  const marker = 'Plänted «marker» 4711';
  for (const { endpoint, payload, read } of PAYLOADS) {
    const objects = new Set(
      [...stringPlaces(payload)].map((path) => path.slice(0, -1)).filter((path) => typeof path.at(-1) !== 'number' || path.length > 0),
    );
    for (const path of objects) {
      const host = path.reduce<unknown>((value, step) => Reflect.get(Object(value), step), payload);
      if (typeof host !== 'object' || host === null || Array.isArray(host)) continue;
      for (const extra of [{ planted: marker }, { planted: [{ deep: [marker] }] }, { planted: { [marker]: null } }, { [marker]: 1 }]) {
        assert.ok(
          isFound(read(withValue(payload, path, { ...host, ...extra })), marker),
          `${endpoint} ${path.join('.')} ${JSON.stringify(extra)}`,
        );
      }
    }
  }
});

test('in a delta, a member that no rule knows is one growing text', () => {
  const event = readOne('openai.chat', { choices: [{ index: 2, delta: { novel: 'piece', deep: [{ text: 'other' }] } }] });
  assert.deepEqual(
    event.texts.map(({ channel, mode, text }) => [channel, mode, text]),
    [
      ['choice:2/extra:novel', 'delta', 'piece'],
      ['choice:2/extra:deep[0].text', 'delta', 'other'],
    ],
  );
});
