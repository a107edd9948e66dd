import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, Fault, type Logger, silentLogger, systemClock } from '@sallyport/core';
import { type Dialect, Kysely, sql, type Transaction } from 'kysely';
import { type AllowanceReader, AllowanceTable } from './allowance-table.ts';
import { type ChangeReader, ChangeTable } from './change-table.ts';
import { isBusy } from './failure.ts';
import { type KeyReader, KeyTable } from './key-table.ts';
import { migrate } from './migrations.ts';
import { openPostgres, type PostgresOptions } from './postgres.ts';
import { type PromptReader, PromptTable } from './prompt-table.ts';
import type { StoredState } from './records.ts';
import { type RoleReader, RoleTable } from './role-table.ts';
import type { Executor, Schema } from './schema.ts';
import { type SettingReader, SettingTable } from './setting-table.ts';
import { openSqlite } from './sqlite.ts';
import { type UserReader, UserTable } from './user-table.ts';

/**
 * State of the control plane. Every method rejects with `Fault` (`not_ready`) while the database is away and works again once it is
 * back. Nothing here belongs on the path of a data plane request: SQLite answers synchronously, on the caller's thread.
 */
export interface Store extends AsyncDisposable {
  readonly dialect: 'sqlite' | 'postgres';
  readonly keys: KeyReader;
  readonly users: UserReader;
  readonly roles: RoleReader;
  readonly prompts: PromptReader;
  readonly allowances: AllowanceReader;
  readonly settings: SettingReader;
  readonly changes: ChangeReader;
  /** Grows with every write, by whichever process. One indexed read, meant to be polled. */
  version(): Promise<number>;
  /** Everything a snapshot is made of, as of one version. Keys that were revoked or expired before `endedSince` (epoch ms) are left out. */
  state(endedSince: number): Promise<StoredState>;
  /**
   * Runs `change` in a transaction that no other write overlaps, on any process, and raises the version with it. What `change` reads
   * through its argument stays true until the commit; throwing rolls everything back. Inside, use the argument only: the store itself
   * waits for the transaction to end.
   */
  write<T>(change: (tables: Tables) => Promise<T>): Promise<T>;
  /** Notes when keys were last used. Does not raise the version. */
  touchKeys(uses: ReadonlyMap<string, number>): Promise<void>;
  close(): Promise<void>;
}

/** The tables inside a write transaction. */
export interface Tables {
  readonly version: number;
  readonly keys: KeyTable;
  readonly users: UserTable;
  readonly roles: RoleTable;
  readonly prompts: PromptTable;
  readonly allowances: AllowanceTable;
  readonly settings: SettingTable;
  readonly changes: ChangeTable;
}

export interface StoreOptions {
  readonly postgres?: PostgresOptions;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Milliseconds to wait for another process's write before giving up with `not_ready`. */
  readonly writeTimeout?: number;
}

const WRITE_TIMEOUT = 5_000;
const STATE_PAGE = 100;

/**
 * Opens `sqlite:PATH`, `sqlite::memory:` or `postgres://…` and brings its schema up to date.
 * Throws `Fault`: `invalid_request` for a URL that cannot be used, `not_ready` where the database cannot be reached; `NewerSchema`.
 */
export async function openStore(url: string, options: StoreOptions = {}): Promise<Store> {
  const kind = url.startsWith('sqlite:') ? 'sqlite' : 'postgres';
  const dialect = await dialectFor(url, options);
  const store = new SqlStore(kind, new Kysely<Schema>({ dialect }), options);
  await store.prepare((options.clock ?? systemClock).now());
  return store;
}

async function dialectFor(url: string, options: StoreOptions): Promise<Dialect> {
  if (url.startsWith('sqlite:')) {
    const path = url.slice('sqlite:'.length);
    if (path === '') throw new Fault('invalid_request', 'storage.url names no file: write sqlite:PATH.', { param: 'storage.url' });
    return patiently(options.writeTimeout ?? WRITE_TIMEOUT, async () => openSqlite(path));
  }
  if (url.startsWith('postgres:') || url.startsWith('postgresql:')) {
    return openPostgres(url, options.postgres ?? {}, options.logger ?? silentLogger);
  }
  throw new Fault('invalid_request', 'storage.url must start with sqlite: or postgres://.', { param: 'storage.url' });
}

/**
 * Runs `step` again while another connection holds the lock of the SQLite file, for `timeout` milliseconds at most. The waiting is done
 * in the event loop. Only for what has done nothing yet when it finds the lock taken.
 */
async function patiently<T>(timeout: number, step: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + timeout;
  for (let delay = 5; ; delay = Math.min(delay * 2, 100)) {
    try {
      return await step();
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error;
      await sleep(delay);
    }
  }
}

class SqlStore implements Store {
  readonly dialect: 'sqlite' | 'postgres';
  readonly keys: KeyTable;
  readonly users: UserTable;
  readonly roles: RoleTable;
  readonly prompts: PromptTable;
  readonly allowances: AllowanceTable;
  readonly settings: SettingTable;
  readonly changes: ChangeTable;
  readonly #db: Kysely<Schema>;
  readonly #writeTimeout: number;

  constructor(dialect: 'sqlite' | 'postgres', db: Kysely<Schema>, options: StoreOptions) {
    this.dialect = dialect;
    this.#db = db;
    this.#writeTimeout = options.writeTimeout ?? WRITE_TIMEOUT;
    this.keys = new KeyTable(db);
    this.users = new UserTable(db);
    this.roles = new RoleTable(db);
    this.prompts = new PromptTable(db);
    this.allowances = new AllowanceTable(db);
    this.settings = new SettingTable(db);
    this.changes = new ChangeTable(db);
  }

  async prepare(now: number): Promise<void> {
    try {
      await patiently(this.#writeTimeout, () => migrate(this.#db, this.dialect, now));
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async version(): Promise<number> {
    const { version } = await this.#db.selectFrom('revision').select('version').executeTakeFirstOrThrow();
    return version;
  }

  state(endedSince: number): Promise<StoredState> {
    return this.#view(async (view) => {
      const { version } = await view.selectFrom('revision').select('version').executeTakeFirstOrThrow();
      const keys = await readAll((id) => new KeyTable(view).after(id, STATE_PAGE, endedSince));
      const users = await readAll((id) => new UserTable(view).after(id, STATE_PAGE));
      const roles = await new RoleTable(view).list();
      const prompts = await new PromptTable(view).list();
      const allowances = await new AllowanceTable(view).inForce(endedSince);
      return { version, keys, users, roles, prompts, allowances };
    });
  }

  write<T>(change: (tables: Tables) => Promise<T>): Promise<T> {
    return this.#transaction(async (transaction) => {
      // Raising the version first takes the row's lock, which makes write transactions follow one another on PostgreSQL too.
      const { version } = await transaction
        .updateTable('revision')
        .set((is) => ({ version: is('version', '+', 1) }))
        .returning('version')
        .executeTakeFirstOrThrow();
      return change({
        version,
        keys: new KeyTable(transaction),
        users: new UserTable(transaction),
        roles: new RoleTable(transaction),
        prompts: new PromptTable(transaction),
        allowances: new AllowanceTable(transaction),
        settings: new SettingTable(transaction),
        changes: new ChangeTable(transaction),
      });
    });
  }

  async touchKeys(uses: ReadonlyMap<string, number>): Promise<void> {
    if (uses.size > 0) await this.#transaction((transaction) => new KeyTable(transaction).touch(uses));
  }

  /** On SQLite the lock is taken by `begin immediate`, so where it is taken already nothing has been done yet. */
  #transaction<T>(run: (transaction: Transaction<Schema>) => Promise<T>): Promise<T> {
    return patiently(this.#writeTimeout, () => this.#db.transaction().execute(run));
  }

  /** Several reads that all see the database as it was at the first of them. Other processes go on writing meanwhile. */
  async #view<T>(run: (view: Executor) => Promise<T>): Promise<T> {
    if (this.dialect === 'postgres') {
      return this.#db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only').execute(run);
    }
    return this.#db.connection().execute(async (connection) => {
      await sql`begin deferred`.execute(connection);
      try {
        return await run(connection);
      } finally {
        await sql`rollback`.execute(connection);
      }
    });
  }

  async close(): Promise<void> {
    await this.#db.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Reads a table page by page, giving other work a turn between pages. */
async function readAll<Item extends { readonly id: string }>(page: (after: string) => Promise<readonly Item[]>): Promise<Item[]> {
  const all: Item[] = [];
  for (let after = ''; ; ) {
    const items = await page(after);
    all.push(...items);
    const last = items.at(-1);
    if (items.length < STATE_PAGE || last === undefined) return all;
    after = last.id;
    await new Promise(setImmediate);
  }
}
