import type { GuardOverride, GuardSettings } from '@sallyport/core';
import { matchGlob } from './policy-glob.ts';

/** The call a guard policy is chosen for: who calls, which model it names, at which endpoint (null where unknown). */
export interface GuardedCall {
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly model: string | null;
  readonly endpoint: string | null;
}

export interface GuardChoice {
  /** The override's name, or `default`. */
  readonly name: string;
  readonly settings: GuardSettings;
}

export const DEFAULT_GUARD_NAME = 'default';

/** The guard policy of a call: the first override that applies, else the settings themselves. Nothing a client sends can choose it. */
export function chooseGuard(settings: GuardSettings, call: GuardedCall): GuardChoice {
  const override = settings.overrides?.find((candidate) => applies(candidate, call));
  return override === undefined ? { name: DEFAULT_GUARD_NAME, settings } : { name: override.name, settings: override.settings };
}

function applies({ models, endpoints, roles, tenants }: GuardOverride, { model, endpoint, roles: held, tenant }: GuardedCall): boolean {
  return (
    (models === null || (model !== null && models.some((glob) => matchGlob(glob, model)))) &&
    (endpoints === null || (endpoint !== null && endpoints.includes(endpoint))) &&
    (roles === null || roles.some((role) => held.includes(role))) &&
    (tenants === null || tenants.includes(tenant))
  );
}
