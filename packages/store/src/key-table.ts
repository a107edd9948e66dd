import type { Selectable } from 'kysely';
import { readDigests, readKind, readLimits, readNullableStrings, readStrings, writeNullable } from './columns.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import type { KeyQuery, Page, StoredKey } from './records.ts';
import type { Executor, KeyRow } from './schema.ts';

/** Reading API keys. Times are epoch milliseconds. */
export interface KeyReader {
  get(id: string): Promise<StoredKey | null>;
  /** Newest first. */
  list(query: KeyQuery): Promise<Page<StoredKey>>;
  /** Keys of a user that are not revoked. */
  ofUser(user: string): Promise<readonly StoredKey[]>;
  /** Keys with a role that neither were revoked nor have expired at `now`. */
  holding(role: string, now: number): Promise<readonly StoredKey[]>;
}

/** How many ids one statement of `touch` names: SQLite and PostgreSQL both bound the number of parameters. */
const TOUCH_BATCH = 200;

export class KeyTable implements KeyReader {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async get(id: string): Promise<StoredKey | null> {
    const row = await this.#db.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirst();
    return row === undefined ? null : fromRow(row);
  }

  async list(query: KeyQuery): Promise<Page<StoredKey>> {
    let select = this.#db.selectFrom('api_keys').selectAll();
    if (query.tenant !== undefined) select = select.where('tenant', '=', query.tenant);
    if (query.user !== undefined) select = select.where('user_id', '=', query.user);
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

  async ofUser(user: string): Promise<readonly StoredKey[]> {
    const rows = await this.#db.selectFrom('api_keys').selectAll().where('user_id', '=', user).where('revoked_at', 'is', null).execute();
    return rows.map(fromRow);
  }

  async holding(role: string, now: number): Promise<readonly StoredKey[]> {
    // Roles are JSON text, so the database cannot match exactly; LIKE narrows (its wildcards only widen), the filter decides.
    const rows = await this.#db
      .selectFrom('api_keys')
      .selectAll()
      .where('revoked_at', 'is', null)
      .where((is) => is.or([is('expires_at', 'is', null), is('expires_at', '>', now)]))
      .where('roles', 'like', `%"${role}"%`)
      .execute();
    return rows.map(fromRow).filter((key) => key.roles.includes(role));
  }

  /** The keys after `id` in id order, without those that were revoked or expired before `endedSince`. */
  async after(id: string, limit: number, endedSince: number): Promise<readonly StoredKey[]> {
    const rows = await this.#db
      .selectFrom('api_keys')
      .selectAll()
      .where('id', '>', id)
      .where((is) => is.or([is('revoked_at', 'is', null), is('revoked_at', '>=', endedSince)]))
      .where((is) => is.or([is('expires_at', 'is', null), is('expires_at', '>=', endedSince)]))
      .orderBy('id')
      .limit(limit)
      .execute();
    return rows.map(fromRow);
  }

  async insert(key: StoredKey): Promise<void> {
    await this.#db.insertInto('api_keys').values(toRow(key)).execute();
  }

  /** Replaces the secrets a key has, and when it ends. */
  async renew(id: string, key: Pick<StoredKey, 'digests' | 'expiresAt' | 'lifetime'>): Promise<void> {
    await this.#db
      .updateTable('api_keys')
      .set({ digests: JSON.stringify(key.digests), expires_at: key.expiresAt, lifetime: key.lifetime })
      .where('id', '=', id)
      .execute();
  }

  /** Ends a key. The first revocation stands: a later one changes nothing. */
  async revoke(id: string, at: number, reason: string | null): Promise<void> {
    await this.#db
      .updateTable('api_keys')
      .set({ revoked_at: at, revoke_reason: reason })
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
      .execute();
  }

  /** Writes when keys were last used. Not a change of configuration: the version stays. */
  async touch(uses: ReadonlyMap<string, number>): Promise<void> {
    const entries = [...uses];
    for (let from = 0; from < entries.length; from += TOUCH_BATCH) {
      const batch = entries.slice(from, from + TOUCH_BATCH);
      // One time for the whole batch would be wrong for most of it, and one statement a key is a commit a key; so by distinct minute.
      for (const [time, ids] of byMinute(batch)) {
        await this.#db
          .updateTable('api_keys')
          .set({ last_used_at: time })
          .where('id', 'in', ids)
          .where((is) => is.or([is('last_used_at', 'is', null), is('last_used_at', '<', time)]))
          .execute();
      }
    }
  }
}

function byMinute(uses: readonly (readonly [string, number])[]): Map<number, string[]> {
  const minutes = new Map<number, string[]>();
  for (const [id, time] of uses) {
    const minute = time - (time % 60_000);
    const ids = minutes.get(minute);
    if (ids === undefined) minutes.set(minute, [id]);
    else ids.push(id);
  }
  return minutes;
}

function fromRow(row: Selectable<KeyRow>): StoredKey {
  return {
    id: row.id,
    name: row.name,
    digests: readDigests(row.digests, 'api_keys.digests'),
    principal: row.principal,
    kind: readKind(row.kind, 'api_keys.kind'),
    tenant: row.tenant,
    user: row.user_id,
    team: row.team,
    roles: readStrings(row.roles, 'api_keys.roles'),
    models: readNullableStrings(row.models, 'api_keys.models'),
    allowedIps: readNullableStrings(row.allowed_ips, 'api_keys.allowed_ips'),
    limits: readLimits(row.limits, 'api_keys.limits'),
    expiresAt: row.expires_at,
    lifetime: row.lifetime,
    revokedAt: row.revoked_at,
    revokeReason: row.revoke_reason,
    createdAt: row.created_at,
    createdBy: row.created_by,
    lastUsedAt: row.last_used_at,
  };
}

function toRow(key: StoredKey): KeyRow {
  return {
    id: key.id,
    name: key.name,
    digests: JSON.stringify(key.digests),
    principal: key.principal,
    kind: key.kind,
    tenant: key.tenant,
    user_id: key.user,
    team: key.team,
    roles: JSON.stringify(key.roles),
    models: writeNullable(key.models),
    allowed_ips: writeNullable(key.allowedIps),
    limits: JSON.stringify(key.limits),
    expires_at: key.expiresAt,
    lifetime: key.lifetime,
    revoked_at: key.revokedAt,
    revoke_reason: key.revokeReason,
    created_at: key.createdAt,
    created_by: key.createdBy,
    last_used_at: key.lastUsedAt,
  };
}
