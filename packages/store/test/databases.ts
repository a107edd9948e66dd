import { type Postgres, postgresMissing, startPostgres, type TemporaryDirectory, temporaryDirectory } from '@sallyport/testkit';
import pg from 'pg';
import type { StoredKey, StoredRole, User } from '../src/index.ts';

/** A kind of database that the same tests run on. `fresh` gives the URL of a new, empty one. */
export interface DatabaseKind {
  readonly name: 'SQLite' | 'PostgreSQL';
  /** False, or why the tests cannot run here. */
  readonly skip: string | false;
  start(): Promise<void>;
  fresh(): Promise<string>;
  stop(): Promise<void>;
}

class SqliteKind implements DatabaseKind {
  readonly name = 'SQLite';
  readonly skip = false;
  #directory: TemporaryDirectory | null = null;
  #count = 0;

  async start(): Promise<void> {
    this.#directory = await temporaryDirectory();
  }

  async fresh(): Promise<string> {
    if (this.#directory === null) throw new Error('not started');
    return `sqlite:${this.#directory.file(`${++this.#count}`, 'state.db')}`;
  }

  async stop(): Promise<void> {
    await this.#directory?.[Symbol.asyncDispose]();
  }
}

class PostgresKind implements DatabaseKind {
  readonly name = 'PostgreSQL';
  readonly skip: string | false;
  #server: Postgres | null = null;
  #count = 0;

  constructor(missing: string | null) {
    this.skip = missing === null ? false : `not run: ${missing}`;
  }

  async start(): Promise<void> {
    this.#server = await startPostgres();
  }

  async fresh(): Promise<string> {
    if (this.#server === null) throw new Error('not started');
    return createDatabase(this.#server, `t${++this.#count}`);
  }

  async stop(): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
  }
}

/** Makes an empty database on the server and returns its URL. */
export async function createDatabase(server: Postgres, name: string): Promise<string> {
  await withClient(server.url, (client) => client.query(`create database ${name}`));
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return url.href;
}

export async function withClient<T>(url: string, run: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await run(client);
  } finally {
    await client.end();
  }
}

export const DATABASES: readonly DatabaseKind[] = [new SqliteKind(), new PostgresKind(await postgresMissing())];

export function aKey(over: Partial<StoredKey> = {}): StoredKey {
  return {
    id: 'aaaaaaaaaaaa',
    name: 'a key',
    digests: [{ hmac: 'A'.repeat(43), until: null }],
    principal: 'key:aaaaaaaaaaaa',
    kind: 'application',
    tenant: 'default',
    user: null,
    team: null,
    roles: ['user'],
    models: null,
    allowedIps: null,
    limits: [],
    expiresAt: null,
    lifetime: null,
    revokedAt: null,
    revokeReason: null,
    createdAt: 1_000,
    createdBy: 'system',
    lastUsedAt: null,
    ...over,
  };
}

export function aUser(over: Partial<User> = {}): User {
  return {
    id: 'u_1',
    name: 'Ada',
    email: null,
    tenant: 'default',
    team: null,
    roles: ['user'],
    status: 'active',
    createdAt: 1_000,
    createdBy: 'system',
    disabledAt: null,
    ...over,
  };
}

export function aRole(over: Partial<StoredRole> = {}): StoredRole {
  return { name: 'reader', builtIn: false, actions: ['model.infer'], models: null, createdAt: 1_000, createdBy: 'system', ...over };
}
