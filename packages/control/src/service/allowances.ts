import { allowanceDigest, allowanceKey, allowsWholeText, chooseGuard, isAllowable } from '@sallyport/access';
import type { Finding, Provenance, Resource } from '@sallyport/core';
import { compileGuard, type Stage } from '@sallyport/guard';
import type { StoredAllowance } from '@sallyport/store';
import type { Authority } from './authority.ts';
import type { Desk } from './desk.ts';
import { checkLabel, checkReason } from './fields.ts';
import type { Actor } from './ports.ts';
import { absent, invalid } from './refusal.ts';
import type { AllowanceVerbs } from './service.ts';
import type { AllowanceView, NewAllowance } from './views.ts';

const DAY = 86_400_000;
const STANDARD = 90 * DAY;
const LONGEST = 365 * DAY;
/** UTF-16 units of a text that is shown to the guard. */
const LONGEST_TEXT = 1_000_000;
/** Findings of one detector in one text that may be allowed at once. */
const MOST = 16;
const ID = /^a_[0-9a-f]{16}$/;
const PLACES: Readonly<Record<Stage, Provenance>> = { input: 'user', output: 'assistant', document: 'untrusted', tool: 'untrusted' };

/**
 * False positives an operator allows: a finding of one detector in exactly one text, for one tenant, with a reason and an end. The text is
 * shown to the guard and forgotten; what is kept is a keyed digest.
 */
export class AllowanceService implements AllowanceVerbs {
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  async allow(actor: Actor, wanted: NewAllowance): Promise<readonly AllowanceView[]> {
    return this.#desk.change(actor, 'policy.write', resourceOf('*'), async (tables, authority) => {
      const { pepper, random, clock } = this.#desk.ports;
      const tenant = seenTenant(authority, wanted.tenant);
      const reason = checkReason(wanted.reason);
      const now = clock.now();
      const expiresAt = checkEnd(wanted.expiresAt, now);
      const { text, detector } = wanted;
      const key = allowanceKey(pepper);
      const digests = new Map<string, string>();
      for (const { category, start, end } of this.#findings(wanted, tenant)) {
        const matched = allowsWholeText(detector) ? text : text.slice(start, end);
        digests.set(allowanceDigest(key, { tenant, detector, category }, matched), category);
      }
      if (digests.size > MOST)
        throw invalid('text', `text holds more than ${MOST} findings of ${detector}: give only what is to be allowed.`);
      const made: StoredAllowance[] = [];
      for (const [digest, category] of digests) {
        const id = `a_${Buffer.from(random.bytes(8)).toString('hex')}`;
        const allowance = {
          id,
          tenant,
          detector,
          category,
          digest,
          reason,
          createdAt: now,
          createdBy: authority.principal.id,
          expiresAt,
          revokedAt: null,
        };
        await tables.allowances.insert(allowance);
        made.push(allowance);
      }
      const alterations = made.map((after) => ({ resource: resourceOf(after.id), before: null, after, action: 'guard.allow' }));
      return { result: made.map(view), alterations };
    });
  }

  list(actor: Actor, tenant: string | null): Promise<readonly AllowanceView[]> {
    return this.#desk.read(actor, 'policy.read', resourceOf('*'), async (authority) => {
      const of = tenant === null && authority.everyTenant ? null : seenTenant(authority, tenant ?? authority.principal.tenant);
      return (await this.#desk.ports.store.allowances.list(of)).map(view);
    });
  }

  async revoke(actor: Actor, id: string): Promise<AllowanceView> {
    // What is not of this form was never given out.
    const resource = resourceOf(ID.test(id) ? id : '*');
    return this.#desk.change(actor, 'policy.write', resource, async (tables, authority) => {
      const before = ID.test(id) ? await tables.allowances.get(id) : null;
      if (before === null || !authority.sees(before.tenant)) throw absent(resource, 'absent');
      if (before.revokedAt !== null) return { result: view(before), alterations: [] };
      const after = { ...before, revokedAt: this.#desk.ports.clock.now() };
      await tables.allowances.revoke(id, after.revokedAt);
      return { result: view(after), alterations: [{ resource, before, after, action: 'guard.revoke-allowance' }] };
    });
  }

  /** What the guard that would judge it finds in the text. */
  #findings({ text, detector, category, stage = 'input', model, endpoint }: NewAllowance, tenant: string): readonly Finding[] {
    if (text.length === 0 || text.length > LONGEST_TEXT) throw invalid('text', `text must have 1 to ${LONGEST_TEXT} characters.`);
    const call = { tenant, roles: [], model: model ?? null, endpoint: endpoint ?? null };
    const { settings } = chooseGuard(this.#desk.ports.guards(), call);
    const verdict = compileGuard({ ...settings, mode: 'observe' }).inspect(text, { stage, provenance: PLACES[stage], kind: null });
    const all = verdict.effect === 'pass' ? [] : verdict.findings;
    const found = all.filter((finding) => finding.detector === detector && (category === undefined || finding.category === category));
    const kinds = [...new Set(all.map((finding) => `${finding.detector}/${finding.category}`))].slice(0, 16).join(', ');
    if (found.length === 0) {
      throw invalid(
        'detector',
        `${category === undefined ? detector : `${detector}/${category}`} finds nothing in this text; found: ${kinds || 'nothing'}.`,
      );
    }
    const refused = found.find((finding) => !isAllowable(finding));
    if (refused !== undefined) throw invalid('detector', `${refused.detector}/${refused.category} is never allowed.`);
    return found;
  }
}

function seenTenant(authority: Authority, tenant: string): string {
  checkLabel('tenant', tenant);
  if (!authority.sees(tenant)) throw invalid('tenant', 'tenant must be your own.');
  return tenant;
}

function checkEnd(expiresAt: number | undefined, now: number): number {
  const end = expiresAt ?? now + STANDARD;
  if (!Number.isSafeInteger(end) || end <= now || end > now + LONGEST) {
    throw invalid('expiresAt', 'expiresAt must be in the future, at most 365 days away.');
  }
  return end;
}

function resourceOf(id: string): Resource {
  return { kind: 'policy', name: id === '*' ? 'guard-allowances' : id };
}

function view({ id, tenant, detector, category, reason, createdAt, createdBy, expiresAt, revokedAt }: StoredAllowance): AllowanceView {
  return { id, tenant, detector, category, reason, createdAt, createdBy, expiresAt, revokedAt };
}
