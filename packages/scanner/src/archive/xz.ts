import { decodeLzma2 } from './lzma.ts';
import { Damaged, type Input, type Output } from './output.ts';

const HEADER: Buffer = Buffer.from('fd377a585a00', 'hex');
const CHECK_BYTES: readonly number[] = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const LZMA2 = 0x21n;

/** The .xz container (xz-file-format 1.2): streams of blocks. Checksums are not verified, so that a wrong one cannot hide a content. */
export function decodeXz(input: Input, output: Output): void {
  do {
    output.startStream();
    if (!input.bytes(6).equals(HEADER)) throw new Damaged('no xz stream');
    const flags = input.bytes(2);
    input.position += 4;
    const check = CHECK_BYTES[(flags[1] ?? 0) & 15] ?? 0;
    while (block(input, output, check));
    index(input);
    const footer = input.bytes(12);
    if (footer.toString('latin1', 10) !== 'YZ') throw new Damaged('no xz footer');
    skipPadding(input);
  } while (input.source.read(input.position, 6).equals(HEADER));
}

function block(input: Input, output: Output, check: number): boolean {
  const start = input.position;
  const size = input.byte();
  if (size === 0) return false;
  const headerEnd = start + (size + 1) * 4;
  const flags = input.byte();
  if ((flags & 0x40) !== 0) integer(input);
  if ((flags & 0x80) !== 0) integer(input);
  if ((flags & 3) !== 0) throw new Damaged('xz filters other than LZMA2');
  const filter = integer(input);
  const length = integer(input);
  if (filter !== LZMA2 || length !== 1n) throw new Damaged('xz filters other than LZMA2');
  const bits = input.byte();
  if (bits > 40) throw new Damaged('an xz dictionary too large');
  input.position = headerEnd;
  decodeLzma2(input, output, bits === 40 ? 2 ** 32 - 1 : (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11));
  input.position += ((4 - ((input.position - start) % 4)) % 4) + check;
  return true;
}

function index(input: Input): void {
  const start = input.position - 1;
  let records = integer(input);
  if (records > 1_000_000n) throw new Damaged('an xz index too large');
  for (; records > 0n; records -= 1n) {
    integer(input);
    integer(input);
  }
  input.position += ((4 - ((input.position - start) % 4)) % 4) + 4;
}

function skipPadding(input: Input): void {
  while (input.source.read(input.position, 4).equals(Buffer.alloc(4))) input.position += 4;
}

function integer(input: Input): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 63n; shift += 7n) {
    const byte = input.byte();
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  throw new Damaged('an invalid xz integer');
}
