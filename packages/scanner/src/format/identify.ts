import { constants, inflateSync } from 'node:zlib';
import { type Compression, scanCompressed } from '../archive/compressed.ts';
import { scanSevenZip } from '../archive/sevenzip.ts';
import { isTarHeader, scanTar } from '../archive/tar.ts';
import { scanZip } from '../archive/zip.ts';
import { findDirectories } from '../archive/zip-directory.ts';
import { isSkippedFrame, ZSTD } from '../archive/zstd.ts';
import { COST } from '../limits.ts';
import { isPickle, scanPickle } from '../pickle/streams.ts';
import type { Piece } from '../piece.ts';
import { scanCatBoost } from './catboost.ts';
import { isCoreMl, scanCoreMl } from './coreml.ts';
import { scanJson } from './document.ts';
import { scanGguf } from './gguf.ts';
import { scanHdf5 } from './hdf5.ts';
import { inspectMlflow } from './mlflow.ts';
import { isNative, scanEngine, scanNative } from './native.ts';
import { scanNumpy } from './numpy.ts';
import { isOnnx, scanOnnx } from './onnx.ts';
import { scanOpaque } from './opaque.ts';
import { isPaddle, scanPaddle } from './paddle.ts';
import { isOverlong, scanBroken } from './protobuf-broken.ts';
import { isAsciiRds, isRds, scanRds } from './rds.ts';
import { scanSafetensors } from './safetensors.ts';
import { isGraphDef, isMetaGraph, isSavedModel, scanGraphDef, scanMetaGraph, scanSavedModel } from './tensorflow.ts';
import { holdsNodes, isTextGraph, scanTextGraph } from './tensorflow-text.ts';
import { isText, scanText } from './text.ts';
import { scanTflite } from './tflite.ts';
import { isWide, scanWide } from './wide.ts';
import { isDeclarations, scanXml } from './xml.ts';

/** A format: how to tell it by content alone, and how to judge it. */
export interface Format {
  readonly name: string;
  matches(piece: Piece, head: Buffer): boolean;
  scan(piece: Piece): Promise<void> | void;
}

const HEAD = 4096;
const LZ4 = 0x184d2204;
/** `<?xm` */
const EBCDIC = '\x4c\x6f\xa7\x94';
const NOTHING: Buffer = Buffer.alloc(4);
/** `PK\x03\x04` */
const ZIP_LOCAL = 0x04034b50;
const HDF5: Buffer = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1');
const HDF5_USER_BLOCK = 2 ** 20;

function starts(magic: string, offset: number = 0): Format['matches'] {
  const bytes = Buffer.from(magic, 'latin1');
  return (_, head) => head[offset] === bytes[0] && head.subarray(offset, offset + bytes.length).equals(bytes);
}

/** Most files are none of most formats, which their first letter says before anything is taken apart. */
function lettered(first: string, matches: Format['matches']): Format['matches'] {
  const bytes = new Set(Buffer.from(first, 'latin1'));
  return (piece, head) => bytes.has(head[0] ?? -1) && matches(piece, head);
}

function compressed(name: Compression, matches: Format['matches']): Format {
  return { name, matches, scan: (piece) => scanCompressed(piece, name) };
}

/** In order: the first that matches is the file's format. A name or an extension plays no part. */
const FORMATS: readonly Format[] = [
  { name: 'empty', matches: (piece) => piece.source.size === 0, scan: () => undefined },
  { name: 'numpy', matches: starts('\x93NUMPY'), scan: scanNumpy },
  compressed('gzip', starts('\x1f\x8b\x08')),
  compressed(
    'bzip2',
    lettered('B', (_, head) => /^BZh[1-9](1AY&SY|\x17rE8P\x90)/.test(head.toString('latin1', 0, 10))),
  ),
  compressed('xz', starts('\xfd7zXZ\0')),
  // `P`, `T`, `U`, `V` and `X` begin a frame to be skipped, and an instruction.
  {
    name: 'pickle',
    matches: (piece, head) => head.length >= 4 && isSkippedFrame(head.readUInt32LE(0)) && isPickle(piece, 0),
    scan: (piece) => scanPickle(piece),
  },
  compressed('zstd', (piece, head) => behindSkipped(piece, head).readUInt32LE(0) === ZSTD),
  compressed('lz4', (piece, head) => behindSkipped(piece, head).readUInt32LE(0) === LZ4),
  compressed(
    'zfile',
    lettered('Z', (_, head) => /^ZF0x[0-9a-f]+L? *x/.test(head.toString('latin1', 0, 64))),
  ),
  { name: 'gguf', matches: starts('GGUF'), scan: scanGguf },
  {
    name: 'ggml',
    matches: lettered('lftaJ', (_, head) => /^(lmgg|fmgg|tjgg|algg|JGGU)/.test(head.toString('latin1', 0, 4))),
    // Numbers and names of tensors, laid out as each model wants it: nothing in it is run.
    scan: scanOpaque,
  },
  { name: 'rds', matches: lettered('RXB', (_, head) => isRds(head)), scan: scanRds },
  {
    name: 'rds',
    matches: lettered('RA\n', (_, head) => isAsciiRds(head)),
    scan: (piece) => unsupported(piece, 'an R file written as text'),
  },
  { name: 'catboost', matches: starts('CBM1'), scan: scanCatBoost },
  { name: 'hdf5', matches: starts('\x89HDF\r\n\x1a\n'), scan: (piece) => scanHdf5(piece) },
  { name: '7z', matches: starts("7z\xbc\xaf'\x1c"), scan: scanSevenZip },
  { name: 'native', matches: (piece, head) => isNative(piece, head) && !isZip(piece, head), scan: scanNative },
  // Before zip: the last member of a tar archive may be one.
  { name: 'tar', matches: (piece) => isTarHeader(piece.source, 0), scan: scanTar },
  { name: 'zip', matches: isZip, scan: scanZip },
  { name: 'safetensors', matches: isSafetensors, scan: scanSafetensors },
  { name: 'pickle', matches: (piece, head) => isMarked(head) || isPickle(piece, 0), scan: (piece) => scanPickle(piece) },
  compressed('zlib', (piece, head) => isZlib(head) && inflates(head, piece)),
  compressed('lzma', isLzma),
  { name: 'tflite', matches: starts('TFL3', 4), scan: scanTflite },
  { name: 'tensorrt', matches: lettered('fpt', (_, head) => /^(ftrt|ptrt|trtf)/.test(head.toString('latin1', 0, 4))), scan: scanEngine },
  { name: 'json', matches: isJson, scan: scanJsonText },
  { name: 'xml', matches: isXml, scan: scanXml },
  { name: 'ebcdic', matches: starts(EBCDIC), scan: (piece) => unsupported(piece, 'XML in EBCDIC') },
  { name: 'utf-16', matches: isWide, scan: scanWide },
  { name: 'tensorflow-text', matches: isTextGraph, scan: scanTextGraph },
  { name: 'text', matches: isText, scan: scanPlain },
  // After everything that a user block could be by itself.
  { name: 'hdf5', matches: (piece) => userBlock(piece) > 0, scan: (piece) => scanHdf5(piece, userBlock(piece)) },
  { name: 'paddle', matches: isPaddle, scan: scanPaddle },
  { name: 'onnx', matches: isOnnx, scan: scanOnnx },
  { name: 'saved-model', matches: isSavedModel, scan: scanSavedModel },
  { name: 'tensorflow-graph', matches: isGraphDef, scan: scanGraphDef },
  { name: 'tensorflow-meta', matches: isMetaGraph, scan: scanMetaGraph },
  { name: 'coreml', matches: isCoreMl, scan: scanCoreMl },
  { name: 'protobuf', matches: isOverlong, scan: scanBroken },
];

/** What nothing above recognises. */
const OPAQUE: Format = { name: 'data', matches: () => true, scan: scanOpaque };

async function scanJsonText(piece: Piece): Promise<void> {
  await scanJson(piece);
  inspectMlflow(piece);
}

function scanPlain(piece: Piece): void {
  scanText(piece);
  inspectMlflow(piece);
  // Fields stand in any order: a graph may begin like any other text.
  if (holdsNodes(piece)) scanTextGraph(piece);
}

/** The format of a piece, by its bytes. */
export function formatOf(piece: Piece): Format {
  const head = piece.source.read(0, HEAD);
  return FORMATS.find((format) => format.matches(piece, head)) ?? OPAQUE;
}

/** Whatever a file is by its front, the HDF5 library finds a file behind a user block: a tensor or a text may be one. */
export async function scanBehindUserBlock(piece: Piece, { name }: Format): Promise<void> {
  if (name === 'hdf5' || piece.surrounding === 'torch') return;
  const start = userBlock(piece);
  if (start > 0) await scanHdf5(piece.part(start, piece.source.size));
}

function isZip(piece: Piece, head: Buffer): boolean {
  return (
    (head.length >= 4 && head.readUInt32LE(0) === ZIP_LOCAL) || findDirectories(piece.source, 1).some(({ entries }) => entries.length > 0)
  );
}

/** Bytes before the signature: 512 or a doubling of that (HDF5 File Format 3.0, II.A). 0 where there is none. */
function userBlock({ source }: Piece): number {
  for (let at = 512; at <= HDF5_USER_BLOCK && at + 8 <= source.size; at *= 2) if (source.read(at, 8).equals(HDF5)) return at;
  return 0;
}

function isSafetensors(piece: Piece, head: Buffer): boolean {
  // Text has letters where the length of the header would be; no header is that long.
  if (head.length < 10 || head.subarray(0, 8).every((byte) => byte >= 0x20 && byte < 0x7f)) return false;
  return head[8] === 0x7b && (head[9] === 0x22 || head[9] === 0x7d || head[9] === 0x20 || head[9] === 0x0a) && piece.source.size >= 10;
}

/** The four bytes that a decoder of frames begins with. */
function behindSkipped({ source, run }: Piece, head: Buffer): Buffer {
  if (head.length < 4) return NOTHING;
  let magic = head;
  for (let at = 0; isSkippedFrame(magic.readUInt32LE(0)); ) {
    run.spend(COST.stream);
    const frame = source.read(at, 8);
    if (frame.length < 8) return NOTHING;
    at += 8 + frame.readUInt32LE(4);
    magic = source.read(at, 4);
    if (magic.length < 4) return NOTHING;
  }
  return magic;
}

function unsupported(piece: Piece, what: string): void {
  piece.report('format-unsupported', what);
}

/** The two bytes of a zlib header come up by chance: the stream must inflate, too. */
function isZlib(head: Buffer): boolean {
  return head.length > 6 && head[0] === 0x78 && (0x7800 + (head[1] ?? 0)) % 31 === 0 && ((head[1] ?? 0) & 0x20) === 0;
}

function inflates(head: Buffer, piece: Piece): boolean {
  try {
    return (
      inflateSync(head, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 2 ** 24 }).length > 0 || piece.source.size <= head.length
    );
  } catch (error) {
    // A bomb is a zlib stream as well.
    return error instanceof RangeError;
  }
}

/** `.lzma` has no magic: properties, a dictionary of a usual size, a plausible length, and the range coder's first byte. */
function isLzma(_: Piece, head: Buffer): boolean {
  if (head.length < 18 || (head[0] ?? 255) >= 225 || head[13] !== 0) return false;
  const dictionary = head.readUInt32LE(1);
  const size = head.readBigUInt64LE(5);
  const usual = Number.isInteger(Math.log2(dictionary)) || Number.isInteger(Math.log2(dictionary / 3)) || dictionary === 0xffffffff;
  return dictionary >= 4096 && usual && (size === 2n ** 64n - 1n || size < 2n ** 38n);
}

function isJson(piece: Piece, head: Buffer): boolean {
  const text = head
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .trimStart();
  if (!isText(piece)) return false;
  return /^\{\s*("|\})/.test(text) || /^\[\s*(["{[\]\d-]|true|false|null)/.test(text);
}

function isXml(piece: Piece, head: Buffer): boolean {
  // Behind the mark of UTF-32 as well stands that of UTF-16.
  if (head[0] === 0xff && head[1] === 0xfe && head[2] === 0 && head[3] === 0) return false;
  const text =
    (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff)
      ? head.toString('latin1').replaceAll('\0', '').slice(2)
      : head.toString('utf8');
  return /^\ufeff?\s*<(\?xml|!DOCTYPE|PMML|net\b)/i.test(text) || isDeclarations(piece, text);
}

function isMarked(head: Buffer): boolean {
  return head.length > 2 && head[0] === 0x80 && (head[1] ?? 9) <= 5;
}
