import type { ByteSource } from '../source.ts';

/** One member, as a central directory or a local header describes it. Offsets are those of the source. */
export interface ZipEntry {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly compressed: number;
  readonly size: number;
  /** Offset of the local header. */
  readonly header: number;
  /** Unix mode of the central directory, 0 where it has none. */
  readonly mode: number;
}

/** A local header, with where its data begins. */
export interface LocalEntry extends ZipEntry {
  readonly data: number;
  readonly sound: boolean;
}

/** A central directory that an end record points to. */
export interface ZipDirectory {
  readonly entries: readonly ZipEntry[];
  readonly start: number;
  /** After the end record and its comment. */
  readonly end: number;
  readonly announced: number;
  readonly broken: boolean;
}

const END = Buffer.from('PK\x05\x06', 'latin1');
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const MAX_32 = 0xffffffff;
const END_SIZE = 22;
const MAX_ENDS = 32;

/** Every central directory that some end record of the last 64 KiB leads to, the last one first (APPNOTE.TXT 6.3.10, 4.3). */
export function findDirectories(source: ByteSource, maxEntries: number): ZipDirectory[] {
  const tailStart = Math.max(0, source.size - END_SIZE - 65_535);
  const tail = source.read(tailStart, source.size - tailStart);
  const found: ZipDirectory[] = [];
  let at = tail.lastIndexOf(END);
  for (let count = 0; at >= 0 && count < MAX_ENDS; count += 1) {
    const directory =
      at + END_SIZE <= tail.length ? readDirectory(source, tail.subarray(at, at + END_SIZE), tailStart + at, maxEntries) : null;
    // An archive that is stored as a member has an end record of its own, which is looked at with the member.
    if (directory !== null && !found.some((outer) => isMember(source, outer, tailStart + at))) found.push(directory);
    if (at === 0) break;
    at = tail.lastIndexOf(END, at - 1);
  }
  return found;
}

function isMember(source: ByteSource, { entries }: ZipDirectory, offset: number): boolean {
  return entries.some(({ header, compressed }) => header < offset && offset < (readLocal(source, header)?.data ?? header) + compressed);
}

function readDirectory(source: ByteSource, end: Buffer, offset: number, maxEntries: number): ZipDirectory | null {
  let announced = end.readUInt16LE(10);
  let size = end.readUInt32LE(12);
  let start = end.readUInt32LE(16);
  let limit = offset;
  const locator = offset >= 20 ? source.read(offset - 20, 20) : Buffer.alloc(0);
  if (locator.length === 20 && locator.readUInt32LE(0) === LOCATOR_64) {
    const record = source.read(Number(locator.readBigUInt64LE(8)), 56);
    if (record.length === 56 && record.readUInt32LE(0) === END_64) {
      announced = Number(record.readBigUInt64LE(32));
      size = Number(record.readBigUInt64LE(40));
      start = Number(record.readBigUInt64LE(48));
      limit = Number(locator.readBigUInt64LE(8));
    }
  }
  // Readers take the directory to end where the end record begins; what stands before the archive shifts every offset.
  const real = limit - size;
  if (real < 0 || size < 0) return announced === 0 ? null : empty(offset, announced);
  const shift = real - start;
  const entries = readEntries(source, real, limit, Math.max(shift, 0), maxEntries);
  return {
    entries,
    start: real,
    end: offset + END_SIZE + end.readUInt16LE(20),
    announced,
    broken: entries.length !== announced,
  };
}

function empty(offset: number, announced: number): ZipDirectory {
  return { entries: [], start: offset, end: offset + END_SIZE, announced, broken: true };
}

function readEntries(source: ByteSource, start: number, end: number, shift: number, maxEntries: number): ZipEntry[] {
  const entries: ZipEntry[] = [];
  for (let offset = start; offset + 46 <= end && entries.length <= maxEntries; ) {
    const head = source.read(offset, 46);
    if (head.length < 46 || head.readUInt32LE(0) !== CENTRAL) break;
    const nameLength = head.readUInt16LE(28);
    const extraLength = head.readUInt16LE(30);
    const rest = source.read(offset + 46, nameLength + extraLength);
    const sizes = zip64(rest.subarray(nameLength), [head.readUInt32LE(24), head.readUInt32LE(20), head.readUInt32LE(42)]);
    entries.push({
      name: rest.toString('utf8', 0, nameLength),
      flags: head.readUInt16LE(8),
      method: head.readUInt16LE(10),
      crc: head.readUInt32LE(16),
      size: sizes[0] ?? 0,
      compressed: sizes[1] ?? 0,
      header: (sizes[2] ?? 0) + shift,
      mode: head.readUInt32LE(38) >>> 16,
    });
    offset += 46 + nameLength + extraLength + head.readUInt16LE(32);
  }
  return entries;
}

/** The local header at `offset`, read as one whatever its signature says; null where it does not fit the file. */
export function readLocal(source: ByteSource, offset: number): LocalEntry | null {
  const head = source.read(offset, 30);
  if (head.length < 30) return null;
  const nameLength = head.readUInt16LE(26);
  const extraLength = head.readUInt16LE(28);
  const data = offset + 30 + nameLength + extraLength;
  if (data > source.size) return null;
  const rest = source.read(offset + 30, nameLength + extraLength);
  const sizes = zip64(rest.subarray(nameLength), [head.readUInt32LE(22), head.readUInt32LE(18)]);
  return {
    name: rest.toString('utf8', 0, nameLength),
    flags: head.readUInt16LE(6),
    method: head.readUInt16LE(8),
    crc: head.readUInt32LE(14),
    size: sizes[0] ?? 0,
    compressed: sizes[1] ?? 0,
    header: offset,
    mode: 0,
    data,
    sound: head.readUInt32LE(0) === LOCAL,
  };
}

/** Values that are all ones stand in the ZIP64 extra field, in this order. */
function zip64(extra: Buffer, values: readonly number[]): number[] {
  const resolved = [...values];
  for (let at = 0; at + 4 <= extra.length; ) {
    const length = extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === 1) {
      let field = at + 4;
      for (const [index, value] of resolved.entries()) {
        if (value !== MAX_32 || field + 8 > Math.min(extra.length, at + 4 + length)) continue;
        resolved[index] = Number(extra.readBigUInt64LE(field));
        field += 8;
      }
    }
    at += 4 + length;
  }
  return resolved;
}
