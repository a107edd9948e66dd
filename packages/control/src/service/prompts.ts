import { createHmac } from 'node:crypto';
import { openPrompt, sealPrompt } from '@sallyport/access';
import { Fault, type Resource } from '@sallyport/core';
import type { StoredPrompt } from '@sallyport/store';
import type { Desk } from './desk.ts';
import type { Actor } from './ports.ts';
import { checkPrompt, type PromptCheck } from './prompt-check.ts';
import { absent, invalid } from './refusal.ts';
import type { PromptVerbs } from './service.ts';
import type { PromptText, PromptView } from './views.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** UTF-16 units. */
const LONGEST = 65_536;
const ANY_PROMPT: Resource = { kind: 'prompt', name: '*' };

/**
 * System prompts are secrets: sealed in the database, opened only for who may read prompts, and by the gateway. Versions are added and never
 * changed, so the ledger's `name@version` always means the same words.
 */
export class PromptService implements PromptVerbs {
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  async put(actor: Actor, name: string, text: string): Promise<PromptView> {
    const resource = resourceOf(name);
    return this.#desk.change(actor, 'prompt.write', resource, async (tables, authority) => {
      checkText(text);
      const { pepper, random, clock } = this.#desk.ports;
      const before = await tables.prompts.get(name);
      const digest = createHmac('sha256', pepper).update('sallyport/prompt/v1\0').update(text).digest('hex');
      // Putting what is there already is no new version.
      if (before?.digest === digest) return { result: view(before), alterations: [] };
      const version = (before?.version ?? 0) + 1;
      const after: StoredPrompt = {
        ...sealPrompt(pepper, random, name, version, text),
        digest,
        units: text.length,
        createdAt: clock.now(),
        createdBy: authority.principal.id,
      };
      await tables.prompts.insert(after);
      return { result: view(after), alterations: [{ resource, before, after, action: 'prompt.put' }] };
    });
  }

  list(actor: Actor): Promise<readonly PromptView[]> {
    return this.#desk.read(actor, 'prompt.read', ANY_PROMPT, async () => (await this.#desk.ports.store.prompts.list()).map(view));
  }

  async history(actor: Actor, name: string): Promise<readonly PromptView[]> {
    const resource = resourceOf(name);
    return this.#desk.read(actor, 'prompt.read', resource, async () => {
      const versions = await this.#desk.ports.store.prompts.history(name);
      if (versions.length === 0) throw absent(resource, 'absent');
      return versions.map(view);
    });
  }

  async show(actor: Actor, name: string, version: number | null): Promise<PromptText> {
    const resource = resourceOf(name);
    return this.#desk.read(actor, 'prompt.read', resource, () => this.#open(resource, version));
  }

  async check(actor: Actor, name: string, version: number | null): Promise<PromptCheck> {
    const resource = resourceOf(name);
    return this.#desk.read(actor, 'prompt.read', resource, async () => {
      const { text } = await this.#open(resource, version);
      return checkPrompt(text, this.#desk.ports.guards());
    });
  }

  async #open(resource: Resource, version: number | null): Promise<PromptText> {
    const { store, pepper } = this.#desk.ports;
    const stored = await store.prompts.get(resource.name, version ?? undefined);
    if (stored === null) throw absent(resource, 'absent');
    const text = openPrompt(pepper, stored);
    if (text === null) throw new Fault('conflict', 'The prompt cannot be opened: it was changed, or belongs to another installation.');
    return { ...view(stored), text };
  }
}

/** Client's data: only what has the form of a name is looked up, and written to the ledger. */
function resourceOf(name: string): Resource {
  if (!NAME.test(name)) throw invalid('name', "name must have 1 to 64 letters, digits, '.', '_' or '-'.");
  return { kind: 'prompt', name };
}

function checkText(text: string): void {
  if (text.trim() === '') throw invalid('text', 'text must not be empty.');
  if (text.length > LONGEST) throw invalid('text', `text must have at most ${LONGEST} characters.`);
  if (!text.isWellFormed() || /[\p{Cc}--[\t\n\r]]/v.test(text)) {
    throw invalid('text', 'text must not hold control characters but tabs and line ends, nor half of a surrogate pair.');
  }
}

function view({ name, version, units, createdAt, createdBy }: StoredPrompt): PromptView {
  return { name, version, units, createdAt, createdBy };
}
