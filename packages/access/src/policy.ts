import { type Action, type Decision, Fault, type KeyRecord, type Principal, type Resource, type Snapshot } from '@sallyport/core';
import { AddressList } from './address.ts';
import { ModelSet } from './policy-glob.ts';
import { effectiveRoles } from './role.ts';

/** What a decision may depend on besides the caller and the question. */
export interface DecisionContext {
  /** Epoch milliseconds. */
  readonly now: number;
  /** The caller's canonical address; null where it is not known, which denies a key that is bound to addresses. */
  readonly ip: string | null;
}

/** Rights as they are handed out: roles, and the models they are narrowed to (null is no narrowing). */
export interface Grant {
  readonly roles: readonly string[];
  readonly models: readonly string[] | null;
}

/** One rule that was looked at. `effect` is what it says on its own; `decides` marks the one the decision names. */
export interface Consideration {
  readonly rule: string;
  readonly effect: 'permit' | 'deny' | 'no-match';
  readonly reason: string;
  readonly decides: boolean;
}

export interface Explanation {
  readonly decision: Decision;
  readonly considered: readonly Consideration[];
}

export type PolicySource = Pick<Snapshot, 'keys' | 'roles' | 'issuers' | 'certificateIdentities'>;

type Denial = Extract<Decision, { effect: 'deny' }>;

interface CompiledRole {
  readonly permits: ReadonlyMap<Action, Decision>;
  readonly models: ModelSet;
  readonly modelNames: readonly string[] | null;
  readonly outsideModels: Denial;
}

/** What a credential's row in the snapshot says of it. */
interface Scope {
  /** The row's roles; null where the roles came with the credential itself. Never those of an older snapshot. */
  readonly roles: readonly string[] | null;
  readonly models: ModelSet;
  readonly modelNames: readonly string[] | null;
  readonly addresses: AddressList | null;
  /** Epoch milliseconds; undefined where the credential itself says when it ends. */
  readonly expiresAt: number | null | undefined;
  readonly revoked: boolean;
  readonly outsideModels: Denial;
}

const DEFAULT_DENY = deny('default-deny', 'no role of the caller permits this action');
const UNKNOWN = deny('credential:unknown', 'the credential is not, or no longer, part of the configuration');
const REVOKED = deny('credential:revoked', 'the key was revoked');
const EXPIRED = deny('credential:expired', 'the credential has expired');
const ADDRESS = deny('address', 'the key may not be used from this address');
const KEY_MODELS = deny('key:models', 'the key is limited to other models');
const CERTIFICATE_MODELS = deny('certificate:models', 'the certificate identity is limited to other models');
/** Of a credential whose roles come with it and which nothing narrows. */
const UNLIMITED: Scope = {
  roles: null,
  models: new ModelSet(null),
  modelNames: null,
  addresses: null,
  expiresAt: undefined,
  revoked: false,
  outsideModels: DEFAULT_DENY,
};

/**
 * Decides every call on every plane, for one snapshot. Deny by default; effective rights are the rights of the caller's roles, within
 * the limits of the credential, while that credential is in force in this snapshot.
 */
export class Policy {
  readonly #roles = new Map<string, CompiledRole>();
  readonly #keys: ReadonlyMap<string, KeyRecord>;
  readonly #keyScopes = new Map<string, Scope>();
  readonly #certificateScopes = new Map<string, Scope>();
  readonly #issuers: ReadonlySet<string>;

  constructor(source: PolicySource) {
    for (const role of effectiveRoles(source.roles.values()).values()) {
      const permits = new Map(role.actions.map((action) => [action, permit(`role:${role.name}/${action}`)]));
      const outsideModels = deny(`role:${role.name}/models`, `the role ${role.name} is limited to other models`);
      this.#roles.set(role.name, { permits, models: new ModelSet(role.models), modelNames: role.models, outsideModels });
    }
    this.#keys = source.keys;
    this.#issuers = new Set(source.issuers.map((issuer) => issuer.name));
    for (const { name, roles, models } of source.certificateIdentities) {
      this.#certificateScopes.set(name, { ...UNLIMITED, roles, ...modelScope(models, CERTIFICATE_MODELS) });
    }
  }

  /** Pure: the same question has the same answer for the life of the snapshot, time aside. */
  decide(principal: Principal, action: Action, resource: Resource, context: DecisionContext): Decision {
    const scope = this.#scope(principal);
    if (scope === null) return UNKNOWN;
    const standing = checkStanding(principal, scope, context);
    if (standing !== null) return standing;
    const byModel = isAboutModel(action, resource);
    const granted = this.#byRoles(scope.roles ?? principal.roles, action, byModel ? resource.name : null);
    if (granted.effect === 'deny' || !byModel || scope.models.has(resource.name)) return granted;
    return scope.outsideModels;
  }

  /** Why the caller may do this to nothing at all, or null where what it is about decides. */
  refuses(principal: Principal, action: Action, context: DecisionContext): Extract<Decision, { effect: 'deny' }> | null {
    const scope = this.#scope(principal);
    if (scope === null) return UNKNOWN;
    const granted = this.#byRoles(scope.roles ?? principal.roles, action, null);
    return checkStanding(principal, scope, context) ?? (granted.effect === 'deny' ? granted : null);
  }

  /** Every rule `decide` could have named for this question, what each says, and which one decided. */
  explain(principal: Principal, action: Action, resource: Resource, context: DecisionContext): Explanation {
    const decision = this.decide(principal, action, resource, context);
    const rules: Omit<Consideration, 'decides'>[] = [];
    const scope = this.#scope(principal);
    const model = isAboutModel(action, resource) ? resource.name : null;
    const standing = scope === null ? UNKNOWN : checkStanding(principal, scope, context);
    rules.push(standing ?? { rule: 'credential', effect: 'permit', reason: 'the credential is in force' });
    for (const name of scope?.roles ?? principal.roles) rules.push(this.#considerRole(name, action, model));
    if (scope !== null && scope !== UNLIMITED && model !== null) {
      const { rule, reason } = scope.outsideModels;
      rules.push(
        scope.models.has(model)
          ? { rule, effect: 'permit', reason: 'the credential is not kept from this model' }
          : { rule, effect: 'deny', reason },
      );
    }
    rules.push({ rule: DEFAULT_DENY.rule, effect: 'deny', reason: 'what no rule permits is denied' });
    return {
      decision,
      considered: rules.map((rule) => ({ ...rule, decides: rule.rule === decision.rule && rule.effect === decision.effect })),
    };
  }

  /**
   * Whether somebody with the rights `granter` may hand out `grant`: only what they hold themselves, so that minting or rotating a key,
   * giving a role or writing one never adds to anybody's rights. An unknown role cannot be granted.
   */
  canGrant(granter: Grant, grant: Grant): Decision {
    const limit = new ModelSet(granter.models);
    for (const name of grant.roles) {
      const role = this.#roles.get(name);
      if (role === undefined) return deny('grant:unknown-role', `there is no role ${JSON.stringify(name)}`);
      if (!reaches(limit, role, grant)) return deny('grant:models', 'the granter is limited to other models');
      for (const action of role.permits.keys()) {
        if (!granter.roles.some((own) => this.#holds(own, action, role, grant))) {
          return deny(`grant:${name}/${action}`, `the granter does not hold ${action} to the extent that ${name} gives it`);
        }
      }
    }
    return permit('grant:held');
  }

  /** The rights of a caller as `canGrant` takes them. */
  rightsOf(principal: Principal): Grant {
    const scope = this.#scope(principal);
    return scope === null ? { roles: [], models: [] } : { roles: scope.roles ?? principal.roles, models: scope.modelNames };
  }

  #scope(principal: Principal): Scope | null {
    const { kind, id, admittedBy } = principal.credential;
    if (kind === 'client-certificate') return this.#certificateScopes.get(admittedBy ?? '') ?? null;
    if (kind === 'jwt') return this.#issuers.has(admittedBy ?? '') ? UNLIMITED : null;
    if (kind === 'local') return UNLIMITED;
    return kind === 'api-key' ? (this.#keyScopes.get(id) ?? this.#compileKey(id)) : null;
  }

  /** Keys are many and few are busy, so a key's limits are compiled when it is first seen. */
  #compileKey(id: string): Scope | null {
    const key = this.#keys.get(id);
    if (key === undefined) return null;
    const { roles, models, allowedIps, expiresAt, revokedAt } = key;
    const addresses = allowedIps === null ? null : new AddressList(allowedIps);
    const scope: Scope = { roles, addresses, expiresAt, revoked: revokedAt !== null, ...modelScope(models, KEY_MODELS) };
    this.#keyScopes.set(id, scope);
    return scope;
  }

  #byRoles(roles: readonly string[], action: Action, model: string | null): Decision {
    let denial = DEFAULT_DENY;
    for (const name of roles) {
      const role = this.#roles.get(name);
      const permitted = role?.permits.get(action);
      if (role === undefined || permitted === undefined) continue;
      if (model === null || role.models.has(model)) return permitted;
      if (denial === DEFAULT_DENY) denial = role.outsideModels;
    }
    return denial;
  }

  #considerRole(name: string, action: Action, model: string | null): Omit<Consideration, 'decides'> {
    const role = this.#roles.get(name);
    if (role === undefined) return { rule: `role:${name}`, effect: 'no-match', reason: 'there is no such role' };
    const permitted = role.permits.get(action);
    if (permitted === undefined) return { rule: `role:${name}`, effect: 'no-match', reason: `the role does not hold ${action}` };
    if (model === null || role.models.has(model)) return { rule: permitted.rule, effect: 'permit', reason: `the role holds ${action}` };
    return role.outsideModels;
  }

  #holds(own: string, action: Action, granted: CompiledRole, grant: Grant): boolean {
    const role = this.#roles.get(own);
    return role?.permits.has(action) === true && (!isModelAction(action) || reaches(role.models, granted, grant));
  }
}

/** The denial as the fault to throw. The client learns what is missing; which rule said so stays with the operator. */
export function refusal(denial: Extract<Decision, { effect: 'deny' }>, action: Action): Fault {
  if (denial.rule.endsWith('models')) {
    return new Fault('model_not_allowed', 'This credential may not use this model.', { param: 'model', detail: denial.rule });
  }
  return new Fault('forbidden', `This credential lacks the permission ${action}.`, { detail: denial.rule });
}

/** Null while the credential is in force: a principal may outlive what it came with, on a kept connection or in a cache. */
function checkStanding(principal: Principal, scope: Scope, context: DecisionContext): Denial | null {
  if (scope.revoked) return REVOKED;
  const end = scope.expiresAt === undefined ? principal.credential.expiresAt : scope.expiresAt;
  if (end !== null && end <= context.now) return EXPIRED;
  if (scope.addresses !== null && (context.ip === null || !scope.addresses.has(context.ip))) return ADDRESS;
  return null;
}

function modelScope(models: readonly string[] | null, outsideModels: Denial): Pick<Scope, 'models' | 'modelNames' | 'outsideModels'> {
  return { models: new ModelSet(models), modelNames: models, outsideModels };
}

/** Whether the models a granted role will reach (its own and the grant's narrowing together) all lie within `held`. */
function reaches(held: ModelSet, role: CompiledRole, grant: Grant): boolean {
  return held.covers(role.modelNames) || held.covers(grant.models);
}

function isModelAction(action: Action): boolean {
  return action.startsWith('model.') || action.startsWith('feature.');
}

/** Listing as such is about no model: what is in the list is decided name by name. */
function isAboutModel(action: Action, resource: Resource): boolean {
  if (action === 'model.list' && resource.name === '*') return false;
  return resource.kind === 'model' || isModelAction(action);
}

function permit(rule: string): Decision {
  return Object.freeze({ effect: 'permit', rule });
}

function deny(rule: string, reason: string): Denial {
  return Object.freeze({ effect: 'deny', rule, reason });
}

/** Compiles the roles and identities of a snapshot; make one with each snapshot and keep it. */
export function compilePolicy(source: PolicySource): Policy {
  return new Policy(source);
}
