import { resolve } from 'node:path';
import { describe, type Findings, looksLikeSecret, type Path, quote } from './problem.ts';
import { readShape, type Shape } from './shape.ts';
import { parseDuration } from './units.ts';

/** What the readers of the sections share. */
export interface Reading {
  readonly findings: Findings;
  /** Absolute; relative paths of the file are relative to it. */
  readonly directory: string;
  /** Absolute; where data lies unless the file says otherwise. */
  readonly home: string;
}

export interface Item<T> {
  readonly value: T;
  readonly path: Path;
}

/** Checks a section and returns it, or null where it is absent (also `section:` with everything under it commented out) or unusable. */
export function readSection<T>(shape: Shape<T>, value: unknown, path: Path, reading: Reading): T | null {
  return value === undefined || value === null ? null : readShape(shape, value, path, reading.findings);
}

/** Checks a list item by item, so that one bad item does not hide the problems of the others. */
export function readItems<T>(shape: Shape<T>, value: unknown, path: Path, maxItems: number, what: string, reading: Reading): Item<T>[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    reading.findings.problem(path, what, describe(value), 'each item begins with a dash');
    return [];
  }
  if (value.length > maxItems) {
    reading.findings.problem(path, `${what} of at most ${maxItems}`, describe(value));
    return [];
  }
  return value.flatMap((element: unknown, index) => {
    const read = readShape(shape, element, [...path, index], reading.findings);
    return read === null ? [] : [{ value: read, path: [...path, index] }];
  });
}

/** The names a list gives, whether or not its items are right otherwise: a reference to one is then not a second problem. */
export function namesIn(value: unknown): Set<string> {
  const names = new Set<string>();
  if (!Array.isArray(value)) return names;
  for (const item of value) {
    if (typeof item !== 'object' || item === null || !Object.hasOwn(item, 'name')) continue;
    const name: unknown = Reflect.get(item, 'name');
    if (typeof name === 'string') names.add(name);
  }
  return names;
}

/** Reports every name that an earlier item of the list has already. */
export function checkUnique(items: readonly Item<{ readonly name: string }>[], findings: Findings): void {
  const seen = new Map<string, Path>();
  for (const { value, path } of items) {
    if (seen.has(value.name)) findings.problem([...path, 'name'], 'a name that no other item has', `${quote(value.name)} again`);
    else seen.set(value.name, path);
  }
}

/** A duration in milliseconds within bounds; the default where the key is absent or wrong. */
export function readDuration(
  text: string | undefined,
  fallback: number,
  bounds: readonly [number, number],
  path: Path,
  reading: Reading,
): number {
  const value = text === undefined ? fallback : parseDuration(text);
  if (value === null || value < bounds[0] || value > bounds[1]) {
    reading.findings.problem(path, `a duration from ${readable(bounds[0])} to ${readable(bounds[1])}`, describe(text));
    return fallback;
  }
  return value;
}

function readable(milliseconds: number): string {
  const [unit, size] = milliseconds >= 86_400_000 ? ['d', 86_400_000] : milliseconds >= 1_000 ? ['s', 1_000] : ['ms', 1];
  return `${Math.floor(milliseconds / Number(size))}${unit}`;
}

/** A reference with its path made absolute. */
export function readReference(text: string | undefined, reading: Reading): string | null {
  if (text === undefined) return null;
  return text.startsWith('file:') ? `file:${resolve(reading.directory, text.slice('file:'.length))}` : text;
}

/**
 * Puts a better problem in place of the shape's where a secret itself, or a bare path, stands where a reference belongs.
 * Returns the value without those keys, so that they are reported once.
 */
export function refuseInlineSecrets(value: unknown, keys: readonly string[], path: Path, reading: Reading): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const wrong = new Set<string>();
  for (const key of keys) {
    const text: unknown = Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
    if (typeof text !== 'string' || /^(env|file):./.test(text)) continue;
    wrong.add(key);
    const expected = 'a reference: env:NAME or file:/path';
    const scheme = /^(kms|vault|aws|awskms|gcpkms|azurekms|op|k8s|secret|hashivault):/.exec(text)?.[1];
    if (scheme !== undefined)
      reading.findings.problem(
        [...path, key],
        expected,
        `a ${scheme}: reference`,
        'key management services are not supported in this version',
      );
    else if (/^os\.environ\//.test(text) || /^\$\{?[A-Za-z_]/.test(text))
      reading.findings.problem([...path, key], expected, 'another spelling of a variable', 'write env:NAME');
    else if (/^[./~]/.test(text) && !looksLikeSecret(text))
      reading.findings.problem([...path, key], expected, `the path ${quote(text)}`, `write file:${text.startsWith('~') ? '/…' : '…'}`);
    else
      reading.findings.problem(
        [...path, key],
        expected,
        `a text of ${text.length} characters`,
        'secrets are never written into this file: put it into an environment variable or a file, and replace it if this file was shared',
      );
  }
  return wrong.size === 0 ? value : Object.fromEntries(Object.entries(value).filter(([key]) => !wrong.has(key)));
}
