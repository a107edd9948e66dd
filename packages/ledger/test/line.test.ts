import assert from 'node:assert/strict';
import test from 'node:test';
import { HASH_MEMBER } from '../src/entry.ts';
import { parseLine } from '../src/line.ts';
import { leafHash } from '../src/merkle.ts';
import { serialiseEntry } from '../src/serialise.ts';
import { facts } from './support.ts';

const { head, tail } = serialiseEntry(
  facts({ digest: { prompt: '0f'.repeat(32), reply: '9a'.repeat(32) }, resource: 'Zoë' }),
  7,
  '2026-01-02T03:04:05.678Z',
  '19af'.repeat(16),
);
const line = `${head},"hash":"${leafHash(head + tail)}"${tail}`;

test('a line comes apart into what it states, and the member `hash` stands where it says', () => {
  const entry = parseLine(line) ?? assert.fail();
  assert.deepEqual(entry, {
    seq: 7,
    time: '2026-01-02T03:04:05.678Z',
    prev: '19af'.repeat(16),
    hash: leafHash(head + tail),
    leaf: head + tail,
    head: head.length,
  });
  assert.equal(line.slice(0, entry.head) + line.slice(entry.head + HASH_MEMBER), entry.leaf);
});

test('a hash is 64 lowercase hex digits: no other character at any place of any of the four, none less, none more', () => {
  const hashes = [...line.matchAll(/"[0-9a-f]{64}"/g)].map(({ index }) => index);
  assert.equal(hashes.length, 4);
  for (const start of hashes) {
    for (let unit = 0; unit < 0x120; unit++) {
      const character = String.fromCharCode(unit);
      for (const at of [1, 2, 33, 64]) {
        const changed = line.slice(0, start + at) + character + line.slice(start + at + 1);
        assert.equal(parseLine(changed) !== null, /[0-9a-f]/.test(character), `unit ${unit} at ${start + at}`);
      }
    }
    assert.equal(parseLine(line.slice(0, start + 1) + line.slice(start + 2)), null);
    assert.equal(parseLine(`${line.slice(0, start + 1)}0${line.slice(start + 1)}`), null);
  }
});
