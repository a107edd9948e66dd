import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { Fault, type Logger } from '@sallyport/core';
import { type Dialect, PostgresDialect, type PostgresPool, type PostgresPoolClient, type PostgresQueryResult } from 'kysely';
import pg from 'pg';
import { postgresFailure } from './failure.ts';

/** Milliseconds; `maxConnections` connections. */
export interface PostgresOptions {
  /** Overrides the URL's password, so that it can come from a secret store. */
  readonly password?: string;
  /** PEM text. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly maxConnections?: number;
  readonly connectTimeout?: number;
  readonly statementTimeout?: number;
}

const DEFAULTS = { maxConnections: 4, connectTimeout: 3_000, statementTimeout: 5_000 };
const SSL_MODES: ReadonlySet<string> = new Set(['disable', 'require', 'verify-ca', 'verify-full']);
const PARAMETERS: ReadonlySet<string> = new Set([
  'host',
  'port',
  'user',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'application_name',
]);
const LOOPBACK: ReadonlySet<string> = new Set(['', 'localhost', '127.0.0.1', '[::1]', '::1']);
const INT8 = 20;

/**
 * A pool for `postgres://[user[:password]@]host[:port]/database[?sslmode=…&sslrootcert=…]`, or `postgres:///database?host=/socket/dir`.
 * TLS with a verified certificate and host name is the default for every host but loopback and Unix sockets. `require` verifies
 * too (libpq's does not); only an explicit `sslmode=disable` goes without.
 */
export function openPostgres(url: string, options: PostgresOptions, logger: Logger): Dialect {
  const config = connectionConfig(url, options);
  const pool = new pg.Pool(config);
  // A connection that breaks while nobody waits for it emits `error`; without a listener that ends the process. The pool replaces
  // the connection by itself.
  pool.on('error', (error) => logger.warn('store.connection_lost', { reason: reasonOf(error) }));
  pool.on('connect', (client) => client.on('error', () => undefined));
  return new PostgresDialect({ pool: new GuardedPool(pool) });
}

/** What the URL and the options come to. Throws `Fault` (`invalid_request`) naming the part of the URL at fault, never its password. */
export function connectionConfig(text: string, options: PostgresOptions): pg.PoolConfig {
  const url = URL.parse(text);
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol)) {
    throw wrongUrl('It must have the form postgres://user@host:5432/database.');
  }
  for (const name of url.searchParams.keys()) {
    if (!PARAMETERS.has(name))
      throw wrongUrl(`The parameter ${JSON.stringify(name)} is not known; known are ${[...PARAMETERS].join(', ')}.`);
  }
  const parameter = (name: string): string | undefined => url.searchParams.get(name) ?? undefined;
  const database = decodeURIComponent(url.pathname.slice(1));
  if (database === '') throw wrongUrl('It names no database.');
  const host = parameter('host') ?? (decodeURIComponent(url.hostname).replace(/^\[|\]$/g, '') || 'localhost');
  const statementTimeout = options.statementTimeout ?? DEFAULTS.statementTimeout;
  const user = decodeURIComponent(url.username) || parameter('user');
  const password = options.password ?? (url.password === '' ? undefined : decodeURIComponent(url.password));
  return {
    host,
    port: Number(parameter('port') ?? (url.port || '5432')),
    database,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ssl: tlsOf(host, parameter, options),
    enableChannelBinding: true,
    application_name: parameter('application_name') ?? 'sallyport',
    max: options.maxConnections ?? DEFAULTS.maxConnections,
    connectionTimeoutMillis: options.connectTimeout ?? DEFAULTS.connectTimeout,
    statement_timeout: statementTimeout,
    lock_timeout: statementTimeout,
    // The server stops a slow statement; this one is for a server that no longer answers at all.
    query_timeout: statementTimeout + 1_000,
    idle_in_transaction_session_timeout: statementTimeout * 4,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    types: { getTypeParser: parserOf },
  };
}

function tlsOf(host: string, parameter: (name: string) => string | undefined, options: PostgresOptions): false | ConnectionOptions {
  const local = host.startsWith('/') || LOOPBACK.has(host);
  const mode = parameter('sslmode') ?? (local ? 'disable' : 'verify-full');
  if (!SSL_MODES.has(mode)) throw wrongUrl(`sslmode must be one of ${[...SSL_MODES].join(', ')}.`);
  if (mode === 'disable') return false;
  const ca = options.tls?.ca ?? readPem(parameter('sslrootcert'));
  const cert = options.tls?.cert ?? readPem(parameter('sslcert'));
  const key = options.tls?.key ?? readPem(parameter('sslkey'));
  return {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  };
}

function readPem(path: string | undefined): string | undefined {
  return path === undefined ? undefined : readFileSync(path, 'utf8');
}

function wrongUrl(explanation: string): Fault {
  return new Fault('invalid_request', `storage.url is not a usable PostgreSQL address. ${explanation}`, { param: 'storage.url' });
}

// bigint arrives as text by default. Ours are epoch milliseconds and counters, all far below 2^53.
const parserOf: typeof pg.types.getTypeParser = (oid: number, format?: 'text' | 'binary') =>
  oid === INT8 && format !== 'binary' ? Number : pg.types.getTypeParser(oid, format);

function reasonOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

class GuardedPool implements PostgresPool {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  async connect(): Promise<PostgresPoolClient> {
    try {
      return new GuardedClient(await this.#pool.connect());
    } catch (error) {
      throw postgresFailure(error);
    }
  }

  end(): Promise<void> {
    return this.#pool.end();
  }
}

/** Reports "not now" as such, and does not give a connection back to the pool that no longer answers. */
class GuardedClient implements PostgresPoolClient {
  readonly #client: pg.PoolClient;
  #broken = false;

  constructor(client: pg.PoolClient) {
    this.#client = client;
  }

  query<R>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>;
  query<R>(cursor: never): never & R;
  async query<R>(sql: string, parameters: readonly unknown[] = []): Promise<PostgresQueryResult<R>> {
    if (this.#broken) throw postgresFailure(new Error('connection broken'));
    try {
      const result = await this.#client.query(sql, [...parameters]);
      return { command: commandOf(result.command), rowCount: result.rowCount ?? 0, rows: result.rows };
    } catch (error) {
      // Without an SQLSTATE the server did not answer: the connection's state is unknown, and a reply may still be on its way.
      if (!(error instanceof pg.DatabaseError)) this.#broken = true;
      throw postgresFailure(error);
    }
  }

  release(): void {
    this.#client.release(this.#broken);
  }
}

function commandOf(command: string): PostgresQueryResult<unknown>['command'] {
  switch (command) {
    case 'UPDATE':
    case 'DELETE':
    case 'INSERT':
    case 'MERGE':
      return command;
    default:
      // Kysely looks at it only to tell whether rows were changed.
      return 'SELECT';
  }
}
