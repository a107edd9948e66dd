import { carvePickles } from '../pickle/carve.ts';
import type { Piece } from '../piece.ts';

const WINDOW = 2 ** 20;
/** What may be hidden in bytes of no format, by the bytes it starts with. Short ones would be found by chance. */
const SIGNATURES: readonly (readonly [string, Buffer])[] = [
  ['zip', Buffer.from('PK\x03\x04', 'latin1')],
  ['numpy', Buffer.from('\x93NUMPY', 'latin1')],
  ['gguf', Buffer.from('GGUF\x03\0\0\0', 'latin1')],
  ['hdf5', Buffer.from('\x89HDF\r\n\x1a\n', 'latin1')],
  ['xz', Buffer.from('\xfd7zXZ\0', 'latin1')],
  ['7z', Buffer.from("7z\xbc\xaf'\x1c", 'latin1')],
  ['bzip2', Buffer.from('1AY&SY', 'latin1')],
  ['elf', Buffer.from('\x7fELF\x02\x01\x01', 'latin1')],
];
const BZIP2_HEADER = 4;
/** Bytes from a signature on that tell whether it is one. */
const HEADER = 31;
/** The newest version an archive may need, 6.3. */
const ZIP_VERSION = 63;
/** No loader looks for these in the middle of a file; what ends in a zip directory is a zip archive whatever it starts with. */
const SEARCHED = 64 * 2 ** 20;

/** Bytes of no known format: searched from end to end for what a loader could be led to. */
export async function scanOpaque(piece: Piece): Promise<void> {
  await searchOpaque(piece);
  if (piece.depth === 0 && piece.surrounding !== 'torch')
    piece.report('format-opaque', 'no known format; searched for pickles, archives and programs');
}

/** The search alone, for bytes that may be of a format by chance. */
export async function searchOpaque(piece: Piece): Promise<void> {
  const { source } = piece;
  // The storages of a PyTorch archive are read as numbers by position; nothing looks into them, and a model has gigabytes of them.
  if (piece.surrounding === 'torch') return;
  carvePickles(piece, 0, source.size, 'bytes of no known format');
  const inner = findSignature(piece);
  if (inner !== null) {
    piece.report('zip-hidden', `${inner.name} data inside bytes of no known format`, inner.offset);
    await piece.inside(piece.part(inner.offset, source.size).source, `${piece.name}!${inner.name}`, inner.offset, 'hidden').scan();
  }
}

function findSignature(piece: Piece): { readonly name: string; readonly offset: number } | null {
  const { source } = piece;
  for (let base = 0; base < Math.min(source.size, SEARCHED); base += WINDOW) {
    piece.run.checkTime();
    const window = source.read(base, WINDOW + HEADER);
    let first: { name: string; offset: number } | null = null;
    for (const [name, signature] of SIGNATURES) {
      const at = find(window, name, signature);
      if (at >= 0 && base + at > 0 && (first === null || base + at < first.offset)) first = { name, offset: base + at };
    }
    if (first !== null) return first;
  }
  return null;
}

/** Programs that read a format name its signature as well, and a few bytes come up by chance: what stands about it must read as its header too. */
const PLAUSIBLE: Readonly<Record<string, (window: Buffer, at: number) => boolean>> = {
  // A local header (APPNOTE 4.3.7).
  zip: (window, at) => {
    const nameLength = window.readUInt16LE(at + 26);
    return (window[at + 4] ?? 255) <= ZIP_VERSION && window.readUInt16LE(at + 8) < 100 && nameLength > 0 && nameLength < 4096;
  },
  // Versions 1.0 to 3.0 (numpy.lib.format).
  numpy: (window, at) => (window[at + 6] ?? 0) >= 1 && (window[at + 6] ?? 4) <= 3 && window[at + 7] === 0,
  // Versions of the superblock (HDF5 File Format 3.0, II.A).
  hdf5: (window, at) => (window[at + 8] ?? 4) <= 3,
  // The first block stands behind a header of four bytes.
  bzip2: (window, at) => /^BZh[1-9]$/.test(window.toString('latin1', at - BZIP2_HEADER, at)),
};

/** Where the first one begins, or -1. One at the end of the window, of which too little is there, is one. */
function find(window: Buffer, name: string, signature: Buffer): number {
  const plausible = PLAUSIBLE[name];
  const before = name === 'bzip2' ? BZIP2_HEADER : 0;
  for (let at = window.indexOf(signature); at >= 0; at = window.indexOf(signature, at + 1))
    if (at >= before && (plausible === undefined || at + HEADER > window.length || plausible(window, at))) return at - before;
  return -1;
}
