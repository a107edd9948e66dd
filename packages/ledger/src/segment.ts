import { type FileHandle, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode } from './files.ts';

/** A file of consecutive entries, one a line. */
export interface Segment {
  /** `seq` of its first entry. */
  readonly first: number;
  readonly path: string;
  readonly compressed: boolean;
}

/** A segment's file name without its suffix. */
export function segmentName(first: number): string {
  return String(first).padStart(16, '0');
}

export function segmentPath(log: string, first: number): string {
  return join(log, 'segments', `${segmentName(first)}.jsonl`);
}

/** In order. Where a crash left a segment both plain and compressed, the plain one counts. */
export async function listSegments(log: string): Promise<Segment[]> {
  const names = await readdir(join(log, 'segments')).catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  });
  const segments = new Map<number, Segment>();
  for (const name of names.sort()) {
    const [, digits, suffix] = /^([0-9]{16})\.jsonl(\.zst)?$/.exec(name) ?? [];
    if (digits === undefined) continue;
    const first = Number(digits);
    // Sorted, the plain name comes before the compressed one.
    if (!segments.has(first)) segments.set(first, { first, path: join(log, 'segments', name), compressed: suffix !== undefined });
  }
  return [...segments.values()].sort((a, b) => a.first - b.first);
}

const ZEROS = Buffer.alloc(1 << 16);

/**
 * Length of a plain segment without the zeros at its end. Its writer puts some there ahead of its lines (`OpenSegment`), and a crash leaves
 * them; no entry has a zero. Zeros that something follows are part of it.
 */
export async function contentLength(handle: FileHandle): Promise<number> {
  let { size } = await handle.stat();
  const buffer = Buffer.allocUnsafe(ZEROS.length);
  while (size > 0) {
    const start = Math.max(0, size - buffer.length);
    const { bytesRead } = await handle.read(buffer, 0, size - start, start);
    const bytes = buffer.subarray(0, bytesRead);
    if (!bytes.equals(ZEROS.subarray(0, bytesRead))) {
      let last = bytesRead - 1;
      while (bytes[last] === 0) last--;
      return start + last + 1;
    }
    size = start;
  }
  return 0;
}
