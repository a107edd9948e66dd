import { type DecisionContext, type Grant, Policy } from '@sallyport/access';
import type { Action, Decision, KeyRecord, Principal, Resource, Role } from '@sallyport/core';
import type { RoleReader, Store, StoredKey, User } from '@sallyport/store';
import { narrowKey } from './effective.ts';
import { checkLabel } from './fields.ts';
import type { Actor, ServicePorts } from './ports.ts';
import { forbidden } from './refusal.ts';

/** The part of a store, or of an open write transaction, that a decision reads. */
export type Registry = Pick<Store, 'keys' | 'users' | 'roles'>;

/**
 * What an actor may do, as the database says at this moment: a key that was revoked, a role that was taken away or a user that was
 * disabled a millisecond ago counts, whatever the listener's snapshot still holds. Inside a write transaction it cannot change.
 */
export class Authority {
  readonly principal: Principal;
  readonly #roles: readonly Role[];
  readonly #key: KeyRecord | null;
  readonly #policy: Policy;
  readonly #context: DecisionContext;

  constructor(principal: Principal, roles: readonly Role[], key: KeyRecord | null, context: DecisionContext) {
    this.principal = principal;
    this.#roles = roles;
    this.#key = key;
    this.#policy = policyFor(roles, key === null ? [] : [key]);
    this.#context = context;
  }

  static async of(registry: Registry, actor: Actor, ports: ServicePorts): Promise<Authority> {
    const roles = await knownRoles(registry.roles, ports);
    const key = await currentKey(registry, actor, roles);
    const principal = key === null ? actor.principal : principalOf(key);
    return new Authority(principal, roles, key, { now: ports.clock.now(), ip: actor.source?.ip ?? null });
  }

  /** Owners run the installation and see every tenant; everybody else, whatever their roles, only their own. */
  get everyTenant(): boolean {
    return this.principal.roles.includes('owner');
  }

  decide(action: Action, resource: Resource): Decision {
    return this.#policy.decide(this.principal, action, resource, this.#context);
  }

  sees(tenant: string): boolean {
    return this.everyTenant || tenant === this.principal.tenant;
  }

  /** Refuses what would give somebody rights that the actor does not hold. */
  checkGrant(grant: Grant): void {
    this.#check(this.#policy, grant);
  }

  /** The same for a role that is not written yet, or is about to go: a role gives all its actions to whoever gets it. */
  checkRole(role: Role): void {
    const others = this.#roles.filter((known) => known.name !== role.name);
    this.#check(policyFor([...others, role], this.#key === null ? [] : [this.#key]), { roles: [role.name], models: null });
  }

  #check(policy: Policy, grant: Grant): void {
    const decision = policy.canGrant(policy.rightsOf(this.principal), grant);
    if (decision.effect === 'deny') throw forbidden(`This may not be given: ${decision.reason}.`, decision.rule);
  }
}

/** Custom roles of the configuration file and of the database; built-in ones are added by the policy itself. */
export async function knownRoles(reader: RoleReader, ports: Pick<ServicePorts, 'configuredRoles'>): Promise<readonly Role[]> {
  const configured = ports.configuredRoles();
  const names = new Set(configured.map((role) => role.name));
  return [...configured, ...(await reader.list()).filter((role) => !names.has(role.name))];
}

export function policyFor(roles: readonly Role[], keys: readonly KeyRecord[]): Policy {
  return new Policy({
    roles: new Map(roles.map((role) => [role.name, role])),
    keys: new Map(keys.map((key) => [key.id, key])),
    issuers: [],
    certificateIdentities: [],
  });
}

export function principalOf(key: KeyRecord): Principal {
  return {
    id: key.principal,
    kind: key.kind,
    tenant: key.tenant,
    user: key.user,
    team: key.team,
    roles: key.roles,
    credential: { kind: 'api-key', id: key.id, expiresAt: key.expiresAt },
  };
}

/** The key the actor came with as it is now, or null for a command on the machine itself, which has none. */
async function currentKey(registry: Registry, actor: Actor, roles: readonly Role[]): Promise<KeyRecord | null> {
  const { credential } = actor.principal;
  if (credential.kind === 'local') return null;
  if (credential.kind !== 'api-key') throw forbidden('The control plane accepts API keys only.', 'credential:kind');
  const key = await registry.keys.get(credential.id);
  if (key === null) throw forbidden('The credential is not known any more.', 'credential:unknown');
  return narrowKey(key, await ownerOf(registry, key), policyFor(roles, []));
}

export async function ownerOf(registry: Pick<Registry, 'users'>, key: StoredKey): Promise<User | null> {
  return key.user === null ? null : registry.users.get(key.user);
}

/** The tenant a list is kept to, or null for all. Client's data: `asked`. */
export function tenantScope(authority: Authority, asked: string | undefined): string | null {
  if (asked === undefined) return authority.everyTenant ? null : authority.principal.tenant;
  checkLabel('tenant', asked);
  if (!authority.sees(asked)) throw forbidden('You can look into your own tenant only.', 'tenant');
  return asked;
}
