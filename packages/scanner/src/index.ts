export { DEFAULT_LIMITS, type Limits } from './limits.ts';
export { type FileReport, type FileVerdict, type ScanFinding, type ScanSeverity, VERDICTS, worseVerdict } from './report.ts';
export { findRule, RULES, RULES_VERSION, type Rule, type RuleId } from './rules.ts';
export { toSarif } from './sarif.ts';
export { type ScanOptions, scanFile, scanPath } from './scan.ts';
export { type ByteSource, bufferSource, type ClosableSource, openFile, Spool, sliceSource } from './source.ts';
