import type { StoredAllowance } from './records.ts';
import type { AllowanceRow, Executor } from './schema.ts';

/** Reading the false positives that operators allow. */
export interface AllowanceReader {
  /** The newest first; of one tenant, or of all. */
  list(tenant: string | null): Promise<readonly StoredAllowance[]>;
  get(id: string): Promise<StoredAllowance | null>;
  /** Those in force after `now`, epoch milliseconds. */
  inForce(now: number): Promise<readonly StoredAllowance[]>;
}

export class AllowanceTable implements AllowanceReader {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async list(tenant: string | null): Promise<readonly StoredAllowance[]> {
    let query = this.#db.selectFrom('guard_allowances').selectAll();
    if (tenant !== null) query = query.where('tenant', '=', tenant);
    return (await query.orderBy('created_at', 'desc').orderBy('id').execute()).map(fromRow);
  }

  async get(id: string): Promise<StoredAllowance | null> {
    const row = await this.#db.selectFrom('guard_allowances').selectAll().where('id', '=', id).executeTakeFirst();
    return row === undefined ? null : fromRow(row);
  }

  async inForce(now: number): Promise<readonly StoredAllowance[]> {
    const query = this.#db.selectFrom('guard_allowances').selectAll().where('expires_at', '>', now).where('revoked_at', 'is', null);
    return (await query.orderBy('id').execute()).map(fromRow);
  }

  async insert(allowance: StoredAllowance): Promise<void> {
    const { id, tenant, detector, category, digest, reason, createdAt, createdBy, expiresAt, revokedAt } = allowance;
    await this.#db
      .insertInto('guard_allowances')
      .values({
        id,
        tenant,
        detector,
        category,
        digest,
        reason,
        created_at: createdAt,
        created_by: createdBy,
        expires_at: expiresAt,
        revoked_at: revokedAt,
      })
      .execute();
  }

  async revoke(id: string, at: number): Promise<void> {
    await this.#db.updateTable('guard_allowances').set({ revoked_at: at }).where('id', '=', id).where('revoked_at', 'is', null).execute();
  }
}

function fromRow(row: AllowanceRow): StoredAllowance {
  const { id, tenant, detector, category, digest, reason } = row;
  return {
    id,
    tenant,
    detector,
    category,
    digest,
    reason,
    createdAt: row.created_at,
    createdBy: row.created_by,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
  };
}
