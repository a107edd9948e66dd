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
    const window = source.read(base, WINDOW + 16);
    let first: { name: string; offset: number } | null = null;
    for (const [name, signature] of SIGNATURES) {
      const at = name === 'zip' ? localHeader(window, signature) : window.indexOf(signature) - (name === 'bzip2' ? BZIP2_HEADER : 0);
      if (at >= 0 && base + at > 0 && (first === null || base + at < first.offset)) first = { name, offset: base + at };
    }
    if (first !== null) return first;
  }
  return null;
}

/** Four bytes come up by chance in gigabytes of weights: what follows must read as a local header too (APPNOTE 4.3.7). */
function localHeader(window: Buffer, signature: Buffer): number {
  for (let at = window.indexOf(signature); at >= 0; at = window.indexOf(signature, at + 1)) {
    if (at + 31 > window.length) return at;
    const nameLength = window.readUInt16LE(at + 26);
    if ((window[at + 4] ?? 255) <= ZIP_VERSION && window.readUInt16LE(at + 8) < 100 && nameLength > 0 && nameLength < 4096) return at;
  }
  return -1;
}
