import Type, { type Static } from 'typebox';
import type { PromptView } from '../service/views.ts';
import { guarded, NO_BODY, NO_QUERY, type Route } from './route.ts';
import { asInstant, closed, instant } from './schemas.ts';

const PromptSchema = Type.Object(
  {
    name: Type.String(),
    version: Type.Integer({ minimum: 1 }),
    units: Type.Integer({ description: 'Length, UTF-16 units.' }),
    createdAt: instant('When the version was made.'),
    createdBy: Type.String(),
  },
  { ...closed, title: 'Prompt' },
);
const Version = Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000, description: 'The newest where it is left out.' }));
const Severity = Type.Enum(['info', 'low', 'medium', 'high', 'critical']);

/** System prompts. Their words leave by `showPrompt` only. */
export const PROMPT_ROUTES: readonly Route[] = [
  guarded({
    id: 'listPrompts',
    method: 'GET',
    path: '/admin/v1/prompts',
    summary: 'List system prompts, the newest version of each, without their words.',
    action: 'prompt.read',
    query: NO_QUERY,
    body: NO_BODY,
    reply: Type.Object({ items: Type.Array(PromptSchema) }, { ...closed, title: 'PromptList' }),
    handle: async ({ plane, actor }) => ({ items: (await plane.service.prompts.list(actor)).map(showVersion) }),
  }),
  guarded({
    id: 'putPrompt',
    method: 'POST',
    path: '/admin/v1/prompts',
    summary: 'Add a version of a system prompt; the same words as the newest add none.',
    action: 'prompt.write',
    status: 201,
    query: NO_QUERY,
    body: Type.Object(
      {
        name: Type.String({ minLength: 1, maxLength: 64 }),
        text: Type.String({ minLength: 1, maxLength: 65_536, description: 'Kept encrypted.' }),
      },
      closed,
    ),
    reply: PromptSchema,
    handle: async ({ plane, actor, body }) => showVersion(await plane.service.prompts.put(actor, body.name, body.text)),
  }),
  guarded({
    id: 'listPromptVersions',
    method: 'GET',
    path: '/admin/v1/prompts/{name}/versions',
    summary: 'Every version of a system prompt, newest first, without their words.',
    action: 'prompt.read',
    query: NO_QUERY,
    body: NO_BODY,
    reply: Type.Object({ items: Type.Array(PromptSchema) }, { ...closed, title: 'PromptVersionList' }),
    handle: async ({ plane, actor, params }) => ({
      items: (await plane.service.prompts.history(actor, params['name'] ?? '')).map(showVersion),
    }),
  }),
  guarded({
    id: 'showPrompt',
    method: 'GET',
    path: '/admin/v1/prompts/{name}',
    summary: 'The words of a system prompt.',
    action: 'prompt.read',
    query: Type.Object({ version: Version }, closed),
    body: NO_BODY,
    reply: Type.Object({ ...PromptSchema.properties, text: Type.String() }, { ...closed, title: 'PromptText' }),
    handle: async ({ plane, actor, params, query }) => {
      const prompt = await plane.service.prompts.show(actor, params['name'] ?? '', query.version ?? null);
      return { ...showVersion(prompt), text: prompt.text };
    },
  }),
  guarded({
    id: 'checkPrompt',
    method: 'GET',
    path: '/admin/v1/prompts/{name}/check',
    summary: 'What a system prompt would give away, and how the configured guard stands before it.',
    action: 'prompt.read',
    query: Type.Object({ version: Version }, closed),
    body: NO_BODY,
    reply: Type.Object(
      {
        findings: Type.Array(
          Type.Object(
            { category: Type.String(), severity: Severity, line: Type.Integer(), start: Type.Integer(), end: Type.Integer() },
            closed,
          ),
        ),
        probes: Type.Object({ total: Type.Integer(), blocked: Type.Integer(), flagged: Type.Integer() }, closed),
        leaks: Type.Object({ forms: Type.Integer(), missed: Type.Array(Type.String()) }, closed),
      },
      { ...closed, title: 'PromptCheck' },
    ),
    handle: async ({ plane, actor, params, query }) => {
      const { findings, probes, leaks } = await plane.service.prompts.check(actor, params['name'] ?? '', query.version ?? null);
      return { findings: findings.map((finding) => ({ ...finding })), probes, leaks: { forms: leaks.forms, missed: [...leaks.missed] } };
    },
  }),
];

function showVersion({ name, version, units, createdAt, createdBy }: PromptView): Static<typeof PromptSchema> {
  return { name, version, units, createdAt: asInstant(createdAt), createdBy };
}
