import { searchOpaque } from '../format/opaque.ts';
import { LimitReached } from '../limits.ts';
import { carvePickles } from '../pickle/carve.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { isZero } from '../source.ts';
import { decodeBzip2 } from './bzip2.ts';
import { decodeGzip, decodeZlib } from './deflate.ts';
import { decodeLz4 } from './lz4.ts';
import { decodeLzmaAlone } from './lzma.ts';
import { Damaged, Input, Output } from './output.ts';
import { decodeXz } from './xz.ts';
import { decodeZstd, type Skipped } from './zstd.ts';

export type Compression = 'gzip' | 'zlib' | 'zstd' | 'bzip2' | 'xz' | 'lzma' | 'lz4' | 'zfile';

/** Bytes that come out of noise before the decoder notices. */
const CHANCE = 64;

/** joblib before 0.10: "ZF", the size in hexadecimal padded with spaces to a length that differs by release, then zlib. */
const ZFILE_HEADER = /^ZF0x[0-9a-f]+L? *(?=x)/;

/** Decompresses a whole file or member and scans what comes out, then what follows the stream. */
export async function scanCompressed(piece: Piece, kind: Compression): Promise<void> {
  using output = new Output(piece, piece.source.size);
  let consumed = piece.source.size;
  const skipped: Skipped = [];
  try {
    consumed = await decode(piece, kind, output, skipped);
  } catch (error) {
    if (error instanceof LimitReached) piece.report(error.rule, error.message);
    else if (error instanceof Damaged) {
      // `.lzma` has no magic: what breaks off at once is something else that begins alike.
      if (kind !== 'lzma' || output.size >= CHANCE) piece.report('archive-broken', quote(error.message));
    } else throw error;
  }
  if (output.size > 0) await piece.inside(output.source(), `${piece.name}!${kind}`, null).scan();
  await searchSkipped(piece, skipped);
  // Nor does anything tell where it ends: what else the file may be, or hold behind the stream, is looked for as in bytes of no format.
  if (kind === 'lzma') await searchOpaque(piece);
  if (consumed < piece.source.size && !isZero(piece.source, consumed, piece.source.size)) {
    piece.report('zip-hidden', `${piece.source.size - consumed} bytes behind the compressed stream`, consumed);
    await piece.inside(piece.part(consumed, piece.source.size).source, `${piece.name}!tail`, consumed, 'hidden').scan();
  }
}

/** Sizes and places of frames, by most writers; whatever bytes somebody wants passed over, by others. */
export async function searchSkipped(piece: Piece, skipped: Skipped): Promise<void> {
  for (const { start, end } of skipped) {
    if (piece.surrounding === 'torch') carvePickles(piece, start, end, 'bytes that decoders skip');
    else await searchOpaque(piece.part(start, end));
  }
}

async function decode(piece: Piece, kind: Compression, output: Output, skipped: Skipped): Promise<number> {
  const { source } = piece;
  if (kind === 'gzip') return await decodeGzip(source, output);
  if (kind === 'zlib') return await decodeZlib(kind, source, output);
  if (kind === 'zstd') return await decodeZstd(source, output, skipped);
  if (kind === 'zfile') {
    const start = ZFILE_HEADER.exec(source.read(0, 64).toString('latin1'))?.[0].length;
    if (start === undefined) throw new Damaged('no zlib stream in the joblib file');
    return start + (await decodeZlib('zlib', piece.part(start, source.size).source, output));
  }
  const input = new Input(source);
  if (kind === 'bzip2') decodeBzip2(input, output);
  else if (kind === 'xz') decodeXz(input, output);
  else if (kind === 'lz4') decodeLz4(input, output, skipped);
  else {
    decodeLzmaAlone(input, output);
    // The range coder reads ahead; nothing tells where the stream ends, so what follows is not told apart from it.
    return source.size;
  }
  return input.position;
}
