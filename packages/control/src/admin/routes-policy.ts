import { ACTIONS } from '@sallyport/core';
import Type, { type Static } from 'typebox';
import type { Explanation, RoleView } from '../service/views.ts';
import { guarded, NO_BODY, NO_QUERY, type Route } from './route.ts';
import { closed, maybeText, maybeTexts, texts } from './schemas.ts';

const ACTION = Type.Enum([...ACTIONS]);
const RESOURCE = Type.Object(
  {
    kind: Type.Enum(['model', 'key', 'user', 'role', 'policy', 'config', 'prompt', 'ledger', 'metrics', 'encryption-key']),
    name: Type.String({ minLength: 1, maxLength: 256, description: '`*` where the action has no single object.' }),
  },
  closed,
);

const RoleSchema = Type.Object(
  {
    name: Type.String(),
    origin: Type.Enum(['built-in', 'configuration', 'custom']),
    actions: Type.Array(ACTION),
    models: maybeTexts('Null for every model.'),
  },
  { ...closed, title: 'Role' },
);

const GuardSchema = Type.Object(
  {
    policy: Type.String({ description: 'The override that applies, or `default`.' }),
    mode: Type.Enum(['observe', 'transform', 'hold']),
    input: texts('Detectors of requests.'),
    output: texts('Detectors of replies.'),
    shadow: Type.Boolean({ description: 'Whether a candidate runs beside it.' }),
    weaker: texts('In what it is weaker than the pack balanced.'),
  },
  { ...closed, title: 'GuardPolicy' },
);

const ExplanationSchema = Type.Object(
  {
    effect: Type.Enum(['permit', 'deny']),
    rule: Type.String({ description: 'The rule that decided.' }),
    reason: maybeText('Why not; null for a permit.'),
    action: ACTION,
    resource: RESOURCE,
    roles: texts('The roles that counted.'),
    considered: Type.Array(
      Type.Object(
        {
          rule: Type.String(),
          effect: Type.Enum(['permit', 'deny', 'no-match']),
          reason: Type.String(),
          decides: Type.Boolean(),
        },
        closed,
      ),
    ),
    guard: Type.Union([GuardSchema, Type.Null()], {
      description: 'What the call would be inspected by; null where nothing is asked of a model.',
    }),
  },
  { ...closed, title: 'Explanation' },
);

export const POLICY_ROUTES: readonly Route[] = [
  guarded({
    id: 'listRoles',
    method: 'GET',
    path: '/admin/v1/roles',
    summary: 'List built-in, configured and custom roles with what they permit.',
    action: 'role.list',
    query: NO_QUERY,
    body: NO_BODY,
    reply: Type.Object({ items: Type.Array(RoleSchema) }, { ...closed, title: 'RoleList' }),
    handle: async ({ plane, actor }) => ({ items: (await plane.service.roles.list(actor)).map(showRole) }),
  }),
  guarded({
    id: 'createRole',
    method: 'POST',
    path: '/admin/v1/roles',
    summary: 'Make a custom role.',
    action: 'role.manage',
    status: 201,
    query: NO_QUERY,
    body: Type.Object(
      {
        name: Type.String({ minLength: 1, maxLength: 64 }),
        actions: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
          minItems: 1,
          maxItems: 64,
          description: 'None that the caller does not hold.',
        }),
        models: Type.Optional(texts('Names or globs the model actions are limited to; left out for every model.')),
      },
      closed,
    ),
    reply: RoleSchema,
    handle: async ({ plane, actor, body }) => showRole(await plane.service.roles.create(actor, body)),
  }),
  guarded({
    id: 'deleteRole',
    method: 'DELETE',
    path: '/admin/v1/roles/{name}',
    summary: 'Delete a custom role that nobody has.',
    action: 'role.manage',
    query: NO_QUERY,
    body: NO_BODY,
    reply: Type.Object({ deleted: Type.String() }, { ...closed, title: 'DeletedRole' }),
    handle: async ({ plane, actor, params }) => {
      const name = params['name'] ?? '';
      await plane.service.roles.delete(actor, name);
      return { deleted: name };
    },
  }),
  guarded({
    id: 'explainPolicy',
    method: 'POST',
    path: '/admin/v1/policy/explain',
    summary: 'Which rule would decide, for a key, a user or a set of roles.',
    action: 'policy.read',
    query: NO_QUERY,
    body: Type.Object(
      {
        key: Type.Optional(Type.String({ maxLength: 64, description: 'Id of a key.' })),
        user: Type.Optional(Type.String({ maxLength: 64, description: 'Id of a user.' })),
        roles: Type.Optional(texts('Somebody who holds just these roles.')),
        address: Type.Optional(Type.String({ maxLength: 64, description: 'Where the call would come from.' })),
        action: Type.String({ maxLength: 64 }),
        resource: RESOURCE,
        endpoint: Type.Optional(Type.String({ maxLength: 64, description: 'Such as `openai.chat`, for the guard policy.' })),
      },
      closed,
    ),
    reply: ExplanationSchema,
    handle: async ({ plane, actor, body }) => showExplanation(await plane.service.policy.explain(actor, body)),
  }),
];

function showRole(role: RoleView): Static<typeof RoleSchema> {
  return { name: role.name, origin: role.origin, actions: [...role.actions], models: role.models === null ? null : [...role.models] };
}

function showExplanation({ decision, action, resource, roles, considered, guard }: Explanation): Static<typeof ExplanationSchema> {
  return {
    effect: decision.effect,
    rule: decision.rule,
    reason: decision.effect === 'deny' ? decision.reason : null,
    action,
    resource: { kind: resource.kind, name: resource.name },
    roles: [...roles],
    considered: considered.map(({ rule, effect, reason, decides }) => ({ rule, effect, reason, decides })),
    guard: guard === null ? null : { ...guard, input: [...guard.input], output: [...guard.output], weaker: [...guard.weaker] },
  };
}
