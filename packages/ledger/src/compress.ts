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
  {
    await using input = await open(segment.path, 'r');
    await using output = await open(draft, 'w', 0o600);
    for await (const lines of readTiles(input)) await output.appendFile(await compressFrame(lines));
    await output.datasync();
  }
  await rename(draft, target);
  await syncDirectory(dirname(target));
  await rm(segment.path);
}

/** The bytes of a plain segment, cut after each `TILE_WIDTH` lines. */
async function* readTiles(input: FileHandle): AsyncGenerator<Buffer> {
  const end = await contentLength(input);
  let rest: Buffer = Buffer.alloc(0);
  let lines = 0;
  for (let position = 0; position < end; ) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK, end - position));
    const { bytesRead } = await input.read(chunk, 0, chunk.length, position);
    if (bytesRead === 0) throw new RangeError('the segment became shorter while it was read');
    position += bytesRead;
    let at = rest.length;
    rest = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
    let start = 0;
    for (at = rest.indexOf(NEWLINE, at); at >= 0; at = rest.indexOf(NEWLINE, at + 1)) {
      if (++lines < TILE_WIDTH) continue;
      yield rest.subarray(start, at + 1);
      start = at + 1;
      lines = 0;
    }
    rest = rest.subarray(start);
  }
  if (rest.length > 0 || end === 0) yield rest;
}
