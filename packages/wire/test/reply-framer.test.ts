import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '@sallyport/core';
import fc from 'fast-check';
import { type Boundary, EmptyLineBoundary, Framer, LineBoundary } from '../src/reply/framer.ts';

function frames(boundary: Boundary, chunks: readonly Buffer[], max: number = 1 << 20): string[] {
  const framer = new Framer(boundary, max);
  const found = chunks.flatMap((chunk) => framer.push(chunk));
  const rest = framer.end();
  return [...found, ...(rest === null ? [] : [rest])].map((event) => event.toString('latin1'));
}

const sse = (...chunks: string[]): string[] =>
  frames(
    new EmptyLineBoundary(),
    chunks.map((chunk) => Buffer.from(chunk, 'latin1')),
  );

test('an event ends at an empty line, whatever the line ends are', () => {
  assert.deepEqual(sse('a\n\nb\n\n'), ['a\n\n', 'b\n\n']);
  assert.deepEqual(sse('a\r\n\r\nb\r\n\r\n'), ['a\r\n\r\n', 'b\r\n\r\n']);
  assert.deepEqual(sse('a\r\rb\r\r'), ['a\r\r', 'b\r\r']);
  assert.deepEqual(sse('a\n\r\nb\r\n\nc\r\r\nd\n\re\n\n'), ['a\n\r\n', 'b\r\n\n', 'c\r\r\n', 'd\n\r', 'e\n\n']);
  assert.deepEqual(sse('\n\r\n\r'), ['\n', '\r\n', '\r']);
  assert.deepEqual(sse('a\nb\n\n: c'), ['a\nb\n\n', ': c']);
});

test('the LF of a CRLF that closes an event stays with it when it comes in the next chunk', () => {
  assert.deepEqual(sse('a\r\n\r', '\nb\r\n\r\n'), ['a\r\n\r\n', 'b\r\n\r\n']);
  assert.deepEqual(sse('a\r\r', 'b'), ['a\r\r', 'b']);
  assert.deepEqual(sse('a\r\r', '\n', 'b'), ['a\r\r\n', 'b']);
});

test('events do not depend on how the stream is cut, and no byte is lost', () => {
  const bytes = fc.array(fc.constantFrom(10, 13, 97, 58, 0xff), { maxLength: 40 }).map((codes) => Buffer.from(codes));
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 8 }), fc.boolean(), (chunks, lines) => {
      const boundary = (): Boundary => (lines ? new LineBoundary() : new EmptyLineBoundary());
      const all = Buffer.concat(chunks);
      const whole = frames(boundary(), [all]);
      const single = Array.from(all, (_, i) => all.subarray(i, i + 1));
      assert.deepEqual(frames(boundary(), chunks), whole);
      assert.deepEqual(frames(boundary(), single), whole);
      assert.equal(whole.join(''), all.toString('latin1'));
    }),
    { numRuns: 500 },
  );
});

test('an event inside one chunk is a view of it, one over several is a copy', () => {
  const framer = new Framer(new EmptyLineBoundary(), 1000);
  const chunk = Buffer.from('data: 1\n\ndata: 2\n\nda');
  const [first, second] = framer.push(chunk);
  assert.equal(first?.buffer, chunk.buffer);
  assert.equal(second?.byteOffset, chunk.byteOffset + 9);
  const [third] = framer.push(Buffer.from('ta: 3\n\n'));
  assert.equal(third?.toString(), 'data: 3\n\n');
});

test('an event beyond the bound is a fault, once the events before it are out, and the stream stays closed', () => {
  for (const boundary of [new EmptyLineBoundary(), new LineBoundary()]) {
    const framer = new Framer(boundary, 16);
    const events = framer.push(Buffer.from(`ok\n\n${'x'.repeat(17)}`));
    assert.equal(Buffer.concat(events).toString(), 'ok\n\n');
    const isFault = (error: unknown): boolean => error instanceof Fault && error.code === 'upstream_error';
    assert.throws(() => framer.push(Buffer.from('\n\n')), isFault);
    assert.throws(() => framer.end(), isFault);
  }
  assert.throws(() => frames(new EmptyLineBoundary(), [Buffer.from(`${'x'.repeat(17)}\n\n`)], 16), Fault);
  assert.deepEqual(frames(new EmptyLineBoundary(), [Buffer.from(`${'x'.repeat(14)}\n\n`)], 16), [`${'x'.repeat(14)}\n\n`]);
});

test('a fifty megabyte event, in pieces, is refused without being kept', () => {
  const framer = new Framer(new EmptyLineBoundary(), 1 << 20);
  const piece = Buffer.alloc(1 << 16, 120);
  assert.throws(() => {
    for (let sent = 0; sent < 50 << 20; sent += piece.length) framer.push(piece);
  }, Fault);
});
