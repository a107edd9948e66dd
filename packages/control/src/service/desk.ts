import { createHmac } from 'node:crypto';
import { type Action, type Decision, type EntryFacts, Fault, NO_EXCHANGE, type Resource } from '@sallyport/core';
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

/** A change of something that is not in the store, looked up and not yet made. */
export interface Deed<T> {
  /** What the ledger calls it, and what it is done to. */
  readonly action: string;
  readonly resource: Resource;
  readonly detail: EntryFacts['detail'];
  act(): Promise<T>;
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
      await this.append(entry(actor, action, resource, decision));
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
    try {
      return await this.transaction(async (tables, journal) => {
        const authority = await Authority.of(tables, actor, this.ports);
        const decision = permitted(authority, action, resource);
        const { result, alterations } = await run(tables, authority);
        await journal.enter(actor, action, decision, alterations);
        if (alterations.length === 0) await this.append(entry(actor, action, resource, decision));
        return result;
      });
    } catch (error) {
      throw await this.#refused(error, actor, action, resource);
    }
  }

  /** A verb that changes something elsewhere. The ledger has it before it is done; where it then fails, a second entry says so. */
  async alter<T>(actor: Actor, action: Action, resource: Resource, plan: (authority: Authority) => Promise<Deed<T>>): Promise<T> {
    try {
      const authority = await Authority.of(this.ports.store, actor, this.ports);
      const decision = permitted(authority, action, resource);
      const deed = await plan(authority);
      const facts: EntryFacts = { ...entry(actor, deed.action, deed.resource, decision), kind: 'change', detail: deed.detail };
      await this.append(facts);
      try {
        return await deed.act();
      } catch (error) {
        await this.#note({ ...facts, outcome: 'failed', fault: error instanceof Fault ? error.code : 'internal_error' });
        throw error;
      }
    } catch (error) {
      throw await this.#refused(error, actor, action, resource);
    }
  }

  /** A write transaction whose ledger entries are taken back in words where it does not come to a commit. */
  async transaction<T>(run: (tables: Tables, journal: Journal) => Promise<T>): Promise<T> {
    let journal: Journal | null = null;
    let result: T;
    try {
      result = await this.ports.store.write(async (tables) => {
        journal = new Journal(this, tables);
        return run(tables, journal);
      });
    } catch (error) {
      await this.#undone(journal);
      throw error;
    }
    await this.ports.committed?.();
    return result;
  }

  /** Takes an entry into the ledger or throws `not_ready`: what cannot be recorded is not done. */
  async append(facts: EntryFacts): Promise<void> {
    try {
      await this.ports.record(facts);
    } catch (cause) {
      const detail = `ledger: ${nameOfError(cause)}`;
      throw new Fault('not_ready', 'This cannot be recorded at the moment and was not done. Try again.', { detail, cause, retryAfter: 1 });
    }
  }

  /** HMAC under the pepper: a plain hash of so little content could be guessed. Null where there is nothing. */
  digest(value: object | null): string | null {
    if (value === null) return null;
    return createHmac('sha256', this.ports.pepper).update('sallyport/change/v1\0').update(canonical(value)).digest('hex');
  }

  async #undone(journal: Journal | null): Promise<void> {
    for (const facts of journal?.entered ?? []) await this.#note({ ...facts, outcome: 'failed', fault: 'not_ready' });
  }

  async #refused(error: unknown, actor: Actor, action: string, resource: Resource): Promise<unknown> {
    if (!(error instanceof Refusal)) return error;
    const decision: Decision = { effect: 'deny', rule: error.rule, reason: error.message };
    await this.#note({ ...entry(actor, action, resource, decision), outcome: 'refused', fault: error.code });
    return error;
  }

  /** For what stands whether it is recorded or not: a refusal is a refusal, and what was rolled back is rolled back. */
  async #note(facts: EntryFacts): Promise<void> {
    try {
      await this.ports.record(facts);
    } catch (error) {
      this.ports.logger.error('control.record_failed', { action: facts.action, reason: nameOfError(error) });
    }
  }
}

/** Writes what a transaction changed into the store's `changes` and then into the ledger. */
export class Journal {
  /** What the ledger has already. */
  readonly entered: EntryFacts[] = [];
  readonly #desk: Desk;
  readonly #tables: Tables;

  constructor(desk: Desk, tables: Tables) {
    this.#desk = desk;
    this.#tables = tables;
  }

  /** The last thing of a transaction: once the ledger has the entries only the commit remains. */
  async enter(actor: Actor, action: string, decision: Decision, alterations: readonly Alteration[]): Promise<void> {
    const entries: EntryFacts[] = [];
    for (const alteration of alterations) {
      const did = alteration.action ?? action;
      const before = this.#desk.digest(alteration.before);
      const after = this.#desk.digest(alteration.after);
      const change = {
        time: this.#desk.ports.clock.now(),
        actor: actor.principal.id,
        action: did,
        object: nameOf(alteration.resource),
        before,
        after,
      };
      const { seq } = await this.#tables.changes.append(change);
      const facts = entry(actor, did, alteration.resource, decision);
      entries.push({ ...facts, kind: 'change', detail: { seq, version: this.#tables.version, before, after } });
    }
    for (const facts of entries) {
      await this.#desk.append(facts);
      this.entered.push(facts);
    }
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
    principal: { id, kind, tenant, credential: `${credential.kind}:${credential.id}` },
    source: actor.source === null ? null : { ip: actor.source.ip, port: actor.source.port, tls: actor.source.tls?.version ?? null },
    action,
    resource: nameOf(resource),
    decision: { effect: decision.effect, rule: decision.rule },
    ...NO_EXCHANGE,
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
