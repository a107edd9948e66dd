export { compileGuard, type GuardOptions } from './compile.ts';
export { DEFAULT_INPUT, DEFAULT_OUTPUT, type DetectorInfo, GUARD_DETECTORS, type Side } from './detectors.ts';
export { GuardConfigError, type GuardConfigIssue } from './error.ts';
export type * from './exchange.ts';
export type * from './guard.ts';
export { PatternError } from './pattern/parse.ts';
export { type Pattern, type PatternMatch, PatternSet, type PatternSetOptions } from './pattern/pattern-set.ts';
export { Placeholders } from './window/placeholders.ts';
