import { effectiveRoles, Policy } from '@sallyport/access';
import type { GuardAllowance, KeyRecord, Role, Route, SealedPrompt, Snapshot, Upstream } from '@sallyport/core';
import type { User } from '@sallyport/store';
import type { Config } from '../config/config.ts';
import { narrowKey } from '../service/effective.ts';
import { deepFreeze, FrozenMap } from './frozen.ts';

export interface SnapshotInput {
  readonly config: Config;
  readonly keys: readonly KeyRecord[];
  /** Custom roles of the store. Where the configuration file has a role of the same name, the file's stands. */
  readonly roles: readonly Role[];
  /** The users by id, so that a key is worth what its owner is worth now; null where the keys are narrowed already (those of a cached snapshot). */
  readonly users: ReadonlyMap<string, User> | null;
  readonly prompts: readonly SealedPrompt[];
  readonly allowances: readonly GuardAllowance[];
  readonly version: number;
  /** Epoch milliseconds. */
  readonly builtAt: number;
}

/** Something a snapshot cannot be made of, or a file that is none. */
export class SnapshotError extends Error {
  override readonly name: string = 'SnapshotError';
}

/**
 * Puts together what the data plane decides on. The result is frozen through and through, its maps included: whoever holds it can
 * neither change it nor see it change. Records are copied field by field, so that what a store adds to them (who made a key, when
 * it was used) does not reach the data plane.
 * @throws SnapshotError where two keys share an id, which a sound store rules out
 */
export function buildSnapshot(input: SnapshotInput): Snapshot {
  const { config, users } = input;
  const roles = effectiveRoles([...input.roles, ...config.roles]);
  const keys = users === null ? input.keys : narrowKeys(input.keys, users, roles);
  return freezeSnapshot({
    version: input.version,
    builtAt: input.builtAt,
    keys: keys.map(copyKey),
    roles: [...roles.values()].map(copyRole),
    issuers: structuredClone(config.identity.issuers),
    certificateIdentities: structuredClone(config.identity.certificates),
    upstreams: structuredClone(config.upstreams),
    routes: structuredClone(config.models),
    limits: structuredClone(config.limits),
    prompts: input.prompts.map(({ name, version, sealed }) => ({ name, version, sealed })),
    guard: structuredClone(config.guards),
    allowances: input.allowances.map(copyAllowance),
    http: structuredClone(config.http),
    egress: structuredClone(config.egress),
    fairness: structuredClone(config.fairness),
    risk: structuredClone(config.risk),
  });
}

function narrowKeys(keys: readonly KeyRecord[], users: ReadonlyMap<string, User>, roles: ReadonlyMap<string, Role>): KeyRecord[] {
  const policy = new Policy({ roles, keys: new Map(), issuers: [], certificateIdentities: [] });
  return keys.map((key) => narrowKey(key, key.user === null ? null : (users.get(key.user) ?? null), policy));
}

/** A snapshot with its maps as lists: the form in which it is put together and stored. */
export interface SnapshotParts
  extends Pick<
    Snapshot,
    | 'version'
    | 'builtAt'
    | 'issuers'
    | 'certificateIdentities'
    | 'limits'
    | 'guard'
    | 'allowances'
    | 'http'
    | 'egress'
    | 'fairness'
    | 'risk'
  > {
  readonly keys: readonly KeyRecord[];
  readonly roles: readonly Role[];
  readonly upstreams: readonly Upstream[];
  readonly routes: readonly Route[];
  readonly prompts: readonly SealedPrompt[];
}

/** Freezes parts that nobody else holds into a snapshot. */
export function freezeSnapshot(parts: SnapshotParts): Snapshot {
  const byName = (item: { readonly name: string }): string => item.name;
  return deepFreeze({
    version: parts.version,
    builtAt: parts.builtAt,
    keys: index(parts.keys, (key) => key.id, 'key'),
    roles: index(parts.roles, byName, 'role'),
    issuers: parts.issuers.map((issuer) => ({ ...issuer, roleMap: withoutPrototype(issuer.roleMap) })),
    certificateIdentities: parts.certificateIdentities,
    upstreams: index(parts.upstreams, byName, 'upstream'),
    routes: index(parts.routes, byName, 'model'),
    limits: parts.limits,
    prompts: index(parts.prompts, byName, 'prompt'),
    guard: parts.guard,
    allowances: parts.allowances,
    http: parts.http,
    egress: parts.egress,
    fairness: parts.fairness,
    risk: parts.risk,
  });
}

function index<T>(items: readonly T[], keyOf: (item: T) => string, what: string): ReadonlyMap<string, T> {
  const map = new FrozenMap(items.map((item) => [keyOf(item), item] as const));
  if (map.size !== items.length) throw new SnapshotError(`two of the ${what}s have the same name`);
  return map;
}

/** So that a claim value such as `__proto__` is only a name. */
function withoutPrototype(record: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.assign(Object.create(null), record);
}

function copyKey(key: KeyRecord): KeyRecord {
  return {
    id: key.id,
    name: key.name,
    digests: key.digests.map(({ hmac, until }) => ({ hmac, until })),
    principal: key.principal,
    kind: key.kind,
    tenant: key.tenant,
    user: key.user,
    team: key.team,
    roles: [...key.roles],
    models: key.models === null ? null : [...key.models],
    allowedIps: key.allowedIps === null ? null : [...key.allowedIps],
    expiresAt: key.expiresAt,
    revokedAt: key.revokedAt,
    limits: key.limits.map((limit) => ({ ...limit, models: limit.models === null ? null : [...limit.models] })),
  };
}

function copyAllowance({ id, tenant, detector, category, digest, expiresAt }: GuardAllowance): GuardAllowance {
  return { id, tenant, detector, category, digest, expiresAt };
}

function copyRole(role: Role): Role {
  return { name: role.name, builtIn: role.builtIn, actions: [...role.actions], models: role.models === null ? null : [...role.models] };
}
