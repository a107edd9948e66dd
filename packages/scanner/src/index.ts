export { type Bom, type BomOptions, buildBom, type Component } from './bom/bom.ts';
export type { Vulnerability } from './bom/vex.ts';
export { toJunit } from './junit.ts';
export { DEFAULT_LIMITS, type Limits } from './limits.ts';
export { type ScanPathsOptions, scanPaths } from './parallel.ts';
export { type FetchRange, type RangeAnswer, RangeRefused, REMOTE_DEADLINE, type RemoteOptions, scanRemote } from './remote.ts';
export { type FileReport, type FileVerdict, type ScanFinding, type ScanSeverity, VERDICTS, worseVerdict } from './report.ts';
export { findRule, RULES, RULES_VERSION, type Rule, type RuleId } from './rules.ts';
export { RULES_DIGEST } from './rules-digest.ts';
export { toSarif } from './sarif.ts';
export { type ScanOptions, scanFile, scanPath } from './scan.ts';
export { type AttestedScan, attestScan, SCAN_PREDICATE, verifyAttestation } from './signature/attest.ts';
export { type Checksum, type ChecksumReport, digestFile, parseChecksums, verifyChecksums } from './signature/checksums.ts';
export { type HashType, ModelUnreadable, type Resource, type Serialization, SHARD_SIZE } from './signature/manifest.ts';
export { type Publisher, type PublisherReport, readPublishers, verifyByPublishers } from './signature/publishers.ts';
export { readPrivateKey, type SignedModel, type SigningMaterial, type SignOptions, signModel } from './signature/sign.ts';
export { SignatureInvalid, type Statement } from './signature/statement.ts';
export {
  readCertificates,
  readPublicKey,
  type SignerIdentity,
  type Trust,
  type VerifyOptions,
  type VerifyReport,
  verifyModel,
} from './signature/verify.ts';
export { type ByteSource, bufferSource, type ClosableSource, openFile, Spool, sliceSource } from './source.ts';
export { parseSuppressions, type SuppressedReport, type Suppression, SuppressionsInvalid, suppress } from './suppress.ts';
