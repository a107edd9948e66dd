import type { Policy } from '@sallyport/access';
import type { KeyRecord } from '@sallyport/core';
import type { User } from '@sallyport/store';

/**
 * A key of a user is worth what the user is worth now: roles that the user could not hand out to it today do not count, and a disabled
 * or unknown user ends it. Rights are thus checked when the key is made and again whenever it is used (identity: A2).
 * `policy` holds the roles as they are now. A key without a user is returned as it is.
 */
export function narrowKey<Key extends KeyRecord>(key: Key, user: User | null, policy: Pick<Policy, 'canGrant'>): Key {
  if (key.user === null) return key;
  if (user === null || user.status !== 'active') return { ...key, roles: [], revokedAt: key.revokedAt ?? user?.disabledAt ?? 0 };
  const granter = { roles: user.roles, models: null };
  const roles = key.roles.filter((role) => policy.canGrant(granter, { roles: [role], models: null }).effect === 'permit');
  return roles.length === key.roles.length ? key : { ...key, roles };
}
