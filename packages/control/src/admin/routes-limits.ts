import Type, { type Static } from 'typebox';
import { MILLIONTHS } from '../config/read-limits.ts';
import type { LimitUse } from '../service/views.ts';
import { guarded, NO_BODY, NO_QUERY, type Route } from './route.ts';
import { LimitSchema, showLimit } from './schema-limit.ts';
import { asMaybeInstant, closed, maybeInstant } from './schemas.ts';

const NAME = Type.Optional(Type.String({ minLength: 1, maxLength: 256 }));
const SELECTION = {
  key: Type.Optional(Type.String({ maxLength: 64, description: 'Id of a key.' })),
  caller: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'Principal of a token or a certificate.' })),
  user: Type.Optional(Type.String({ maxLength: 64, description: 'Id of a user.' })),
  team: Type.Optional(Type.String({ maxLength: 64 })),
  tenant: Type.Optional(Type.String({ maxLength: 64, description: 'Another tenant than your own takes an owner.' })),
  role: Type.Optional(Type.String({ maxLength: 64 })),
  model: NAME,
  upstream: NAME,
  address: Type.Optional(Type.String({ maxLength: 64 })),
  session: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'As the client names it, within the key or caller.' })),
} as const;

const USE = {
  limit: LimitSchema,
  per: Type.Enum(['key', 'user', 'team', 'tenant', 'role', 'model', 'upstream', 'address', 'session', 'global']),
  of: Type.String({ description: 'Whom or what it counts for; `*` for everybody together.' }),
  used: Type.Number(),
  remaining: Type.Number(),
  emptyAt: maybeInstant('When it is empty if nothing more is counted; null where it is, or where nobody knows.'),
} as const;

const UseSchema = Type.Object(USE, { ...closed, title: 'LimitUse' });
const ResetSchema = Type.Object(
  { ...USE, before: Type.Number({ description: 'What was used before.' }) },
  { ...closed, title: 'LimitReset' },
);

export const LIMIT_ROUTES: readonly Route[] = [
  guarded({
    id: 'showLimits',
    method: 'GET',
    path: '/admin/v1/limits',
    summary: 'How the limits of whom the query names stand: a key, a user, a model, …; of nobody, those for everybody together.',
    action: 'policy.read',
    mayMiss: true,
    query: Type.Object(SELECTION, closed),
    body: NO_BODY,
    reply: Type.Object({ items: Type.Array(UseSchema) }, { ...closed, title: 'LimitUseList' }),
    handle: async ({ plane, actor, query }) => ({ items: (await plane.service.limits.show(actor, query)).map(showUse) }),
  }),
  guarded({
    id: 'resetLimit',
    method: 'POST',
    path: '/admin/v1/limits/reset',
    summary: 'Empty one bucket of a limit: what was used of it counts no more.',
    action: 'policy.write',
    mayMiss: true,
    query: NO_QUERY,
    body: Type.Object({ limit: Type.String({ minLength: 1, maxLength: 256, description: 'Name of the limit.' }), ...SELECTION }, closed),
    reply: ResetSchema,
    handle: async ({ plane, actor, body }) => {
      const { limit, ...selection } = body;
      const done = await plane.service.limits.reset(actor, limit, selection);
      return { ...showUse(done), before: amountOf(done, done.before) };
    },
  }),
];

function showUse(use: LimitUse): Static<typeof UseSchema> {
  return {
    limit: showLimit(use.rule),
    per: use.rule.per,
    of: use.of,
    used: amountOf(use, use.used),
    remaining: amountOf(use, use.remaining),
    emptyAt: asMaybeInstant(use.emptyAt),
  };
}

function amountOf({ rule }: LimitUse, amount: number): number {
  return rule.quantity === 'spend' ? amount / MILLIONTHS : amount;
}
