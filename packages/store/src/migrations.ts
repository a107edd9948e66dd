import { Fault } from '@sallyport/core';
import { type Kysely, sql, type Transaction } from 'kysely';
import type { Schema } from './schema.ts';

/** One step of the schema, forward only. A published step never changes; a new one is added below it. */
interface Migration {
  readonly version: number;
  up(db: Transaction<Schema>): Promise<void>;
}

const MIGRATIONS: readonly Migration[] = [
  { version: 1, up: createFirstTables },
  { version: 2, up: createPrompts },
  { version: 3, up: createGuardAllowances },
];

export const SCHEMA_VERSION: number = Math.max(...MIGRATIONS.map((migration) => migration.version));

/** Any number that no other program of the same database uses for an advisory lock. */
const ADVISORY_LOCK = 7_070_7071;

/** The database was written by a newer Sallyport; an older one would misread it. */
export class NewerSchema extends Error {
  override readonly name: string = 'NewerSchema';

  constructor(found: number) {
    super(
      `The database has schema ${found}, this version of Sallyport knows ${SCHEMA_VERSION}. Start the newer version, or restore a backup.`,
    );
  }
}

/**
 * Brings the database to `SCHEMA_VERSION`, all steps in one transaction, one process at a time: PostgreSQL by an advisory lock, SQLite
 * by its write lock. A database that is up to date is only read, so that it can be used by an account that may not change its schema.
 * Throws `NewerSchema`.
 */
export async function migrate(db: Kysely<Schema>, dialect: 'sqlite' | 'postgres', now: number): Promise<void> {
  if (await isCurrent(db)) return;
  await db.transaction().execute(async (transaction) => {
    if (dialect === 'postgres') await sql`select pg_advisory_xact_lock(${ADVISORY_LOCK})`.execute(transaction);
    await transaction.schema
      .createTable('schema_version')
      .ifNotExists()
      .addColumn('version', 'integer', (column) => column.primaryKey())
      .addColumn('applied_at', 'bigint', (column) => column.notNull())
      .execute();
    const found = await versionOf(transaction);
    for (const migration of MIGRATIONS) {
      if (migration.version <= found) continue;
      await migration.up(transaction);
      await transaction.insertInto('schema_version').values({ version: migration.version, applied_at: now }).execute();
    }
  });
}

async function isCurrent(db: Kysely<Schema>): Promise<boolean> {
  try {
    return (await versionOf(db)) === SCHEMA_VERSION;
  } catch (error) {
    if (error instanceof Fault || error instanceof NewerSchema) throw error;
    // No such table: the database is new. Whatever else it is, the migration meets it again and reports it.
    return false;
  }
}

async function versionOf(db: Kysely<Schema>): Promise<number> {
  const { found } = await db
    .selectFrom('schema_version')
    .select((is) => is.fn.coalesce(is.fn.max('version'), is.lit(0)).as('found'))
    .executeTakeFirstOrThrow();
  if (found > SCHEMA_VERSION) throw new NewerSchema(found);
  return found;
}

async function createFirstTables(db: Transaction<Schema>): Promise<void> {
  await db.schema
    .createTable('revision')
    .addColumn('id', 'integer', (column) => column.primaryKey().check(sql`id = 1`))
    .addColumn('version', 'bigint', (column) => column.notNull())
    .execute();
  await db.insertInto('revision').values({ id: 1, version: 0 }).execute();
  await db.schema
    .createTable('settings')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('value', 'text', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('users')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('email', 'text')
    .addColumn('tenant', 'text', (column) => column.notNull())
    .addColumn('team', 'text')
    .addColumn('roles', 'text', (column) => column.notNull())
    .addColumn('status', 'text', (column) => column.notNull().check(sql`status in ('active', 'disabled')`))
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addColumn('disabled_at', 'bigint')
    .addUniqueConstraint('users_tenant_name', ['tenant', 'name'])
    .execute();
  await db.schema.createIndex('users_order').on('users').columns(['created_at', 'id']).execute();
  await db.schema
    .createTable('api_keys')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('digests', 'text', (column) => column.notNull())
    .addColumn('principal', 'text', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull().check(sql`kind in ('person', 'application', 'workload')`))
    .addColumn('tenant', 'text', (column) => column.notNull())
    .addColumn('user_id', 'text', (column) => column.references('users.id'))
    .addColumn('team', 'text')
    .addColumn('roles', 'text', (column) => column.notNull())
    .addColumn('models', 'text')
    .addColumn('allowed_ips', 'text')
    .addColumn('limits', 'text', (column) => column.notNull())
    .addColumn('expires_at', 'bigint')
    .addColumn('lifetime', 'bigint')
    .addColumn('revoked_at', 'bigint')
    .addColumn('revoke_reason', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addColumn('last_used_at', 'bigint')
    .execute();
  await db.schema.createIndex('api_keys_order').on('api_keys').columns(['created_at', 'id']).execute();
  await db.schema.createIndex('api_keys_tenant').on('api_keys').columns(['tenant', 'created_at', 'id']).execute();
  await db.schema.createIndex('api_keys_user').on('api_keys').column('user_id').execute();
  await db.schema
    .createTable('roles')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('actions', 'text', (column) => column.notNull())
    .addColumn('models', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .execute();
  await db.schema
    .createTable('changes')
    .addColumn('seq', 'bigint', (column) => column.primaryKey())
    .addColumn('time', 'bigint', (column) => column.notNull())
    .addColumn('actor', 'text', (column) => column.notNull())
    .addColumn('action', 'text', (column) => column.notNull())
    .addColumn('object', 'text', (column) => column.notNull())
    .addColumn('before_digest', 'text')
    .addColumn('after_digest', 'text')
    .execute();
}

async function createPrompts(db: Transaction<Schema>): Promise<void> {
  await db.schema
    .createTable('prompts')
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('version', 'integer', (column) => column.notNull())
    .addColumn('sealed', 'text', (column) => column.notNull())
    .addColumn('digest', 'text', (column) => column.notNull())
    .addColumn('units', 'integer', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('prompts_key', ['name', 'version'])
    .execute();
}

async function createGuardAllowances(db: Transaction<Schema>): Promise<void> {
  await db.schema
    .createTable('guard_allowances')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('tenant', 'text', (column) => column.notNull())
    .addColumn('detector', 'text', (column) => column.notNull())
    .addColumn('category', 'text', (column) => column.notNull())
    .addColumn('digest', 'text', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addColumn('revoked_at', 'bigint')
    .execute();
}
