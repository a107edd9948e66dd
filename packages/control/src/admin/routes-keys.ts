import { Fault } from '@sallyport/core';
import Type, { type Static } from 'typebox';
import { CALENDAR_UNITS, MILLIONTHS } from '../config/read-limits.ts';
import { parseDuration } from '../config/units.ts';
import type { IssuedKey, KeyView, NewKey, NewLimit } from '../service/views.ts';
import { guarded, NO_BODY, NO_QUERY, type Route } from './route.ts';
import { LimitSchema, QUANTITY, showLimit } from './schema-limit.ts';
import { asInstant, asMaybeInstant, closed, duration, instant, maybeInstant, maybeText, maybeTexts, NEXT, PAGE, texts } from './schemas.ts';

const KIND = Type.Enum(['person', 'application', 'workload']);

const NewLimitSchema = Type.Object(
  {
    quantity: QUANTITY,
    amount: Type.Number({ minimum: 0, description: 'A whole number; of spend, an amount of money.' }),
    window: Type.Optional(
      Type.String({ maxLength: 32, description: 'A duration such as 1m, or hour, day, week or month. Left out for concurrency.' }),
    ),
    timezone: Type.Optional(
      Type.String({ maxLength: 64, description: 'Where a period of the calendar begins; UTC where it is left out.' }),
    ),
    models: Type.Optional(texts('Names or globs; left out for every model.')),
  },
  closed,
);

const NewKeySchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 128 }),
    roles: texts('None that the caller does not hold.'),
    kind: Type.Optional(KIND),
    user: Type.Optional(Type.String({ maxLength: 64, description: 'Id of the user the key belongs to.' })),
    tenant: Type.Optional(Type.String({ maxLength: 64 })),
    team: Type.Optional(Type.String({ maxLength: 64 })),
    models: Type.Optional(texts('Names or globs; left out for every model the roles permit.')),
    allowedIps: Type.Optional(texts('Addresses or CIDR blocks; left out for anywhere.')),
    limits: Type.Optional(Type.Array(NewLimitSchema, { maxItems: 64 })),
    expiresAt: Type.Optional(instant('In 90 days where it is left out; 365 days at most.')),
  },
  closed,
);

const KeySchema = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    status: Type.Enum(['active', 'expired', 'revoked']),
    principal: Type.String(),
    kind: KIND,
    tenant: Type.String(),
    user: maybeText('Id of the user it belongs to.'),
    team: maybeText('Team.'),
    roles: texts('Roles.'),
    models: maybeTexts('Null for every model the roles permit.'),
    allowedIps: maybeTexts('Null for anywhere.'),
    limits: Type.Array(LimitSchema),
    expiresAt: maybeInstant('End.'),
    overlapUntil: maybeInstant('Until when the secret before the last rotation counts.'),
    revokedAt: maybeInstant('When it was revoked.'),
    revokeReason: maybeText('Why it was revoked.'),
    createdAt: instant('When it was made.'),
    createdBy: Type.String(),
    lastUsedAt: maybeInstant('To the minute.'),
  },
  { ...closed, title: 'Key' },
);

const IssuedKeySchema = Type.Object(
  { key: KeySchema, secret: Type.String({ description: 'The whole key. It is shown here once and kept nowhere.' }) },
  { ...closed, title: 'IssuedKey' },
);

const KeyPageSchema = Type.Object({ items: Type.Array(KeySchema), next: NEXT }, { ...closed, title: 'KeyPage' });

export const KEY_ROUTES: readonly Route[] = [
  guarded({
    id: 'listKeys',
    method: 'GET',
    path: '/admin/v1/keys',
    summary: 'List keys, newest first.',
    action: 'key.list',
    query: Type.Object({ ...PAGE, user: Type.Optional(Type.String({ maxLength: 64 })) }, closed),
    body: NO_BODY,
    reply: KeyPageSchema,
    handle: async ({ plane, actor, query }) => {
      const page = await plane.service.keys.list(actor, query);
      return { items: page.items.map(showKey), next: page.next };
    },
  }),
  guarded({
    id: 'createKey',
    method: 'POST',
    path: '/admin/v1/keys',
    summary: 'Make a key. Its secret is in the answer and nowhere else.',
    action: 'key.create',
    status: 201,
    query: NO_QUERY,
    body: NewKeySchema,
    reply: IssuedKeySchema,
    handle: async ({ plane, actor, body }) => showIssued(await plane.service.keys.create(actor, readKey(body))),
  }),
  guarded({
    id: 'showKey',
    method: 'GET',
    path: '/admin/v1/keys/{id}',
    summary: 'Show a key.',
    action: 'key.list',
    query: NO_QUERY,
    body: NO_BODY,
    reply: KeySchema,
    handle: async ({ plane, actor, params }) => showKey(await plane.service.keys.show(actor, params['id'] ?? '')),
  }),
  guarded({
    id: 'revokeKey',
    method: 'POST',
    path: '/admin/v1/keys/{id}/revoke',
    summary: 'End a key at once. Ending an ended key changes nothing.',
    action: 'key.revoke',
    query: NO_QUERY,
    body: Type.Object({ reason: Type.Optional(Type.String({ maxLength: 128 })) }, closed),
    reply: KeySchema,
    handle: async ({ plane, actor, params, body }) =>
      showKey(await plane.service.keys.revoke(actor, params['id'] ?? '', body.reason ?? null)),
  }),
  guarded({
    id: 'rotateKey',
    method: 'POST',
    path: '/admin/v1/keys/{id}/rotate',
    summary: 'Give a key a new secret; the old one goes on for a while. Takes every right the key has.',
    action: 'key.rotate',
    query: NO_QUERY,
    body: Type.Object(
      {
        overlap: Type.Optional(duration('How long the old secret goes on: 24h where it is left out, 72h at most, 0s to end it at once.')),
        expiresAt: Type.Optional(instant('As long as the key was made for, where it is left out.')),
      },
      closed,
    ),
    reply: IssuedKeySchema,
    handle: async ({ plane, actor, params, body }) => {
      const rotation = {
        ...(body.overlap === undefined ? {} : { overlap: readDuration('overlap', body.overlap) }),
        ...(body.expiresAt === undefined ? {} : { expiresAt: Date.parse(body.expiresAt) }),
      };
      return showIssued(await plane.service.keys.rotate(actor, params['id'] ?? '', rotation));
    },
  }),
];

function readKey(body: Static<typeof NewKeySchema>): NewKey {
  const { limits, expiresAt, ...same } = body;
  return {
    ...same,
    ...(limits === undefined ? {} : { limits: limits.map(readLimit) }),
    ...(expiresAt === undefined ? {} : { expiresAt: Date.parse(expiresAt) }),
  };
}

function readLimit(limit: Static<typeof NewLimitSchema>, index: number): NewLimit {
  const { window, timezone, amount, ...same } = limit;
  const counted = { ...same, amount: limit.quantity === 'spend' ? Math.round(amount * MILLIONTHS) : amount };
  const unit = CALENDAR_UNITS.find((known) => known === window);
  if (unit !== undefined) return { ...counted, window: 0, calendar: { unit, zone: timezone ?? 'UTC' } };
  return { ...counted, window: window === undefined ? 0 : readDuration(`limits[${index}].window`, window) };
}

function readDuration(param: string, text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds === null) throw new Fault('invalid_request', `${param} must be a duration such as 30s, 24h or 90d.`, { param });
  return milliseconds;
}

function showIssued(issued: IssuedKey): Static<typeof IssuedKeySchema> {
  return { key: showKey(issued.key), secret: issued.secret };
}

/** Member by member: a field that is added to the record does not get out by itself. */
function showKey(key: KeyView): Static<typeof KeySchema> {
  return {
    id: key.id,
    name: key.name,
    status: key.status,
    principal: key.principal,
    kind: key.kind,
    tenant: key.tenant,
    user: key.user,
    team: key.team,
    roles: [...key.roles],
    models: key.models === null ? null : [...key.models],
    allowedIps: key.allowedIps === null ? null : [...key.allowedIps],
    limits: key.limits.map(showLimit),
    expiresAt: asMaybeInstant(key.expiresAt),
    overlapUntil: asMaybeInstant(key.overlapUntil),
    revokedAt: asMaybeInstant(key.revokedAt),
    revokeReason: key.revokeReason,
    createdAt: asInstant(key.createdAt),
    createdBy: key.createdBy,
    lastUsedAt: asMaybeInstant(key.lastUsedAt),
  };
}
