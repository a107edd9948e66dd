import type { Executor } from './schema.ts';

/** Small facts about the installation, by name: `installation-id`, ... Never a secret. */
export interface SettingReader {
  get(name: string): Promise<string | null>;
}

export class SettingTable implements SettingReader {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async get(name: string): Promise<string | null> {
    const row = await this.#db.selectFrom('settings').select('value').where('name', '=', name).executeTakeFirst();
    return row?.value ?? null;
  }

  async set(name: string, value: string): Promise<void> {
    await this.#db
      .insertInto('settings')
      .values({ name, value })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
      .execute();
  }
}
