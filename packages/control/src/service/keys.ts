import { Fault, type KeyDigest, type Resource } from '@sallyport/core';
import type { Page, StoredKey, Tables, User } from '@sallyport/store';
import { type Authority, knownRoles, ownerOf, policyFor, tenantScope } from './authority.ts';
import type { Desk } from './desk.ts';
import { narrowKey } from './effective.ts';
import {
  checkAddresses,
  checkExpiry,
  checkLabel,
  checkLimits,
  checkModels,
  checkName,
  checkOverlap,
  checkPage,
  checkReason,
  checkRoles,
  isKeyId,
  isUserId,
} from './fields.ts';
import type { Actor, ServicePorts } from './ports.ts';
import { absent, forbidden, invalid } from './refusal.ts';
import { newSecret, renewedSecret, type Secret } from './secret.ts';
import type { KeyVerbs } from './service.ts';
import type { IssuedKey, KeyListQuery, KeyStatus, KeyView, NewKey, Rotation } from './views.ts';

const ANY_KEY: Resource = { kind: 'key', name: '*' };

export class KeyService implements KeyVerbs {
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  create(actor: Actor, key: NewKey): Promise<IssuedKey> {
    return this.#desk.change(actor, 'key.create', ANY_KEY, async (tables, authority) => {
      const user = key.user === undefined ? null : await userOf(tables, authority, key.user);
      const tenant = key.tenant === undefined ? (user?.tenant ?? authority.principal.tenant) : checkLabel('tenant', key.tenant);
      if (!authority.sees(tenant)) throw forbidden('You can make keys for your own tenant only.', 'tenant');
      if (user !== null && user.tenant !== tenant) throw invalid('tenant', 'The user belongs to another tenant.');
      if (user !== null) checkPerson(authority, user.id);
      const secret = newSecret(this.#desk.ports);
      const after = composeKey(this.#desk.ports, { key, secret, tenant, user, creator: authority.principal.id });
      authority.checkGrant({ roles: after.roles, models: after.models });
      await this.#checkUserRights(tables, user, after);
      await tables.keys.insert(after);
      return {
        result: { key: viewKey(after, after.createdAt), secret: secret.text },
        alterations: [{ resource: keyResource(after.id), before: null, after }],
      };
    });
  }

  list(actor: Actor, query: KeyListQuery): Promise<Page<KeyView>> {
    return this.#desk.read(actor, 'key.list', ANY_KEY, async (authority) => {
      const tenant = tenantScope(authority, query.tenant);
      if (query.user !== undefined && !isUserId(query.user)) throw invalid('user', 'There is no such user.');
      const page = await this.#desk.ports.store.keys.list({
        limit: checkPage(query.limit),
        ...(query.cursor === undefined ? {} : { cursor: query.cursor }),
        ...(tenant === null ? {} : { tenant }),
        ...(query.user === undefined ? {} : { user: query.user }),
      });
      const now = this.#desk.ports.clock.now();
      return { items: page.items.map((key) => viewKey(key, now)), next: page.next };
    });
  }

  async show(actor: Actor, id: string): Promise<KeyView> {
    const resource = keyResource(id);
    return this.#desk.read(actor, 'key.list', resource, async (authority) => {
      const key = visible(await this.#desk.ports.store.keys.get(id), authority, resource);
      return viewKey(key, this.#desk.ports.clock.now());
    });
  }

  async revoke(actor: Actor, id: string, reason: string | null): Promise<KeyView> {
    const resource = keyResource(id);
    return this.#desk.change(actor, 'key.revoke', resource, async (tables, authority) => {
      const now = this.#desk.ports.clock.now();
      const before = visible(await tables.keys.get(id), authority, resource);
      await checkOwnersKey(tables, authority, before);
      const revokeReason = reason === null ? null : checkReason(reason);
      if (before.revokedAt !== null) return { result: viewKey(before, now), alterations: [] };
      const after = { ...before, revokedAt: now, revokeReason };
      await tables.keys.revoke(id, now, revokeReason);
      return { result: viewKey(after, now), alterations: [{ resource, before, after }] };
    });
  }

  /**
   * Whoever rotates learns the new secret, so it takes the right to hand out everything the key may do, and nobody but an owner learns
   * that of another person's key: calls made with it would stand in the ledger under that person's name.
   */
  async rotate(actor: Actor, id: string, rotation: Rotation): Promise<IssuedKey> {
    const resource = keyResource(id);
    return this.#desk.change(actor, 'key.rotate', resource, async (tables, authority) => {
      const now = this.#desk.ports.clock.now();
      const before = visible(await tables.keys.get(id), authority, resource);
      if (before.user !== null) checkPerson(authority, before.user);
      authority.checkGrant({ roles: before.roles, models: before.models });
      if (statusOf(before, now) !== 'active') throw new Fault('conflict', 'The key has ended. Make a new one.', { param: 'id' });
      const secret = renewedSecret(this.#desk.ports, id);
      const after = { ...before, ...renewal(this.#desk.ports, before, secret, rotation) };
      await tables.keys.renew(id, after);
      return { result: { key: viewKey(after, now), secret: secret.text }, alterations: [{ resource, before, after }] };
    });
  }

  async #checkUserRights(tables: Tables, user: User | null, key: StoredKey): Promise<void> {
    if (user === null) return;
    if (user.status !== 'active') throw new Fault('conflict', 'The user is disabled.', { param: 'user' });
    const policy = policyFor(await knownRoles(tables.roles, this.#desk.ports), []);
    if (narrowKey(key, user, policy).roles.length < key.roles.length) {
      throw forbidden('A key cannot have roles that its user does not have.', 'grant:user');
    }
  }
}

export interface KeyParts {
  readonly key: Omit<NewKey, 'user' | 'tenant'>;
  readonly secret: Secret;
  readonly tenant: string;
  readonly user: User | null;
  /** Principal id. */
  readonly creator: string;
}

/** The record of a new key; its fields are checked, whether it may be made is not. */
export function composeKey(ports: ServicePorts, parts: KeyParts): StoredKey {
  const { key, secret, user } = parts;
  const now = ports.clock.now();
  if (user !== null && key.kind !== undefined && key.kind !== 'person') throw invalid('kind', 'A key of a user is of kind person.');
  if (user === null && key.kind === 'person') throw invalid('kind', 'A key of kind person names its user.');
  const expiresAt = checkExpiry(key.expiresAt, now, ports.keyLifetime);
  return {
    id: secret.id,
    name: checkName('name', key.name),
    digests: [{ hmac: secret.hmac, until: null }],
    principal: user?.id ?? `key:${secret.id}`,
    kind: user === null ? (key.kind ?? 'application') : 'person',
    tenant: parts.tenant,
    user: user?.id ?? null,
    team: key.team === undefined ? (user?.team ?? null) : checkLabel('team', key.team),
    roles: checkRoles(key.roles),
    models: checkModels(key.models),
    allowedIps: checkAddresses(key.allowedIps),
    limits: checkLimits(key.limits),
    expiresAt,
    lifetime: expiresAt - now,
    revokedAt: null,
    revokeReason: null,
    createdAt: now,
    createdBy: parts.creator,
    lastUsedAt: null,
  };
}

export function viewKey(key: StoredKey, now: number): KeyView {
  const { digests, ...rest } = key;
  const overlap = digests.find((digest) => digest.until !== null && digest.until > now);
  return { ...rest, status: statusOf(key, now), overlapUntil: overlap?.until ?? null };
}

function statusOf(key: StoredKey, now: number): KeyStatus {
  if (key.revokedAt !== null) return 'revoked';
  return key.expiresAt !== null && key.expiresAt <= now ? 'expired' : 'active';
}

function renewal(
  ports: ServicePorts,
  key: StoredKey,
  secret: Secret,
  rotation: Rotation,
): Pick<StoredKey, 'digests' | 'expiresAt' | 'lifetime'> {
  const { keyLifetime } = ports;
  const now = ports.clock.now();
  const overlap = checkOverlap(rotation.overlap, keyLifetime);
  const expiresAt = checkExpiry(rotation.expiresAt ?? now + (key.lifetime ?? keyLifetime.standard), now, keyLifetime);
  const current = key.digests.find((digest) => digest.until === null);
  const digests: KeyDigest[] = [{ hmac: secret.hmac, until: null }];
  // The old secret never outlives what it was given at first.
  if (current !== undefined && overlap > 0) digests.push({ hmac: current.hmac, until: Math.min(now + overlap, key.expiresAt ?? Infinity) });
  return { digests, expiresAt, lifetime: expiresAt - now };
}

function keyResource(id: string): Resource {
  const resource: Resource = { kind: 'key', name: id };
  if (!isKeyId(id)) throw absent(ANY_KEY, 'absent');
  return resource;
}

function visible(key: StoredKey | null, authority: Authority, resource: Resource): StoredKey {
  if (key === null) throw absent(resource, 'absent');
  if (!authority.sees(key.tenant)) throw absent(resource, 'tenant');
  return key;
}

/** A key of a person acts in that person's name: they have it, or an owner gave it to them. */
function checkPerson(authority: Authority, user: string): void {
  if (authority.everyTenant || authority.principal.user === user) return;
  throw forbidden("Only an owner or the person can make or renew a person's key.", 'separation:person');
}

/** Nobody but an owner takes an owner's keys away, whatever roles those have: they are how the owner is reached. */
async function checkOwnersKey(tables: Tables, authority: Authority, key: StoredKey): Promise<void> {
  if (authority.everyTenant || (key.user !== null && key.user === authority.principal.user)) return;
  const user = await ownerOf(tables, key);
  if (key.roles.includes('owner') || user?.roles.includes('owner') === true) {
    throw forbidden("Only an owner can revoke an owner's key.", 'separation:owner');
  }
}

async function userOf(tables: Tables, authority: Authority, id: string): Promise<User> {
  const user = isUserId(id) ? await tables.users.get(id) : null;
  if (user === null || !authority.sees(user.tenant)) throw invalid('user', 'There is no such user.');
  return user;
}
