import { Damaged, type Input, type Output } from './output.ts';
import { isSkippedFrame, type Skipped } from './zstd.ts';

const MAGIC = 0x184d2204;
const WINDOW = 65_536;
const BLOCK_SIZES: readonly number[] = [0, 0, 0, 0, 65_536, 262_144, 1_048_576, 4_194_304];

/** LZ4 frames (lz4_Frame_format 1.6, lz4_Block_format). Checksums are not verified. Appends to `skipped`. */
export function decodeLz4(input: Input, output: Output, skipped: Skipped): void {
  while (input.position + 4 <= input.source.size) {
    output.startStream();
    const magic = input.bytes(4).readUInt32LE(0);
    if (isSkippedFrame(magic)) {
      const length = input.bytes(4).readUInt32LE(0);
      skipped.push({ start: input.position, end: Math.min(input.position + length, input.source.size) });
      input.position += length;
      continue;
    }
    if (magic !== MAGIC) {
      input.position -= 4;
      return;
    }
    frame(input, output);
  }
}

function frame(input: Input, output: Output): void {
  const flags = input.byte();
  const largest = BLOCK_SIZES[(input.byte() >> 4) & 7] ?? 0;
  if (flags >> 6 !== 1 || largest === 0) throw new Damaged('an invalid LZ4 frame');
  input.position += ((flags & 8) !== 0 ? 8 : 0) + ((flags & 1) !== 0 ? 4 : 0) + 1;
  let history: Buffer = Buffer.alloc(0);
  for (;;) {
    const word = input.bytes(4).readUInt32LE(0);
    if (word === 0) break;
    const size = word & 0x7fffffff;
    if (size > largest) throw new Damaged('an LZ4 block too large');
    const bytes = input.bytes(size);
    const plain = word >>> 31 === 1 ? Buffer.from(bytes) : decodeBlock(bytes, history, largest);
    if ((flags & 0x20) === 0) history = Buffer.concat([history, plain]).subarray(-WINDOW);
    output.write(plain);
    if ((flags & 0x10) !== 0) input.position += 4;
  }
  if ((flags & 4) !== 0) input.position += 4;
}

function decodeBlock(block: Buffer, history: Buffer, largest: number): Buffer {
  const plain = Buffer.allocUnsafe(history.length + largest);
  history.copy(plain);
  let out = history.length;
  let at = 0;
  const length = (short: number): number => {
    let total = short;
    for (let more = short === 15 ? 255 : 0; more === 255; total += more) {
      more = block[at] ?? -1;
      at += 1;
      if (more < 0) throw new Damaged('an LZ4 block is cut off');
    }
    return total;
  };
  while (at < block.length) {
    const token = block[at] ?? 0;
    at += 1;
    const literals = length(token >> 4);
    if (at + literals > block.length || out + literals > plain.length) throw new Damaged('LZ4 literals reach beyond the block');
    block.copy(plain, out, at, at + literals);
    at += literals;
    out += literals;
    if (at >= block.length) break;
    const distance = (block[at] ?? 0) + (block[at + 1] ?? 0) * 256;
    at += 2;
    const end = out + length(token & 15) + 4;
    if (distance === 0 || distance > out || end > plain.length) throw new Damaged('an invalid LZ4 match');
    for (; out < end; out += 1) plain[out] = plain[out - distance] ?? 0;
  }
  return plain.subarray(history.length, out);
}
