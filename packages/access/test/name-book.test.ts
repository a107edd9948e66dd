import assert from 'node:assert/strict';
import { it } from 'node:test';
import { NameBook } from '../src/limits/name-book.ts';

it('names have a place for as long as something of them may count, and a caller so many at a time', () => {
  const book = new NameBook(2);
  assert.ok(book.has('a', 'one', 0, 1_000));
  assert.ok(book.has('a', 'two', 500, 1_000));
  assert.equal(book.has('a', 'three', 999, 1_000), false);
  assert.ok(book.has('b', 'three', 999, 1_000), 'another caller has its own');
  assert.ok(book.has('a', 'three', 1_000, 1_000), 'the oldest has given its place up');
  assert.equal(book.size, 3);
});

it('names that count for long outlive those that do not, whoever asks when the memory is looked through', () => {
  const book = new NameBook(1);
  assert.ok(book.has('long', 'one', 0, 100_000));
  // Enough callers whose names count for a moment that those who are idle are looked for.
  for (let caller = 0; caller < 10_001; caller += 1) book.has(`short-${caller}`, 'x', caller, 1);
  assert.ok(book.size < 1_000, String(book.size));
  assert.equal(book.has('long', 'two', 50_000, 100_000), false);
});
