import type { Provenance } from '@sallyport/core';
import type { JsonObject, JsonValue } from '../json/document.ts';
import type { Reading } from './reading.ts';

/**
 * Checks one value of a request body (attacker's data) and notes the texts and references in it. Throws `Fault` naming the path.
 * Request formats are tables of these; a table reads like the API's documentation.
 */
export type Check = (value: JsonValue, at: Reading) => void;

export const boolean: Check = (value, at) => {
  if (typeof value !== 'boolean') return at.refuse('must be true or false');
};

export function number(min: number, max: number): Check {
  return (value, at) => {
    if (typeof value !== 'number' || value < min || value > max) return at.refuse(`must be a number from ${min} to ${max}`);
  };
}

export function integer(min: number, max: number): Check {
  return (value, at) => {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      return at.refuse(`must be a whole number from ${min} to ${max}`);
    }
  };
}

/** Tokens, counts and seeds: what fits a signed 64-bit integer and a double alike. */
export const LARGEST: number = Number.MAX_SAFE_INTEGER;

export function string(provenance: Provenance, maxLength: number = Number.POSITIVE_INFINITY): Check {
  return (value, at) => {
    if (typeof value !== 'string') return at.refuse('must be a string');
    if (value.length > maxLength) return at.refuse(`must be at most ${maxLength} characters long`);
    at.addText(value, provenance);
  };
}

/** A short word of the API whose values change from version to version; addressed, as nothing else keeps text out of it. */
export const label: Check = string('metadata', 256);

export function oneOf(...values: readonly string[]): Check {
  return (value, at) => {
    if (typeof value !== 'string' || !values.includes(value)) return at.refuse(`must be ${listed(values)}`);
  };
}

/** A list of at most `max` items, or of the configured number of messages. */
export function list(item: Check, bounds: { readonly min?: number; readonly max?: number } = {}): Check {
  const min = bounds.min ?? 0;
  return (value, at) => {
    if (!Array.isArray(value)) return at.refuse('must be a list');
    const max = bounds.max ?? at.limits.maxMessages;
    if (value.length < min) return at.refuse(min === 1 ? 'must not be empty' : `must have at least ${min} items`);
    if (value.length > max) return at.refuseTooLarge(`has more than ${max} items`);
    const { path } = at;
    const depth = path.push(0) - 1;
    for (let index = 0; index < value.length; index += 1) {
      path[depth] = index;
      item(value[index] ?? null, at);
    }
    path.pop();
  };
}

type Kind = 'string' | 'number' | 'boolean' | 'object' | 'array' | 'null';
const KIND_NAMES: Readonly<Record<Kind, string>> = {
  string: 'a string',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null',
};

/** A value that may be of several JSON types, each with its own check. */
export function either(checks: Partial<Readonly<Record<Kind, Check>>>): Check {
  const names = Object.keys(checks).map((kind) => KIND_NAMES[kind as Kind]);
  return (value, at) => {
    const check = checks[kindOf(value)];
    if (check === undefined) return at.refuse(`must be ${listed(names)}`);
    return check(value, at);
  };
}

function kindOf(value: JsonValue): Kind {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  const kind = typeof value;
  return kind === 'string' || kind === 'number' || kind === 'boolean' ? kind : 'object';
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The public name of a model: printable, without white space at its ends. */
export const modelName: Check = (value, at) => {
  const fault = typeof value === 'string' ? modelNameFault(value) : 'must be the name of a model';
  if (fault !== null) return at.refuse(fault);
};

/** What is wrong with the name of a model, or null. */
export function modelNameFault(name: string): string | null {
  if (name === '') return 'must be the name of a model';
  if (name.length > 256) return 'must be at most 256 characters long';
  return name.trim() !== name || UNPRINTABLE.test(name) ? 'must be printable, without white space at its ends' : null;
}

/** Control, format (zero-width, direction), private-use and unassigned characters, line and paragraph separators. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u;

/** `a, b or c`. */
export function listed(values: readonly string[]): string {
  const last = values.at(-1) ?? '';
  return values.length < 2 ? last : `${values.slice(0, -1).join(', ')} or ${last}`;
}
