import { Fault } from '@sallyport/core';
import Type, { type Static } from 'typebox';
import { guarded, NO_BODY, NO_QUERY, type Plane, type Route } from './route.ts';
import { asInstant, closed, instant } from './schemas.ts';

/** What the data plane of this process knows of callers' conduct, and how an operator undoes it. */
export interface RiskBoard {
  list(): readonly RiskView[];
  show(subject: RiskSubject): RiskView | null;
  reset(subject: RiskSubject, by: string): Promise<RiskView | null>;
}

export type RiskSubject = `${'principal' | 'session' | 'address'}:${string}`;

export interface RiskView {
  readonly subject: RiskSubject;
  readonly score: number;
  readonly share: number;
  readonly level: 'none' | 'throttle' | 'challenge' | 'block';
  readonly until: number | null;
  readonly signals: readonly { readonly signal: string; readonly count: number; readonly lastAt: number }[];
}

const RiskSchema = Type.Object(
  {
    subject: Type.String({ description: 'principal:TENANT/ID, session:TENANT/CREDENTIAL or address:NETWORK.' }),
    score: Type.Number({ description: 'What it did, decayed until now, times its share of what it sends.' }),
    share: Type.Number({ description: 'The part of its requests of late that were such, 0 to 1.' }),
    level: Type.Enum(['none', 'throttle', 'challenge', 'block']),
    until: Type.Union([instant('When a block ends.'), Type.Null()]),
    signals: Type.Array(Type.Object({ signal: Type.String(), count: Type.Number(), lastAt: instant('The last time.') }, closed), {
      description: 'What led to the score.',
    }),
  },
  { ...closed, title: 'Risk' },
);

export const RISK_ROUTES: readonly Route[] = [
  guarded({
    id: 'listRisk',
    method: 'GET',
    path: '/admin/v1/risk',
    summary: 'Callers whose conduct counts against them, the worst first, with what led to it.',
    action: 'audit.read',
    mayMiss: true,
    query: NO_QUERY,
    body: NO_BODY,
    reply: Type.Object({ items: Type.Array(RiskSchema) }, { ...closed, title: 'RiskList' }),
    handle: async ({ plane, actor }) => ({
      items: boardOf(plane)
        .list()
        .filter(({ subject }) => isVisible(subject, actor.principal))
        .map(show),
    }),
  }),
  guarded({
    id: 'resetRisk',
    method: 'POST',
    path: '/admin/v1/risk/reset',
    summary: 'Forget what a caller did and lift what is done with it.',
    action: 'policy.write',
    mayMiss: true,
    query: NO_QUERY,
    body: Type.Object({ subject: Type.String({ maxLength: 512 }) }, closed),
    reply: RiskSchema,
    handle: async ({ plane, actor, body }) => {
      const board = boardOf(plane);
      if (!isSubject(body.subject) || !isVisible(body.subject, actor.principal)) throw unknown();
      const { tenant, id } = actor.principal;
      const view = await board.reset(body.subject, `${tenant}/${id}`);
      if (view === null) throw unknown();
      return show(view);
    },
  }),
];

function boardOf(plane: Plane): RiskBoard {
  const board = plane.risk();
  if (board === null) throw new Fault('not_found', 'This process runs no gateway; ask a process that does.');
  return board;
}

function unknown(): Fault {
  return new Fault('not_found', 'Nothing counts against this subject.', { param: 'subject' });
}

function isSubject(text: string): text is RiskSubject {
  return /^(principal|session|address):./.test(text);
}

/** Who sees one tenant only is shown that tenant's callers, and no addresses, which are nobody's. */
function isVisible(subject: RiskSubject, { tenant, roles }: { readonly tenant: string; readonly roles: readonly string[] }): boolean {
  if (roles.includes('owner')) return true;
  return subject.startsWith(`principal:${tenant}/`) || subject.startsWith(`session:${tenant}/`);
}

function show(view: RiskView): Static<typeof RiskSchema> {
  return {
    subject: view.subject,
    score: view.score,
    share: view.share,
    level: view.level,
    until: view.until === null ? null : asInstant(view.until),
    signals: view.signals.map(({ signal, count, lastAt }) => ({ signal, count, lastAt: asInstant(lastAt) })),
  };
}
