import { canonicalIp, describeBucket, Limiter, type LimitRules, type LimitStanding, type LimitSubject } from '@sallyport/access';
import { Fault, type LimitDimension, type LimitRule, type Principal, type Resource } from '@sallyport/core';
import type { StoredKey } from '@sallyport/store';
import { type Authority, knownRoles, ownerOf, policyFor, principalOf } from './authority.ts';
import type { Desk } from './desk.ts';
import { narrowKey } from './effective.ts';
import { checkLabel, checkPrintable, checkRoles, isKeyId, isUserId } from './fields.ts';
import type { Actor } from './ports.ts';
import { forbidden, invalid } from './refusal.ts';
import type { LimitVerbs } from './service.ts';
import type { LimitReset, LimitSelection, LimitUse } from './views.ts';

const ANY_LIMIT: Resource = { kind: 'policy', name: 'limits' };

/** What everybody shares: shown to those only who see every tenant. */
const EVERYBODYS: readonly LimitDimension[] = ['role', 'model', 'upstream', 'address', 'global'];

/** A selection that was looked up: whose buckets, by which dimensions. */
interface Selected {
  readonly rules: LimitRules;
  readonly subject: LimitSubject;
  readonly known: ReadonlySet<LimitDimension>;
}

/** How the windows of limits stand in the process that counts them, or in the server all share, and an operator's reset of one. */
export class LimitService implements LimitVerbs {
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  show(actor: Actor, selection: LimitSelection): Promise<readonly LimitUse[]> {
    return this.#desk.read(actor, 'policy.read', ANY_LIMIT, async (authority) => {
      const { rules, subject, known } = await this.#select(authority, selection);
      const standings = await this.#limiter().standings(rules, subject, known);
      const { clock } = this.#desk.ports;
      return standings.map((standing) => viewUse(standing, subject, clock.now()));
    });
  }

  reset(actor: Actor, name: string, selection: LimitSelection): Promise<LimitReset> {
    return this.#desk.alter(actor, 'policy.write', ANY_LIMIT, async (authority) => {
      const { rules, subject, known } = await this.#select(authority, selection);
      const limiter = this.#limiter();
      const found = (await limiter.standings(rules, subject, known)).filter(({ claim }) => claim.rule.name === name);
      const [standing] = found;
      if (standing === undefined) throw invalid('limit', 'No limit of this name counts by what was named. Show the limits first.');
      if (found.length > 1) throw invalid('limit', 'Several buckets are meant. Name one role, or the one key, user or tenant.');
      const { rule } = standing.claim;
      if (rule.quantity === 'concurrency')
        throw invalid('limit', 'Requests in progress cannot be reset: their places are free when they end.');
      const use = viewUse(standing, subject, this.#desk.ports.clock.now());
      return {
        action: 'limits.reset',
        resource: { kind: 'policy', name: rule.name },
        // A session's name is a client's text.
        detail: { per: rule.per, of: rule.per === 'session' ? null : use.of, quantity: rule.quantity, before: standing.used, after: 0 },
        act: async () => {
          await limiter.clear([standing.claim]);
          return { ...use, before: standing.used, used: 0, remaining: rule.amount, emptyAt: null };
        },
      };
    });
  }

  #limiter(): Limiter {
    const counters = this.#desk.ports.limits?.counters() ?? null;
    if (counters === null)
      throw new Fault('not_found', 'This process counts no limits. Ask one that runs the gateway, or count in a server (counters.url).');
    if (counters.shared === false)
      throw new Fault('not_ready', 'The server that counts the limits cannot be reached at the moment.', { retryAfter: 1 });
    return new Limiter(counters);
  }

  async #select(authority: Authority, selection: LimitSelection): Promise<Selected> {
    const subject = await this.#subject(authority, selection);
    const known = new Set(subject.known);
    if (!authority.everyTenant) for (const dimension of EVERYBODYS) known.delete(dimension);
    const rules = this.#desk.ports.limits?.rules() ?? [];
    return { rules: { rules, keyRules: () => subject.keyRules }, subject: subject.subject, known };
  }

  /** Whom the selection names, and which dimensions follow from that. Client's data. */
  async #subject(
    authority: Authority,
    selection: LimitSelection,
  ): Promise<{ readonly subject: LimitSubject; readonly known: LimitDimension[]; readonly keyRules: readonly LimitRule[] }> {
    const { key, caller, user, team, tenant, role, model, upstream, address, session } = selection;
    if ([key, caller, user].filter((given) => given !== undefined).length > 1)
      throw invalid('key', 'Name at most one of key, caller and user.');
    if (session !== undefined && key === undefined && caller === undefined)
      throw invalid('session', 'A session is counted within its key: name the key, or the caller.');
    const known: LimitDimension[] = ['global'];
    const asked = tenant === undefined ? authority.principal.tenant : checkLabel('tenant', tenant);
    if (!authority.sees(asked)) throw forbidden('You can look into your own tenant only.', 'tenant');
    const stored = key === undefined ? null : await this.#key(authority, key);
    let principal = stored === null ? nobody(asked) : principalOf(stored);
    if (stored !== null || caller !== undefined) known.push('key', 'user', 'tenant', 'session');
    if (caller !== undefined) principal = { ...principal, id: checkPrintable('caller', caller) };
    if (user !== undefined) {
      const found = isUserId(user) ? await this.#desk.ports.store.users.get(user) : null;
      if (found === null || !authority.sees(found.tenant)) throw invalid('user', 'There is no such user.');
      principal = { ...principal, id: found.id, user: found.id, tenant: found.tenant, team: found.team, roles: found.roles };
      known.push('user', 'tenant');
    }
    if (tenant !== undefined && principal.tenant !== asked) throw invalid('tenant', 'They belong to another tenant.');
    if (tenant !== undefined || team !== undefined) known.push('tenant');
    if (team !== undefined) principal = { ...principal, team: checkLabel('team', team) };
    if (role !== undefined) principal = { ...principal, roles: checkRoles([role]) };
    if (principal.team !== null) known.push('team');
    if (principal.roles.length > 0) known.push('role');
    const ip = address === undefined ? '' : canonicalIp(address);
    if (ip === null) throw invalid('address', 'address must be an IP address.');
    if (model !== undefined) known.push('model');
    if (upstream !== undefined) known.push('upstream');
    if (address !== undefined) known.push('address');
    const subject = {
      principal,
      model: model === undefined ? null : checkPrintable('model', model),
      upstream: upstream === undefined ? null : checkPrintable('upstream', upstream),
      address: ip,
      session: session === undefined ? null : checkPrintable('session', session).slice(0, 128),
      price: null,
    };
    return { subject, known, keyRules: stored?.limits ?? [] };
  }

  async #key(authority: Authority, id: string): Promise<StoredKey> {
    const { ports } = this.#desk;
    const key = isKeyId(id) ? await ports.store.keys.get(id) : null;
    if (key === null || !authority.sees(key.tenant)) throw invalid('key', 'There is no such key.');
    return narrowKey(key, await ownerOf(ports.store, key), policyFor(await knownRoles(ports.store.roles, ports), []));
  }
}

/** Stands for whoever was not named. */
function nobody(tenant: string): Principal {
  return {
    id: '',
    kind: 'application',
    tenant,
    user: null,
    team: null,
    roles: [],
    credential: { kind: 'local', id: '', expiresAt: null },
  };
}

function viewUse({ claim, used, reset }: LimitStanding, subject: LimitSubject, now: number): LimitUse {
  const { rule } = claim;
  return {
    rule,
    of: describeBucket(claim, subject),
    used,
    remaining: Math.max(0, rule.amount - used),
    emptyAt: used > 0 && reset > 0 && rule.quantity !== 'concurrency' ? now + reset : null,
  };
}
