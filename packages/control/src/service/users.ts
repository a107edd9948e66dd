import { Fault, type Resource } from '@sallyport/core';
import type { Page, StoredKey, Tables, User } from '@sallyport/store';
import { type Authority, tenantScope } from './authority.ts';
import type { Alteration, Desk } from './desk.ts';
import { checkEmail, checkLabel, checkName, checkPage, checkRoles, isUserId } from './fields.ts';
import type { Actor, ServicePorts } from './ports.ts';
import { absent, forbidden } from './refusal.ts';
import type { UserVerbs } from './service.ts';
import type { DisabledUser, ListQuery, NewUser } from './views.ts';

const ID_BYTES = 12;
const ANY_USER: Resource = { kind: 'user', name: '*' };

export class UserService implements UserVerbs {
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  create(actor: Actor, user: NewUser): Promise<User> {
    return this.#desk.change(actor, 'user.manage', ANY_USER, async (tables, authority) => {
      const tenant = user.tenant === undefined ? authority.principal.tenant : checkLabel('tenant', user.tenant);
      if (!authority.sees(tenant)) throw forbidden('You can make users of your own tenant only.', 'tenant');
      const after = composeUser(this.#desk.ports, { user, tenant, creator: authority.principal.id });
      authority.checkGrant({ roles: after.roles, models: null });
      if ((await tables.users.named(tenant, after.name)) !== null) {
        throw new Fault('conflict', 'There is a user of this name already.', { param: 'name' });
      }
      await tables.users.insert(after);
      return { result: after, alterations: [{ resource: userResource(after.id), before: null, after, action: 'user.create' }] };
    });
  }

  list(actor: Actor, query: ListQuery): Promise<Page<User>> {
    return this.#desk.read(actor, 'user.manage', ANY_USER, async (authority) => {
      const tenant = tenantScope(authority, query.tenant);
      return this.#desk.ports.store.users.list({
        limit: checkPage(query.limit),
        ...(query.cursor === undefined ? {} : { cursor: query.cursor }),
        ...(tenant === null ? {} : { tenant }),
      });
    });
  }

  async show(actor: Actor, id: string): Promise<User> {
    const resource = userResource(id);
    return this.#desk.read(actor, 'user.manage', resource, async (authority) =>
      visible(await this.#desk.ports.store.users.get(id), authority, resource),
    );
  }

  async disable(actor: Actor, id: string): Promise<DisabledUser> {
    const resource = userResource(id);
    return this.#desk.change(actor, 'user.manage', resource, async (tables, authority) => {
      const before = visible(await tables.users.get(id), authority, resource);
      if (before.status === 'disabled') return { result: { user: before, endedKeys: [] }, alterations: [] };
      await checkOwnerRemains(tables, authority, before);
      const now = this.#desk.ports.clock.now();
      const after: User = { ...before, status: 'disabled', disabledAt: now };
      await tables.users.disable(id, now);
      const keys = await tables.keys.ofUser(id);
      for (const key of keys) await tables.keys.revoke(key.id, now, ENDED_WITH_USER);
      return {
        result: { user: after, endedKeys: keys.map((key) => key.id) },
        alterations: [{ resource, before, after, action: 'user.disable' }, ...keys.map((key) => ended(key, now))],
      };
    });
  }
}

const ENDED_WITH_USER = 'user disabled';

export interface UserParts {
  readonly user: Omit<NewUser, 'tenant'>;
  readonly tenant: string;
  readonly creator: string;
}

/** The record of a new user; its fields are checked, whether it may be made is not. */
export function composeUser(ports: ServicePorts, parts: UserParts): User {
  const { user } = parts;
  return {
    id: `u_${Buffer.from(ports.random.bytes(ID_BYTES)).toString('hex')}`,
    name: checkName('name', user.name),
    email: user.email === undefined ? null : checkEmail(user.email),
    tenant: parts.tenant,
    team: user.team === undefined ? null : checkLabel('team', user.team),
    roles: checkRoles(user.roles),
    status: 'active',
    createdAt: ports.clock.now(),
    createdBy: parts.creator,
    disabledAt: null,
  };
}

/** Nobody but an owner ends an owner, and never the last one: there would be nobody left to hand out rights. */
async function checkOwnerRemains(tables: Tables, authority: Authority, user: User): Promise<void> {
  if (!user.roles.includes('owner')) return;
  if (!authority.everyTenant) throw forbidden('Only an owner can disable an owner.', 'separation:owner');
  if ((await tables.users.holding('owner')).length < 2) {
    throw new Fault('conflict', 'This is the last owner. Make another one first.', { param: 'id' });
  }
}

function ended(key: StoredKey, now: number): Alteration {
  const after = { ...key, revokedAt: now, revokeReason: ENDED_WITH_USER };
  return { resource: { kind: 'key', name: key.id }, before: key, after, action: 'key.revoke' };
}

function userResource(id: string): Resource {
  if (!isUserId(id)) throw absent(ANY_USER, 'absent');
  return { kind: 'user', name: id };
}

function visible(user: User | null, authority: Authority, resource: Resource): User {
  if (user === null) throw absent(resource, 'absent');
  if (!authority.sees(user.tenant)) throw absent(resource, 'tenant');
  return user;
}
