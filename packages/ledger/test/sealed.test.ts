import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import { chmod, cp, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { expireBodies, KeyFileError, loadBodiesKey, parseBodiesKey, SealBroken, SealedBodies, subjectOf } from '../src/index.ts';
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

test('what a crash left of making a key is forgotten with it, and a forgetting that was interrupted is taken up again', async () => {
  await using directory = await TemporaryDirectory.create();
  const bodies = new SealedBodies({ directory: directory.path, masterKey, random });
  await bodies.seal('alice', 'a', TEXT);
  await bodies.seal('bob', 'a', TEXT);
  const keys = join(directory.path, 'keys');
  const backup = join(directory.path, 'backup');
  await cp(join(directory.path, 'bodies'), backup, { recursive: true });
  const names = await readdir(keys);
  for (const name of names) for (const end of ['', '.new']) await cp(join(keys, name), join(keys, `${name}.0123456789abcdef${end}`));
  assert.equal(await bodies.forget('alice'), true);
  const left = await readdir(keys);
  assert.equal(left.length, names.length * 3 - 3);
  assert.deepEqual(await bodies.open('bob', 'a'), TEXT);
  // Stopped behind the key: the bodies are there, and nobody can read them.
  await rm(join(directory.path, 'bodies'), { recursive: true });
  await cp(backup, join(directory.path, 'bodies'), { recursive: true });
  assert.equal(await bodies.knows('alice'), true);
  assert.equal(await bodies.forget('alice'), true);
  assert.equal(await bodies.knows('alice'), false);
  assert.deepEqual(await readdir(join(directory.path, 'bodies')), [left[0]?.split('.')[0]]);
});

test('a subject is forgotten while it goes on asking, and nothing it asks fails', async () => {
  await using directory = await TemporaryDirectory.create();
  const bodies = new SealedBodies({ directory: directory.path, masterKey, random });
  let asking = true;
  let sealed = 0;
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    for (let n = 0; asking; n++, sealed++) await bodies.seal('alice', `r${writer}-${n}`, TEXT);
  });
  const failed = Promise.all(writers);
  for (let times = 1; times <= 10; times++) {
    while (sealed < times * 8) await Promise.race([failed, new Promise((resolve) => setTimeout(resolve, 1))]);
    await bodies.forget('alice');
  }
  asking = false;
  await failed;
  await bodies.forget('alice');
  assert.equal(await bodies.knows('alice'), false);
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

test('no two principals have one subject', () => {
  assert.equal(subjectOf('acme', 'app:1'), 'acme/app:1');
  assert.notEqual(subjectOf('a/b', 'c'), subjectOf('a', 'b/c'));
  assert.notEqual(subjectOf('a%2Fb', 'c'), subjectOf('a/b', 'c'));
});

test('what is older goes, drafts too; the rest opens, and a subject without bodies has no directory', async () => {
  await using directory = await TemporaryDirectory.create();
  const bodies = new SealedBodies({ directory: directory.path, masterKey, random });
  assert.equal(await expireBodies(directory.path, Date.now()), 0);
  await bodies.seal('alice', 'old', TEXT);
  await bodies.seal('bob', 'old', TEXT);
  await bodies.seal('bob', 'young', TEXT);
  const day = 86_400_000;
  const old = (await files(join(directory.path, 'bodies'))).filter((path) => path.endsWith('old'));
  await writeFile(`${old[0]}.new`, 'half');
  for (const path of [...old, `${old[0]}.new`]) await utimes(path, new Date(Date.now() - 3 * day), new Date(Date.now() - 3 * day));
  assert.equal(await expireBodies(directory.path, Date.now() - 2 * day), 3);
  assert.equal((await readdir(join(directory.path, 'bodies'))).length, 1);
  assert.equal(await bodies.open('bob', 'old'), null);
  assert.deepEqual(await bodies.open('bob', 'young'), TEXT);
  await bodies.seal('alice', 'again', TEXT);
  assert.deepEqual(await bodies.open('alice', 'again'), TEXT);
});

test('a body that cannot be stored leaves nothing of itself', async () => {
  await using directory = await TemporaryDirectory.create();
  const bodies = new SealedBodies({ directory: directory.path, masterKey, random });
  await bodies.seal('alice', 'a', TEXT);
  const [path] = await files(join(directory.path, 'bodies'));
  assert.ok(path !== undefined);
  // What is in the way is no file: the name cannot be taken.
  await mkdir(join(path, '..', 'b'));
  await assert.rejects(bodies.seal('alice', 'b', TEXT));
  assert.deepEqual(await files(join(directory.path, 'bodies')), [path]);
});

test('the master key: made once, closed to others, 32 bytes', async () => {
  await using directory = await TemporaryDirectory.create();
  const keys = await Promise.all(Array.from({ length: 8 }, () => loadBodiesKey(directory.path, random)));
  for (const key of keys) assert.ok(keys[0]?.equals(key));
  const path = join(directory.path, 'ledger-bodies.key');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  await chmod(path, 0o644);
  await assert.rejects(loadBodiesKey(directory.path, random), KeyFileError);
  for (const text of ['', 'c2hvcnQ=', 'x'.repeat(44), randomBytes(33).toString('base64')])
    assert.throws(() => parseBodiesKey(text, 'env:KEY'), KeyFileError);
  assert.equal(parseBodiesKey(`${randomBytes(32).toString('base64')}\n`, 'env:KEY').symmetricKeySize, 32);
});
