import type { FairnessSettings } from '@sallyport/core';
import { checkName } from './read-upstreams.ts';
import { namesIn, type Reading, readSection } from './reading.ts';
import { FAIRNESS } from './schema.ts';

export function readFairness(
  value: unknown,
  known: { readonly roles: unknown; readonly builtInRoles: ReadonlySet<string> },
  reading: Reading,
): FairnessSettings {
  const section = readSection(FAIRNESS, value, ['fairness'], reading) ?? {};
  const { tenants = [], priorities = [] } = section;
  const roles = new Set([...known.builtInRoles, ...namesIn(known.roles)]);
  for (const [list, items] of [
    ['tenants', tenants],
    ['priorities', priorities],
  ] as const) {
    const seen = new Set<string>();
    for (const [index, { name }] of items.entries()) {
      if (seen.has(name)) reading.findings.problem(['fairness', list, index, 'name'], 'a name that no other item has', `${name} again`);
      seen.add(name);
    }
  }
  for (const [index, priority] of priorities.entries()) {
    for (const [at, role] of priority.roles.entries()) {
      checkName(role, roles, 'the name of a role', ['fairness', 'priorities', index, 'roles', at], reading);
    }
  }
  return { tenants, priorities };
}
