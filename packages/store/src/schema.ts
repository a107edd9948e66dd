import type { Kysely, Transaction } from 'kysely';

/**
 * The tables as Kysely sees them, the same on SQLite and PostgreSQL. Times are epoch milliseconds (bigint). Lists are JSON text:
 * they are always read and written whole, and text behaves alike on both databases.
 */
export interface Schema {
  schema_version: { version: number; applied_at: number };
  /** One row. `version` grows by one with every write transaction; pollers compare it. */
  revision: { id: number; version: number };
  settings: { name: string; value: string };
  users: UserRow;
  api_keys: KeyRow;
  roles: RoleRow;
  prompts: PromptRow;
  guard_allowances: AllowanceRow;
  changes: ChangeRow;
}

export interface UserRow {
  id: string;
  name: string;
  email: string | null;
  tenant: string;
  team: string | null;
  roles: string;
  status: string;
  created_at: number;
  created_by: string;
  disabled_at: number | null;
}

export interface KeyRow {
  id: string;
  name: string;
  digests: string;
  principal: string;
  kind: string;
  tenant: string;
  user_id: string | null;
  team: string | null;
  roles: string;
  models: string | null;
  allowed_ips: string | null;
  limits: string;
  expires_at: number | null;
  lifetime: number | null;
  revoked_at: number | null;
  revoke_reason: string | null;
  created_at: number;
  created_by: string;
  last_used_at: number | null;
}

export interface AllowanceRow {
  id: string;
  tenant: string;
  detector: string;
  category: string;
  digest: string;
  reason: string;
  created_at: number;
  created_by: string;
  expires_at: number;
  revoked_at: number | null;
}

export interface RoleRow {
  name: string;
  actions: string;
  models: string | null;
  created_at: number;
  created_by: string;
}

export interface PromptRow {
  name: string;
  version: number;
  sealed: string;
  digest: string;
  units: number;
  created_at: number;
  created_by: string;
}

export interface ChangeRow {
  seq: number;
  time: number;
  actor: string;
  action: string;
  object: string;
  before_digest: string | null;
  after_digest: string | null;
}

/** A connection pool or an open transaction: repositories work on either. */
export type Executor = Kysely<Schema> | Transaction<Schema>;
