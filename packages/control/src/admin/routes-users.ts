import type { User } from '@sallyport/store';
import Type, { type Static } from 'typebox';
import { guarded, NO_BODY, NO_QUERY, type Route } from './route.ts';
import { asInstant, asMaybeInstant, closed, instant, maybeInstant, maybeText, NEXT, PAGE, texts } from './schemas.ts';

const NewUserSchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 128 }),
    roles: texts('None that the caller does not hold.'),
    email: Type.Optional(Type.String({ maxLength: 254 })),
    team: Type.Optional(Type.String({ maxLength: 64 })),
    tenant: Type.Optional(Type.String({ maxLength: 64 })),
  },
  closed,
);

const UserSchema = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    email: maybeText('E-mail address.'),
    tenant: Type.String(),
    team: maybeText('Team.'),
    roles: texts('Roles.'),
    status: Type.Enum(['active', 'disabled']),
    createdAt: instant('When it was made.'),
    createdBy: Type.String(),
    disabledAt: maybeInstant('When it was disabled.'),
  },
  { ...closed, title: 'User' },
);

const DisabledUserSchema = Type.Object(
  { user: UserSchema, endedKeys: Type.Array(Type.String(), { description: 'Ids of the keys that ended with the user.' }) },
  { ...closed, title: 'DisabledUser' },
);

export const USER_ROUTES: readonly Route[] = [
  guarded({
    id: 'listUsers',
    method: 'GET',
    path: '/admin/v1/users',
    summary: 'List users, newest first.',
    action: 'user.manage',
    query: Type.Object({ ...PAGE }, closed),
    body: NO_BODY,
    reply: Type.Object({ items: Type.Array(UserSchema), next: NEXT }, { ...closed, title: 'UserPage' }),
    handle: async ({ plane, actor, query }) => {
      const page = await plane.service.users.list(actor, query);
      return { items: page.items.map(showUser), next: page.next };
    },
  }),
  guarded({
    id: 'createUser',
    method: 'POST',
    path: '/admin/v1/users',
    summary: 'Make a user.',
    action: 'user.manage',
    status: 201,
    query: NO_QUERY,
    body: NewUserSchema,
    reply: UserSchema,
    handle: async ({ plane, actor, body }) => showUser(await plane.service.users.create(actor, body)),
  }),
  guarded({
    id: 'showUser',
    method: 'GET',
    path: '/admin/v1/users/{id}',
    summary: 'Show a user.',
    action: 'user.manage',
    query: NO_QUERY,
    body: NO_BODY,
    reply: UserSchema,
    handle: async ({ plane, actor, params }) => showUser(await plane.service.users.show(actor, params['id'] ?? '')),
  }),
  guarded({
    id: 'disableUser',
    method: 'POST',
    path: '/admin/v1/users/{id}/disable',
    summary: 'Disable a user and end all of their keys.',
    action: 'user.manage',
    query: NO_QUERY,
    body: Type.Object({}, closed),
    reply: DisabledUserSchema,
    handle: async ({ plane, actor, params }) => {
      const { user, endedKeys } = await plane.service.users.disable(actor, params['id'] ?? '');
      return { user: showUser(user), endedKeys: [...endedKeys] };
    },
  }),
];

/** Member by member: a field that is added to the record does not get out by itself. */
function showUser(user: User): Static<typeof UserSchema> {
  return {
    id: user.id,
    name: user.name,
    email: user.email,
    tenant: user.tenant,
    team: user.team,
    roles: [...user.roles],
    status: user.status,
    createdAt: asInstant(user.createdAt),
    createdBy: user.createdBy,
    disabledAt: asMaybeInstant(user.disabledAt),
  };
}
