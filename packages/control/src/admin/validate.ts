import { Fault } from '@sallyport/core';
import type { Static, TObject, TSchema } from 'typebox';
import { Value } from 'typebox/value';

const MAX_ECHO = 100;

/** Narrows a client's value to the schema or throws `Fault` (`invalid_request`) with the path of the first field at fault. */
export function checkShape<Schema extends TSchema>(schema: Schema, value: unknown, where: 'body' | 'query'): Static<Schema> {
  if (Value.Check(schema, value)) return value;
  const errors = Value.Errors(schema, value);
  // An unknown field is reported twice, first as "schema is false"; the object it is in says it better.
  const error = errors.find((candidate) => candidate.keyword !== 'boolean') ?? errors[0];
  if (error === undefined) throw new Fault('invalid_request', `The ${where} has not the form this route takes.`);
  const path = pathOf(error.instancePath);
  if (error.keyword === 'additionalProperties') {
    const unknown = join(path, error.params.additionalProperties[0] ?? '');
    throw new Fault('invalid_request', `The ${where} has a field that this route does not know.`, { param: unknown.slice(0, MAX_ECHO) });
  }
  if (error.keyword === 'required') {
    const missing = join(path, error.params.requiredProperties[0] ?? '');
    throw new Fault('invalid_request', `The ${where} lacks a field.`, { param: missing });
  }
  const at = path === '' ? where : path;
  const enumerated = 'allowedValues' in error.params ? `: ${error.params.allowedValues.map(String).join(', ')}` : '';
  throw new Fault('invalid_request', `${at.slice(0, MAX_ECHO)} ${error.message}${enumerated}.`, { param: at.slice(0, MAX_ECHO) });
}

/**
 * The query as an object: each parameter once, known to the schema, numbers where the schema has integers.
 * Throws `Fault` (`invalid_request`).
 */
export function readQuery(schema: TObject, query: string): Record<string, string | number> {
  const values: Record<string, string | number> = {};
  for (const [name, text] of new URLSearchParams(query)) {
    const property = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    const param = name.slice(0, MAX_ECHO);
    if (property === undefined) throw new Fault('invalid_request', 'The query has a parameter that this route does not know.', { param });
    if (Object.hasOwn(values, name)) throw new Fault('invalid_request', 'The query has a parameter twice.', { param });
    values[name] = isInteger(property) && /^[0-9]{1,9}$/.test(text) ? Number(text) : text;
  }
  return values;
}

function isInteger(schema: TSchema): boolean {
  return 'type' in schema && schema.type === 'integer';
}

/** A JSON pointer as people write paths: `/limits/0/amount` is `limits[0].amount`. */
function pathOf(pointer: string): string {
  let path = '';
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    path = /^[0-9]+$/.test(name) ? `${path}[${name}]` : join(path, name);
  }
  return path;
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
