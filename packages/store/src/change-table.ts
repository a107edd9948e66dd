import type { Selectable } from 'kysely';
import type { Change, ChangeFacts } from './records.ts';
import type { ChangeRow, Executor } from './schema.ts';

/** Reading the record of changes. */
export interface ChangeReader {
  /** Changes with a number above `seq`, oldest first. */
  after(seq: number, limit: number): Promise<readonly Change[]>;
}

export class ChangeTable implements ChangeReader {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async after(seq: number, limit: number): Promise<readonly Change[]> {
    const rows = await this.#db.selectFrom('changes').selectAll().where('seq', '>', seq).orderBy('seq').limit(limit).execute();
    return rows.map(fromRow);
  }

  /** Only inside a write transaction: its lock is what makes the number unique and without gaps. */
  async append(facts: ChangeFacts): Promise<Change> {
    const { last } = await this.#db
      .selectFrom('changes')
      .select((is) => is.fn.coalesce(is.fn.max('seq'), is.lit(0)).as('last'))
      .executeTakeFirstOrThrow();
    const change: Change = { seq: Number(last) + 1, ...facts };
    await this.#db
      .insertInto('changes')
      .values({
        seq: change.seq,
        time: change.time,
        actor: change.actor,
        action: change.action,
        object: change.object,
        before_digest: change.before,
        after_digest: change.after,
      })
      .execute();
    return change;
  }
}

function fromRow(row: Selectable<ChangeRow>): Change {
  return {
    seq: row.seq,
    time: row.time,
    actor: row.actor,
    action: row.action,
    object: row.object,
    before: row.before_digest,
    after: row.after_digest,
  };
}
