import { jsonLibrary } from './library.ts';

/** What ajv wants of an engine of patterns; `toString` tells two patterns apart. */
export interface LinearPattern {
  test(text: string): boolean;
  toString(): string;
}

/**
 * A pattern of a JSON Schema (ECMA-262 syntax as far as RE2 knows it), matched in time linear in the text.
 * @throws Error for look-around, back-references and what is no pattern
 */
export function linearPattern(source: string): LinearPattern {
  const { RE2JS } = jsonLibrary();
  const compiled = RE2JS.compile(RE2JS.translateRegExp(source));
  return { test: (text) => compiled.matcher(text).find(), toString: () => source };
}
