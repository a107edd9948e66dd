import assert from 'node:assert/strict';
import { chmod, chown, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { Fault, type Logger, silentLogger } from '@sallyport/core';
import { type Postgres, postgresMissing, startPostgres, temporaryDirectory } from '@sallyport/testkit';
import { Authority } from '@sallyport/testkit/certificates';
import { openStore } from '../src/index.ts';
import { connectionConfig } from '../src/postgres.ts';
import { aKey, createDatabase, withClient } from './databases.ts';

const missing = await postgresMissing();

describe('PostgreSQL that goes away', { skip: missing === null ? false : `not run: ${missing}` }, () => {
  let server: Postgres;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server[Symbol.asyncDispose]());

  test('the store says so while it is away and goes on when it is back', async () => {
    const url = await createDatabase(server, 'away');
    await using store = await openStore(url, { logger: silentLogger });
    await store.write((tables) => tables.keys.insert(aKey()));
    await server.stop();
    try {
      await assert.rejects(store.version(), notReady);
      await assert.rejects(
        store.write(async () => undefined),
        notReady,
      );
      await assert.rejects(openStore(url), notReady);
    } finally {
      await server.start();
    }
    assert.equal(await store.version(), 1);
    assert.deepEqual(await store.keys.get('aaaaaaaaaaaa'), aKey());
    assert.equal(await store.write(async (tables) => tables.version), 2);
  });

  test('a transaction that the outage cuts leaves nothing behind', async () => {
    const url = await createDatabase(server, 'cut');
    await using store = await openStore(url);
    const write = store.write(async (tables) => {
      await tables.keys.insert(aKey());
      await server.stop();
      await tables.settings.set('a', 'b');
    });
    await assert.rejects(write, notReady);
    await server.start();
    assert.equal(await store.version(), 0);
    assert.equal(await store.keys.get('aaaaaaaaaaaa'), null);
  });

  test('an idle connection that the server drops is reported and replaced', async () => {
    const url = await createDatabase(server, 'dropped');
    const events: string[] = [];
    const logger: Logger = { ...silentLogger, warn: (event) => void events.push(event) };
    await using store = await openStore(url, { logger });
    await store.version();
    await terminate(server.url, 'dropped');
    for (let turns = 0; turns < 200 && events.length === 0; turns++) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(events, ['store.connection_lost']);
    assert.equal(await store.version(), 0);
  });

  test('a connection that no longer answers is given up, not used again', async () => {
    const url = await createDatabase(server, 'stuck');
    await using store = await openStore(url, { postgres: { maxConnections: 1, statementTimeout: 200 } });
    await store.version();
    const pids = await backends(server.url, 'stuck');
    assert.equal(pids.length, 1);
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    try {
      await assert.rejects(store.version(), notReady);
      assert.equal(await store.version(), 0);
    } finally {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    }
  });

  test('a statement that takes too long is ended', async () => {
    const url = await createDatabase(server, 'slow');
    await using store = await openStore(url, { postgres: { statementTimeout: 200 } });
    await withClient(url, async (client) => {
      await client.query('begin');
      await client.query('update revision set version = version');
      await assert.rejects(
        store.write(async (tables) => tables.version),
        notReady,
      );
      await client.query('rollback');
    });
    assert.equal(await store.write(async (tables) => tables.version), 1);
  });

  test('an account that may not change the schema can use a database that is up to date', async () => {
    const url = new URL(await createDatabase(server, 'least'));
    await using _made = await openStore(url.href);
    await withClient(url.href, async (client) => {
      await client.query('create role runtime login');
      await client.query('grant select, insert, update, delete on all tables in schema public to runtime');
    });
    url.username = 'runtime';
    await using store = await openStore(url.href);
    assert.equal(await store.write(async (tables) => tables.version), 1);
  });

  test('TLS: the certificate and the name are verified unless the URL says otherwise', async () => {
    const authority = await Authority.create();
    const stranger = await Authority.create('Stranger');
    await using directory = await temporaryDirectory();
    const { cert, key } = await authority.issueServer({ names: ['localhost'] });
    await chmod(directory.path, 0o755);
    await writeFile(directory.file('server.crt'), cert);
    await writeFile(directory.file('server.key'), key, { mode: 0o600 });
    // The test server runs as "nobody" where the tests run as root.
    if (process.getuid?.() === 0) await chown(directory.file('server.key'), 65_534, 65_534);
    const plain = await createDatabase(server, 'tls');
    await withClient(server.url, async (client) => {
      await client.query(`alter system set ssl_cert_file = '${directory.file('server.crt')}'`);
      await client.query(`alter system set ssl_key_file = '${directory.file('server.key')}'`);
      await client.query('alter system set ssl = on');
      await client.query('select pg_reload_conf()');
    });
    const open = async (host: string, mode: string, ca: string): Promise<boolean> => {
      const url = new URL(plain);
      url.hostname = host;
      url.searchParams.set('sslmode', mode);
      await using _store = await openStore(url.href, { postgres: { tls: { ca } } });
      const used = await withClient(server.url, (client) =>
        client.query<{ ssl: boolean }>('select ssl from pg_stat_ssl join pg_stat_activity using (pid) where datname = $1', ['tls']),
      );
      return used.rows.every((row) => row.ssl) && used.rows.length > 0;
    };
    try {
      await eventually(() => open('localhost', 'verify-full', authority.cert));
      assert.equal(await open('127.0.0.1', 'verify-ca', authority.cert), true);
      await assert.rejects(open('127.0.0.1', 'verify-full', authority.cert), notReady);
      await assert.rejects(open('localhost', 'verify-full', stranger.cert), notReady);
      await assert.rejects(open('localhost', 'require', stranger.cert), notReady);
      assert.equal(await open('localhost', 'disable', stranger.cert), false);
    } finally {
      await withClient(server.url, async (client) => {
        await client.query('alter system reset all');
        await client.query('select pg_reload_conf()');
      });
    }
  });
});

test('addresses: TLS is verified everywhere but on this machine', () => {
  const local = ['postgres://u@localhost/db', 'postgres://127.0.0.1/db', 'postgres://[::1]:5432/db', 'postgres:///db?host=/run/postgresql'];
  for (const url of local) assert.equal(connectionConfig(url, {}).ssl, false, url);
  for (const url of ['postgres://db.example.org/db', 'postgres://10.0.0.5/db', 'postgres://db/db?sslmode=require']) {
    const { ssl } = connectionConfig(url, {});
    assert.ok(typeof ssl === 'object' && ssl.rejectUnauthorized === true && ssl.checkServerIdentity === undefined, url);
  }
  assert.equal(connectionConfig('postgres://db.example.org/db?sslmode=disable', {}).ssl, false);
});

test('addresses: their parts are read and decoded', () => {
  const config = connectionConfig('postgresql://us%40er:p%2Fw@db.example.org:6543/my%20db?application_name=x', { statementTimeout: 700 });
  assert.equal(config.user, 'us@er');
  assert.equal(config.password, 'p/w');
  assert.equal(config.host, 'db.example.org');
  assert.equal(config.port, 6543);
  assert.equal(config.database, 'my db');
  assert.equal(config.application_name, 'x');
  assert.equal(config.statement_timeout, 700);
  assert.equal(connectionConfig('postgres://h/db', { password: 'from elsewhere' }).password, 'from elsewhere');
  assert.equal(connectionConfig('postgres:///db?host=/run/pg&user=me&port=5433', {}).port, 5433);
});

test('addresses: what cannot be used is refused without showing the password', () => {
  for (const url of [
    'postgres://u:hunter2@h/db?sslmode=prefer',
    'postgres://u:hunter2@h/db?search_path=x',
    'postgres://u:hunter2@h/',
    'postgres://u:hunter2@h:99999/db',
  ]) {
    assert.throws(
      () => connectionConfig(url, {}),
      (error) => error instanceof Fault && error.code === 'invalid_request' && !`${error.message}${error.detail}`.includes('hunter2'),
      url,
    );
  }
});

function notReady(error: unknown): boolean {
  return error instanceof Fault && error.code === 'not_ready';
}

async function backends(url: string, database: string): Promise<number[]> {
  const result = await withClient(url, (client) =>
    client.query<{ pid: number }>('select pid from pg_stat_activity where datname = $1', [database]),
  );
  return result.rows.map((row) => row.pid);
}

async function terminate(url: string, database: string): Promise<void> {
  await withClient(url, (client) => client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [database]));
}

/** A reloaded configuration reaches new connections a moment later. */
async function eventually(check: () => Promise<boolean>): Promise<void> {
  for (let turns = 0; ; turns++) {
    const done = await check().catch((error: unknown) => {
      if (turns >= 100) throw error;
      return false;
    });
    if (done) return;
    if (turns >= 100) throw new Error('did not come about');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
