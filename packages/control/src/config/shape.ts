import type Type from 'typebox';
import System from 'typebox/system';
import Value from 'typebox/value';
import { describe, type Findings, type Path, quote } from './problem.ts';

/** A JSON Schema (2020-12) as plain JSON. */
export type JsonSchema = { readonly [key: string]: unknown };

/** A checked piece of a configuration file: its schema, and a guard that narrows to the type it describes. */
export interface Shape<T> {
  readonly schema: Type.TSchema;
  check(value: unknown): value is T;
}

export function shape<S extends Type.TSchema>(schema: S): Shape<Type.Static<S>> {
  return { schema, check: (value): value is Type.Static<S> => Value.Check(schema, value) };
}

// The library stops at 8 errors unless told otherwise; all problems are to be reported, but a hostile file must not make a million.
System.Settings.Set({ maxErrors: 500 });

type ShapeError = ReturnType<typeof Value.Errors>[number];

/**
 * Checks `value` against the shape and reports every problem. Where only optional keys are wrong the rest is returned,
 * so that what can still be checked is; null where nothing usable is left.
 */
export function readShape<T>(shape: Shape<T>, value: unknown, path: Path, findings: Findings): T | null {
  if (shape.check(value)) return value;
  const errors = Value.Errors(shape.schema, value);
  for (const error of errors) report(shape.schema, error, value, path, findings);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const wrong = new Set(errors.map((error) => pointerParts(error.instancePath)[0]));
  const rest: unknown = Object.fromEntries(Object.entries(value).filter(([key]) => !wrong.has(key)));
  return shape.check(rest) ? rest : null;
}

function report(schema: Type.TSchema, error: ShapeError, root: unknown, base: Path, findings: Findings): void {
  const parts = pointerParts(error.instancePath);
  const path = [...base, ...typedParts(root, parts)];
  const node = schemaAt(schema, error.schemaPath);
  switch (error.keyword) {
    case 'additionalProperties':
      return; // each unknown key has an error of its own
    case 'boolean': {
      const parent = schemaAt(schema, error.schemaPath.slice(0, error.schemaPath.lastIndexOf('/')));
      const known = Object.keys(record(parent['properties']));
      const key = String(path.at(-1));
      const near = nearest(key, known);
      const hint = near === null ? undefined : `did you mean ${near}?`;
      findings.problem(path, `one of the keys ${known.join(', ')}`, `the unknown key ${quote(key)}`, hint);
      return;
    }
    case 'required':
      for (const key of error.params.requiredProperties) {
        findings.problem([...path, key], title(record(record(node['properties'])[key])), 'nothing');
      }
      return;
    case 'minItems':
    case 'maxItems':
      findings.problem(
        path,
        `${title(node)} of ${error.keyword === 'minItems' ? 'at least' : 'at most'} ${error.params.limit}`,
        describe(valueAt(root, parts)),
      );
      return;
    default:
      findings.problem(path, title(node), describe(valueAt(root, parts)), hintFor(node, valueAt(root, parts)));
  }
}

/** What a schema node wants, in words. */
function title(node: Record<string, unknown>): string {
  const text = node['title'];
  return typeof text === 'string' ? text : 'a different value';
}

/** YAML reads `30` as a number and `on` as a text; say so where that is the likely mistake. */
function hintFor(node: Record<string, unknown>, value: unknown): string | undefined {
  if (value === null) return 'remove the key to get the default';
  const wantsText = node['type'] === 'string' || Array.isArray(node['enum']);
  if (wantsText && typeof value === 'number') return 'a unit or quotes are missing';
  if (node['type'] === 'integer' && typeof value === 'string') return 'write the number without quotes and units';
  if (node['type'] === 'boolean' && typeof value === 'string') return 'YAML 1.2 knows only true and false';
  if (node['type'] === 'array' && typeof value === 'string') return 'put it in brackets: [ … ]';
  return undefined;
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function pointerParts(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The parts of a pointer with list positions as numbers. */
function typedParts(root: unknown, parts: readonly string[]): (string | number)[] {
  let value = root;
  return parts.map((part) => {
    const typed = Array.isArray(value) ? Number(part) : part;
    value = child(value, part);
    return typed;
  });
}

function valueAt(root: unknown, parts: readonly string[]): unknown {
  return parts.reduce(child, root);
}

function child(value: unknown, part: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
  return Reflect.get(value, part);
}

function schemaAt(schema: Type.TSchema, path: string): Record<string, unknown> {
  return record(valueAt(schema, pointerParts(path)));
}

/** The known key that differs from `key` in case, or by at most two edits; null where none does. */
export function nearest(key: string, known: readonly string[]): string | null {
  if (key.length > 64) return null;
  let best: string | null = null;
  let bestDistance = 3;
  for (const candidate of known) {
    const distance = editDistance(key.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance && distance < candidate.length) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
