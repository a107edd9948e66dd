export { entryBundle } from './bundle.ts';
export {
  type Checkpoint,
  formatCheckpoint,
  formatVerifierKey,
  openCheckpoint,
  parseCheckpoint,
  parseVerifierKey,
  type SigningKey,
  type VerifierKey,
} from './checkpoint.ts';
export { ENTRY_LIMITS, type Entry, type EntryTexts, InvalidEntry, printable, type Receipt } from './entry.ts';
export { type FailureReason, LedgerUnavailable } from './failure.ts';
export { isCode, logDirectory, replaceFile } from './files.ts';
export type { Gap } from './gap.ts';
export {
  createSigner,
  KeyFileError,
  type LedgerKeys,
  type LedgerSigner,
  loadBodiesKey,
  loadLedgerKeys,
  loadWitnessKeys,
  parseBodiesKey,
} from './keys.ts';
export { type Digester, type Ledger, type LedgerHealth, type LedgerOptions, type OpenExchange, UNRECORDED } from './ledger.ts';
export { LogLock, LogLocked } from './lock.ts';
export { type RememberedLog, type Remembering, readMemory, rememberLog } from './memory.ts';
export { MalformedNote } from './note.ts';
export { openLedger } from './open.ts';
export {
  type Comparison,
  compareCheckpoints,
  type EntryProof,
  NoProof,
  type ProvenEntry,
  proveConsistency,
  proveInclusion,
  verifyEntryProof,
} from './proof.ts';
export {
  buildIndexes,
  type EntryFilter,
  parseEntry,
  type ReadEntry,
  type ReadOptions,
  readEntries,
  readUnconcluded,
  UnreadableEntry,
} from './read.ts';
export { LogDamaged } from './recovery.ts';
export { retainIdle } from './retain-idle.ts';
export type { ExpiredSegment, Retention } from './retention.ts';
export { expireBodies, SealBroken, SealedBodies, type SealedBodiesOptions, subjectOf } from './sealed.ts';
export type { SegmentFile, SegmentStore, SyncMode } from './segment-store.ts';
export { EntriesGone, LogTail, sealedSizes } from './tail.ts';
export type { Cosigned, LedgerReport, LogReport, Problem, ProblemCode } from './verify/report.ts';
export { type VerifyOptions, verifyLedger } from './verify/verify.ts';
export { cosignLog, type SubmitCheckpoint, Witness, type WitnessAnswer, type WitnessOptions, WitnessRefused } from './witness.ts';
