import { crc32 } from 'node:zlib';
import { COST, LimitReached } from '../limits.ts';
import type { Piece, Surrounding } from '../piece.ts';
import { quote } from '../report.ts';
import { type ByteSource, isZero } from '../source.ts';
import { decodeBzip2 } from './bzip2.ts';
import { decodeZlib } from './deflate.ts';
import { decodeLzmaZip } from './lzma.ts';
import { Damaged, Input, Output } from './output.ts';
import { checkLink, checkName } from './paths.ts';
import { decodeXz } from './xz.ts';
import { findDirectories, type LocalEntry, readLocal, type ZipDirectory, type ZipEntry } from './zip-directory.ts';

const LOCAL = Buffer.from('PK\x03\x04', 'latin1');
const DESCRIPTOR = 0x08074b50;
const METHOD = { stored: 0, deflate: 8, bzip2: 12, lzma: 14, zstd: 93, zstdOld: 20, xz: 95 } as const;
/** Encrypted, patched data, strong encryption, masked headers. */
const ODD_FLAGS = 0x1 | 0x20 | 0x40 | 0x2000;
/** Larger members are not run through the checksum: reading 70 GB to learn that weights were altered is what signatures are for. */
const CHECKED = 64 * 2 ** 20;
const SYMLINK = 0o120000;
const FILE_TYPE = 0o170000;
const GAP_WINDOW = 2 ** 20;
const FIRST_WINDOW = 2 ** 12;
/** What skops reads first: JSON that says what the other members are. */
const SCHEMA = 'schema.json';

/** Of a member in the order of scanning: what a loader unpickles, what is called a pickle, what costs little to look into, the rest. */
const RANK = { loaded: 0, named: 1, stored: 2, compressed: 3 } as const;
const TORCH_PICKLE = /(?:^|\/)data\.pkl$/;
const PICKLE_NAME = /\.(?:pkl|pickle|pk|p|dill|joblib|pt|pth|ckpt|bin|skops)$/i;

/** Bytes of no member, `[start, end)`. */
type Gap = readonly [start: number, end: number];

interface Member {
  readonly entry: ZipEntry;
  readonly local: LocalEntry | null;
  readonly listed: boolean;
}

/**
 * Scans every member that any directory of the archive names: each central directory an end record leads to, and every local header that
 * lies where no known member does. Where they disagree it says so, and looks at all of it.
 */
export async function scanZip(piece: Piece): Promise<void> {
  const { source } = piece;
  const directories = findDirectories(source, piece.limits.entries);
  const listed = directories.filter((directory) => directory.entries.length > 0 || directory.announced === 0);
  const gaps: Gap[] = [];
  checkDirectories(piece, directories, gaps);
  const members = collect(piece, directories, gaps);
  const names = members.map(({ entry }) => entry.name);
  const surrounding = surroundingOf(names);
  if (surrounding !== 'archive') piece.format = surrounding === 'torch' ? 'pytorch' : surrounding;
  else if (names.length > 0 && names.every((name) => name.endsWith('.npy'))) piece.format = 'npz';
  const scanAll = async (some: readonly Member[]): Promise<void> => {
    for (const member of some) {
      piece.run.checkTime();
      await scanMember(piece, member, surrounding);
    }
  };
  // Whatever ends the budget, and findings do too, a payload where loaders look for one has been named by then.
  await scanAll(ranked(members, Number.NEGATIVE_INFINITY, RANK.stored));
  checkMembers(piece, members, listed);
  await scanAll(ranked(members, RANK.stored, Number.POSITIVE_INFINITY));
  // A loader of another format reads what lies before the archive, and a size that lies leaves a content to nobody.
  for (const [start, end] of gaps) {
    piece.run.spend(COST.stream);
    await piece.inside(piece.part(start, end).source, `${piece.name}!hidden`, start, 'hidden').scan();
  }
}

function checkDirectories(piece: Piece, directories: readonly ZipDirectory[], gaps: Gap[]): void {
  const [last] = directories;
  if (last === undefined) piece.report('zip-broken', 'the archive has no end record');
  for (const { broken, announced, entries } of directories)
    if (broken) piece.report('zip-mismatch', `the end record announces ${announced} members, the directory has ${entries.length}`);
  if (directories.length > 1) piece.report('zip-hidden', `${directories.length} end records lead to different directories`);
  if (last !== undefined && last.end < piece.source.size && !isZero(piece.source, last.end, piece.source.size)) {
    gaps.push([last.end, piece.source.size]);
    piece.report('zip-hidden', `${piece.source.size - last.end} bytes behind the archive`, last.end);
  }
}

/** Members by where their header lies, in that order; then every stretch between them is searched for more. */
function collect(piece: Piece, directories: readonly ZipDirectory[], gaps: Gap[]): Member[] {
  const { source } = piece;
  const byHeader = new Map<string, Member>();
  const covered: [number, number][] = directories.map(({ start, end }) => [start, end]);
  for (const entry of directories.flatMap(({ entries }) => entries)) {
    const key = `${entry.header} ${entry.name}`;
    if (byHeader.has(key)) continue;
    const local = readLocal(source, entry.header);
    byHeader.set(key, { entry, local, listed: true });
    if (local !== null) covered.push([entry.header, local.data + entry.compressed]);
    if (byHeader.size > piece.limits.entries) throw new LimitReached('limit-entries', `more than ${piece.limits.entries} members`);
  }
  for (const local of searchGaps(piece, covered, gaps))
    byHeader.set(`${local.header} ${local.name}`, { entry: local, local, listed: false });
  return [...byHeader.values()].sort((one, other) => one.entry.header - other.entry.header);
}

function searchGaps(piece: Piece, covered: [number, number][], gaps: Gap[]): LocalEntry[] {
  const found: LocalEntry[] = [];
  covered.sort((one, other) => one[0] - other[0]);
  let position = 0;
  for (const [start, end] of [...covered, [piece.source.size, piece.source.size] as const]) {
    if (start > position) found.push(...searchGap(piece, position, start, gaps));
    position = Math.max(position, end);
  }
  return found;
}

function searchGap(piece: Piece, start: number, end: number, gaps: Gap[]): LocalEntry[] {
  const { source } = piece;
  const found: LocalEntry[] = [];
  let position = start;
  while (position < end) {
    const header = indexOf(piece, LOCAL, position, end);
    const local = header < 0 ? null : readLocal(source, header);
    const stop = local === null ? end : header;
    if (reportGap(piece, position, stop)) gaps.push([position, stop]);
    if (local === null) break;
    found.push(local);
    if (found.length > piece.limits.entries) throw new LimitReached('limit-entries', `more than ${piece.limits.entries} members`);
    // A header that streams its data says 0: everything up to the next header is its data then.
    position = Math.max(local.data + local.compressed, header + 30);
  }
  return found;
}

/** True where there is something in it. */
function reportGap(piece: Piece, start: number, end: number): boolean {
  const length = end - start;
  if (length <= 0 || isZero(piece.source, start, end)) return false;
  const head = piece.source.read(start, 4);
  const descriptor =
    start > 0 && (length === 12 || length === 20 || ((length === 16 || length === 24) && head.readUInt32LE(0) === DESCRIPTOR));
  if (!descriptor) piece.report('zip-hidden', `${length} bytes belong to no member`, start);
  return !descriptor;
}

function indexOf(piece: Piece, needle: Buffer, start: number, end: number): number {
  // Most are found at once: a large window for each would read the file over and over.
  for (let base = start, window = FIRST_WINDOW; base < end; base += window, window = Math.min(2 * window, GAP_WINDOW)) {
    piece.run.checkTime();
    const at = piece.source.read(base, Math.min(window + needle.length - 1, end - base)).indexOf(needle);
    if (at >= 0) return base + at;
  }
  return -1;
}

function checkMembers(piece: Piece, members: readonly Member[], directories: readonly ZipDirectory[]): void {
  const names = new Set<string>();
  let covered = 0;
  for (const { entry, local, listed } of members) {
    const name = quote(entry.name);
    checkName(piece, entry.name, entry.header);
    if (names.has(entry.name)) piece.report('zip-duplicate', `two members are called ${name}`, entry.header);
    names.add(entry.name);
    if (!listed && directories.length > 0) piece.report('zip-hidden', `${name} is in no directory`, entry.header);
    if (local === null) {
      piece.report('zip-mismatch', `${name} lies outside the file`, entry.header);
      continue;
    }
    if (!local.sound) piece.report('zip-mismatch', `${name} has no local header`, entry.header);
    if (local.sound && listed) compare(piece, entry, local);
    if (entry.header < covered) piece.report('zip-overlap', `${name} overlaps the member before it`, entry.header);
    covered = Math.max(covered, local.data + (local.sound ? entry.compressed : 0));
  }
}

function compare(piece: Piece, entry: ZipEntry, local: LocalEntry): void {
  const streamed = (local.flags & 8) !== 0;
  const differences = [
    entry.name !== local.name ? `name ${quote(local.name)}` : '',
    entry.flags !== local.flags ? 'flags' : '',
    entry.method !== local.method ? 'method' : '',
    entry.crc !== local.crc && !streamed ? 'checksum' : '',
    (entry.size !== local.size || entry.compressed !== local.compressed) && !streamed ? 'size' : '',
  ].filter((difference) => difference !== '');
  if (differences.length > 0)
    piece.report('zip-mismatch', `${quote(entry.name)} differs between the two directories: ${differences.join(', ')}`, entry.header);
}

/** What loader this archive is for, by the members it would look for. */
function surroundingOf(names: readonly string[]): Surrounding {
  const has = (pattern: RegExp): boolean => names.some((name) => pattern.test(name));
  if (has(TORCH_PICKLE) || has(/(^|\/)\.data\//) || has(/(^|\/)archive_format$/)) return 'torch';
  if (names.includes(SCHEMA)) return 'skops';
  if (has(/^config\.json$/) && has(/^(metadata\.json|.*weights\.(h5|npz|json))$/)) return 'keras';
  return 'archive';
}

/** Those of a rank in `[from, to)`, the first to be scanned first. */
function ranked(members: readonly Member[], from: number, to: number): Member[] {
  return members
    .map((member) => ({ member, rank: rankOf(member) }))
    .filter(({ rank }) => from <= rank && rank < to)
    .sort((one, other) => one.rank - other.rank)
    .map(({ member }) => member);
}

function rankOf({ entry: { name, method } }: Member): number {
  if (TORCH_PICKLE.test(name)) return RANK.loaded;
  if (PICKLE_NAME.test(name)) return RANK.named;
  return method === METHOD.stored ? RANK.stored : RANK.compressed;
}

async function scanMember(piece: Piece, { entry, local, listed }: Member, surrounding: Surrounding): Promise<void> {
  if (local === null || (entry.name.endsWith('/') && entry.compressed === 0)) return;
  // Loaders follow one directory or the other.
  if (local.sound && local.method !== entry.method)
    await scanMember(piece, { entry: { ...entry, method: local.method }, local, listed }, surrounding);
  const raw = piece.part(local.data, local.data + entry.compressed).source;
  const name = `${piece.depth === 0 ? '' : `${piece.name}!`}${quote(entry.name)}`;
  const base = entry.method === METHOD.stored ? local.data : null;
  if (raw.size < entry.compressed) piece.report('zip-broken', `${quote(entry.name)} is cut off`, entry.header);
  // Only LZMA needs the announced size to end; everything else may produce more, and a wrong size then shows as a wrong checksum.
  using output = new Output(piece, entry.compressed, entry.method === METHOD.lzma ? entry.size : undefined);
  if (entry.method !== METHOD.stored) piece.run.spend(COST.member);
  let damage = '';
  let whole = true;
  let content: ByteSource = raw;
  try {
    if (entry.method !== METHOD.stored) {
      if (!(await decompress(entry.method, raw, output))) {
        piece.report('archive-method', `${quote(entry.name)} is compressed by method ${entry.method}`, entry.header);
        return;
      }
    }
  } catch (error) {
    if (error instanceof LimitReached) {
      whole = false;
      piece.report(error.rule, `${quote(entry.name)} ${error.message}`, entry.header);
    } else if (error instanceof Damaged) damage = error.message;
    else throw error;
  }
  if (entry.method !== METHOD.stored) content = output.source();
  const member = piece.inside(content, name, base, surrounding);
  const odd = (entry.flags & ODD_FLAGS) !== 0;
  const checksum = whole && content.size <= CHECKED && damage === '' ? checksumOf(content) : null;
  const sound = damage === '' && (checksum === null || checksum === entry.crc);
  if (odd && !sound) {
    piece.report('archive-encrypted', `${quote(entry.name)} is encrypted`, entry.header);
    return;
  }
  if (odd) piece.report('zip-mismatch', `${quote(entry.name)} is marked as encrypted or patched and is not`, entry.header);
  if (damage !== '') piece.report('archive-broken', `${quote(entry.name)}: ${damage}`, entry.header);
  else if (!sound) piece.report('zip-checksum', `${quote(entry.name)} has a wrong checksum`, entry.header);
  if ((entry.mode & FILE_TYPE) === SYMLINK) checkLink(piece, entry.name, content.read(0, 4096).toString('utf8'), entry.header);
  // A library that reads members knows of no links.
  if (content.size === 0) return;
  const format = await member.scan();
  if (surrounding === 'skops' && entry.name === SCHEMA && format === 'pickle')
    piece.report('skops-gadget', 'a pickle stands where the schema belongs', entry.header);
}

function checksumOf(content: ByteSource): number {
  let value = 0;
  for (let offset = 0; offset < content.size; offset += GAP_WINDOW) value = crc32(content.read(offset, GAP_WINDOW), value);
  return value;
}

/** False where the method is not supported. */
async function decompress(method: number, raw: ByteSource, output: Output): Promise<boolean> {
  if (method === METHOD.deflate) await decodeZlib('raw', raw, output);
  else if (method === METHOD.zstd || method === METHOD.zstdOld) await decodeZlib('zstd', raw, output);
  else if (method === METHOD.bzip2) decodeBzip2(new Input(raw), output);
  else if (method === METHOD.lzma) decodeLzmaZip(new Input(raw), output);
  else if (method === METHOD.xz) decodeXz(new Input(raw), output);
  else return false;
  return true;
}
