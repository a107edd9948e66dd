import Type, { type Static } from 'typebox';
import type { AllowanceView } from '../service/views.ts';
import { guarded, NO_BODY, NO_QUERY, type Route } from './route.ts';
import { asInstant, asMaybeInstant, closed, instant, maybeInstant } from './schemas.ts';

const AllowanceSchema = Type.Object(
  {
    id: Type.String(),
    tenant: Type.String(),
    detector: Type.String(),
    category: Type.String(),
    reason: Type.String(),
    createdAt: instant('When it was allowed.'),
    createdBy: Type.String(),
    expiresAt: instant('End.'),
    revokedAt: maybeInstant('When it was taken back.'),
  },
  { ...closed, title: 'GuardAllowance' },
);
const AllowanceList = Type.Object({ items: Type.Array(AllowanceSchema) }, { ...closed, title: 'GuardAllowanceList' });

/** False positives of the guard that are allowed. No text is in any answer: none is kept. */
export const GUARD_ROUTES: readonly Route[] = [
  guarded({
    id: 'listGuardAllowances',
    method: 'GET',
    path: '/admin/v1/guards/allowances',
    summary: 'List the false positives of the guard that are, or were, allowed.',
    action: 'policy.read',
    query: Type.Object({ tenant: Type.Optional(Type.String({ maxLength: 64 })) }, closed),
    body: NO_BODY,
    reply: AllowanceList,
    handle: async ({ plane, actor, query }) => ({
      items: (await plane.service.allowances.list(actor, query.tenant ?? null)).map(showAllowance),
    }),
  }),
  guarded({
    id: 'allowGuardFinding',
    method: 'POST',
    path: '/admin/v1/guards/allowances',
    summary: 'Allow what a detector finds in exactly this text, for one tenant.',
    action: 'policy.write',
    status: 201,
    query: NO_QUERY,
    body: Type.Object(
      {
        text: Type.String({
          minLength: 1,
          maxLength: 1_000_000,
          description: 'Shown to the guard; a keyed digest is kept, the text is not.',
        }),
        detector: Type.String({ maxLength: 64 }),
        category: Type.Optional(Type.String({ maxLength: 64, description: 'All that the detector finds where it is left out.' })),
        stage: Type.Optional(Type.Enum(['input', 'output', 'document', 'tool'], { description: '`input` where it is left out.' })),
        tenant: Type.String({ maxLength: 64 }),
        model: Type.Optional(
          Type.String({ maxLength: 256, description: 'As in a request for this model, where it has a policy of its own.' }),
        ),
        endpoint: Type.Optional(Type.String({ maxLength: 64 })),
        reason: Type.String({ maxLength: 128 }),
        expiresAt: Type.Optional(instant('In 90 days where it is left out; 365 days at most.')),
      },
      closed,
    ),
    reply: AllowanceList,
    handle: async ({ plane, actor, body: { expiresAt, ...wanted } }) => ({
      items: (
        await plane.service.allowances.allow(actor, { ...wanted, ...(expiresAt === undefined ? {} : { expiresAt: Date.parse(expiresAt) }) })
      ).map(showAllowance),
    }),
  }),
  guarded({
    id: 'revokeGuardAllowance',
    method: 'POST',
    path: '/admin/v1/guards/allowances/{id}/revoke',
    summary: 'Take an allowance back.',
    action: 'policy.write',
    query: NO_QUERY,
    body: NO_BODY,
    reply: AllowanceSchema,
    handle: async ({ plane, actor, params }) => showAllowance(await plane.service.allowances.revoke(actor, params['id'] ?? '')),
  }),
];

function showAllowance(allowance: AllowanceView): Static<typeof AllowanceSchema> {
  return {
    ...allowance,
    createdAt: asInstant(allowance.createdAt),
    expiresAt: asInstant(allowance.expiresAt),
    revokedAt: asMaybeInstant(allowance.revokedAt),
  };
}
