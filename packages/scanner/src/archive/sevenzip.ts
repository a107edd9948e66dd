import { COST, LimitReached } from '../limits.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { type ByteSource, isZero } from '../source.ts';
import { type Filter, undoFilter } from './branch.ts';
import { decodeBzip2 } from './bzip2.ts';
import { searchSkipped } from './compressed.ts';
import { decodeZlib } from './deflate.ts';
import { decodeLzma2, LzmaDecoder } from './lzma.ts';
import { Damaged, Input, Output } from './output.ts';
import { checkName } from './paths.ts';
import { decodeZstd, type Skipped } from './zstd.ts';

/** Property identifiers of the header (7zFormat.txt). */
const ID = {
  end: 0,
  header: 1,
  archive: 2,
  additional: 3,
  streams: 4,
  files: 5,
  pack: 6,
  unpack: 7,
  substreams: 8,
  size: 9,
  crc: 10,
  folder: 11,
  codersSize: 12,
  numStreams: 13,
  names: 17,
  emptyStream: 14,
  encoded: 23,
} as const;
const METHOD = {
  copy: '00',
  lzma: '030101',
  lzma2: '21',
  deflate: '040108',
  bzip2: '040202',
  zstd: '04f71101',
  brotli: '04f71102',
  aes: '06f10701',
} as const;
const FILTERS: Readonly<Record<string, Filter>> = {
  '03': 'delta',
  '04': 'x86',
  '03030103': 'x86',
  '05': 'powerpc',
  '03030205': 'powerpc',
  '07': 'arm',
  '03030501': 'arm',
  '08': 'armthumb',
  '03030701': 'armthumb',
  '09': 'sparc',
  '03030805': 'sparc',
  '0a': 'arm64',
};
const HEADER_LIMIT = 64 * 2 ** 20;
const COUNT_LIMIT = 1_000_000;
const LZMA_REST = 16;

interface Folder {
  readonly methods: readonly { readonly id: string; readonly properties: Buffer }[];
  sizes: number[];
  streams: number;
  streamSizes: number[];
}

interface Streams {
  packPosition: number;
  packSizes: number[];
  folders: Folder[];
}

/** A 7z archive: every folder (a compressed run of files) is unpacked by LZMA, LZMA2, deflate, bzip2, zstd, brotli or copy, behind one filter, and each file in it scanned. */
export async function scanSevenZip(piece: Piece): Promise<void> {
  try {
    const start = piece.source.read(0, 32);
    if (start.length < 32) throw new Damaged('the archive is cut off');
    const offset = 32 + Number(start.readBigUInt64LE(12));
    const size = Number(start.readBigUInt64LE(20));
    if (size > HEADER_LIMIT || offset + size > piece.source.size) throw new Damaged('the header lies outside the archive');
    if (size > 0) await scanHeader(piece, piece.source.read(offset, size), 0);
    await scanTail(piece, offset + size);
  } catch (error) {
    if (!(error instanceof Damaged || error instanceof RangeError)) throw error;
    piece.report('archive-broken', error instanceof Damaged ? error.message : 'the 7z header is cut off');
  }
}

async function scanTail(piece: Piece, end: number): Promise<void> {
  const { source } = piece;
  if (end >= source.size || isZero(source, end, source.size)) return;
  piece.report('zip-hidden', `${source.size - end} bytes behind the archive`, end);
  await piece.inside(piece.part(end, source.size).source, `${piece.name}!tail`, end, 'hidden').scan();
}

async function scanHeader(piece: Piece, header: Buffer, depth: number): Promise<void> {
  const reader = new HeaderReader(header, piece);
  const kind = reader.number();
  if (kind === ID.encoded) {
    if (depth > 4) throw new Damaged('headers nest too deep');
    const streams = readStreams(reader);
    const [folder] = streams.folders;
    if (folder === undefined) throw new Damaged('the header has no folder');
    using output = await unpack(piece, 32 + streams.packPosition, streams.packSizes[0] ?? 0, folder);
    if (output === null) return;
    await scanHeader(piece, output.source().read(0, HEADER_LIMIT), depth + 1);
    return;
  }
  if (kind !== ID.header) throw new Damaged('no 7z header');
  let streams: Streams = { packPosition: 0, packSizes: [], folders: [] };
  let names: string[] = [];
  for (let id = reader.number(); id !== ID.end; id = reader.number()) {
    if (id === ID.archive) skipProperties(reader);
    else if (id === ID.streams) streams = readStreams(reader);
    else if (id === ID.additional) readStreams(reader);
    else if (id === ID.files) names = readFiles(reader);
    else throw new Damaged(`an unknown header part ${id}`);
  }
  for (const name of names) checkName(piece, name, 0);
  await scanFolders(piece, streams, names);
}

async function scanFolders(piece: Piece, streams: Streams, names: readonly string[]): Promise<void> {
  let file = 0;
  let position = 32 + streams.packPosition;
  for (const [index, folder] of streams.folders.entries()) {
    piece.run.checkTime();
    const packed = streams.packSizes[index] ?? 0;
    using output = await unpack(piece, position, packed, folder);
    position += packed;
    if (output === null) {
      file += folder.streams;
      continue;
    }
    const source = output.source();
    let at = 0;
    for (const size of folder.streamSizes) {
      const name = quote(names[file] ?? `file ${file}`);
      await piece.inside(slice(source, at, size), name, null).scan();
      at += size;
      file += 1;
    }
  }
}

function slice(source: ByteSource, start: number, length: number): ByteSource {
  const size = Math.max(0, Math.min(length, source.size - start));
  return {
    size,
    read: (offset, wanted) => source.read(start + offset, Math.max(0, Math.min(wanted, size - offset))),
    readInto: (offset, target) => source.readInto(start + offset, target.subarray(0, Math.max(0, size - offset))),
  };
}

/** Unpacks one folder; null, with a finding, where its method is not supported or it is encrypted. */
async function unpack(piece: Piece, position: number, packed: number, folder: Folder): Promise<Output | null> {
  const ids = folder.methods.map(({ id }) => id);
  if (ids.includes(METHOD.aes)) {
    piece.report('archive-encrypted', 'the archive is encrypted', position);
    return null;
  }
  // A branch filter behind the compressor, in whichever order the two are listed.
  const filter = folder.methods.length === 2 ? ids.findIndex((id) => Object.hasOwn(FILTERS, id)) : -1;
  const method = folder.methods[filter < 0 ? 0 : 1 - filter];
  const size = folder.sizes[filter < 0 ? 0 : 1 - filter] ?? 0;
  if (method === undefined || (folder.methods.length !== 1 && filter < 0)) {
    piece.report('archive-method', `compressed by a chain of methods (${quote(ids.join(', '))})`, position);
    return null;
  }
  const output = new Output(piece, packed, size);
  const input = piece.part(position, position + packed);
  const skipped: Skipped = [];
  try {
    const consumed = await decode(method.id, method.properties, input.source, output, size, skipped);
    if (consumed === null) {
      piece.report('archive-method', `compressed by the method ${quote(method.id)}`, position);
      output[Symbol.dispose]();
      return null;
    }
    if (output.size !== size) piece.report('archive-broken', `${output.size} bytes where ${size} are announced`, position);
    await searchRest(input, consumed);
  } catch (error) {
    if (error instanceof LimitReached) piece.report(error.rule, error.message, position);
    else if (!(error instanceof Damaged)) throw error;
    // Writers leave the end of a brotli stream out.
    else if (method.id !== METHOD.brotli || output.size !== size) piece.report('archive-broken', error.message, position);
  }
  await searchSkipped(input, skipped);
  return filter < 0 ? output : unfilter(piece, output, FILTERS[ids[filter] ?? ''] ?? 'x86', folder.methods[filter]?.properties[0] ?? 0);
}

/** Decoders differ in whether they read on behind what ends a stream. */
async function searchRest(piece: Piece, consumed: number): Promise<void> {
  const { source } = piece;
  if (isZero(source, consumed, source.size)) return;
  piece.report('zip-hidden', `${source.size - consumed} bytes behind the compressed stream`, consumed);
  await piece.inside(piece.part(consumed, source.size).source, `${piece.name}!tail`, consumed, 'hidden').scan();
}

/** The whole folder goes through memory here; the limit on it is the one for decompressed bytes in memory. */
function unfilter(piece: Piece, filtered: Output, filter: Filter, property: number): Output {
  using held = filtered;
  const bytes = held.whole();
  const output = new Output(piece, held.size);
  undoFilter(filter, bytes, property);
  output.write(bytes);
  return output;
}

/** Gives the number of bytes read; null for a method that is not supported. */
async function decode(
  method: string,
  properties: Buffer,
  source: ByteSource,
  output: Output,
  size: number,
  skipped: Skipped,
): Promise<number | null> {
  const input = new Input(source);
  if (method === METHOD.copy) {
    for (let offset = 0; offset < source.size; offset += 2 ** 20) output.write(Buffer.from(source.read(offset, 2 ** 20)));
    return source.size;
  }
  if (method === METHOD.lzma) {
    const decoder = new LzmaDecoder(input, output, Math.min(properties.readUInt32LE(1), Math.max(4096, size)));
    decoder.reset(properties[0] ?? 0);
    decoder.startRange();
    decoder.decode(size);
    // An end marker and what the range coder has not asked for may be left.
    return Math.min(input.position + LZMA_REST, source.size);
  }
  if (method === METHOD.lzma2) {
    const code = properties[0] ?? 41;
    if (code > 40) throw new Damaged('an LZMA2 dictionary too large');
    decodeLzma2(input, output, Math.min(code === 40 ? 2 ** 32 - 1 : (2 | (code & 1)) * 2 ** ((code >> 1) + 11), Math.max(4096, size)));
  } else if (method === METHOD.bzip2) decodeBzip2(input, output);
  else if (method === METHOD.deflate) return await decodeZlib('raw', source, output);
  else if (method === METHOD.zstd) return await decodeZstd(source, output, skipped);
  else if (method === METHOD.brotli) return await decodeZlib('brotli', source, output);
  else return null;
  return input.position;
}

/** A header of 64 MiB may be packed into a few hundred bytes: what it announces is paid for as it is read. */
class HeaderReader {
  readonly #bytes: Buffer;
  readonly #piece: Piece;
  #at: number = 0;

  constructor(bytes: Buffer, piece: Piece) {
    this.#bytes = bytes;
    this.#piece = piece;
  }

  spend(cost: number): void {
    this.#piece.run.spend(cost);
  }

  byte(): number {
    const byte = this.bytes(1)[0];
    return byte ?? 0;
  }

  bytes(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new Damaged('the 7z header is cut off');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** A number whose first byte says by its leading ones how many bytes follow. */
  number(): number {
    this.spend(COST.field);
    const first = this.byte();
    let mask = 0x80;
    let value = 0;
    for (let index = 0; index < 8; index += 1) {
      if ((first & mask) === 0) return value + (first & (mask - 1)) * 2 ** (8 * index);
      value += this.byte() * 2 ** (8 * index);
      mask >>= 1;
    }
    return value;
  }

  /** A count of things that each take at least a byte of the header. */
  count(): number {
    const count = this.number();
    if (count > Math.min(COUNT_LIMIT, this.#bytes.length - this.#at)) throw new Damaged(`${count} parts`);
    return count;
  }

  /** Bits, or a byte that says that all are set. */
  optionalBits(count: number): boolean[] {
    return this.byte() === 0 ? bits(this.bytes(Math.ceil(count / 8)), count) : Array.from({ length: count }, () => true);
  }
}

function bits(bytes: Buffer, count: number): boolean[] {
  if (bytes.length < count / 8) throw new Damaged('the 7z header is cut off');
  return Array.from({ length: count }, (_, index) => ((bytes[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0);
}

function skipProperties(reader: HeaderReader): void {
  for (let id = reader.number(); id !== ID.end; id = reader.number()) reader.bytes(reader.number());
}

function readStreams(reader: HeaderReader): Streams {
  const streams: Streams = { packPosition: 0, packSizes: [], folders: [] };
  for (let id = reader.number(); id !== ID.end; id = reader.number()) {
    if (id === ID.pack) readPack(reader, streams);
    else if (id === ID.unpack) readFolders(reader, streams);
    else if (id === ID.substreams) readSubstreams(reader, streams);
    else throw new Damaged(`an unknown stream part ${id}`);
  }
  return streams;
}

function readPack(reader: HeaderReader, streams: Streams): void {
  streams.packPosition = reader.number();
  const count = reader.count();
  for (let id = reader.number(); id !== ID.end; id = reader.number()) {
    if (id === ID.size) streams.packSizes = Array.from({ length: count }, () => reader.number());
    else if (id === ID.crc) skipDigests(reader, count);
    else throw new Damaged(`an unknown pack part ${id}`);
  }
}

function skipDigests(reader: HeaderReader, count: number): void {
  reader.bytes(4 * reader.optionalBits(count).filter(Boolean).length);
}

function readFolders(reader: HeaderReader, streams: Streams): void {
  if (reader.number() !== ID.folder) throw new Damaged('no folders');
  const count = reader.count();
  if (reader.byte() !== 0) throw new Damaged('folders outside the header');
  for (let index = 0; index < count; index += 1) {
    reader.spend(COST.member);
    streams.folders.push(readFolder(reader));
  }
  if (reader.number() !== ID.codersSize) throw new Damaged('no sizes of folders');
  for (const folder of streams.folders) {
    folder.sizes = folder.methods.map(() => reader.number());
    // The first coder's output is the folder's; a filter in front of the compressor keeps its size.
    folder.streamSizes = [folder.sizes[0] ?? 0];
  }
  for (let id = reader.number(); id !== ID.end; id = reader.number()) {
    if (id !== ID.crc) throw new Damaged(`an unknown folder part ${id}`);
    skipDigests(reader, count);
  }
}

function readFolder(reader: HeaderReader): Folder {
  const methods: { id: string; properties: Buffer }[] = [];
  let inputs = 0;
  let outputs = 0;
  const coders = reader.count();
  if (coders < 1 || coders > 32) throw new Damaged('an invalid number of coders');
  for (let index = 0; index < coders; index += 1) {
    const flags = reader.byte();
    const id = reader.bytes(flags & 15).toString('hex');
    const complex = (flags & 0x10) !== 0;
    inputs += complex ? reader.count() : 1;
    outputs += complex ? reader.count() : 1;
    methods.push({ id, properties: (flags & 0x20) !== 0 ? reader.bytes(reader.number()) : Buffer.alloc(0) });
  }
  const bound = outputs - 1;
  for (let index = 0; index < bound; index += 1) {
    reader.number();
    reader.number();
  }
  const packed = inputs - bound;
  if (packed > 1) for (let index = 0; index < packed; index += 1) reader.number();
  return { methods, sizes: [], streams: 1, streamSizes: [] };
}

function readSubstreams(reader: HeaderReader, streams: Streams): void {
  let id = reader.number();
  if (id === ID.numStreams) {
    for (const folder of streams.folders) folder.streams = reader.count();
    id = reader.number();
  }
  for (const folder of streams.folders) {
    const total = folder.sizes[0] ?? 0;
    const sizes: number[] = [];
    // The last file of a folder takes what is left.
    for (let index = 0; id === ID.size && index < folder.streams - 1; index += 1) sizes.push(reader.number());
    if (folder.streams > 0) sizes.push(Math.max(0, total - sizes.reduce((sum, size) => sum + size, 0)));
    folder.streamSizes = sizes;
  }
  if (id === ID.size) id = reader.number();
  for (; id !== ID.end; id = reader.number()) {
    if (id !== ID.crc) throw new Damaged(`an unknown part of files ${id}`);
    skipDigests(
      reader,
      streams.folders.reduce((sum, folder) => sum + folder.streams, 0),
    );
  }
}

/** Names of the files that have content, in the order of their streams. */
function readFiles(reader: HeaderReader): string[] {
  const count = reader.count();
  let names: string[] = [];
  let empty: boolean[] = [];
  for (let id = reader.number(); id !== ID.end; id = reader.number()) {
    const data = reader.bytes(reader.number());
    if (id === ID.names) names = data.toString('utf16le', 1).split('\0', count);
    else if (id === ID.emptyStream) empty = bits(data, count);
  }
  return names.filter((_, index) => empty[index] !== true);
}
