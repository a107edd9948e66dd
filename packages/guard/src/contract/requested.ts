import { createHash } from 'node:crypto';
import type { GuardSettings, ReplyContract } from '@sallyport/core';
import { GuardConfigError, type GuardConfigIssue } from '../error.ts';
import type { Guard } from '../guard.ts';
import { Contract } from './contract.ts';
import { ContractGuard } from './contract-guard.ts';
import { compileJson, type JsonContract } from './json-reply.ts';
import { sizeOf } from './schema-size.ts';

/** Largest schema of a request, UTF-16 units of its JSON. */
const LARGEST = 32_768;
/** Steps of the largest schema (`sizeOf`): what it takes to compile. */
const LARGEST_SIZE = 1_200;
/** Steps of the schema times steps of the reply beyond which the reply is not judged, and breaks the contract. */
const MOST_WORK = 2_000_000;
/**
 * Compiled schemas that are remembered, and UTF-16 units of them and of their code: applications ask for the same one again and again, and compiling
 * takes milliseconds.
 */
const REMEMBERED = 64;
const MOST_REMEMBERED = 2 ** 21;

/** Keywords (JSON Schema 2020-12) by what they hold. What is in none of these is no assertion, or not one that a stranger may have judged. */
const ONE: ReadonlySet<string> = new Set([
  'additionalProperties',
  'items',
  'contains',
  'not',
  'if',
  'then',
  'else',
  'propertyNames',
  'unevaluatedItems',
  'unevaluatedProperties',
]);
const LIST: ReadonlySet<string> = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
const NAMED: ReadonlySet<string> = new Set(['properties', '$defs', 'definitions', 'dependentSchemas']);
const PLAIN: ReadonlySet<string> = new Set([
  ...['$ref', 'type', 'enum', 'const', 'required', 'dependentRequired', 'multipleOf', 'minContains', 'maxContains'],
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'minLength', 'maxLength', 'minItems', 'maxItems'],
  ...['minProperties', 'maxProperties'],
]);

const compiled = new Map<string, JsonContract>();
let remembered = 0;

/**
 * `guard`, and beside it what the request asks of the words of its reply: JSON that fits `schema`, which is the client's and hostile. Only
 * assertions that take time in proportion are judged: `pattern`, `format` and `uniqueItems` are annotations, `patternProperties` and schemas that refer to
 * themselves or elsewhere are refused.
 * @throws GuardConfigError where the schema cannot be judged; paths begin with `schema`
 */
export function heldToRequest(
  guard: Guard,
  schema: Readonly<Record<string, unknown>>,
  contract: ReplyContract,
  mode: GuardSettings['mode'],
): Guard {
  return new ContractGuard(guard, new Contract({ ...contract, schema, languages: [] }, jsonOf(schema), true), mode);
}

function jsonOf(schema: Readonly<Record<string, unknown>>): JsonContract {
  const written = JSON.stringify(schema);
  if (written.length > LARGEST) refuse([{ path: 'schema', expected: `at most ${LARGEST} characters`, got: String(written.length) }]);
  const key = createHash('sha256').update(written).digest('base64');
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const issues: GuardConfigIssue[] = [];
  const assertions = assertionsOf(schema, 'schema', issues);
  const { compile, judge } = sizeOf(assertions, 'schema', issues);
  if (issues.length === 0 && compile > LARGEST_SIZE) {
    issues.push({ path: 'schema', expected: `at most ${LARGEST_SIZE} values and names, references followed`, got: 'more' });
  }
  const bounds = { path: 'schema', mostNodes: LARGEST_SIZE, heaviest: Math.floor(MOST_WORK / judge), strict: false };
  const json = issues.length > 0 ? null : compileJson(assertions, issues, bounds);
  if (json === null) return refuse(issues);
  remember(key, json);
  return json;
}

function remember(key: string, json: JsonContract): void {
  compiled.set(key, json);
  remembered += json.units;
  for (const [oldest, { units }] of compiled) {
    if (compiled.size <= REMEMBERED && remembered <= MOST_REMEMBERED) break;
    compiled.delete(oldest);
    remembered -= units;
  }
}

function refuse(issues: readonly GuardConfigIssue[]): never {
  throw new GuardConfigError(issues);
}

/** The assertions of a schema and nothing else: annotations, other vocabularies and keywords of the validator's own are left out. */
function assertionsOf(schema: Readonly<Record<string, unknown>>, path: string, issues: GuardConfigIssue[]): Record<string, unknown> {
  const inner = (value: unknown, at: string): unknown => (isObject(value) ? assertionsOf(value, at, issues) : value);
  const kept: [string, unknown][] = [];
  const { $ref } = schema;
  // Data of the schema is none of its parts, and was not looked through.
  if (typeof $ref === 'string' && $ref.split('/').some((part) => part === 'const' || part === 'enum' || /[%~]/.test(part))) {
    issues.push({ path: `${path}.$ref`, expected: 'a reference within the schema: #/$defs/…', got: 'another' });
  }
  for (const [key, value] of Object.entries(schema)) {
    const at = `${path}.${key}`;
    if (PLAIN.has(key)) kept.push([key, value]);
    else if (ONE.has(key)) kept.push([key, inner(value, at)]);
    else if (LIST.has(key)) kept.push([key, Array.isArray(value) ? value.map((item, index) => inner(item, `${at}[${index}]`)) : value]);
    else if (NAMED.has(key)) {
      const named = isObject(value) ? Object.entries(value).map(([name, part]) => [name, inner(part, `${at}.${name}`)]) : null;
      kept.push([key, named === null ? value : Object.fromEntries(named)]);
    } else if (key === 'patternProperties') issues.push({ path: at, expected: 'members by name', got: 'by pattern' });
  }
  return Object.fromEntries(kept);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
