import type { Selectable } from 'kysely';
import { CorruptRow, readStrings } from './columns.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import type { Page, User, UserQuery, UserStatus } from './records.ts';
import type { Executor, UserRow } from './schema.ts';

/** Reading users. */
export interface UserReader {
  get(id: string): Promise<User | null>;
  named(tenant: string, name: string): Promise<User | null>;
  /** Newest first. */
  list(query: UserQuery): Promise<Page<User>>;
  /** Active users that hold a role. */
  holding(role: string): Promise<readonly User[]>;
}

export class UserTable implements UserReader {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async get(id: string): Promise<User | null> {
    const row = await this.#db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst();
    return row === undefined ? null : fromRow(row);
  }

  async named(tenant: string, name: string): Promise<User | null> {
    const row = await this.#db.selectFrom('users').selectAll().where('tenant', '=', tenant).where('name', '=', name).executeTakeFirst();
    return row === undefined ? null : fromRow(row);
  }

  async list(query: UserQuery): Promise<Page<User>> {
    let select = this.#db.selectFrom('users').selectAll();
    if (query.tenant !== undefined) select = select.where('tenant', '=', query.tenant);
    if (query.cursor !== undefined) {
      const { time, id } = decodeCursor(query.cursor);
      select = select.where((is) => is.or([is('created_at', '<', time), is.and([is('created_at', '=', time), is('id', '<', id)])]));
    }
    const rows = await select
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(query.limit + 1)
      .execute();
    const items = rows.slice(0, query.limit).map(fromRow);
    const last = items.at(-1);
    return { items, next: rows.length > query.limit && last !== undefined ? encodeCursor({ time: last.createdAt, id: last.id }) : null };
  }

  async holding(role: string): Promise<readonly User[]> {
    // Roles are JSON text, so the database cannot match exactly; LIKE narrows (its wildcards only widen), the filter decides.
    const rows = await this.#db
      .selectFrom('users')
      .selectAll()
      .where('status', '=', 'active')
      .where('roles', 'like', `%"${role}"%`)
      .execute();
    return rows.map(fromRow).filter((user) => user.roles.includes(role));
  }

  /** The users after `id` in id order. */
  async after(id: string, limit: number): Promise<readonly User[]> {
    const rows = await this.#db.selectFrom('users').selectAll().where('id', '>', id).orderBy('id').limit(limit).execute();
    return rows.map(fromRow);
  }

  async any(): Promise<boolean> {
    return (await this.#db.selectFrom('users').select('id').limit(1).executeTakeFirst()) !== undefined;
  }

  async insert(user: User): Promise<void> {
    await this.#db
      .insertInto('users')
      .values({
        id: user.id,
        name: user.name,
        email: user.email,
        tenant: user.tenant,
        team: user.team,
        roles: JSON.stringify(user.roles),
        status: user.status,
        created_at: user.createdAt,
        created_by: user.createdBy,
        disabled_at: user.disabledAt,
      })
      .execute();
  }

  async disable(id: string, at: number): Promise<void> {
    await this.#db
      .updateTable('users')
      .set({ status: 'disabled', disabled_at: at })
      .where('id', '=', id)
      .where('status', '=', 'active')
      .execute();
  }
}

function fromRow(row: Selectable<UserRow>): User {
  return {
    id: row.id,
    name: row.name,
    email: row.email,
    tenant: row.tenant,
    team: row.team,
    roles: readStrings(row.roles, 'users.roles'),
    status: readStatus(row.status),
    createdAt: row.created_at,
    createdBy: row.created_by,
    disabledAt: row.disabled_at,
  };
}

function readStatus(text: string): UserStatus {
  if (text !== 'active' && text !== 'disabled') throw new CorruptRow('users.status');
  return text;
}
