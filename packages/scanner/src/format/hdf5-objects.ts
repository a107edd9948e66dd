import type { Piece } from '../piece.ts';
import type { ByteSource } from '../source.ts';

/** What lies outside the file: a link to an object of another file, or a dataset whose bytes or parts are in one. */
export type External = (what: 'link' | 'storage' | 'dataset', target: string) => void;

const UNDEFINED = 2n ** 64n - 1n;
const SMALLEST = 128;
const MAX_OBJECTS = 200_000;
const MESSAGE = { link: 0x06, externalFiles: 0x07, layout: 0x08, continuation: 0x10, symbolTable: 0x11 } as const;
const EXTERNAL_LINK = 64;
const VIRTUAL = 3;
/** Bytes of the mappings of a virtual dataset that are read. */
const MAPPINGS = 16 * 2 ** 20;

/** Offsets and lengths are 8 bytes in every file that h5py writes; other widths are not followed. */
interface Reader {
  readonly source: ByteSource;
  readonly seen: Set<number>;
  readonly queue: number[];
  readonly external: External;
  readonly broken: (message: string) => void;
}

/**
 * Follows the object headers from the root group (HDF5 File Format Specification 3.0): groups by symbol table and by link message, and the
 * external file list of datasets. Groups kept in fractal heaps (more than a handful of links, `libver='latest'`) are searched as bytes.
 */
export function scanObjectHeaders(piece: Piece, external: External): void {
  const { source } = piece;
  const root = rootAddress(source);
  if (root === null) {
    // What is too short for a superblock and one object cannot hold a link.
    if (source.size < SMALLEST) return;
    piece.report('hdf5-broken', 'the superblock is invalid');
    return;
  }
  const reader: Reader = { source, seen: new Set(), queue: [root], external, broken: (message) => piece.report('hdf5-broken', message) };
  for (let next = reader.queue.pop(); next !== undefined; next = reader.queue.pop()) {
    if (reader.seen.has(next) || reader.seen.size > MAX_OBJECTS) continue;
    reader.seen.add(next);
    piece.run.checkTime();
    readObject(reader, next);
  }
  scanHeaps(piece, reader);
}

function rootAddress(source: ByteSource): number | null {
  const block = source.read(0, 128);
  const version = block[8] ?? 255;
  if (version <= 1) {
    if (block.length < 96 || block[13] !== 8 || block[14] !== 8) return null;
    // Base, free space, end and driver addresses, then the root's symbol table entry: name offset, header address.
    return address(block.readBigUInt64LE((version === 0 ? 24 : 28) + 32 + 8));
  }
  if (version > 3 || block.length < 48 || block[9] !== 8) return null;
  return address(block.readBigUInt64LE(36));
}

function address(value: bigint): number | null {
  return value === UNDEFINED || value > BigInt(Number.MAX_SAFE_INTEGER) ? null : Number(value);
}

function push(reader: Reader, value: bigint): void {
  const at = address(value);
  if (at !== null && at < reader.source.size) reader.queue.push(at);
}

function readObject(reader: Reader, at: number): void {
  const head = reader.source.read(at, 24);
  if (head.length < 16) return;
  if (head.toString('latin1', 0, 4) === 'OHDR') readVersion2(reader, at, head);
  else if (head[0] === 1) readVersion1(reader, at + 16, head.readUInt32LE(8), 0);
}

function readVersion1(reader: Reader, start: number, length: number, depth: number): void {
  const block = reader.source.read(start, Math.min(length, 2 ** 20));
  for (let at = 0; at + 8 <= block.length; ) {
    const type = block.readUInt16LE(at);
    const size = block.readUInt16LE(at + 2);
    const data = block.subarray(at + 8, at + 8 + size);
    readMessage(reader, type, data);
    if (type === MESSAGE.continuation && data.length >= 16 && depth < 32) {
      const from = address(data.readBigUInt64LE(0));
      if (from !== null) readVersion1(reader, from, Number(data.readBigUInt64LE(8)), depth + 1);
    }
    at += 8 + size;
  }
}

function readVersion2(reader: Reader, at: number, head: Buffer): void {
  const flags = head[5] ?? 0;
  const start = at + 6 + ((flags & 0x20) !== 0 ? 16 : 0) + ((flags & 0x10) !== 0 ? 4 : 0);
  const width = 1 << (flags & 3);
  const size = reader.source.read(start, 8);
  if (size.length < width) return;
  readMessages2(reader, start + width, Number(size.readUIntLE(0, Math.min(width, 6))), flags, 0);
}

function readMessages2(reader: Reader, start: number, length: number, flags: number, depth: number): void {
  const block = reader.source.read(start, Math.min(length, 2 ** 20));
  const header = (flags & 4) !== 0 ? 6 : 4;
  for (let at = 0; at + header <= block.length; ) {
    const type = block[at] ?? 0;
    const size = block.readUInt16LE(at + 1);
    const data = block.subarray(at + header, at + header + size);
    readMessage(reader, type, data);
    if (type === MESSAGE.continuation && data.length >= 16 && depth < 32) {
      const from = address(data.readBigUInt64LE(0));
      // A continuation block begins with its signature and ends with a checksum.
      if (from !== null) readMessages2(reader, from + 4, Number(data.readBigUInt64LE(8)) - 8, flags, depth + 1);
    }
    at += header + size;
  }
}

function readMessage(reader: Reader, type: number, data: Buffer): void {
  if (type === MESSAGE.symbolTable && data.length >= 16) readGroup(reader, data.readBigUInt64LE(0));
  else if (type === MESSAGE.link) readLink(reader, data);
  else if (type === MESSAGE.externalFiles && data.length >= 16) reader.external('storage', externalName(reader, data));
  else if (type === MESSAGE.layout && (data[0] ?? 0) >= 4 && data[1] === VIRTUAL && data.length >= 14) readVirtual(reader, data);
}

/**
 * A dataset that is put together from others (layout class 3). The list of mappings (III.F): a version, how many, then of each the name of a
 * file, `.` for this one, of a dataset, and two selections. A list that cannot be read to its end is said to be broken.
 */
function readVirtual(reader: Reader, data: Buffer): void {
  const collection = data.readBigUInt64LE(2);
  // None yet.
  if (collection === UNDEFINED) return;
  const list = heapObject(reader, collection, data.readUInt32LE(10));
  if (list === null || list.length < 9 || list[0] !== 0) {
    reader.broken('the mappings of a virtual dataset cannot be read');
    return;
  }
  let at = 9;
  for (let left = list.readBigUInt64LE(1); left > 0n; left -= 1n) {
    const file = list.indexOf(0, at);
    const dataset = file < 0 ? -1 : list.indexOf(0, file + 1);
    if (dataset >= 0 && list.toString('utf8', at, file) !== '.') {
      reader.external('dataset', list.toString('utf8', at, file));
      return;
    }
    const source = dataset < 0 ? -1 : selectionEnd(list, dataset + 1);
    at = source < 0 ? -1 : selectionEnd(list, source);
    if (at < 0) {
      reader.broken('the mappings of a virtual dataset end before the last, or are of an unknown kind');
      return;
    }
  }
}

const SELECTION = { none: 0, points: 1, slab: 2, all: 3 } as const;

/** Where a dataspace selection that begins at `at` ends (VII.B); -1 where that is not known or outside of the list. */
function selectionEnd(list: Buffer, at: number): number {
  if (at + 16 > list.length) return -1;
  const type = list.readUInt32LE(at);
  const version = list.readUInt32LE(at + 4);
  if (type > SELECTION.all || version < 1 || version > 3) return -1;
  let end = at + 16;
  if ((type === SELECTION.points || type === SELECTION.slab) && version === 1) end += list.readUInt32LE(at + 12);
  else if (type === SELECTION.slab && version === 2) {
    if (at + 17 > list.length) return -1;
    // Flags, then a length.
    end = at + 13 + list.readUInt32LE(at + 9);
  } else if (type === SELECTION.points || type === SELECTION.slab) {
    const flags = type === SELECTION.slab ? 1 : 0;
    const width = list[at + 8 + flags] ?? 0;
    const head = at + 9 + flags;
    if (![2, 4, 8].includes(width) || head + 4 + width > list.length) return -1;
    const rank = list.readUInt32LE(head);
    const regular = flags === 1 && ((list[at + 8] ?? 0) & 1) === 1;
    if (regular) end = head + 4 + 4 * rank * width;
    else end = head + 4 + width + list.readUIntLE(head + 4, Math.min(width, 6)) * rank * width * (flags + 1);
  }
  return end <= list.length ? end : -1;
}

/** An object of a global heap collection (III.E). */
function heapObject(reader: Reader, collection: bigint, index: number): Buffer | null {
  const start = address(collection);
  const head = start === null ? Buffer.alloc(0) : reader.source.read(start, 16);
  if (start === null || head.length < 16 || head.toString('latin1', 0, 4) !== 'GCOL') return null;
  const end = Math.min(start + Number(head.readBigUInt64LE(8)), reader.source.size);
  for (let at = start + 16; at + 16 <= end; ) {
    const object = reader.source.read(at, 16);
    if (object.length < 16) return null;
    const size = Number(object.readBigUInt64LE(8));
    if (object.readUInt16LE(0) === index) return reader.source.read(at + 16, Math.min(size, MAPPINGS));
    if (object.readUInt16LE(0) === 0) return null;
    at += 16 + Math.ceil(size / 8) * 8;
  }
  return null;
}

/** The local heap that holds the names, then the names themselves. */
function externalName(reader: Reader, data: Buffer): string {
  const heap = address(data.readBigUInt64LE(8));
  const head = heap === null ? Buffer.alloc(0) : reader.source.read(heap, 32);
  const segment = head.length === 32 ? address(head.readBigUInt64LE(24)) : null;
  if (segment === null) return '?';
  return /[^\0]+/.exec(reader.source.read(segment, 1024).toString('utf8'))?.[0] ?? '?';
}

function readLink(reader: Reader, data: Buffer): void {
  const flags = data[1] ?? 0;
  let at = 2;
  const typed = (flags & 8) !== 0;
  const kind = typed ? (data[at] ?? 0) : 0;
  if (typed) at += 1;
  at += ((flags & 4) !== 0 ? 8 : 0) + ((flags & 16) !== 0 ? 1 : 0);
  const width = 1 << (flags & 3);
  if (at + width > data.length) return;
  const name = data.readUIntLE(at, Math.min(width, 6));
  at += width + name;
  if (kind === 0 && at + 8 <= data.length) push(reader, data.readBigUInt64LE(at));
  else if (kind === EXTERNAL_LINK)
    reader.external(
      'link',
      data
        .toString('utf8', Math.min(data.length, at + 3))
        .split('\0')
        .join(' '),
    );
}

/** An old-style group: a tree of symbol table nodes. A soft link has the cache type 2; an external one is a link message. */
function readGroup(reader: Reader, tree: bigint): void {
  const at = address(tree);
  if (at === null || reader.seen.has(-at - 1)) return;
  reader.seen.add(-at - 1);
  const head = reader.source.read(at, 24);
  const signature = head.toString('latin1', 0, 4);
  if (head.length < 24) return;
  if (signature === 'TREE') {
    const used = head.readUInt16LE(6);
    const entries = reader.source.read(at + 24, used * 16 + 8);
    for (let index = 0; index < used && 16 + index * 16 <= entries.length; index += 1)
      readGroup(reader, entries.readBigUInt64LE(8 + index * 16));
  } else if (signature === 'SNOD') {
    const count = head.readUInt16LE(6);
    const entries = reader.source.read(at + 8, count * 40);
    for (let index = 0; index * 40 + 16 <= entries.length; index += 1) push(reader, entries.readBigUInt64LE(index * 40 + 8));
  }
}

const HEAP = Buffer.from('FHDB', 'latin1');
const WINDOW = 2 ** 20;
const HEAP_SAMPLE = 65_536;
const LINK_LIMIT = 2048;

/** Direct blocks of fractal heaps hold link messages one after another: every place in one that reads as an external link is tried. */
function scanHeaps(piece: Piece, reader: Reader): void {
  for (let base = 0; base < piece.source.size; base += WINDOW) {
    piece.run.checkTime();
    const window = piece.source.read(base, WINDOW + HEAP_SAMPLE);
    // Blocks closer to one another than half of what is read are read together.
    for (let at = window.indexOf(HEAP); at >= 0 && at < WINDOW; at = window.indexOf(HEAP, at + HEAP_SAMPLE / 2)) {
      const block = window.subarray(at, at + HEAP_SAMPLE);
      for (let start = block.indexOf(EXTERNAL_LINK); start >= 2; start = block.indexOf(EXTERNAL_LINK, start + 1))
        if (block[start - 2] === 1 && ((block[start - 1] ?? 0) & 0xe8) === 8)
          readLink(reader, block.subarray(start - 2, start + LINK_LIMIT));
    }
  }
}
