import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import { cp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { SealBroken, SealedBodies } from '../src/index.ts';
import { random, TemporaryDirectory } from './support.ts';

const masterKey = createSecretKey(randomBytes(32));
const TEXT = Buffer.from('my number is 555-0100');

async function files(directory: string): Promise<string[]> {
  const found = (await readdir(directory, { recursive: true })).map((name) => join(directory, name));
  const kinds = await Promise.all(found.map((path) => stat(path)));
  return found.filter((_, i) => kinds[i]?.isFile());
}

test('a body comes back for its subject and id, and stands nowhere in the clear', async () => {
  await using directory = await TemporaryDirectory.create();
  const bodies = new SealedBodies({ directory: directory.path, masterKey, random });
  await bodies.seal('alice@acme.example', 'r1-prompt', TEXT);
  assert.deepEqual(await bodies.open('alice@acme.example', 'r1-prompt'), TEXT);
  assert.equal(await bodies.open('alice@acme.example', 'r2-prompt'), null);
  assert.equal(await bodies.open('bob@acme.example', 'r1-prompt'), null);
  for (const path of await files(directory.path)) {
    assert.ok(!path.includes('alice'));
    assert.ok(!(await readFile(path)).includes('555'));
    assert.equal((await stat(path)).mode & 0o077, 0);
  }
});

test('to forget a subject makes all its bodies unreadable, in copies too, and nobody else loses any', async () => {
  await using directory = await TemporaryDirectory.create();
  const bodies = new SealedBodies({ directory: directory.path, masterKey, random });
  await Promise.all(['a', 'b', 'c'].map((id) => bodies.seal('alice', id, TEXT)));
  await bodies.seal('bob', 'a', TEXT);
  await cp(join(directory.path, 'bodies'), join(directory.path, 'backup'), { recursive: true });
  assert.equal(await bodies.forget('alice'), true);
  assert.equal(await bodies.forget('alice'), false);
  assert.equal(await bodies.open('alice', 'a'), null);
  assert.deepEqual(await bodies.open('bob', 'a'), TEXT);
  await cp(join(directory.path, 'backup'), join(directory.path, 'bodies'), { recursive: true });
  assert.equal(await bodies.open('alice', 'a'), null);
  await bodies.seal('alice', 'new', TEXT);
  assert.deepEqual(await bodies.open('alice', 'new'), TEXT);
  await assert.rejects(bodies.open('alice', 'a'), SealBroken);
});

test('a body that was altered, cut, moved or sealed under another master key does not open', async () => {
  await using directory = await TemporaryDirectory.create();
  const bodies = new SealedBodies({ directory: directory.path, masterKey, random });
  await bodies.seal('alice', 'a', TEXT);
  const [path] = await files(join(directory.path, 'bodies'));
  assert.ok(path !== undefined);
  const sealed = await readFile(path);
  for (let at = 0; at < sealed.length; at += 7) {
    await writeFile(path, sealed.with(at, (sealed[at] ?? 0) ^ 1));
    await assert.rejects(bodies.open('alice', 'a'), SealBroken);
  }
  await writeFile(path, sealed.subarray(0, 20));
  await assert.rejects(bodies.open('alice', 'a'), SealBroken);
  await writeFile(join(path, '..', 'b'), sealed);
  await assert.rejects(bodies.open('alice', 'b'), SealBroken);
  const other = new SealedBodies({ directory: directory.path, masterKey: createSecretKey(randomBytes(32)), random });
  assert.equal(await other.open('alice', 'a'), null);
});

test('an id cannot leave its directory', async () => {
  await using directory = await TemporaryDirectory.create();
  const bodies = new SealedBodies({ directory: directory.path, masterKey, random });
  for (const id of ['..', '../x', 'a/b', '', 'x'.repeat(129), 'a\0']) await assert.rejects(bodies.seal('alice', id, TEXT), RangeError);
});
