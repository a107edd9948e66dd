import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { type Dialect, type SqliteDatabase, SqliteDialect, type SqliteStatement } from 'kysely';
import { sqliteFailure } from './failure.ts';

/**
 * Milliseconds. node:sqlite waits for a lock by blocking the whole process, streams of the data plane included. So it hardly waits at
 * all, and whoever finds the file locked tries again from the event loop (see `patiently` in store.ts).
 */
const BUSY_TIMEOUT = 10;

/**
 * An open SQLite file behind the interface Kysely's dialect expects (it was made for better-sqlite3).
 * @param path a file path or `:memory:`. The file is made with mode 0600, a missing directory with 0700.
 */
export function openSqlite(path: string): Dialect {
  if (path !== ':memory:') preparePath(resolve(path));
  return new SqliteDialect({ database: new Adapter(open(path)) });
}

function preparePath(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // SQLite gives its -wal and -shm files the mode of the main file, so setting it first covers all three.
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
}

function open(path: string): DatabaseSync {
  const database = attempt(
    () =>
      new DatabaseSync(path, {
        timeout: BUSY_TIMEOUT,
        enableForeignKeyConstraints: true,
        enableDoubleQuotedStringLiterals: false,
        allowExtension: false,
        defensive: true,
      }),
  );
  try {
    database.exec(`
      pragma journal_mode = wal;
      pragma synchronous = full;
      pragma trusted_schema = off;
      pragma cell_size_check = on;
      pragma temp_store = memory;
    `);
    return database;
  } catch (error) {
    database.close();
    throw sqliteFailure(error);
  }
}

class Adapter implements SqliteDatabase {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  prepare(sql: string): SqliteStatement {
    // Every transaction here writes. A deferred one would take the lock only at its first write and then fail with SQLITE_BUSY
    // instead of waiting (https://www.sqlite.org/lang_transaction.html#immediate).
    const text = sql === 'begin' ? 'begin immediate' : sql;
    return attempt(() => new Statement(this.#database.prepare(text)));
  }

  close(): void {
    this.#database.close();
  }
}

class Statement implements SqliteStatement {
  readonly reader: boolean;
  readonly #statement: StatementSync;

  constructor(statement: StatementSync) {
    this.#statement = statement;
    this.reader = statement.columns().length > 0;
  }

  all(parameters: readonly unknown[]): unknown[] {
    return attempt(() => this.#statement.all(...bindable(parameters)));
  }

  run(parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint } {
    return attempt(() => this.#statement.run(...bindable(parameters)));
  }

  iterate(parameters: readonly unknown[]): IterableIterator<unknown> {
    return attempt(() => this.#statement.iterate(...bindable(parameters)));
  }
}

function bindable(parameters: readonly unknown[]): SQLInputValue[] {
  return parameters.map((value) => {
    if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') return value;
    throw new TypeError(`A ${typeof value} cannot be bound to a statement`);
  });
}

function attempt<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw sqliteFailure(error);
  }
}
