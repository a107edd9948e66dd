import { type Filter, undoFilter } from './branch.ts';
import { Lzma2 } from './lzma.ts';
import { Damaged, type Input, type Output } from './output.ts';

const HEADER: Buffer = Buffer.from('fd377a585a00', 'hex');
const CHECK_BYTES: readonly number[] = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const LZMA2 = 0x21n;
/** By identifier (5.3.2). */
const FILTERS: Readonly<Record<string, Filter>> = { 3: 'delta', 4: 'x86', 5: 'powerpc', 7: 'arm', 8: 'armthumb', 9: 'sparc', 10: 'arm64' };

/** The .xz container (xz-file-format 1.2): streams of blocks. Checksums are not verified, so that a wrong one cannot hide a content. */
export function decodeXz(input: Input, output: Output): void {
  const lzma = new Lzma2(input);
  do {
    output.startStream();
    if (!input.bytes(6).equals(HEADER)) throw new Damaged('no xz stream');
    const flags = input.bytes(2);
    input.position += 4;
    const check = CHECK_BYTES[(flags[1] ?? 0) & 15] ?? 0;
    while (block(input, lzma, output, check));
    index(input);
    const footer = input.bytes(12);
    if (footer.toString('latin1', 10) !== 'YZ') throw new Damaged('no xz footer');
    skipPadding(input);
  } while (input.source.read(input.position, 6).equals(HEADER));
}

function block(input: Input, lzma: Lzma2, output: Output, check: number): boolean {
  const start = input.position;
  const size = input.byte();
  if (size === 0) return false;
  output.startStream();
  const headerEnd = start + (size + 1) * 4;
  const flags = input.byte();
  if ((flags & 0x40) !== 0) integer(input);
  if ((flags & 0x80) !== 0) integer(input);
  const filters: { readonly filter: Filter; readonly property: number }[] = [];
  for (let left = flags & 3; left > 0; left -= 1) filters.unshift(readFilter(input));
  if (integer(input) !== LZMA2 || integer(input) !== 1n) throw new Damaged('xz filters that are not known');
  const bits = input.byte();
  if (bits > 40) throw new Damaged('an xz dictionary too large');
  input.position = headerEnd;
  const dictionary = bits === 40 ? 2 ** 32 - 1 : (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11);
  if (filters.length === 0) lzma.decode(output, dictionary);
  else {
    using filtered = output.beside();
    lzma.decode(filtered, dictionary);
    const bytes = filtered.whole();
    for (const { filter, property } of filters) undoFilter(filter, bytes, property);
    output.write(bytes);
  }
  input.position += ((4 - ((input.position - start) % 4)) % 4) + check;
  return true;
}

function readFilter(input: Input): { readonly filter: Filter; readonly property: number } {
  const filter = FILTERS[String(integer(input))];
  const length = integer(input);
  // Delta has a distance, the others may have a start, which nobody sets.
  if (filter === undefined || length !== (filter === 'delta' ? 1n : 0n)) throw new Damaged('xz filters that are not known');
  return { filter, property: length === 1n ? input.byte() : 0 };
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
