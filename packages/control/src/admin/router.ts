import { Fault } from '@sallyport/core';
import type { Method, Route } from './route.ts';

/** A request line that was understood. */
export interface Match {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
  readonly query: string;
}

/** A path that exists, asked for with a method that does not. */
export class MethodFault extends Fault {
  override readonly name: string = 'MethodFault';
  readonly allow: string;

  constructor(allow: string) {
    super('method_not_allowed', `This path takes ${allow}.`);
    this.allow = allow;
  }
}

interface Entry {
  readonly pattern: RegExp;
  readonly byMethod: ReadonlyMap<string, Route>;
}

const MAX_TARGET = 2048;
const PARAMETER = '([A-Za-z0-9_-]{1,64})';

/** Finds the row of a request. Paths are compared as they came: no decoding, no normalising, no trailing slash. */
export class Router {
  readonly #entries: readonly Entry[];

  constructor(routes: readonly Route[]) {
    const paths = new Map<string, Map<Method, Route>>();
    for (const route of routes) {
      const methods = paths.get(route.path) ?? new Map<Method, Route>();
      if (methods.has(route.method)) throw new Error(`Two rows for ${route.method} ${route.path}`);
      paths.set(route.path, methods.set(route.method, route));
    }
    this.#entries = [...paths].map(([path, byMethod]) => ({ pattern: compile(path), byMethod }));
  }

  /** Throws `Fault`: `not_found`, `method_not_allowed`, `invalid_request`. `target` is the client's. */
  match(method: string, target: string): Match {
    if (target.length > MAX_TARGET) throw new Fault('invalid_request', `The request target is longer than ${MAX_TARGET} characters.`);
    const mark = target.indexOf('?');
    const path = mark === -1 ? target : target.slice(0, mark);
    for (const { pattern, byMethod } of this.#entries) {
      const found = pattern.exec(path);
      if (found === null) continue;
      // HEAD is GET without the body (RFC 9110, 9.3.2), which node:http leaves out by itself.
      const route = byMethod.get(method === 'HEAD' ? 'GET' : method);
      if (route === undefined) throw new MethodFault([...byMethod.keys()].join(', '));
      return { route, params: found.groups ?? {}, query: mark === -1 ? '' : target.slice(mark + 1) };
    }
    throw new Fault('not_found', 'There is nothing at this path. The routes are listed at /admin/v1/openapi.json.');
  }
}

/** Templates are ours, so building a pattern from them is safe. */
function compile(path: string): RegExp {
  const source = path
    .replace(/[.*+?^$()|[\]\\]/g, '\\$&')
    .replace(/\{([a-z]+)\}/g, (_whole, name: string) => `(?<${name}>${PARAMETER.slice(1)}`);
  return new RegExp(`^${source}$`);
}
