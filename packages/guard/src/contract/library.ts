import { createRequire } from 'node:module';

type JsonLibrary = typeof import('./json-library.ts');
type LanguageLibrary = typeof import('./language-library.ts');

const load = createRequire(import.meta.url);
/** In the bundle each is a file of its own beside it (tools/bundle.mjs): nothing there asks for node_modules. */
const EXTENSION: string = import.meta.url.endsWith('.ts') ? 'ts' : 'mjs';

/** What reads JSON Schemas and their patterns. */
export function jsonLibrary(): JsonLibrary {
  return load(`./json-library.${EXTENSION}`) as JsonLibrary;
}

/** What tells languages apart. */
export function languageLibrary(): LanguageLibrary {
  return load(`./language-library.${EXTENSION}`) as LanguageLibrary;
}
