import { createHmac } from 'node:crypto';
import type { Action, Decision, EntryFacts, Resource } from '@sallyport/core';
import type { Tables } from '@sallyport/store';
import { Authority } from './authority.ts';
import type { Actor, ServicePorts } from './ports.ts';
import { forbidden, Refusal } from './refusal.ts';

/** One object that a verb changed: what it was and what it is, or null where it did not or does not exist. */
export interface Alteration {
  readonly resource: Resource;
  readonly before: object | null;
  readonly after: object | null;
  /** What happened to it, where that is not the verb itself. */
  readonly action?: string;
}

export interface Altered<T> {
  readonly result: T;
  readonly alterations: readonly Alteration[];
}

/** The way every verb goes: decide, do, record, acknowledge. */
export class Desk {
  readonly ports: ServicePorts;

  constructor(ports: ServicePorts) {
    this.ports = ports;
  }

  /** Throws `forbidden` where the actor may not, and records that; a permit is recorded with what is then done. */
  async authorise(actor: Actor, action: Action, resource: Resource): Promise<void> {
    try {
      permitted(await Authority.of(this.ports.store, actor, this.ports), action, resource);
    } catch (error) {
      throw await this.#refused(error, actor, action, resource);
    }
  }

  /** A verb that changes nothing. */
  async read<T>(actor: Actor, action: Action, resource: Resource, run: (authority: Authority) => Promise<T>): Promise<T> {
    try {
      const authority = await Authority.of(this.ports.store, actor, this.ports);
      const decision = permitted(authority, action, resource);
      const result = await run(authority);
      await this.ports.record(entry(actor, action, resource, decision));
      return result;
    } catch (error) {
      throw await this.#refused(error, actor, action, resource);
    }
  }

  /**
   * A verb that changes the store. The change, its row in `changes` and its ledger entry happen together or not at all: the entry is
   * durable before the commit. Should the commit itself then fail, a second entry says so; the ledger may name a change that was not
   * made, never miss one that was.
   */
  async change<T>(
    actor: Actor,
    action: Action,
    resource: Resource,
    run: (tables: Tables, authority: Authority) => Promise<Altered<T>>,
  ): Promise<T> {
    let recorded: readonly EntryFacts[] = [];
    try {
      return await this.ports.store.write(async (tables) => {
        recorded = [];
        const authority = await Authority.of(tables, actor, this.ports);
        const decision = permitted(authority, action, resource);
        const { result, alterations } = await run(tables, authority);
        recorded = await this.record(tables, actor, action, decision, alterations);
        if (recorded.length === 0) await this.ports.record(entry(actor, action, resource, decision));
        return result;
      });
    } catch (error) {
      await this.#undone(recorded);
      throw await this.#refused(error, actor, action, resource);
    }
  }

  /** Writes what a change did, into the store and then into the ledger, and returns the entries. Needs an open transaction. */
  async record(
    tables: Tables,
    actor: Actor,
    action: string,
    decision: Decision,
    alterations: readonly Alteration[],
  ): Promise<readonly EntryFacts[]> {
    const entries: EntryFacts[] = [];
    for (const alteration of alterations) {
      const did = alteration.action ?? action;
      const before = this.#digest(alteration.before);
      const after = this.#digest(alteration.after);
      const object = nameOf(alteration.resource);
      const { seq } = await tables.changes.append({
        time: this.ports.clock.now(),
        actor: actor.principal.id,
        action: did,
        object,
        before,
        after,
      });
      const facts = entry(actor, did, alteration.resource, decision);
      entries.push({ ...facts, kind: 'change', detail: { seq, version: tables.version, before, after } });
    }
    // Last: once the ledger has them only the commit remains.
    for (const facts of entries) await this.ports.record(facts);
    return entries;
  }

  async #undone(recorded: readonly EntryFacts[]): Promise<void> {
    for (const facts of recorded) {
      await this.ports.record({ ...facts, outcome: 'failed', fault: 'not_ready' }).catch((error: unknown) => {
        // The change was rolled back either way; the caller gets the fault that caused it.
        this.ports.logger.error('control.record_failed', { action: facts.action, reason: nameOfError(error) });
      });
    }
  }

  async #refused(error: unknown, actor: Actor, action: string, resource: Resource): Promise<unknown> {
    if (!(error instanceof Refusal)) return error;
    const decision: Decision = { effect: 'deny', rule: error.rule, reason: error.message };
    const facts = entry(actor, action, resource, decision);
    await this.ports.record({ ...facts, outcome: 'refused', fault: error.code }).catch((failure: unknown) => {
      // Refused is refused, recorded or not.
      this.ports.logger.error('control.record_failed', { action, reason: nameOfError(failure) });
    });
    return error;
  }

  /** HMAC under the pepper: a plain hash of so little content could be guessed. Null where there is nothing. */
  #digest(value: object | null): string | null {
    if (value === null) return null;
    return createHmac('sha256', this.ports.pepper).update('sallyport/change/v1\0').update(canonical(value)).digest('hex');
  }
}

function permitted(authority: Authority, action: Action, resource: Resource): Decision {
  const decision = authority.decide(action, resource);
  if (decision.effect === 'deny') throw forbidden('Your roles do not permit this.', decision.rule);
  return decision;
}

function entry(actor: Actor, action: string, resource: Resource, decision: Decision): EntryFacts {
  const { id, kind, tenant, credential } = actor.principal;
  return {
    id: actor.request,
    kind: 'decision',
    principal: { id, kind, tenant, credential: credential.id },
    source: actor.source === null ? null : { ip: actor.source.ip, port: actor.source.port, tls: actor.source.tls?.version ?? null },
    action,
    resource: nameOf(resource),
    decision: { effect: decision.effect, rule: decision.rule },
    model: null,
    usage: null,
    latency: null,
    verdicts: [],
    outcome: 'done',
    fault: null,
    digest: { prompt: null, reply: null },
    detail: {},
  };
}

function nameOf(resource: Resource): string {
  return `${resource.kind}:${resource.name}`;
}

function nameOfError(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

/** JSON with members in code unit order, so that equal records have equal digests. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
