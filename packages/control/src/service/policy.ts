import { canonicalIp, chooseGuard, isAction } from '@sallyport/access';
import { type GuardSettings, INSPECTED_ENDPOINTS, type KeyRecord, type Resource, type Role } from '@sallyport/core';
import { weaknesses } from '@sallyport/guard';
import { type Authority, knownRoles, ownerOf, policyFor, principalOf } from './authority.ts';
import type { Desk } from './desk.ts';
import { narrowKey } from './effective.ts';
import { checkRoles, isKeyId, isUserId } from './fields.ts';
import type { Actor } from './ports.ts';
import { invalid } from './refusal.ts';
import type { PolicyVerbs } from './service.ts';
import type { Explanation, GuardView, Question } from './views.ts';

const KINDS: readonly Resource['kind'][] = [
  'model',
  'key',
  'user',
  'role',
  'policy',
  'config',
  'prompt',
  'ledger',
  'metrics',
  'encryption-key',
];
const MAX_NAME = 256;

export class PolicyService implements PolicyVerbs {
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  explain(actor: Actor, question: Question): Promise<Explanation> {
    return this.#desk.read(actor, 'policy.read', { kind: 'policy', name: '*' }, async (authority) => {
      const { action } = question;
      if (!isAction(action)) throw invalid('action', 'There is no such action.');
      const resource = readResource(question.resource);
      const { ports } = this.#desk;
      const roles = await knownRoles(ports.store.roles, ports);
      const key = await this.#subject(question, authority, roles);
      const context = { now: ports.clock.now(), ip: readAddress(question.address) };
      const { decision, considered } = policyFor(roles, [key]).explain(principalOf(key), action, resource, context);
      const guard = resource.kind === 'model' ? guardOf(ports.guards(), key, resource.name, question.endpoint) : null;
      return { decision, action, resource, roles: key.roles, considered, guard };
    });
  }

  /** Whom the question is about, as a key: a stored one, or the one that a user or holder of the roles would have without restrictions. */
  async #subject(question: Question, authority: Authority, roles: readonly Role[]): Promise<KeyRecord> {
    const { store } = this.#desk.ports;
    if ([question.key, question.user, question.roles].filter((given) => given !== undefined).length !== 1) {
      throw invalid('key', 'Ask about exactly one of key, user and roles.');
    }
    if (question.key !== undefined) {
      const key = isKeyId(question.key) ? await store.keys.get(question.key) : null;
      if (key === null || !authority.sees(key.tenant)) throw invalid('key', 'There is no such key.');
      return narrowKey(key, await ownerOf(store, key), policyFor(roles, []));
    }
    if (question.user !== undefined) {
      const user = isUserId(question.user) ? await store.users.get(question.user) : null;
      if (user === null || !authority.sees(user.tenant)) throw invalid('user', 'There is no such user.');
      return supposedKey(user.roles, user.tenant, user.disabledAt);
    }
    return supposedKey(checkRoles(question.roles ?? []), authority.principal.tenant, null);
  }
}

function guardOf(settings: GuardSettings, key: KeyRecord, model: string, endpoint: string | undefined): GuardView {
  const known: readonly string[] = INSPECTED_ENDPOINTS;
  if (endpoint !== undefined && !known.includes(endpoint)) throw invalid('endpoint', `endpoint must be one of ${known.join(', ')}.`);
  const call = { tenant: key.tenant, roles: key.roles, model: model === '*' ? null : model, endpoint: endpoint ?? null };
  const { name, settings: chosen } = chooseGuard(settings, call);
  return {
    policy: name,
    mode: chosen.mode,
    input: chosen.input,
    output: chosen.output,
    shadow: chosen.shadow !== undefined,
    weaker: weaknesses(chosen).map(({ message }) => message),
  };
}

function supposedKey(roles: readonly string[], tenant: string, revokedAt: number | null): KeyRecord {
  return {
    id: '-',
    name: '-',
    digests: [],
    principal: '-',
    kind: 'application',
    tenant,
    user: null,
    team: null,
    roles,
    models: null,
    allowedIps: null,
    expiresAt: null,
    revokedAt,
    limits: [],
  };
}

function readAddress(text: string | undefined): string | null {
  if (text === undefined) return null;
  const address = canonicalIp(text);
  if (address === null) throw invalid('address', 'address must be an IP address.');
  return address;
}

function readResource(resource: Question['resource']): Resource {
  const kind = KINDS.find((known) => known === resource.kind);
  if (kind === undefined) throw invalid('resource.kind', `kind must be one of ${KINDS.join(', ')}.`);
  if (resource.name.length === 0 || resource.name.length > MAX_NAME)
    throw invalid('resource.name', `name must have 1 to ${MAX_NAME} characters.`);
  return { kind, name: resource.name };
}
