import type { Consideration } from '@sallyport/access';
import type { Action, CalendarPeriod, Decision, GuardSettings, LimitQuantity, LimitRule, PrincipalKind, Resource } from '@sallyport/core';
import type { Stage } from '@sallyport/guard';
import type { StoredAllowance, StoredKey, User } from '@sallyport/store';

// What the service takes and gives. Times are epoch milliseconds.

/** A version of a system prompt, without its words. */
export interface PromptView {
  readonly name: string;
  readonly version: number;
  /** Length, UTF-16 units. */
  readonly units: number;
  readonly createdAt: number;
  readonly createdBy: string;
}

export interface PromptText extends PromptView {
  readonly text: string;
}

export type KeyStatus = 'active' | 'expired' | 'revoked';

/** A key as people who manage keys see it: everything but its digests. */
export interface KeyView extends Omit<StoredKey, 'digests'> {
  readonly status: KeyStatus;
  /** Until when the secret before the last rotation still counts, or null. */
  readonly overlapUntil: number | null;
}

/** A limit on one key, over `window` milliseconds (0 for concurrency) or in each period of a calendar. `spend` is in millionths. */
export interface NewLimit {
  readonly quantity: LimitQuantity;
  readonly amount: number;
  readonly window: number;
  readonly calendar?: CalendarPeriod;
  readonly models?: readonly string[];
}

export interface NewKey {
  readonly name: string;
  readonly roles: readonly string[];
  /** An application where it is not given, or a person where `user` is. */
  readonly kind?: PrincipalKind;
  /** Id of the user it belongs to; the key then never has more rights than the user has at that moment. */
  readonly user?: string;
  /** The actor's own where it is not given. Only an owner may name another. */
  readonly tenant?: string;
  readonly team?: string;
  readonly models?: readonly string[];
  readonly allowedIps?: readonly string[];
  readonly limits?: readonly NewLimit[];
  /** 90 days from now where it is not given, 365 days at most. */
  readonly expiresAt?: number;
}

/** `secret` is the whole key. It exists nowhere else and cannot be had again. */
export interface IssuedKey {
  readonly key: KeyView;
  readonly secret: string;
}

export interface Rotation {
  /** Milliseconds the old secret goes on: 24 hours where it is not given, 72 at most, 0 ends it at once. */
  readonly overlap?: number;
  /** As long as the key was made for at first, where it is not given. */
  readonly expiresAt?: number;
}

export interface NewUser {
  readonly name: string;
  readonly roles: readonly string[];
  readonly email?: string;
  readonly team?: string;
  /** The actor's own where it is not given. Only an owner may name another. */
  readonly tenant?: string;
}

export interface DisabledUser {
  readonly user: User;
  /** Ids of the keys that ended with it. */
  readonly endedKeys: readonly string[];
}

export type RoleOrigin = 'built-in' | 'configuration' | 'custom';

export interface RoleView {
  readonly name: string;
  readonly origin: RoleOrigin;
  readonly actions: readonly Action[];
  readonly models: readonly string[] | null;
}

export interface NewRole {
  readonly name: string;
  readonly actions: readonly string[];
  readonly models?: readonly string[];
}

export interface ListQuery {
  /** 1 to 500; 100 where it is not given. */
  readonly limit?: number;
  readonly cursor?: string;
  /** Only an owner may look into a tenant that is not the actor's. */
  readonly tenant?: string;
}

export interface KeyListQuery extends ListQuery {
  readonly user?: string;
}

/** Whose rights `policy explain` asks about: a key, a user, or somebody who held just these roles. */
export interface Question {
  readonly key?: string;
  readonly user?: string;
  readonly roles?: readonly string[];
  /** Where the call would come from; a key that is bound to addresses is denied without it. */
  readonly address?: string;
  readonly action: string;
  readonly resource: { readonly kind: string; readonly name: string };
  /** At which endpoint (`openai.chat`), for the guard policy that would apply. */
  readonly endpoint?: string;
}

export interface Explanation {
  readonly decision: Decision;
  readonly action: Action;
  readonly resource: Resource;
  /** The roles that counted: a key's own, less what its user does not hold (any more). */
  readonly roles: readonly string[];
  /** Every rule that was looked at, and which one decided. */
  readonly considered: readonly Consideration[];
  /** What the call would be inspected by; null where nothing is asked of a model. */
  readonly guard: GuardView | null;
}

/** What is to be allowed: the findings of a detector in exactly this text, for one tenant. */
export interface NewAllowance {
  readonly text: string;
  readonly detector: string;
  /** Only this category; all of the detector where it is left out. */
  readonly category?: string;
  readonly stage?: Stage;
  readonly tenant: string;
  /** By the guard policy of this model and endpoint, where they have one of their own. */
  readonly model?: string;
  readonly endpoint?: string;
  readonly reason: string;
  readonly expiresAt?: number;
}

/** Without the digest: it is of no use to people. */
export type AllowanceView = Omit<StoredAllowance, 'digest'>;

export interface GuardView {
  /** The override that applies, or `default`. */
  readonly policy: string;
  readonly mode: GuardSettings['mode'];
  readonly input: readonly string[];
  readonly output: readonly string[];
  /** Whether a candidate runs beside it. */
  readonly shadow: boolean;
  /** In what it is weaker than the pack `balanced`. */
  readonly weaker: readonly string[];
}

/** Whose windows: what is named, and what follows from it (a key has a tenant). Nobody named is what counts for everybody together. */
export interface LimitSelection {
  /** Id of a key. */
  readonly key?: string;
  /** Principal of a token or a certificate. */
  readonly caller?: string;
  /** Id of a user. */
  readonly user?: string;
  readonly team?: string;
  /** The actor's own where it is not given. Only an owner may name another. */
  readonly tenant?: string;
  readonly role?: string;
  readonly model?: string;
  readonly upstream?: string;
  readonly address?: string;
  /** As the client names it, within the key or caller. */
  readonly session?: string;
}

/** How one window, period or count of running requests stands. Of `spend`, amounts are millionths. */
export interface LimitUse {
  readonly rule: LimitRule;
  /** The value of the rule's dimension it counts for; `*` for everybody together. */
  readonly of: string;
  readonly used: number;
  readonly remaining: number;
  /** When it is empty if nothing more is counted; null where it is, or where nobody knows (requests in progress). */
  readonly emptyAt: number | null;
}

export interface LimitReset extends LimitUse {
  /** What was used before. */
  readonly before: number;
}

export interface NewInstallation {
  readonly owner: string;
  readonly email?: string;
  readonly tenant?: string;
}

/** What the first start makes. Both secrets are to be shown once. */
export interface Installation {
  readonly id: string;
  readonly owner: User;
  readonly ownerKey: IssuedKey;
  readonly firstKey: IssuedKey;
}
