import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, open, rm, stat, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Fault } from '@sallyport/core';
import { temporaryDirectory } from '@sallyport/testkit';
import { Kysely, sql } from 'kysely';
import { openStore } from '../src/index.ts';
import { openSqlite } from '../src/sqlite.ts';

test('the file and its companions are for the owner only, as is a directory made for it', async () => {
  await using directory = await temporaryDirectory();
  const path = directory.file('made', 'state.db');
  await using store = await openStore(`sqlite:${path}`);
  await store.write((tables) => tables.settings.set('a', 'b'));
  for (const file of [path, `${path}-wal`, `${path}-shm`]) assert.equal((await stat(file)).mode & 0o777, 0o600, file);
  assert.equal((await stat(directory.file('made'))).mode & 0o777, 0o700);
});

test('a file that others could read is closed to them', async () => {
  await using directory = await temporaryDirectory();
  const path = directory.file('state.db');
  await writeFile(path, '');
  await chmod(path, 0o644);
  await using _store = await openStore(`sqlite:${path}`);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test('the connection is set up for durability and against a hostile file', async () => {
  await using directory = await temporaryDirectory();
  const db = new Kysely<unknown>({ dialect: openSqlite(directory.file('state.db')) });
  const pragma = async (name: string): Promise<unknown> => {
    const { rows } = await sql<Record<string, unknown>>`pragma ${sql.raw(name)}`.execute(db);
    return Object.values(rows[0] ?? {})[0];
  };
  const FULL = 2;
  assert.equal(await pragma('journal_mode'), 'wal');
  assert.equal(await pragma('synchronous'), FULL);
  assert.equal(await pragma('foreign_keys'), 1);
  assert.equal(await pragma('trusted_schema'), 0);
  await sql`create table t (a)`.execute(db);
  await sql`pragma writable_schema = on`.execute(db);
  await assert.rejects(sql`update sqlite_schema set sql = 'x'`.execute(db), /may not be modified/);
  await assert.rejects(sql`select load_extension('x')`.execute(db));
  await db.destroy();
});

test('what is no SQLite file is not opened', async () => {
  await using directory = await temporaryDirectory();
  const path = directory.file('state.db');
  await writeFile(path, 'this is not a database, and long enough to be looked at as one'.repeat(40));
  await assert.rejects(openStore(`sqlite:${path}`), /not a database/);
});

test('a file that is damaged while it is open says so, to who writes and who opens it anew', async () => {
  await using directory = await temporaryDirectory();
  const path = directory.file('state.db');
  const isDamage = (error: unknown): boolean => error instanceof Fault && error.code === 'not_ready' && /damaged/.test(error.message);
  {
    await using store = await openStore(`sqlite:${path}`);
    await store.write((tables) => tables.settings.set('a', 'b'));
  }
  await using store = await openStore(`sqlite:${path}`);
  const size = (await stat(path)).size;
  const file = await open(path, 'r+');
  await file.write(Buffer.alloc(size - 100, 0xa5), 0, size - 100, 100);
  await file.close();
  await assert.rejects(store.settings.get('a'), isDamage);
  await writeFile(path, Buffer.alloc(8192, 0xa5));
  await rm(`${path}-wal`, { force: true });
  await assert.rejects(openStore(`sqlite:${path}`), isDamage);
});

test('a write waits for another program without stopping everything else', async () => {
  await using directory = await temporaryDirectory();
  const path = directory.file('state.db');
  await using store = await openStore(`sqlite:${path}`);
  const other = new DatabaseSync(path);
  other.exec('begin immediate');
  // Only an event loop that goes on turning can release the lock: were the write to block, this would never run.
  const timer = setTimeout(() => other.exec('commit'), 60);
  assert.equal(await store.write(async (tables) => tables.version), 1);
  clearTimeout(timer);
  other.close();
});

test('a write gives up as "not now" when the other program holds on', async () => {
  await using directory = await temporaryDirectory();
  const path = directory.file('state.db');
  await using store = await openStore(`sqlite:${path}`, { writeTimeout: 80 });
  const other = new DatabaseSync(path);
  other.exec('begin immediate');
  await assert.rejects(
    store.write(async (tables) => tables.version),
    (error) => error instanceof Fault && error.code === 'not_ready',
  );
  assert.equal(await store.version(), 0);
  other.exec('rollback');
  other.close();
  assert.equal(await store.write(async (tables) => tables.version), 1);
});

test('an in-memory database works and is its own', async () => {
  await using first = await openStore('sqlite::memory:');
  await using second = await openStore('sqlite::memory:');
  await first.write((tables) => tables.settings.set('a', 'b'));
  assert.equal(await first.settings.get('a'), 'b');
  assert.equal(await second.settings.get('a'), null);
});

test('no acknowledged write is lost when the process is killed', async () => {
  await using directory = await temporaryDirectory();
  const url = `sqlite:${directory.file('state.db')}`;
  const source = `
    import { openStore } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)};
    const store = await openStore(${JSON.stringify(url)});
    for (let n = 1; ; n++) {
      await store.write((tables) => tables.settings.set('n' + n, 'x'));
      process.stdout.write(n + '\\n');
    }`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', source], { stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = once(child, 'exit');
  let acknowledged = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged = Number(line);
    if (acknowledged === 25) child.kill('SIGKILL');
  }
  await exited;
  assert.ok(acknowledged >= 25);
  await using store = await openStore(url);
  for (let n = 1; n <= acknowledged; n++) assert.equal(await store.settings.get(`n${n}`), 'x');
  assert.ok((await store.version()) >= acknowledged);
});
