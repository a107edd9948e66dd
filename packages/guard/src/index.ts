export type * from './guard.ts';
