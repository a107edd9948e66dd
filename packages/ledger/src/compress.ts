import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from './files.ts';
import { compressFrame } from './frames.ts';
import { contentLength, type Segment } from './segment.ts';
import { TILE_WIDTH } from './tiles.ts';

const CHUNK = 1 << 20;
const NEWLINE = 0x0a;

/**
 * Replaces a closed segment by its compressed form. A crash at any point leaves the plain file, or both.
 * Readers that have the plain file open keep reading it.
 */
export async function compressSegment(segment: Segment): Promise<void> {
  if (segment.compressed) return;
  const target = `${segment.path}.zst`;
  const draft = `${target}.new`;
  try {
    await using input = await open(segment.path, 'r');
    await using output = await open(draft, 'w', 0o600);
    for await (const lines of readTiles(input)) await output.appendFile(await compressFrame(lines));
    await output.datasync();
  } catch (error) {
    // On a full disk half a copy would take the room that entries need.
    await rm(draft, { force: true });
    throw error;
  }
  await rename(draft, target);
  await syncDirectory(dirname(target));
  await rm(segment.path);
}

/** The bytes of a plain segment, cut after each `TILE_WIDTH` lines. What is given is overwritten once the next is asked for. */
async function* readTiles(input: FileHandle): AsyncGenerator<Buffer> {
  const length = await contentLength(input);
  let buffer = Buffer.allocUnsafe(2 * CHUNK);
  let [position, end, lines] = [0, 0, 0];
  while (position < length) {
    if (buffer.length - end < CHUNK) buffer = Buffer.concat([buffer.subarray(0, end)], 2 * buffer.length);
    const { bytesRead } = await input.read(buffer, end, Math.min(CHUNK, length - position), position);
    if (bytesRead === 0) throw new RangeError('the segment became shorter while it was read');
    position += bytesRead;
    let start = 0;
    let at = end;
    end += bytesRead;
    const bytes = buffer.subarray(0, end);
    for (at = bytes.indexOf(NEWLINE, at); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) {
      if (++lines < TILE_WIDTH) continue;
      yield buffer.subarray(start, at + 1);
      start = at + 1;
      lines = 0;
    }
    buffer.copyWithin(0, start, end);
    end -= start;
  }
  if (end > 0 || length === 0) yield buffer.subarray(0, end);
}
