import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { it } from 'node:test';
import { LogTail } from '../src/index.ts';
import { segmentPath } from '../src/segment.ts';
import { TemporaryDirectory } from './support.ts';

/** The bound is of a test that has failed: it would never end. */
const bounded = { timeout: 20_000 };

it('a reader waits where a segment is empty that a checkpoint says is not', bounded, async () => {
  await using directory = await TemporaryDirectory.create();
  await mkdir(`${directory.path}/segments`);
  await writeFile(segmentPath(directory.path, 0), 'zero\none\n');
  await writeFile(segmentPath(directory.path, 2), '');
  await using tail = new LogTail(directory.path, 0);
  assert.deepEqual(await tail.read(4, 10), ['zero', 'one']);
  assert.deepEqual(await tail.read(4, 10), []);
  await writeFile(segmentPath(directory.path, 2), 'two\n');
  assert.deepEqual(await tail.read(4, 10), ['two']);
  assert.equal(tail.next, 3);
});
