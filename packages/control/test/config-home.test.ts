import assert from 'node:assert/strict';
import { createHmac, type KeyObject } from 'node:crypto';
import { chmod, mkdir, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { HomeError, openHome } from '@sallyport/control';
import { temporaryDirectory } from '@sallyport/testkit/tempdir';

const mac = (key: KeyObject): string => createHmac('sha256', key).update('x').digest('hex');
const mode = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);

function refusal(path: string): string {
  try {
    openHome(path);
  } catch (error) {
    assert.ok(error instanceof HomeError, String(error));
    return error.message;
  }
  assert.fail('opened');
}

describe('a home', () => {
  test('is made with its pepper at the first start and found again at the next', async () => {
    await using directory = await temporaryDirectory();
    const path = directory.file('deep', '.sallyport');
    const first = openHome(path);
    assert.equal(first.created, true);
    assert.equal(first.pepper.symmetricKeySize, 32);
    assert.equal(await mode(path), '700');
    assert.equal(await mode(`${path}/pepper`), '600');
    const second = openHome(path);
    assert.equal(second.created, false);
    assert.equal(mac(second.pepper), mac(first.pepper));
    assert.deepEqual(await readdir(path), ['pepper']);
  });

  test('has another pepper than any other', async () => {
    await using directory = await temporaryDirectory();
    assert.notEqual(mac(openHome(directory.file('a')).pepper), mac(openHome(directory.file('b')).pepper));
  });

  test('is closed where it was readable by others', async () => {
    await using directory = await temporaryDirectory();
    await mkdir(directory.file('home'), { mode: 0o755 });
    openHome(directory.file('home'));
    assert.equal(await mode(directory.file('home')), '700');
  });

  test('may be a link to a directory', async () => {
    await using directory = await temporaryDirectory();
    await mkdir(directory.file('real'));
    await symlink(directory.file('real'), directory.file('link'));
    assert.equal(openHome(directory.file('link')).directory.endsWith('/real'), true);
  });

  test('that others can write is refused with the fix', async () => {
    await using directory = await temporaryDirectory();
    for (const bits of [0o720, 0o702, 0o777]) {
      await mkdir(directory.file('home'), { recursive: true });
      await chmod(directory.file('home'), bits);
      assert.match(refusal(directory.file('home')), /can be written by others .*chmod 700/);
    }
  });

  test('below a directory that others can write is warned of', async () => {
    await using directory = await temporaryDirectory();
    await mkdir(directory.file('open'));
    await chmod(directory.file('open'), 0o777);
    assert.match(openHome(directory.file('open', 'home')).warnings.join(), /could replace the home/);
    await chmod(directory.file('open'), 0o1777);
    assert.doesNotMatch(openHome(directory.file('open', 'home')).warnings.join(), /open/);
  });

  test('that is a file is refused', async () => {
    await using directory = await temporaryDirectory();
    await writeFile(directory.file('home'), '');
    assert.match(refusal(directory.file('home')), /cannot be used/);
  });
});

describe('a pepper', () => {
  test('that is open to others, damaged, a link or a directory is refused', async () => {
    await using directory = await temporaryDirectory();
    const home = directory.file('home');
    const pepper = directory.file('home', 'pepper');
    openHome(home);
    await chmod(pepper, 0o640);
    assert.match(refusal(home), /open to others .*chmod 600/);
    await chmod(pepper, 0o600);
    for (const length of [0, 31, 33]) {
      await writeFile(pepper, Buffer.alloc(length));
      assert.match(refusal(home), /damaged/);
    }
    await rm(pepper);
    await writeFile(directory.file('elsewhere'), Buffer.alloc(32), { mode: 0o600 });
    await symlink(directory.file('elsewhere'), pepper);
    assert.match(refusal(home), /cannot be read \(ELOOP\)/);
    await rm(pepper);
    await mkdir(pepper);
    assert.match(refusal(home), /not a regular file|EISDIR/);
  });

  test('is the same for all who start at once', async () => {
    await using directory = await temporaryDirectory();
    const code = `import { workerData, parentPort } from 'node:worker_threads';
import { createHmac } from 'node:crypto';
const { openHome } = await import(workerData.module);
const { pepper, created } = openHome(workerData.home);
parentPort.postMessage({ mac: createHmac('sha256', pepper).update('x').digest('hex'), created });`;
    const start = (): Promise<{ mac: string; created: boolean }> =>
      new Promise((resolve, reject) => {
        const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
          workerData: { home: directory.file('home'), module: new URL('../src/config/home.ts', import.meta.url).href },
        });
        worker.once('message', resolve);
        worker.once('error', reject);
      });
    const homes = await Promise.all(Array.from({ length: 6 }, start));
    assert.equal(new Set(homes.map((home) => home.mac)).size, 1);
    assert.equal(homes.filter((home) => home.created).length, 1);
    assert.deepEqual(await readdir(directory.file('home')), ['pepper']);
  });
});
