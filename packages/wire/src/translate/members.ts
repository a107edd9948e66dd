import { Fault } from '@sallyport/core';
import type { JsonObject, JsonValue } from '../json/document.ts';
import { formatPath, type JsonPath } from '../json/path.ts';
import { isObject } from '../request/check.ts';

/**
 * The members of a request's object (the client's, already held to its schema), taken one by one. What is left when all that a
 * translation knows was taken cannot be carried, and `done` refuses it by name: so nothing is ever dropped because it was forgotten.
 * A member that is null counts as absent, as it does for every server.
 */
export class Members {
  readonly #object: JsonObject;
  readonly #path: JsonPath;
  readonly #left: Set<string>;

  constructor(object: JsonObject, path: JsonPath = []) {
    this.#object = object;
    this.#path = path;
    this.#left = new Set(Object.keys(object));
  }

  take(name: string): JsonValue | undefined {
    this.#left.delete(name);
    const value = Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
    return value ?? undefined;
  }

  string(name: string): string | undefined {
    const value = this.take(name);
    if (value !== undefined && typeof value !== 'string') this.refuse(name, 'must be a string');
    return value;
  }

  number(name: string): number | undefined {
    const value = this.take(name);
    if (value !== undefined && typeof value !== 'number') this.refuse(name, 'must be a number');
    return value;
  }

  boolean(name: string): boolean | undefined {
    const value = this.take(name);
    if (value !== undefined && typeof value !== 'boolean') this.refuse(name, 'must be true or false');
    return value;
  }

  object(name: string): Members | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    if (!isObject(value)) return this.refuse(name, 'must be an object');
    return new Members(value, [...this.#path, name]);
  }

  /** The items of a list, each an object. */
  objects(name: string): Members[] {
    return this.list(name).map((item, index) => {
      if (!isObject(item)) throw refusal([...this.#path, name, index], 'must be an object');
      return new Members(item, [...this.#path, name, index]);
    });
  }

  list(name: string): JsonValue[] {
    const value = this.take(name) ?? [];
    return Array.isArray(value) ? value : this.refuse(name, 'must be a list');
  }

  strings(name: string): string[] {
    return this.list(name).map((item, index) => {
      if (typeof item !== 'string') throw refusal([...this.#path, name, index], 'must be a string');
      return item;
    });
  }

  /** A sampling hint: a number where the server takes it, else left out (docs/translation.md). */
  hint(name: string, isTaken: boolean): number | undefined {
    const value = this.number(name);
    return isTaken ? value : undefined;
  }

  /** Members that are left out on purpose. docs/translation.md says why of each. */
  ignore(...names: readonly string[]): this {
    for (const name of names) this.#left.delete(name);
    return this;
  }

  /** Throws for the first member that nobody took. */
  done(): void {
    for (const name of this.#left) if ((this.#object[name] ?? null) !== null) this.refuse(name);
  }

  /** The path of a member, or of the object itself, as the client would write it. */
  pathOf(name?: string | number): JsonPath {
    return name === undefined ? this.#path : [...this.#path, name];
  }

  /** Throws `Fault('invalid_request')` naming the member, or with '' the object itself. */
  refuse(name: string, why: string = CANNOT): never {
    throw refusal(name === '' ? this.#path : [...this.#path, name], why);
  }
}

const CANNOT = "cannot be carried to this model's server, which speaks another API; leave it out";

/** The refusal of the value at `path`. */
export function refusal(path: JsonPath, why: string = CANNOT): Fault {
  const param = formatPath(path);
  return new Fault('invalid_request', `${param === '' ? 'The request body' : param} ${why}.`, param === '' ? {} : { param });
}

/** An object without the members that are undefined, in the order given. */
export function defined(members: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  const object: JsonObject = {};
  for (const [name, value] of Object.entries(members)) if (value !== undefined) object[name] = value;
  return object;
}
