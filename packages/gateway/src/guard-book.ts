import { chooseGuard, type GuardedCall } from '@sallyport/access';
import type { GuardSettings } from '@sallyport/core';
import { compileGuard, compileSeamGuard, type Guard } from '@sallyport/guard';
import { RememberingGuard } from './remembering-guard.ts';
import { Shadow } from './shadow.ts';

/** The guard of an exchange, from its first text to its last. */
export interface GuardPolicy {
  /** The override's, or `default`. */
  readonly name: string;
  readonly settings: GuardSettings;
  readonly guard: Guard;
  /** Judges what several texts of a request say together; null where the policy does not look for that. */
  readonly seams: Guard | null;
  /** The candidate that runs beside it and never acts, or null. */
  readonly shadow: Shadow | null;
  /** Whether the reply is held to what its request asks for, so that its words are judged when all of it is there. */
  readonly isRequested?: boolean;
}

/** Choices that are remembered. A model's name may be of a client's making where models are managed, so there is a bound. */
const MAX_CHOICES = 4_096;

/** Every guard policy of a snapshot, compiled once. */
export class GuardBook {
  readonly #settings: GuardSettings;
  readonly #base: GuardPolicy;
  readonly #overrides: ReadonlyMap<string, GuardPolicy>;
  readonly #choices = new Map<string, GuardPolicy>();

  /** @throws GuardConfigError where one does not compile */
  constructor(settings: GuardSettings, hashKey: Uint8Array) {
    const compiled = new Map<string, Guard>();
    const guardOf = (wanted: GuardSettings): Guard => {
      const { shadow: _shadow, overrides: _overrides, ...own } = wanted;
      const key = JSON.stringify(own);
      const guard = compiled.get(key) ?? new RememberingGuard(compileGuard(own, { hashKey }));
      compiled.set(key, guard);
      return guard;
    };
    const seamsOf = (wanted: GuardSettings): Guard | null => {
      const guard = compileSeamGuard(wanted);
      return guard === null ? null : new RememberingGuard(guard);
    };
    const policyOf = (name: string, wanted: GuardSettings): GuardPolicy => ({
      name,
      settings: wanted,
      guard: guardOf(wanted),
      seams: seamsOf(wanted),
      shadow: wanted.shadow === undefined ? null : new Shadow(guardOf(wanted.shadow)),
    });
    this.#settings = settings;
    this.#base = policyOf('default', settings);
    this.#overrides = new Map((settings.overrides ?? []).map((override) => [override.name, policyOf(override.name, override.settings)]));
  }

  choose(call: GuardedCall): GuardPolicy {
    if (this.#overrides.size === 0) return this.#base;
    const key = `${call.tenant}\n${call.roles.join(' ')}\n${call.endpoint}\n${call.model}`;
    let policy = this.#choices.get(key);
    if (policy === undefined) {
      policy = this.#overrides.get(chooseGuard(this.#settings, call).name) ?? this.#base;
      if (this.#choices.size >= MAX_CHOICES) this.#choices.clear();
      this.#choices.set(key, policy);
    }
    return policy;
  }
}
