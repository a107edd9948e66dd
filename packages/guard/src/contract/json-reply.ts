import type { ValidateFunction } from 'ajv/dist/2020.js';
import type { GuardConfigIssue } from '../error.ts';
import { jsonLibrary } from './library.ts';
import { linearPattern } from './linear-pattern.ts';
import { schemaProblems } from './schema-safety.ts';
import { stepsOf } from './schema-size.ts';

/** Longest reply that is read as JSON, UTF-16 units. */
const LONGEST = 1_048_576;
const DEEPEST = 64;

export interface JsonReading {
  readonly breach: 'not-json' | 'schema' | 'duplicate-key' | null;
  /** The JSON text alone, where the reply had more around it. */
  readonly repaired: string | null;
}

/** A compiled JSON Schema (2020-12) that a reply has to fit. */
export class JsonContract {
  /** UTF-16 units of the code that it was compiled to: what it takes in memory goes with that. */
  readonly units: number;
  readonly #validate: ValidateFunction;
  readonly #heaviest: number;

  /** @param heaviest steps of the heaviest reply that is judged (`weightOf`) */
  constructor(validate: ValidateFunction, units: number, heaviest: number) {
    this.#validate = validate;
    this.units = units;
    this.#heaviest = heaviest;
  }

  /** The model's words enter here: nothing of them is evaluated, and the text is read in linear time. */
  read(text: string, repair: boolean): JsonReading {
    const span = spanOf(text);
    const alone = span !== null && isBlank(text.slice(0, span.start)) && isBlank(text.slice(span.end));
    if (span === null || text.length > LONGEST || (!alone && !repair)) return { breach: 'not-json', repaired: null };
    const json = text.slice(span.start, span.end);
    let value: unknown;
    try {
      value = JSON.parse(json);
    } catch {
      return { breach: 'not-json', repaired: null };
    }
    // Readers differ in which of two equal keys they take: what was checked would not be what is used.
    if (keysOf(value) !== span.keys) return { breach: 'duplicate-key', repaired: null };
    if (this.#heaviest < text.length && weightOf(value) > this.#heaviest) return { breach: 'schema', repaired: null };
    if (!this.#validate(value)) return { breach: 'schema', repaired: null };
    return { breach: null, repaired: alone ? null : json };
  }
}

/** Whose schema it is: what it may cost, and what it is called where something is wrong with it. */
export interface SchemaBounds {
  readonly path: string;
  /** Objects and lists of the schema, references followed. */
  readonly mostNodes: number;
  /** Steps of the heaviest reply that is judged. */
  readonly heaviest: number;
  /** Whether what the specification allows, and an author can hardly have meant, is refused: a stranger's has to be taken as it reads. */
  readonly strict: boolean;
}

/** For schemas of the operator's. Validation costs at most so many nodes a value. */
const OWN_SCHEMA: SchemaBounds = {
  path: 'guards.contract.schema',
  mostNodes: 10_000,
  heaviest: Number.POSITIVE_INFINITY,
  strict: true,
};

/** Compiles a schema, or adds what is wrong with it to `issues`. */
export function compileJson(
  schema: Readonly<Record<string, unknown>>,
  issues: GuardConfigIssue[],
  { path, mostNodes, heaviest, strict }: SchemaBounds = OWN_SCHEMA,
): JsonContract | null {
  const problems = schemaProblems(schema, path, mostNodes);
  issues.push(...problems);
  if (problems.length > 0) return null;
  try {
    const { Ajv2020 } = jsonLibrary();
    metaschema ??= new Ajv2020({ strict: false, logger: false });
    if (metaschema.validateSchema(schema) !== true) throw new Error(metaschema.errorsText());
    const engine = Object.assign((pattern: string) => linearPattern(pattern), { code: 'linearPattern' });
    // One for each schema: what it has compiled stays in it. `format` is an annotation, as the specification has it.
    let units = 0;
    const process = (code: string): string => {
      units += code.length;
      return code;
    };
    const code = { regExp: engine, optimize: strict, process };
    const ajv = new Ajv2020({ ...OPTIONS, ...(strict ? STRICT : LENIENT), code });
    ajv.removeKeyword('uniqueItems');
    ajv.addKeyword({
      keyword: 'uniqueItems',
      type: 'array',
      schemaType: 'boolean',
      validate: (wanted: boolean, items: readonly unknown[]) => !wanted || areUnique(items),
    });
    return new JsonContract(ajv.compile(schema), units, heaviest);
  } catch (error) {
    const got = error instanceof Error ? error.message.slice(0, 200) : 'another';
    issues.push({ path, expected: 'a JSON Schema (2020-12)', got });
    return null;
  }
}

const OPTIONS = {
  validateFormats: false,
  ownProperties: true,
  // 19.99 / 0.01 is 1998.9999999999998.
  multipleOfPrecision: 6,
  meta: false,
  validateSchema: false,
  logger: false,
} as const;
const STRICT = { strict: true, strictTypes: false, strictRequired: false } as const;
/** Code that is short and quickly written, whatever the schema: lists are gone through in loops, and what is referred to is compiled once. */
const LENIENT = { strict: false, strictNumbers: true, inlineRefs: false, loopRequired: 4, loopEnum: 8, messages: false } as const;

/** Knows the schema of schemas, which takes longer to compile than any of theirs. */
let metaschema: InstanceType<ReturnType<typeof jsonLibrary>['Ajv2020']> | null = null;

/** Ajv's own compares every item with every other. */
function areUnique(items: readonly unknown[]): boolean {
  return new Set(items.map((item) => JSON.stringify(item, inOrder))).size === items.length;
}

/** Members by name, so that equal objects are written alike; a list of pairs, so that no name is special or taken for a number. */
function inOrder(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return { object: Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)) };
}

/** White space of JSON (RFC 8259, section 2) and nothing else. */
function isBlank(text: string): boolean {
  return !/[^ \t\n\r]/.test(text);
}

interface Span {
  readonly start: number;
  readonly end: number;
  /** Member names in it. */
  readonly keys: number;
}

/**
 * The JSON value of a reply: all of it, what stands in its only code fence, or what begins with the first bracket. Null where none is whole,
 * or where another bracket follows it: which of two was meant nobody knows.
 */
function spanOf(text: string): Span | null {
  const trimmed = text.search(/\S/);
  if (trimmed === -1) return null;
  const first = text.slice(trimmed, trimmed + 1);
  if (first !== '{' && first !== '[' && isScalar(text)) return { start: trimmed, end: text.trimEnd().length, keys: 0 };
  const start = text.search(/[{[]/);
  const span = start === -1 ? null : valueFrom(text, start);
  return span === null || /[{[]/.test(text.slice(span.end)) ? null : span;
}

function isScalar(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The object or list that begins at `start`, by its brackets. Whether it is JSON, JSON's own reader says. */
function valueFrom(text: string, start: number): Span | null {
  let depth = 0;
  let keys = 0;
  for (let at = start; at < text.length; at += 1) {
    const unit = text[at];
    if (unit === '"') {
      at = endOfString(text, at);
      if (at === -1) return null;
    } else if (unit === ':') keys += 1;
    else if (unit === '{' || unit === '[') {
      depth += 1;
      if (depth > DEEPEST) return null;
    } else if (unit === '}' || unit === ']') {
      depth -= 1;
      if (depth === 0) return { start, end: at + 1, keys };
    }
  }
  return null;
}

/** Where the string that begins at `start` has its closing quote, or -1. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at;
  }
  return -1;
}

function keysOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const inner: readonly unknown[] = Object.values(value);
  const own = Array.isArray(value) ? 0 : inner.length;
  return inner.reduce((sum: number, member) => sum + keysOf(member), own);
}

/** Steps that going through a value takes: its values and member names, long ones more. */
function weightOf(value: unknown): number {
  if (typeof value === 'string') return stepsOf(value.length);
  if (typeof value !== 'object' || value === null) return 1;
  const isList = Array.isArray(value);
  let weight = 1;
  for (const [key, member] of Object.entries(value)) weight += (isList ? 0 : stepsOf(key.length)) + weightOf(member);
  return weight;
}
