import type { GuardAllowance, KeyRecord, Role, SealedPrompt } from '@sallyport/core';

/** A key as it is kept: what the data plane needs, and what only people who manage keys need. Keys are never deleted, only ended. */
export interface StoredKey extends KeyRecord {
  /** Epoch milliseconds. */
  readonly createdAt: number;
  /** Principal id of who made it. */
  readonly createdBy: string;
  /** Milliseconds it was made to last; a rotation gives it as long again. Null where it was made without an end. */
  readonly lifetime: number | null;
  /** Epoch milliseconds, to the minute or so: written in batches. */
  readonly lastUsedAt: number | null;
  readonly revokeReason: string | null;
}

export type UserStatus = 'active' | 'disabled';

/** A person of one tenant. `id` never changes and is never used again; `name` is unique within the tenant. */
export interface User {
  readonly id: string;
  readonly name: string;
  readonly email: string | null;
  readonly tenant: string;
  readonly team: string | null;
  readonly roles: readonly string[];
  readonly status: UserStatus;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly createdBy: string;
  readonly disabledAt: number | null;
}

/** A custom role. Built-in roles are code and are not stored. */
export interface StoredRole extends Role {
  readonly builtIn: false;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly createdBy: string;
}

/** One version of a system prompt. Versions count from 1 and never change. */
export interface StoredPrompt extends SealedPrompt {
  /** Keyed digest of the text. */
  readonly digest: string;
  /** Length of the text, UTF-16 units. */
  readonly units: number;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly createdBy: string;
}

/** One change of the configuration held in the database. `before` and `after` are keyed digests, never content. */
export interface Change extends ChangeFacts {
  /** Starts at 1, no gaps. */
  readonly seq: number;
}

export interface ChangeFacts {
  /** Epoch milliseconds. */
  readonly time: number;
  /** Principal id, or `system`. */
  readonly actor: string;
  /** The verb: `key.create`, `user.disable`, ... */
  readonly action: string;
  /** `kind:id` */
  readonly object: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** One page of a list, newest first. `next` is the cursor of the following page, or null on the last. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

export interface PageQuery {
  /** 1 to 500. */
  readonly limit: number;
  /** A `next` of an earlier page: client's data, checked here. */
  readonly cursor?: string;
}

export interface KeyQuery extends PageQuery {
  readonly tenant?: string;
  readonly user?: string;
}

export interface UserQuery extends PageQuery {
  readonly tenant?: string;
}

/** Everything a snapshot is made of, as of one version. */
export interface StoredState {
  readonly version: number;
  readonly keys: readonly StoredKey[];
  readonly users: readonly User[];
  readonly roles: readonly StoredRole[];
  /** The newest version of each. */
  readonly prompts: readonly StoredPrompt[];
  /** Allowed false positives in force then. */
  readonly allowances: readonly StoredAllowance[];
}

/** A false positive of the guard that is allowed, with why, by whom and until when. */
export interface StoredAllowance extends GuardAllowance {
  readonly reason: string;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly revokedAt: number | null;
}
