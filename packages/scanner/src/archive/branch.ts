/** By the last three bytes that looked like an opcode: whether a match may start here, and which byte decides. */
const ALLOWED: readonly boolean[] = [true, true, true, false, true, false, false, false];
const DECIDES: readonly number[] = [0, 1, 2, 2, 3, 3, 3, 3];

/**
 * Takes the x86 branch filter off, in place: the targets of E8 and E9 were made absolute so that code compresses better (LZMA SDK, BCJ;
 * public domain). 7z archives made with default options often have it, whatever they hold.
 */
function undoBranches(bytes: Buffer): void {
  let mask = 0;
  let previous = -1;
  for (let at = 0; at + 4 < bytes.length; ) {
    if (((bytes[at] ?? 0) & 0xfe) !== 0xe8) {
      at += 1;
      continue;
    }
    const distance = at - previous;
    mask = distance > 3 ? 0 : (mask << (distance - 1)) & 7;
    previous = at;
    const decides = bytes[at + 4 - (DECIDES[mask] ?? 0)] ?? 0;
    if ((mask !== 0 && (ALLOWED[mask] !== true || isSign(decides))) || !isSign(bytes[at + 4] ?? 0)) {
      mask = ((mask << 1) & 7) | 1;
      at += 1;
      continue;
    }
    bytes.writeUInt32LE(relative(bytes.readUInt32LE(at + 1), at + 5, mask), at + 1);
    at += 5;
  }
}

function isSign(byte: number): boolean {
  return byte === 0 || byte === 0xff;
}

function relative(absolute: number, position: number, mask: number): number {
  let target = absolute;
  for (;;) {
    const distance = (target - position) >>> 0;
    const shift = (DECIDES[mask] ?? 0) * 8;
    if (mask === 0 || !isSign((distance >>> (24 - shift)) & 0xff)) return (((distance & 0x1ffffff) << 7) >> 7) >>> 0;
    target = (distance ^ (2 ** (32 - shift) - 1)) >>> 0;
  }
}

/** A filter that a compressor was put behind, by its name in the .xz format (section 5.3.2) and in 7z. */
export type Filter = 'delta' | 'x86' | 'powerpc' | 'arm' | 'armthumb' | 'sparc' | 'arm64';

/** Takes a filter off, in place. `property` is the first byte of the filter's properties: for delta, the distance less one. */
export function undoFilter(filter: Filter, bytes: Buffer, property: number): void {
  if (filter === 'x86') undoBranches(bytes);
  else if (filter === 'delta')
    for (let at = property + 1; at < bytes.length; at += 1) bytes[at] = (bytes[at] ?? 0) + (bytes[at - property - 1] ?? 0);
  else if (filter === 'armthumb') undoThumb(bytes);
  else for (let at = 0; at + 4 <= bytes.length; at += 4) WORDS[filter](bytes, at);
}

/** Branch instructions of four bytes: those whose target was made absolute get it back. */
const WORDS: Readonly<Record<Exclude<Filter, 'delta' | 'x86' | 'armthumb'>, (bytes: Buffer, at: number) => void>> = {
  arm: (bytes, at) => {
    if (bytes[at + 3] === 0xeb) bytes.writeUIntLE(((bytes.readUIntLE(at, 3) * 4 - at - 8) >>> 2) & 0xffffff, at, 3);
  },
  powerpc: (bytes, at) => {
    const word = bytes.readUInt32BE(at);
    if ((word & 0xfc000003) >>> 0 === 0x48000001) bytes.writeUInt32BE((0x48000001 | (((word & 0x03fffffc) - at) & 0x03fffffc)) >>> 0, at);
  },
  sparc: (bytes, at) => {
    const word = bytes.readUInt32BE(at);
    if (word >>> 22 !== 0x100 && word >>> 22 !== 0x1ff) return;
    const target = (((word << 2) - at) >>> 0) >>> 2;
    bytes.writeUInt32BE(((((0 - ((target >>> 22) & 1)) << 22) & 0x3fffffff) | (target & 0x3fffff) | 0x40000000) >>> 0, at);
  },
  arm64: (bytes, at) => {
    const word = bytes.readUInt32LE(at);
    if (word >>> 26 === 0x25) bytes.writeUInt32LE((0x94000000 | ((word - (at >>> 2)) & 0x03ffffff)) >>> 0, at);
    else if ((word & 0x9f000000) >>> 0 === 0x90000000) {
      const page = ((word >>> 29) & 3) | ((word >>> 3) & 0x1ffffc);
      // Only near pages are filtered.
      if (((page + 0x020000) & 0x1c0000) !== 0) return;
      const target = page - (at >>> 12);
      bytes.writeUInt32LE(
        ((word & 0x9000001f) | ((target & 3) << 29) | ((target & 0x03fffc) << 3) | (-(target & 0x020000) & 0xe00000)) >>> 0,
        at,
      );
    }
  },
};

function undoThumb(bytes: Buffer): void {
  for (let at = 0; at + 4 <= bytes.length; at += 2) {
    const first = bytes.readUInt16LE(at);
    const second = bytes.readUInt16LE(at + 2);
    if ((first & 0xf800) !== 0xf000 || (second & 0xf800) !== 0xf800) continue;
    const target = ((((first & 0x7ff) << 11) | (second & 0x7ff)) * 2 - at - 4) >>> 1;
    bytes.writeUInt16LE(0xf000 | ((target >>> 11) & 0x7ff), at);
    bytes.writeUInt16LE(0xf800 | (target & 0x7ff), at + 2);
    at += 2;
  }
}
