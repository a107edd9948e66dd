import { basename, join } from 'node:path';
import { openCheckpoint, parseVerifierKey } from './checkpoint.ts';
import { ENTRY_LIMITS, type Entry } from './entry.ts';
import { logDirectory, readIfPresent } from './files.ts';
import { parseLine } from './line.ts';
import { consistencyProof, HASH_SIZE, inclusionProof, leafHash, verifyConsistency, verifyInclusion } from './merkle.ts';
import { fromBase64, MalformedNote } from './note.ts';
import { parseEntry } from './read.ts';
import { listSegments } from './segment.ts';
import { readSegment } from './segment-read.ts';
import { tileSubtrees } from './tiles.ts';

/** That an entry cannot be proved: it is not there, or no checkpoint covers it yet. */
export class NoProof extends Error {
  override readonly name: string = 'NoProof';
}

export interface EntryProof {
  /** The entry's line. */
  readonly entry: string;
  /** `c2sp.org/tlog-proof@v1`: index, path and signed checkpoint. Text to be given away with the entry. */
  readonly proof: string;
}

const PROOF_HEADER = 'c2sp.org/tlog-proof@v1\n';

/**
 * Proves that entry `seq` of a writer's log is in the tree of its newest checkpoint. What is given away shows this entry and hashes.
 * @throws {NoProof}
 */
export async function proveInclusion(directory: string, writer: string, seq: number): Promise<EntryProof> {
  const log = logDirectory(directory, writer);
  const note = (await readIfPresent(join(log, 'checkpoint')))?.toString();
  if (note === undefined) throw new NoProof(`${writer} has no checkpoint`);
  const { checkpoint } = openCheckpoint(note, []);
  if (seq >= checkpoint.size)
    throw new NoProof(`entry ${seq} of ${writer} is not under a checkpoint yet: it covers ${checkpoint.size} entries`);
  const entry = await findEntry(log, seq);
  const path = await inclusionProof(tileSubtrees(log, checkpoint.size), seq, checkpoint.size).catch((error: unknown) => {
    throw error instanceof RangeError ? new NoProof(`${writer}: ${error.message}`, { cause: error }) : error;
  });
  const proof = `${PROOF_HEADER}index ${seq}\n${path.map((hash) => `${hash.toString('base64')}\n`).join('')}\n${note}`;
  return { entry, proof };
}

async function findEntry(log: string, seq: number): Promise<string> {
  const segment = (await listSegments(log)).findLast(({ first }) => first <= seq);
  if (segment !== undefined) {
    let next = segment.first;
    for await (const { lines } of readSegment(segment)) {
      const line = lines[seq - next];
      if (line !== undefined) return line;
      next += lines.length;
    }
  }
  throw new NoProof(`entry ${seq} of ${basename(log)} is not there`);
}

export interface ProvenEntry {
  readonly entry: Entry;
  readonly origin: string;
  readonly size: number;
  /** POSIX seconds of the signature that carries a time, or null. */
  readonly signedAt: number | null;
}

/**
 * Checks a proof with nothing but public keys. Both texts come from a stranger.
 * @throws {MalformedNote} where it does not prove the entry; the message says why
 */
export function verifyEntryProof(proven: EntryProof, publicKeys: readonly string[]): ProvenEntry {
  const line = proven.entry.endsWith('\n') ? proven.entry.slice(0, -1) : proven.entry;
  if (line.length > ENTRY_LIMITS.bytes) throw new MalformedNote('the entry is too long');
  const parsed = parseLine(line);
  const entry = parseEntry(line);
  if (parsed === null || entry === null) throw new MalformedNote('the entry is not a ledger entry');
  const { index, path, note } = parseProof(proven.proof);
  const { checkpoint, signatures } = openCheckpoint(note, publicKeys.map(parseVerifierKey));
  if (signatures.every(({ key }) => key.name !== checkpoint.origin))
    throw new MalformedNote('the checkpoint is not signed by a trusted key of its log');
  const hash = leafHash(parsed.leaf);
  if (hash !== parsed.hash || parsed.seq !== index) throw new MalformedNote('the entry does not have the hash or number that it states');
  if (!verifyInclusion(Buffer.from(hash, 'hex'), index, checkpoint.size, path, checkpoint.root)) {
    throw new MalformedNote('the entry is not in the signed tree');
  }
  const times = signatures.flatMap(({ seconds }) => (seconds === null ? [] : [seconds]));
  return { entry, origin: checkpoint.origin, size: checkpoint.size, signedAt: times.length === 0 ? null : Math.max(...times) };
}

function parseProof(text: string): { index: number; path: Buffer[]; note: string } {
  const [, digits, hashes, note] =
    /^c2sp\.org\/tlog-proof@v1\n(?:extra [^\n]*\n)?index (0|[1-9][0-9]{0,15})\n((?:[A-Za-z0-9+/]{43}=\n){0,63})\n(.+)$/s.exec(text) ?? [];
  if (digits === undefined || hashes === undefined || note === undefined)
    throw new MalformedNote('the proof is not a c2sp.org/tlog-proof@v1');
  const path = hashes === '' ? [] : hashes.slice(0, -1).split('\n').map(fromBase64);
  return { index: Number(digits), path, note };
}

/**
 * The hashes that show a log's newest tree to continue its tree of `size` (RFC 6962 section 2.1.2), and the newest checkpoint.
 * @throws {NoProof}
 */
export async function proveConsistency(directory: string, writer: string, size: number): Promise<{ proof: Buffer[]; checkpoint: string }> {
  const log = logDirectory(directory, writer);
  const note = (await readIfPresent(join(log, 'checkpoint')))?.toString();
  if (note === undefined) throw new NoProof(`${writer} has no checkpoint`);
  const { checkpoint } = openCheckpoint(note, []);
  if (size > checkpoint.size) throw new NoProof(`${writer} has ${checkpoint.size} entries under its checkpoint, fewer than ${size}`);
  const proof = await consistencyProof(tileSubtrees(log, checkpoint.size), size, checkpoint.size).catch((error: unknown) => {
    throw error instanceof RangeError ? new NoProof(`${writer}: ${error.message}`, { cause: error }) : error;
  });
  return { proof, checkpoint: note };
}

/** What two signed checkpoints of one log say of each other. */
export type Comparison = 'consistent' | 'forked' | 'rolled-back';

/**
 * Compares a checkpoint seen earlier with a newer one. `proof` is that of `proveConsistency`; without one only equal sizes can be
 * judged. `rolled-back`: the newer is smaller. `forked`: they are not of one append-only log.
 * @throws {MalformedNote} where a checkpoint is not signed by one of `publicKeys`, or the two are of different logs
 */
export function compareCheckpoints(earlier: string, later: string, proof: readonly Buffer[], publicKeys: readonly string[]): Comparison {
  const keys = publicKeys.map(parseVerifierKey);
  const [old, now] = [earlier, later].map((note) => {
    const { checkpoint, signatures } = openCheckpoint(note, keys);
    if (signatures.every(({ key }) => key.name !== checkpoint.origin))
      throw new MalformedNote('a checkpoint is not signed by a trusted key of its log');
    return checkpoint;
  });
  if (old === undefined || now === undefined || old.origin !== now.origin) throw new MalformedNote('the checkpoints are of different logs');
  if (now.size < old.size) return 'rolled-back';
  return proof.every((hash) => hash.length === HASH_SIZE) && verifyConsistency(old, now, proof) ? 'consistent' : 'forked';
}
