import { Fault } from '@sallyport/core';
import Type, { type Static } from 'typebox';
import { CONTENT_TYPES } from '../metrics/exposition.ts';
import { guarded, NO_BODY, NO_QUERY, open, type Plane, type Route } from './route.ts';
import { asInstant, closed, instant } from './schemas.ts';

const SnapshotSchema = Type.Object(
  {
    version: Type.Integer({ description: 'Grows with every snapshot.' }),
    storeVersion: Type.Union([
      Type.Integer({ description: 'Version of the store it was made from; null where it came from a file.' }),
      Type.Null(),
    ]),
    builtAt: instant('When it was made.'),
    ageSeconds: Type.Number({ description: 'Since it was made.' }),
    staleSeconds: Type.Number({ description: 'Since it may be older than the store; 0 while it is known not to be.' }),
  },
  { ...closed, title: 'SnapshotStatus' },
);

const StatusSchema = Type.Object(
  {
    product: Type.Literal('sallyport'),
    version: Type.String(),
    initialised: Type.Boolean(),
    startedAt: instant('When this process started.'),
    database: Type.Object({ kind: Type.Enum(['sqlite', 'postgres']), version: Type.Integer() }, closed),
    snapshot: Type.Union([SnapshotSchema, Type.Null()]),
  },
  { ...closed, title: 'Status' },
);

const HealthSchema = Type.Object(
  {
    status: Type.Enum(['live', 'ready', 'not-ready']),
    problems: Type.Optional(Type.Array(Type.Enum(['database', 'snapshot']))),
  },
  { ...closed, title: 'Health' },
);

const IndexSchema = Type.Object(
  { product: Type.Literal('sallyport'), version: Type.String(), links: Type.Record(Type.String(), Type.String()) },
  { ...closed, title: 'Index' },
);

export const INSTALLATION_ROUTES: readonly Route[] = [
  open({
    id: 'index',
    path: '/',
    summary: 'What this is and where its parts are.',
    reply: IndexSchema,
    handle: async (plane) => {
      const links = { openapi: '/admin/v1/openapi.json', status: '/admin/v1/status', live: '/health/live', ready: '/health/ready' };
      return { status: 200, body: { product: 'sallyport', version: plane.product.version, links } satisfies Static<typeof IndexSchema> };
    },
  }),
  open({
    id: 'live',
    path: '/health/live',
    summary: 'Whether the process answers.',
    reply: HealthSchema,
    handle: async () => ({ status: 200, body: { status: 'live' } satisfies Static<typeof HealthSchema> }),
  }),
  open({
    id: 'ready',
    path: '/health/ready',
    summary:
      'Whether the database can be reached and the gateway of this process or its workers, if it runs any, has a snapshot; 503 where not.',
    statuses: [200, 503],
    reply: HealthSchema,
    handle: async (plane) => {
      const problems = await missing(plane);
      if (problems.length === 0) return { status: 200, body: { status: 'ready' } satisfies Static<typeof HealthSchema> };
      return { status: 503, body: { status: 'not-ready', problems } satisfies Static<typeof HealthSchema> };
    },
  }),
  guarded({
    id: 'status',
    method: 'GET',
    path: '/admin/v1/status',
    summary: 'The installation and what it runs on.',
    action: 'config.read',
    query: NO_QUERY,
    body: NO_BODY,
    reply: StatusSchema,
    handle: ({ plane }) => showStatus(plane),
  }),
  guarded({
    id: 'snapshot',
    method: 'GET',
    path: '/admin/v1/snapshot',
    summary: 'Version and age of what the data plane of this process runs on; with workers, of the one farthest behind.',
    action: 'config.read',
    query: NO_QUERY,
    body: NO_BODY,
    reply: SnapshotSchema,
    handle: async ({ plane }) => {
      const snapshot = showSnapshot(plane);
      if (snapshot === null) throw new Fault('not_ready', 'This process has no snapshot (yet).', { retryAfter: 1 });
      return snapshot;
    },
  }),
  {
    id: 'metrics',
    method: 'GET',
    path: '/metrics',
    summary: 'Prometheus metrics; OpenMetrics, with exemplars, where `accept` asks for it.',
    action: 'metrics.read',
    mayBeOpen: true,
    statuses: [200],
    contentType: CONTENT_TYPES.prometheus,
    schemas: { query: null, body: null, reply: Type.String() },
    run: async ({ plane, accept }) => {
      const { contentType, text } = await plane.metrics(accept);
      return { status: 200, contentType, body: text };
    },
  },
];

async function showStatus(plane: Plane): Promise<Static<typeof StatusSchema>> {
  return {
    product: 'sallyport',
    version: plane.product.version,
    initialised: await plane.service.initialised(),
    startedAt: asInstant(plane.product.startedAt),
    database: { kind: plane.store.dialect, version: await plane.store.version() },
    snapshot: showSnapshot(plane),
  };
}

function showSnapshot(plane: Plane): Static<typeof SnapshotSchema> | null {
  const status = plane.snapshotStatus?.() ?? null;
  if (status === null) return null;
  const since = (time: number): number => Math.max(0, plane.now() - time) / 1000;
  return {
    version: status.version,
    storeVersion: status.sourceVersion,
    builtAt: asInstant(status.builtAt),
    ageSeconds: since(status.builtAt),
    staleSeconds: status.staleSince === null ? 0 : since(status.staleSince),
  };
}

async function missing(plane: Plane): Promise<('database' | 'snapshot')[]> {
  const problems: ('database' | 'snapshot')[] = [];
  try {
    await plane.store.version();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    problems.push('database');
  }
  if (plane.snapshotStatus !== null && plane.snapshotStatus() === null) problems.push('snapshot');
  return problems;
}
