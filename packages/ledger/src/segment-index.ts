import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Entry } from './entry.ts';
import { isCode } from './files.ts';
import { type Segment, segmentName } from './segment.ts';
import type { FramePlace } from './segment-read.ts';

/**
 * Where in one closed segment which values are (docs/ledger.md, 'The index'). A segment never changes once it is closed, so its index is
 * written once, and may be thrown away at any time: `readEntries` makes it anew. It only says where to look: what is found there is read
 * and compared again, and it holds 32-bit hashes instead of values.
 *
 * Little endian: header (magic, entries, terms, bytes of postings, frames, 0, first and last time), frames (where each and its entries
 * end, u32 each), hashes of terms in ascending order (u32 each), ends of their postings (u32 each), postings (positions in the segment,
 * ascending, as LEB128 differences).
 */
const MAGIC = 0x3258_4453; // 'SDX2'
const HEADER_BYTES = 40;
const FRAME_BYTES = 8;
const DIRECTORY = 'index';

/** The members of an entry that can be asked for, by the names of `EntryFilter`. */
export type Term = readonly [field: string, value: string];

export function termsOf(entry: Entry): Term[] {
  const { principal, source, model, digest } = entry;
  const terms: Term[] = [
    ['id', entry.id],
    ['kind', entry.kind],
    ['action', entry.action],
    ['outcome', entry.outcome],
  ];
  const add = (field: string, value: string | null | undefined): void => {
    if (value !== null && value !== undefined) terms.push([field, value]);
  };
  add('principal', principal?.id);
  add('tenant', principal?.tenant);
  add('credential', principal?.credential);
  add('ip', source?.ip);
  add('resource', entry.resource);
  add('model', model?.name);
  add('fault', entry.fault);
  add('digest', digest.prompt);
  add('digest', digest.reply);
  for (const { detector, category } of entry.verdicts) {
    add('finding', detector);
    add('finding', category);
  }
  for (const name in entry.detail) add('detail', name);
  return terms;
}

/** FNV-1a over UTF-16 units. Whoever makes values collide makes his own queries slower, nothing else. */
export function hashTerm(field: string, value: string): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < field.length; i += 1) hash = Math.imul(hash ^ field.charCodeAt(i), 0x0100_0193);
  hash = Math.imul(hash ^ 0xff, 0x0100_0193);
  for (let i = 0; i < value.length; i += 1) hash = Math.imul(hash ^ value.charCodeAt(i), 0x0100_0193);
  // A last mixing, so that hashes are spread evenly: the search below relies on it for its speed.
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85eb_ca6b);
  hash ^= hash >>> 13;
  return hash >>> 0;
}

/** Gathers the terms of a segment's entries, in their order. */
export class IndexBuilder {
  readonly #postings = new Map<number, number[]>();
  readonly #frames: FramePlace[] = [];
  #entries = 0;
  #first = Number.POSITIVE_INFINITY;
  #last = Number.NEGATIVE_INFINITY;

  add(entry: Entry): void {
    const position = this.#entries;
    this.#entries += 1;
    const time = Date.parse(entry.time);
    if (time < this.#first) this.#first = time;
    if (time > this.#last) this.#last = time;
    for (const [field, value] of termsOf(entry)) {
      const hash = hashTerm(field, value);
      const positions = this.#postings.get(hash);
      if (positions === undefined) this.#postings.set(hash, [position]);
      else if (positions[positions.length - 1] !== position) positions.push(position);
    }
  }

  /** The entries added so far end where a frame of the segment does; null where they do not. */
  frame(end: number | null): void {
    if (end !== null) this.#frames.push({ end, lines: this.#entries });
  }

  bytes(): Buffer {
    const hashes = Uint32Array.from(this.#postings.keys()).sort();
    const bytes: number[] = [];
    const ends = new Uint32Array(hashes.length);
    for (const [index, hash] of hashes.entries()) {
      let before = -1;
      for (const position of this.#postings.get(hash) ?? []) {
        pushLeb128(bytes, position - before - 1);
        before = position;
      }
      ends[index] = bytes.length;
    }
    const terms = HEADER_BYTES + this.#frames.length * FRAME_BYTES;
    const out = Buffer.alloc(terms + hashes.length * 8 + bytes.length);
    out.writeUInt32LE(MAGIC, 0);
    out.writeUInt32LE(this.#entries, 4);
    out.writeUInt32LE(hashes.length, 8);
    out.writeUInt32LE(bytes.length, 12);
    out.writeUInt32LE(this.#frames.length, 16);
    out.writeDoubleLE(this.#first, 24);
    out.writeDoubleLE(this.#last, 32);
    for (const [index, { end, lines }] of this.#frames.entries()) {
      out.writeUInt32LE(end, HEADER_BYTES + index * FRAME_BYTES);
      out.writeUInt32LE(lines, HEADER_BYTES + index * FRAME_BYTES + 4);
    }
    for (const [index, hash] of hashes.entries()) out.writeUInt32LE(hash, terms + index * 4);
    for (const [index, end] of ends.entries()) out.writeUInt32LE(end, terms + hashes.length * 4 + index * 4);
    out.set(bytes, terms + hashes.length * 8);
    return out;
  }
}

function pushLeb128(bytes: number[], value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
}

/** Where the index of a segment lies: beside the logs, so that a log holds nothing but what is signed. */
export function indexPath(log: string, segment: Segment): string {
  return join(dirname(dirname(log)), DIRECTORY, basename(log), `${segmentName(segment.first)}.idx`);
}

/** Writes the index of a segment, whole or not at all. A directory that cannot be written (an auditor's copy) is none of our business. */
export async function writeIndex(path: string, builder: IndexBuilder): Promise<boolean> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(draft, builder.bytes(), { mode: 0o600, flag: 'wx' });
    await rename(draft, path);
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    await rm(draft, { force: true }).catch(() => undefined);
    return false;
  }
}

/** Removes the indexes of segments that are no more, and drafts that a crash left. */
export async function pruneIndexes(log: string, segments: readonly Segment[]): Promise<void> {
  const directory = join(dirname(dirname(log)), DIRECTORY, basename(log));
  const known = new Set(segments.map(({ first }) => `${segmentName(first)}.idx`));
  try {
    for (const name of await readdir(directory)) if (!known.has(name)) await rm(join(directory, name), { force: true });
  } catch (error) {
    if (!isCode(error, 'ENOENT') && !isCode(error, 'EACCES') && !isCode(error, 'EROFS') && !isCode(error, 'EPERM')) throw error;
  }
}

/** The index of one segment, read as far as a question needs. Its bytes are as trustworthy as the disk: what does not fit makes it null. */
export class SegmentIndex implements AsyncDisposable {
  readonly entries: number;
  /** Epoch milliseconds of the earliest and latest entry. */
  readonly first: number;
  readonly last: number;
  readonly #file: FileHandle;
  readonly #frames: number;
  readonly #terms: number;
  readonly #postingBytes: number;

  private constructor(file: FileHandle, header: Buffer) {
    this.#file = file;
    this.entries = header.readUInt32LE(4);
    this.#terms = header.readUInt32LE(8);
    this.#postingBytes = header.readUInt32LE(12);
    this.#frames = header.readUInt32LE(16);
    this.first = header.readDoubleLE(24);
    this.last = header.readDoubleLE(32);
  }

  /** Null where there is none, or one that cannot be used. */
  static async open(path: string): Promise<SegmentIndex | null> {
    let file: FileHandle;
    try {
      file = await open(path, 'r');
    } catch (error) {
      if (error instanceof Error && 'code' in error) return null;
      throw error;
    }
    const header = Buffer.alloc(HEADER_BYTES);
    const { bytesRead } = await file.read(header, 0, HEADER_BYTES, 0);
    if (bytesRead === HEADER_BYTES && header.readUInt32LE(0) === MAGIC) {
      const index = new SegmentIndex(file, header);
      const { size } = await file.stat();
      if (size === index.#termsAt + index.#terms * 8 + index.#postingBytes) return index;
    }
    await file.close();
    return null;
  }

  get #termsAt(): number {
    return HEADER_BYTES + this.#frames * FRAME_BYTES;
  }

  /** The frames of the segment; null where they do not hold all its entries, one after the other. */
  async frames(): Promise<readonly FramePlace[] | null> {
    const bytes = Buffer.alloc(this.#frames * FRAME_BYTES);
    await this.#file.read(bytes, 0, bytes.length, HEADER_BYTES);
    const frames: FramePlace[] = [];
    let [end, lines] = [0, 0];
    for (let at = 0; at < bytes.length; at += FRAME_BYTES) {
      const frame = { end: bytes.readUInt32LE(at), lines: bytes.readUInt32LE(at + 4) };
      if (frame.end <= end || frame.lines <= lines) return null;
      ({ end, lines } = frame);
      frames.push(frame);
    }
    return lines === this.entries ? frames : null;
  }

  /** Positions of the entries that may have all the terms, ascending; null where the index is damaged. */
  async find(terms: readonly Term[]): Promise<readonly number[] | null> {
    let found: number[] | null = null;
    for (const [field, value] of terms) {
      const positions = await this.#positions(hashTerm(field, value));
      if (positions === null) return null;
      if (found === null) found = positions;
      else {
        const known = new Set(positions);
        found = found.filter((position) => known.has(position));
      }
      if (found.length === 0) break;
    }
    return found ?? [];
  }

  async #positions(hash: number): Promise<number[] | null> {
    const rank = await this.#rank(hash);
    if (rank === null) return [];
    const ends = await this.#words(this.#terms + Math.max(0, rank - 1), rank === 0 ? 1 : 2);
    const start = rank === 0 ? 0 : ends.readUInt32LE(0);
    const end = ends.readUInt32LE(rank === 0 ? 0 : 4);
    if (start > end || end > this.#postingBytes) return null;
    const bytes = Buffer.alloc(end - start);
    await this.#file.read(bytes, 0, bytes.length, this.#termsAt + this.#terms * 8 + start);
    return decodePostings(bytes, this.entries);
  }

  /** Where the hash stands among the terms, or null. Hashes are spread evenly, so it is near its share of the range. */
  async #rank(hash: number): Promise<number | null> {
    let low = 0;
    let high = this.#terms;
    let guess = Math.floor((hash / 2 ** 32) * this.#terms);
    while (low < high) {
      const from = Math.max(low, Math.min(guess - WINDOW / 2, high - WINDOW));
      const count = Math.min(WINDOW, high - from);
      const words = await this.#words(from, count);
      const smallest = words.readUInt32LE(0);
      const largest = words.readUInt32LE((count - 1) * 4);
      if (hash < smallest) high = from;
      else if (hash > largest) low = from + count;
      else {
        for (let index = 0; index < count; index += 1) if (words.readUInt32LE(index * 4) === hash) return from + index;
        return null;
      }
      guess = Math.floor((low + high) / 2);
    }
    return null;
  }

  async #words(from: number, count: number): Promise<Buffer> {
    const words = Buffer.alloc(count * 4);
    await this.#file.read(words, 0, words.length, this.#termsAt + from * 4);
    return words;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }
}

/** Terms read at once: a page. */
const WINDOW = 1_024;

function decodePostings(bytes: Buffer, entries: number): number[] | null {
  const positions: number[] = [];
  let before = -1;
  for (let at = 0; at < bytes.length; ) {
    let value = 0;
    let shift = 0;
    for (;;) {
      const byte = bytes[at];
      if (byte === undefined || shift > 28) return null;
      at += 1;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
      shift += 7;
    }
    before += value + 1;
    if (before >= entries) return null;
    positions.push(before);
  }
  return positions;
}
