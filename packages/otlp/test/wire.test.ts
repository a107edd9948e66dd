import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type OtlpSignal, OtlpWire } from '@sallyport/otlp';
import { decodePublished } from '@sallyport/testkit/otlp';
import { type Field, type Message, REQUESTS } from '../src/messages.ts';

/** Values that a wrong length, sign, order of bytes or size of a number would change. */
const SAMPLES: Readonly<Record<string, readonly unknown[]>> = {
  string: ['', 'é | " \\ \u{1f600}', 'x'.repeat(300)],
  hex: ['4bf92f3577b34da6a3ce929d0e0e4736'],
  bool: [true],
  int64: ['-1', '9007199254740993', '9223372036854775807', '0'],
  enum: [2, 17],
  double: [-0.25, 1e300, 5e-324],
  fixed64: ['1795737600123456789', '18446744073709551615', '0'],
};

/** Messages that have, one after the other, each field with each sample; of a message with fields that exclude one another, one each. */
function* examples(message: Message): Generator<object> {
  const isChoice = 'stringValue' in message || 'gauge' in message;
  const fields = Object.entries(message);
  if (isChoice) {
    const common = Object.fromEntries(
      fields.filter(([, { type }]) => 'gauge' in message && typeof type === 'string').map(([name, field]) => [name, sample(field, 0)]),
    );
    for (const [name, field] of fields) {
      if (name in common) continue;
      for (let n = 0; n < 4; n++) yield { ...common, [name]: sample(field, n) };
    }
    return;
  }
  for (let n = 0; n < 4; n++) yield Object.fromEntries(fields.map(([name, field]) => [name, sample(field, n)]));
}

function sample({ type, repeated }: Field, n: number): unknown {
  const values = typeof type === 'string' ? (SAMPLES[type] ?? assert.fail(type)) : [...examples(type)];
  return repeated === true ? values : values[n % values.length];
}

describe('OTLP as protobuf', () => {
  for (const signal of Object.keys(REQUESTS) as OtlpSignal[]) {
    it(`${signal}: every field is read as it was meant by code generated from the published files`, () => {
      const wire = new OtlpWire('http/protobuf');
      let count = 0;
      for (const request of examples(REQUESTS[signal])) {
        const bytes = wire.encode(signal, request);
        assert.ok(bytes instanceof Uint8Array);
        assert.deepEqual(decodePublished(signal, bytes), request);
        count++;
      }
      assert.equal(count, 4);
    });
  }

  it('does not send a field that it has no number for', () => {
    const wire = new OtlpWire('http/protobuf');
    assert.throws(() => wire.encode('traces', { resourceSpans: [{ scopeSpans: [{ spans: [{ links: [] }] }] }] }), /no field links/);
  });

  it('says what kind of body it is', () => {
    assert.equal(new OtlpWire('http/protobuf').contentType, 'application/x-protobuf');
    assert.equal(new OtlpWire('http/json').contentType, 'application/json');
    assert.equal(new OtlpWire('http/json').encode('logs', { resourceLogs: [] }), '{"resourceLogs":[]}');
  });
});

describe('the answer to a request that was taken', () => {
  const protobuf = new OtlpWire('http/protobuf');
  const json = new OtlpWire('http/json');
  for (const [name, bytes, rejected] of [
    ['empty', [], 0],
    ['with a partial success', [0x0a, 0x07, 0x08, 0xac, 0x02, 0x12, 0x02, 0x6e, 0x6f], 300],
    ['with a message alone', [0x0a, 0x04, 0x12, 0x02, 0x6e, 0x6f], 0],
    ['with a field nobody knows', [0x12, 0x01, 0x00, 0x0a, 0x02, 0x08, 0x05], 5],
    ['with a negative count', [0x0a, 0x0b, 0x08, ...Array.from({ length: 9 }, () => 0xff), 0x01], 0],
    ['cut in the middle', [0x0a, 0x07, 0x08], 0],
    ['that is no protobuf', [0x3c, 0x68, 0x74, 0x6d, 0x6c, 0x3e], 0],
    ['with a length without end', [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], 0],
  ] as const) {
    it(`protobuf ${name}`, () => assert.deepEqual(protobuf.answer(Uint8Array.from(bytes)), { rejected }));
  }
  for (const [text, rejected] of [
    ['', 0],
    ['{}', 0],
    ['null', 0],
    ['[]', 0],
    ['{"partialSuccess":null}', 0],
    ['{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"text"}}', 2],
    ['{"partialSuccess":{"rejectedSpans":3}}', 3],
    ['{"partialSuccess":{"rejectedDataPoints":"x"}}', 0],
    ['<html>', 0],
  ] as const) {
    it(`JSON ${text}`, () => assert.deepEqual(json.answer(Buffer.from(text)), { rejected }));
  }
});
