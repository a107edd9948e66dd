export type * from './endpoint.ts';
export { DEFAULT_REQUEST_LIMITS } from './endpoint.ts';
export type * from './json/document.ts';
export type * from './reply/format.ts';
