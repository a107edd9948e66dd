import { type Compression, scanCompressed } from '../archive/compressed.ts';
import { isTarHeader, scanTar } from '../archive/tar.ts';
import { scanZip } from '../archive/zip.ts';
import { findDirectories } from '../archive/zip-directory.ts';
import { isPickle, scanPickle } from '../pickle/streams.ts';
import type { Piece } from '../piece.ts';
import { scanNumpy } from './numpy.ts';
import { scanOpaque } from './opaque.ts';
import { scanSafetensors } from './safetensors.ts';

/** A format: how to tell it by content alone, and how to judge it. */
export interface Format {
  readonly name: string;
  matches(piece: Piece, head: Buffer): boolean;
  scan(piece: Piece): Promise<void> | void;
}

const HEAD = 4096;

function starts(magic: string, offset: number = 0): Format['matches'] {
  const bytes = Buffer.from(magic, 'latin1');
  return (_, head) => head.subarray(offset, offset + bytes.length).equals(bytes);
}

function compressed(name: Compression, matches: Format['matches']): Format {
  return { name, matches, scan: (piece) => scanCompressed(piece, name) };
}

/** In order: the first that matches is the file's format. A name or an extension plays no part. */
const FORMATS: readonly Format[] = [
  { name: 'numpy', matches: starts('\x93NUMPY'), scan: scanNumpy },
  compressed('gzip', starts('\x1f\x8b\x08')),
  compressed('bzip2', (_, head) => /^BZh[1-9](1AY&SY|\x17rE8P\x90)/.test(head.toString('latin1', 0, 10))),
  compressed('xz', starts('\xfd7zXZ\0')),
  compressed('zstd', starts('\x28\xb5\x2f\xfd')),
  compressed('lz4', starts('\x04\x22\x4d\x18')),
  compressed('zfile', (_, head) => /^ZF0x[0-9a-f]+L? *x/.test(head.toString('latin1', 0, 64))),
  { name: 'zip', matches: isZip, scan: scanZip },
  { name: 'safetensors', matches: isSafetensors, scan: scanSafetensors },
  { name: 'tar', matches: (piece) => isTarHeader(piece.source, 0), scan: scanTar },
  { name: 'pickle', matches: (piece, head) => isMarked(head) || isPickle(piece, 0), scan: (piece) => scanPickle(piece) },
  { name: 'data', matches: () => true, scan: scanOpaque },
];

/** The format of a piece, by its bytes. */
export function formatOf(piece: Piece): Format {
  const head = piece.source.read(0, HEAD);
  return FORMATS.find((format) => format.matches(piece, head)) ?? { name: 'empty', matches: () => true, scan: () => undefined };
}

function isZip(piece: Piece, head: Buffer): boolean {
  return (
    head.subarray(0, 4).equals(Buffer.from('PK\x03\x04', 'latin1')) ||
    findDirectories(piece.source, 1).some(({ entries }) => entries.length > 0)
  );
}

function isSafetensors(piece: Piece, head: Buffer): boolean {
  if (head.length < 10) return false;
  return head[8] === 0x7b && (head[9] === 0x22 || head[9] === 0x7d || head[9] === 0x20 || head[9] === 0x0a) && piece.source.size >= 10;
}

function isMarked(head: Buffer): boolean {
  return head.length > 2 && head[0] === 0x80 && (head[1] ?? 9) <= 5;
}
