import { ACTIONS, type Action, type Role } from '@sallyport/core';

const INFERENCE = ['model.infer', 'model.embed', 'model.rerank', 'model.list'] as const satisfies readonly Action[];
const USE = [...INFERENCE, 'model.show', 'feature.references'] as const satisfies readonly Action[];

export type BuiltInRoleName = 'owner' | 'security-admin' | 'model-manager' | 'prompt-author' | 'user' | 'inference-only' | 'auditor';

export interface BuiltInRole {
  readonly name: BuiltInRoleName;
  /** One line for docs/roles.md and the console. */
  readonly purpose: string;
  readonly actions: readonly Action[];
}

/**
 * The built-in roles: who may do what before anybody writes a role of their own (docs/roles.md gives the reasons). Two rules shape the
 * table: nobody may both write what a model is told and hold the keys that protect it, and who guards the system does not use it.
 */
export const BUILT_IN_ROLES: readonly BuiltInRole[] = [
  {
    name: 'owner',
    purpose: 'Set up the installation and hand out every other role. Not for daily work and not for application keys.',
    actions: ACTIONS,
  },
  {
    name: 'security-admin',
    purpose: 'Write policy and guards, end keys and users, rotate encryption keys, read the ledger. No inference, no prompts.',
    actions: [
      'key.list',
      'key.revoke',
      'user.manage',
      'role.list',
      'role.manage',
      'policy.read',
      'policy.write',
      'config.read',
      'config.write',
      'audit.read',
      'audit.export',
      'metrics.read',
      'encryption-key.rotate',
    ],
  },
  {
    name: 'model-manager',
    purpose: 'Bring models in and out of service, try them with every decoding feature, give applications keys to them.',
    actions: [
      ...USE,
      'model.manage',
      'feature.template',
      'feature.decoding',
      'feature.adapter',
      'feature.residency',
      'key.create',
      'key.list',
      'key.revoke',
      'key.rotate',
      'role.list',
      'config.read',
      'policy.read',
      'metrics.read',
    ],
  },
  {
    name: 'prompt-author',
    purpose: 'Write system prompts and try them. No keys of any kind, no policy, no configuration.',
    actions: [...USE, 'prompt.read', 'prompt.write'],
  },
  {
    name: 'user',
    purpose: 'A person or an application that uses models, images by public URL included.',
    actions: USE,
  },
  {
    name: 'inference-only',
    purpose: 'The least an application key needs: infer, embed, rerank, and list what it may use.',
    actions: INFERENCE,
  },
  {
    name: 'auditor',
    purpose: 'Read the ledger, policy, configuration, roles and keys (never secrets). Changes nothing, uses no model.',
    actions: ['key.list', 'role.list', 'policy.read', 'config.read', 'audit.read', 'audit.export', 'metrics.read'],
  },
];

const BUILT_IN: ReadonlyMap<string, Role> = new Map<string, Role>(
  BUILT_IN_ROLES.map((role) => [role.name, { name: role.name, builtIn: true, actions: role.actions, models: null }]),
);
const KNOWN_ACTIONS: ReadonlySet<string> = new Set(ACTIONS);
const ROLE_NAME = /^[a-z][a-z0-9-]{0,63}$/;

/** The built-in roles as the snapshot and the console show them. */
export function builtInRoles(): ReadonlyMap<string, Role> {
  return BUILT_IN;
}

export function isAction(text: string): text is Action {
  return KNOWN_ACTIONS.has(text);
}

/** What is wrong with a custom role, in words for its author; an empty list where nothing is. */
export function roleProblems(role: {
  readonly name: string;
  readonly actions: readonly string[];
  readonly models: readonly string[] | null;
}): string[] {
  const problems: string[] = [];
  if (!ROLE_NAME.test(role.name)) problems.push('name: up to 64 lower-case letters, digits and dashes, beginning with a letter');
  if (BUILT_IN.has(role.name)) problems.push(`name: ${role.name} is a built-in role and cannot be redefined`);
  for (const action of role.actions) if (!isAction(action)) problems.push(`actions: there is no action ${JSON.stringify(action)}`);
  for (const model of role.models ?? []) {
    if (model === '' || model.length > 256) problems.push('models: a name or glob has 1 to 256 characters');
  }
  return problems;
}

/**
 * The roles a snapshot defines, built-in ones always as this version of the code has them: a snapshot cannot redefine them. A custom
 * role with an unknown action loses that action only.
 */
export function effectiveRoles(custom: Iterable<Role>): ReadonlyMap<string, Role> {
  const roles = new Map(BUILT_IN);
  for (const role of custom) {
    if (!BUILT_IN.has(role.name)) roles.set(role.name, { ...role, builtIn: false, actions: role.actions.filter(isAction) });
  }
  return roles;
}
