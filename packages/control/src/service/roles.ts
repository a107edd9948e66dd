import { builtInRoles, isAction, roleProblems } from '@sallyport/access';
import { Fault, type Resource, type Role } from '@sallyport/core';
import type { StoredRole, Tables } from '@sallyport/store';
import type { Desk } from './desk.ts';
import { checkModels } from './fields.ts';
import type { Actor } from './ports.ts';
import { absent, forbidden, invalid } from './refusal.ts';
import type { RoleVerbs } from './service.ts';
import type { NewRole, RoleOrigin, RoleView } from './views.ts';

const ROLE_NAME = /^[a-z][a-z0-9-]{0,63}$/;
const ANY_ROLE: Resource = { kind: 'role', name: '*' };
const MAX_ACTIONS = 64;

/** Roles belong to the installation, not to a tenant: what one permits is the same everywhere. */
export class RoleService implements RoleVerbs {
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  list(actor: Actor): Promise<readonly RoleView[]> {
    return this.#desk.read(actor, 'role.list', ANY_ROLE, async () => {
      const configured = this.#desk.ports.configuredRoles();
      const taken = new Set(configured.map((role) => role.name));
      const custom = (await this.#desk.ports.store.roles.list()).filter((role) => !taken.has(role.name));
      return [
        ...[...builtInRoles().values()].map((role) => viewRole(role, 'built-in')),
        ...configured.map((role) => viewRole(role, 'configuration')),
        ...custom.map((role) => viewRole(role, 'custom')),
      ];
    });
  }

  create(actor: Actor, role: NewRole): Promise<RoleView> {
    return this.#desk.change(actor, 'role.manage', ANY_ROLE, async (tables, authority) => {
      const after = this.#compose(role, authority.principal.id);
      const configured = this.#desk.ports.configuredRoles().some((other) => other.name === after.name);
      if (configured || (await tables.roles.get(after.name)) !== null) {
        throw new Fault('conflict', 'There is a role of this name already.', { param: 'name' });
      }
      authority.checkRole(after);
      await tables.roles.insert(after);
      return {
        result: viewRole(after, 'custom'),
        alterations: [{ resource: { kind: 'role', name: after.name }, before: null, after, action: 'role.create' }],
      };
    });
  }

  async delete(actor: Actor, name: string): Promise<void> {
    // Client's data: only what has the form of a name is looked up, and written to the ledger.
    if (!ROLE_NAME.test(name)) throw absent(ANY_ROLE, 'absent');
    const resource: Resource = { kind: 'role', name };
    return this.#desk.change(actor, 'role.manage', resource, async (tables, authority) => {
      if (builtInRoles().has(name)) throw forbidden('A built-in role cannot be deleted.', 'role:built-in');
      const before = await tables.roles.get(name);
      if (before === null) throw absent(resource, 'absent');
      authority.checkRole(before);
      await checkUnused(tables, name, this.#desk.ports.clock.now());
      await tables.roles.delete(name);
      return { result: undefined, alterations: [{ resource, before, after: null, action: 'role.delete' }] };
    });
  }

  #compose(role: NewRole, creator: string): StoredRole {
    if (role.actions.length === 0 || role.actions.length > MAX_ACTIONS) {
      throw invalid('actions', `actions must name 1 to ${MAX_ACTIONS} actions.`);
    }
    const models = checkModels(role.models);
    const [problem] = roleProblems({ name: role.name, actions: role.actions, models });
    if (problem !== undefined) throw invalid(problem.slice(0, problem.indexOf(':')), `${problem}.`);
    return {
      name: role.name,
      builtIn: false,
      actions: [...new Set(role.actions.filter(isAction))],
      models,
      createdAt: this.#desk.ports.clock.now(),
      createdBy: creator,
    };
  }
}

/** A role that is deleted while somebody has it would come back to them if a role of the same name were made later. */
async function checkUnused(tables: Tables, name: string, now: number): Promise<void> {
  const users = await tables.users.holding(name);
  const keys = await tables.keys.holding(name, now);
  if (users.length === 0 && keys.length === 0) return;
  throw new Fault('conflict', `The role is in use by ${users.length} users and ${keys.length} keys. End or replace them first.`, {
    param: 'name',
  });
}

function viewRole(role: Role, origin: RoleOrigin): RoleView {
  return { name: role.name, origin, actions: role.actions, models: role.models };
}
