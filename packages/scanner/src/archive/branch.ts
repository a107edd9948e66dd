/** By the last three bytes that looked like an opcode: whether a match may start here, and which byte decides. */
const ALLOWED: readonly boolean[] = [true, true, true, false, true, false, false, false];
const DECIDES: readonly number[] = [0, 1, 2, 2, 3, 3, 3, 3];

/**
 * Takes the x86 branch filter off, in place: the targets of E8 and E9 were made absolute so that code compresses better (LZMA SDK, BCJ;
 * public domain). 7z archives made with default options often have it, whatever they hold.
 */
export function undoBranches(bytes: Buffer): void {
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
