import { createHash, hash } from 'node:crypto';
import { dirname } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { Piece, Scan } from './piece.ts';
import { type FileReport, quote } from './report.ts';
import { RULES_VERSION } from './rules.ts';
import { type ByteSource, openFile } from './source.ts';

export interface ScanOptions {
  /** What the report calls the file. It never decides the format. */
  readonly path: string;
  /** Where a loader would find the files that a model names beside itself. They are looked up, never opened. */
  readonly directory?: string;
  readonly limits?: Partial<Limits>;
  /** Digest the file too (default true). */
  readonly hash?: boolean;
  /** Called with the bytes digested so far. */
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

const SMALL = 16_384;
const HASH_CHUNK = 4 * 2 ** 20;
const HASH_TURN = 64 * 2 ** 20;

/**
 * Judges one file without loading, running or rendering any of it. Never throws for what a file holds: every fault of the bytes is a
 * finding. Throws `AbortError` when the signal fires, and defects of our own.
 */
export async function scanFile(source: ByteSource, options: ScanOptions): Promise<FileReport> {
  const limits = options.limits === undefined ? DEFAULT_LIMITS : { ...DEFAULT_LIMITS, ...options.limits };
  const scan = new Scan(limits, source.size, options.directory ?? null);
  const format = await new Piece(scan, source, options.path, 0, 0).scan();
  const sha256 = options.hash === false ? '' : await digest(source, options.onProgress, options.signal);
  return { path: options.path, sha256, size: source.size, format, verdict: scan.verdict, findings: scan.findings, rules: RULES_VERSION };
}

/** As `scanFile`, for a path. A file that cannot be opened or read is `inconclusive`. */
export async function scanPath(path: string, options: Omit<ScanOptions, 'path'> = {}): Promise<FileReport> {
  try {
    using source = openFile(path);
    return await scanFile(source, { directory: dirname(path), ...options, path });
  } catch (error) {
    if (!(error instanceof Error && ('syscall' in error || error.message.endsWith('is not a regular file')))) throw error;
    return {
      path,
      sha256: '',
      size: 0,
      format: 'unreadable',
      verdict: 'inconclusive',
      findings: [{ rule: 'source-unreadable', severity: 'medium', message: quote(error.message, 200) }],
      rules: RULES_VERSION,
    };
  }
}

async function digest(source: ByteSource, onProgress?: (bytes: number) => void, signal?: AbortSignal): Promise<string> {
  // Of a small file the bytes are at hand.
  if (source.size <= SMALL) {
    const bytes = source.read(0, source.size);
    onProgress?.(bytes.length);
    return hash('sha256', bytes);
  }
  const whole = createHash('sha256');
  const buffer = Buffer.allocUnsafe(Math.min(HASH_CHUNK, Math.max(1, source.size)));
  for (let offset = 0, turn = HASH_TURN; offset < source.size; ) {
    const count = source.readInto(offset, buffer);
    if (count === 0) break;
    whole.update(count === buffer.length ? buffer : buffer.subarray(0, count));
    offset += count;
    onProgress?.(offset);
    if (offset >= turn) {
      turn += HASH_TURN;
      await setImmediate();
      signal?.throwIfAborted();
    }
  }
  return whole.digest('hex');
}
