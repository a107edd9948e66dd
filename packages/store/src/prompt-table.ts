import type { StoredPrompt } from './records.ts';
import type { Executor } from './schema.ts';

/** Reading system prompts, which are sealed. */
export interface PromptReader {
  /** The newest version of each, by name. */
  list(): Promise<readonly StoredPrompt[]>;
  /** Every version of one, newest first. */
  history(name: string): Promise<readonly StoredPrompt[]>;
  /** The newest version where none is given. */
  get(name: string, version?: number): Promise<StoredPrompt | null>;
}

/** Versions are only ever added. */
export class PromptTable implements PromptReader {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async list(): Promise<readonly StoredPrompt[]> {
    const newest = this.#db
      .selectFrom('prompts')
      .select((is) => ['name as newest_name', is.fn.max('version').as('newest_version')])
      .groupBy('name')
      .as('newest');
    const rows = await this.#db
      .selectFrom('prompts')
      .innerJoin(newest, (join) => join.onRef('newest.newest_name', '=', 'name').onRef('newest.newest_version', '=', 'version'))
      .select(['name', 'version', 'sealed', 'digest', 'units', 'created_at', 'created_by'])
      .orderBy('name')
      .execute();
    return rows.map(fromRow);
  }

  async history(name: string): Promise<readonly StoredPrompt[]> {
    const rows = await this.#db.selectFrom('prompts').selectAll().where('name', '=', name).orderBy('version', 'desc').execute();
    return rows.map(fromRow);
  }

  async get(name: string, version?: number): Promise<StoredPrompt | null> {
    let query = this.#db.selectFrom('prompts').selectAll().where('name', '=', name);
    if (version !== undefined) query = query.where('version', '=', version);
    const row = await query.orderBy('version', 'desc').limit(1).executeTakeFirst();
    return row === undefined ? null : fromRow(row);
  }

  async insert(prompt: StoredPrompt): Promise<void> {
    const { name, version, sealed, digest, units, createdAt, createdBy } = prompt;
    await this.#db
      .insertInto('prompts')
      .values({ name, version, sealed, digest, units, created_at: createdAt, created_by: createdBy })
      .execute();
  }
}

function fromRow(row: {
  readonly name: string;
  readonly version: number;
  readonly sealed: string;
  readonly digest: string;
  readonly units: number;
  readonly created_at: number;
  readonly created_by: string;
}): StoredPrompt {
  const { name, version, sealed, digest, units } = row;
  return { name, version, sealed, digest, units, createdAt: row.created_at, createdBy: row.created_by };
}
