import type { Selectable } from 'kysely';
import { readActions, readNullableStrings, writeNullable } from './columns.ts';
import type { StoredRole } from './records.ts';
import type { Executor, RoleRow } from './schema.ts';

/** Reading custom roles. */
export interface RoleReader {
  get(name: string): Promise<StoredRole | null>;
  /** By name. */
  list(): Promise<readonly StoredRole[]>;
}

export class RoleTable implements RoleReader {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async get(name: string): Promise<StoredRole | null> {
    const row = await this.#db.selectFrom('roles').selectAll().where('name', '=', name).executeTakeFirst();
    return row === undefined ? null : fromRow(row);
  }

  async list(): Promise<readonly StoredRole[]> {
    const rows = await this.#db.selectFrom('roles').selectAll().orderBy('name').execute();
    return rows.map(fromRow);
  }

  async insert(role: StoredRole): Promise<void> {
    await this.#db
      .insertInto('roles')
      .values({
        name: role.name,
        actions: JSON.stringify(role.actions),
        models: writeNullable(role.models),
        created_at: role.createdAt,
        created_by: role.createdBy,
      })
      .execute();
  }

  /** A deleted role gives nothing to whoever still names it: decisions look roles up by name and deny what they do not find. */
  async delete(name: string): Promise<void> {
    await this.#db.deleteFrom('roles').where('name', '=', name).execute();
  }
}

function fromRow(row: Selectable<RoleRow>): StoredRole {
  return {
    name: row.name,
    builtIn: false,
    actions: readActions(row.actions, 'roles.actions'),
    models: readNullableStrings(row.models, 'roles.models'),
    createdAt: row.created_at,
    createdBy: row.created_by,
  };
}
