import type { Action } from '@sallyport/core';
import type { Store } from '@sallyport/store';
import Type, { type Static, type TObject, type TSchema } from 'typebox';
import type { Actor } from '../service/ports.ts';
import type { ControlService } from '../service/service.ts';
import type { RiskBoard } from './routes-risk.ts';
import { closed } from './schemas.ts';
import { checkShape, readQuery } from './validate.ts';

export type Method = 'GET' | 'POST' | 'DELETE';

/** What the handlers work with. */
export interface Plane {
  readonly service: ControlService;
  readonly store: Store;
  readonly product: { readonly version: string; readonly startedAt: number };
  /** Null where this process runs no gateway. */
  readonly snapshotStatus: (() => SnapshotStatus | null) | null;
  /** Metrics in the form an `accept` header asks for. */
  readonly metrics: RenderMetrics;
  /** Null where this process runs no gateway. */
  readonly risk: () => RiskBoard | null;
  readonly now: () => number;
}

export type RenderMetrics = (accept: string | undefined) => Promise<{ readonly contentType: string; readonly text: string }>;

/** What the data plane of this process runs on; null before the first. Times are epoch milliseconds. */
export interface SnapshotStatus {
  readonly version: number;
  readonly builtAt: number;
  /** Version of the store it was made from, or null where it came from a file. */
  readonly sourceVersion: number | null;
  /** Since when it may be older than the store, or null while it is known not to be. */
  readonly staleSince: number | null;
}

/** A request whose line was understood; the rest is still the client's text. */
export interface Call {
  readonly plane: Plane;
  readonly params: Readonly<Record<string, string>>;
  readonly query: string;
  readonly accept: string | undefined;
  /** Null where the route takes no body. */
  readonly body: unknown;
}

/** What a route answers; `body` is text where the route's `contentType` is not JSON. */
export interface Answer {
  readonly status: number;
  /** Where it is not the route's. */
  readonly contentType?: string;
  readonly body: unknown;
}

/** One row of the table of everything the admin plane serves. What has no row is 404. */
export interface Route {
  /** `operationId` in the OpenAPI document. */
  readonly id: string;
  readonly method: Method;
  /** With `{name}` for a parameter, which takes one segment. */
  readonly path: string;
  readonly summary: string;
  /** The permission it takes, decided before the body is read; null for what anybody may see. */
  readonly action: Action | null;
  /** Where the configuration has it so, programs of this machine need no key. */
  readonly mayBeOpen?: boolean;
  /** Whether what the query or the body names, or what this process runs, may be absent: 404. */
  readonly mayMiss?: boolean;
  /** The ones it answers with when it did what was asked, first the usual one. */
  readonly statuses: readonly number[];
  readonly contentType: string;
  readonly schemas: RouteSchemas;
  readonly run: (call: Call, actor: Actor | null) => Promise<Answer>;
}

export interface RouteSchemas {
  readonly query: TObject | null;
  readonly body: TSchema | null;
  /** Null for an empty answer. */
  readonly reply: TSchema | null;
}

export const JSON_TYPE = 'application/json; charset=utf-8';
export const NO_QUERY: TObject = Type.Object({}, closed);
/** Of a route that takes no body; the server hands such a route null. */
export const NO_BODY: Type.TNull = Type.Null();

interface Guarded<Query extends TObject, Body extends TSchema, Reply extends TSchema> {
  readonly id: string;
  readonly method: Method;
  readonly path: string;
  readonly summary: string;
  readonly action: Action;
  readonly status?: 200 | 201;
  readonly mayMiss?: boolean;
  readonly query: Query;
  readonly body: Body;
  readonly reply: Reply;
  readonly handle: (request: Request<Static<Query>, Static<Body>>) => Promise<Static<Reply>>;
}

/** A request whose fields have the form the route takes; what they may hold is for the service to check. */
export interface Request<Query, Body> {
  readonly plane: Plane;
  readonly actor: Actor;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
}

/** A row that takes a permission. */
export function guarded<Query extends TObject, Body extends TSchema, Reply extends TSchema>(route: Guarded<Query, Body, Reply>): Route {
  const { id, method, path, summary, action, query, body, reply, handle } = route;
  const { status = 200, mayMiss = false } = route;
  return {
    id,
    method,
    path,
    summary,
    action,
    mayMiss,
    statuses: [status],
    contentType: JSON_TYPE,
    schemas: { query, body: isNone(body) ? null : body, reply },
    run: async (call, actor) => {
      // The server never runs a row that has an action without an actor. Were it to, this is where it stops.
      if (actor === null) throw new Error(`${id} was run without an actor`);
      const request = {
        plane: call.plane,
        actor,
        params: call.params,
        query: checkShape(query, readQuery(query, call.query), 'query'),
        body: checkShape(body, call.body, 'body'),
      };
      return { status, body: await handle(request) };
    },
  };
}

interface Open extends Pick<Route, 'id' | 'path' | 'summary'>, Partial<Pick<Route, 'statuses'>> {
  readonly reply: TSchema;
  readonly handle: (plane: Plane) => Promise<Answer>;
}

/** A row that anybody may see. It tells nothing of the installation's state but whether it is up. */
export function open(route: Open): Route {
  const { id, path, summary, reply, handle } = route;
  return {
    id,
    method: 'GET',
    path,
    summary,
    action: null,
    statuses: route.statuses ?? [200],
    contentType: JSON_TYPE,
    schemas: { query: null, body: null, reply },
    run: (call) => handle(call.plane),
  };
}

function isNone(schema: TSchema): boolean {
  return schema === NO_BODY;
}
