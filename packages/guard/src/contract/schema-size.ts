import type { GuardConfigIssue } from '../error.ts';
import { resolve } from './schema-safety.ts';

/** Steps of what may be a schema of its own, where a word of it is one: objects, lists and booleans. */
const PART = 4;
/** UTF-16 units of a text that are gone through in one step. */
const UNITS = 64;
/** What is tried and may fail without an end makes an error for each failure. */
const TRIED: ReadonlySet<string> = new Set(['anyOf', 'oneOf', 'not', 'if', 'contains', 'propertyNames']);
const TRIAL = 4;
/** Steps of a division that is rounded, or of counting some code points, beside those of other assertions. */
const LABORIOUS: ReadonlySet<string> = new Set(['multipleOf', 'minLength', 'maxLength']);
const LABOUR = 12;
/** Schemas within schemas, references followed: what compiles and runs them calls itself for each. */
const DEEPEST = 100;

/** Steps that a schema takes. */
export interface SchemaSize {
  /** To compile. */
  readonly compile: number;
  /** At most, to judge one value by. */
  readonly judge: number;
}

interface Size extends SchemaSize {
  /** Its values and names, whatever they say. */
  readonly plain: number;
}

/** A text of this many UTF-16 units, in steps. */
export function stepsOf(length: number): number {
  return 1 + Math.floor(length / UNITS);
}

/**
 * How dear a schema is: all its values and member names count, wherever they stand, each reference as what it refers to. Takes linear time. A schema that refers to itself
 * or is too deep is added to `issues`.
 */
export function sizeOf(schema: Readonly<Record<string, unknown>>, path: string, issues: GuardConfigIssue[]): SchemaSize {
  const known = new Map<object, Size>();
  const open = new Set<object>();
  const measure = (node: unknown, at: string): Size => {
    if (typeof node === 'string') return same(stepsOf(node.length));
    if (typeof node === 'boolean') return same(PART);
    if (typeof node !== 'object' || node === null) return same(1);
    const before = known.get(node);
    if (before !== undefined) return before;
    if (open.size >= DEEPEST) {
      issues.push({ path: at.slice(0, 200), expected: `at most ${DEEPEST} levels, references followed`, got: 'more' });
      return same(Number.POSITIVE_INFINITY);
    }
    open.add(node);
    const isList = Array.isArray(node);
    let [compile, judge, plain] = [PART, PART, PART];
    for (const [key, value] of Object.entries(node)) {
      const inner = `${at}.${key}`;
      const part = key === '$ref' && typeof value === 'string' ? refer(value, inner) : measure(value, inner);
      const own = isList ? 0 : stepsOf(key.length);
      // The code of each branch is within that of the one before it.
      const nested = key === 'oneOf' && Array.isArray(value) ? value.length ** 2 / 8 : 0;
      compile += own + part.compile + nested;
      judge += own + part.judge + nested + (TRIED.has(key) ? TRIAL * part.plain : LABORIOUS.has(key) ? LABOUR : 0);
      plain += own + part.plain;
    }
    open.delete(node);
    // All names are written, and looked at, once more.
    if (Object.hasOwn(node, 'unevaluatedProperties') || Object.hasOwn(node, 'unevaluatedItems'))
      [compile, judge] = [compile + plain, judge + plain];
    const result = { compile, judge, plain };
    known.set(node, result);
    return result;
  };
  const refer = (reference: string, at: string): Size => {
    const target = reference === '#' ? schema : resolve(schema, reference);
    if (typeof target !== 'object' || target === null || !open.has(target)) return measure(target, at);
    issues.push({ path: at, expected: 'a schema that does not refer to itself', got: JSON.stringify(reference.slice(0, 60)) });
    return same(Number.POSITIVE_INFINITY);
  };
  return measure(schema, path);
}

function same(size: number): Size {
  return { compile: size, judge: size, plain: size };
}
