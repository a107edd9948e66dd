import { STATUS_CODES } from 'node:http';
import { ProblemSchema } from './problem.ts';
import { JSON_TYPE, type Route } from './route.ts';

type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

const PROBLEM = '#/components/schemas/Problem';
const PROBLEM_STATUSES: Readonly<Record<string, string>> = {
  '400': 'The request is malformed; `param` names the field.',
  '401': 'The API key is missing, wrong, revoked or has expired.',
  '403': 'The roles of the key do not permit this.',
  '404': 'There is no such object in what the key may see.',
  '409': 'It clashes with what exists.',
  '413': 'The body is larger than 1 MB.',
  '415': 'The body is not application/json.',
  '429': 'Too many failed authentications from this address.',
  '503': 'The database cannot be reached at the moment.',
};

/** The OpenAPI 3.1 document of the table of routes. Schemas that have a title become components. */
export function describeRoutes(routes: readonly Route[], version: string): Json {
  const components = new Map<string, Json>([['Problem', plain(ProblemSchema)]]);
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route, components) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sallyport admin API',
      version,
      description: 'Keys, users, roles and policy of an installation. Its listener is not the gateway’s and is not meant for the internet.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ apiKey: [] }],
    paths,
    components: {
      securitySchemes: { apiKey: { type: 'http', scheme: 'bearer', bearerFormat: 'sp_live_…', description: 'An API key.' } },
      schemas: Object.fromEntries(components),
    },
  };
}

function operation(route: Route, components: Map<string, Json>): Json {
  const { query, body, reply } = route.schemas;
  const parameters: Json[] = [...route.path.matchAll(/\{([a-z]+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  for (const [name, schema] of Object.entries(query?.properties ?? {})) parameters.push({ name, in: 'query', schema: plain(schema) });
  const content: Json = reply === null ? {} : { [mediaType(route)]: { schema: reference(plain(reply), components) } };
  return {
    operationId: route.id,
    summary: route.summary,
    ...(route.action === null ? { security: [] } : { 'x-sallyport-action': route.action }),
    ...(route.mayBeOpen === true ? { security: [{}, { apiKey: [] }] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === null ? {} : { requestBody: { required: true, content: { 'application/json': { schema: plain(body) } } } }),
    responses: {
      ...Object.fromEntries(route.statuses.map((status) => [String(status), { description: STATUS_CODES[status] ?? '', content }])),
      ...problems(route),
    },
  };
}

function problems(route: Route): Record<string, Json> {
  const statuses = Object.entries(PROBLEM_STATUSES).filter(([status]) => applies(route, status));
  const content = { 'application/problem+json': { schema: { $ref: PROBLEM } } };
  return Object.fromEntries(statuses.map(([status, description]) => [status, { description, content }]));
}

function applies(route: Route, status: string): boolean {
  if (route.action === null) return false;
  if (status === '404') return route.path.includes('{') || route.mayMiss === true;
  if (status === '409') return route.method !== 'GET';
  return status !== '413' && status !== '415' ? true : route.schemas.body !== null;
}

/** Moves every schema with a title to the components and leaves a reference. */
function reference(schema: Json, components: Map<string, Json>): Json {
  if (Array.isArray(schema)) return schema.map((item: Json) => reference(item, components));
  if (!isRecord(schema)) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([name, member]) => [name, reference(member, components)]));
  const title = schema['title'];
  if (typeof title !== 'string') return inner;
  components.set(title, inner);
  return { $ref: `#/components/schemas/${title}` };
}

/** TypeBox schemas are JSON Schema with hidden members; a round trip leaves the schema. */
function plain(schema: object): Json {
  return JSON.parse(JSON.stringify(schema));
}

function mediaType(route: Route): string {
  return route.contentType === JSON_TYPE ? 'application/json' : (route.contentType.split(';')[0] ?? '');
}

function isRecord(value: Json): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
