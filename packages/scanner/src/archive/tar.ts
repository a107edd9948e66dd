import { LimitReached } from '../limits.ts';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import { findRule } from '../rules.ts';
import { type ByteSource, isZero } from '../source.ts';
import { checkLink, checkName } from './paths.ts';
import { scanZip } from './zip.ts';
import { findDirectories } from './zip-directory.ts';

const BLOCK = 512;
const LONG_NAME = 'L';
const LONG_LINK = 'K';
const PAX = 'x';
const PAX_GLOBAL = 'g';
const HARD_LINK = '1';
const SYMBOLIC_LINK = '2';
const PATH_LIMIT = 2 ** 16;

/** True where a header block stands at `offset`: its checksum is right. */
export function isTarHeader(source: ByteSource, offset: number): boolean {
  const block = source.read(offset, BLOCK);
  if (block.length < BLOCK || block[0] === 0) return false;
  const expected = octal(block, 148, 8);
  if (expected === 0) return false;
  let sum = 8 * 0x20;
  for (let index = 0; index < BLOCK; index += 1) if (index < 148 || index >= 156) sum += block[index] ?? 0;
  return expected === sum;
}

/**
 * Every member of a tar archive (POSIX ustar and pax, GNU long names). A link or a name that leads outside is reported. What is a zip archive
 * as well, by a directory that lies in none of the members, is scanned as that too.
 */
export async function scanTar(piece: Piece): Promise<void> {
  const { source } = piece;
  const members: { readonly start: number; readonly end: number }[] = [];
  let longName = '';
  let longLink = '';
  let entries = 0;
  let offset = 0;
  const torch = hasTorchLayout(source, piece.limits.entries);
  const known = piece.run.findings.length;
  while (offset + BLOCK <= source.size) {
    piece.run.checkTime();
    if (!isTarHeader(source, offset)) break;
    const header = source.read(offset, BLOCK);
    const size = octal(header, 124, 12);
    const type = String.fromCharCode(header[156] ?? 0);
    const data = offset + BLOCK;
    const next = data + Math.ceil(size / BLOCK) * BLOCK;
    if (data + size > source.size) piece.report('archive-broken', 'a member of the tar archive is cut off', offset);
    members.push({ start: data, end: data + size });
    entries += 1;
    if (entries > piece.limits.entries) throw new LimitReached('limit-entries', `more than ${piece.limits.entries} members`);
    if (type === LONG_NAME) longName = field(source.read(data, Math.min(size, PATH_LIMIT)));
    else if (type === LONG_LINK) longLink = field(source.read(data, Math.min(size, PATH_LIMIT)));
    else if (type === PAX) {
      const attributes = pax(source.read(data, Math.min(size, PATH_LIMIT)).toString('utf8'));
      longName = attributes.get('path') ?? longName;
      longLink = attributes.get('linkpath') ?? longLink;
    } else if (type !== PAX_GLOBAL) {
      const prefix = header.toString('latin1', 257, 262) === 'ustar' ? field(header.subarray(345, 500)) : '';
      const name = longName !== '' ? longName : `${prefix === '' ? '' : `${prefix}/`}${field(header.subarray(0, 100))}`;
      const link = longLink !== '' ? longLink : field(header.subarray(157, 257));
      longName = '';
      longLink = '';
      checkName(piece, name, offset);
      if (type === SYMBOLIC_LINK) checkLink(piece, name, link, offset);
      else if (type === HARD_LINK) checkLink(piece, '', link, offset);
      else if (size > 0)
        await piece.inside(piece.part(data, data + size).source, `${quote(name)}`, data, torch ? 'torch' : 'archive').scan();
    }
    offset = next;
  }
  if (torch && piece.run.findings.slice(known).some(({ rule }) => findRule(rule)?.verdict === 'malicious'))
    piece.report('pickle-torch-tar', 'PyTorch in a tar archive that runs code');
  if (offset < source.size && !isZero(source, offset, source.size)) {
    piece.report('zip-hidden', `${source.size - offset} bytes behind the tar archive`, offset);
    await piece.inside(piece.part(offset, source.size).source, `${piece.name}!tail`, offset, 'hidden').scan();
  }
  const outside = findDirectories(source, 1).some(
    ({ entries, end }) => entries.length > 0 && !members.some((one) => one.start < end && end <= one.end),
  );
  if (!outside) return;
  piece.report('zip-hidden', 'a tar archive that is a zip archive as well');
  await scanZip(piece);
}

/** torch.save of releases before 0.2: `sys_info`, `pickle`, `storages`, `tensors`. */
function hasTorchLayout(source: ByteSource, limit: number): boolean {
  const names = new Set<string>();
  for (let offset = 0, count = 0; count < Math.min(limit, 16) && isTarHeader(source, offset); count += 1) {
    const header = source.read(offset, BLOCK);
    names.add(field(header.subarray(0, 100)));
    offset += BLOCK + Math.ceil(octal(header, 124, 12) / BLOCK) * BLOCK;
  }
  return names.has('pickle') && names.has('storages');
}

function field(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

function octal(block: Buffer, start: number, length: number): number {
  const first = block[start] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = first & 0x7f;
    for (let index = 1; index < length; index += 1) value = value * 256 + (block[start + index] ?? 0);
    return value;
  }
  const digits = /[0-7]+/.exec(block.toString('latin1', start, start + length));
  return digits === null ? 0 : Number.parseInt(digits[0], 8);
}

function pax(text: string): Map<string, string> {
  const attributes = new Map<string, string>();
  for (let at = 0; at < text.length; ) {
    const space = text.indexOf(' ', at);
    const length = Number.parseInt(text.slice(at, space), 10);
    if (space < 0 || !(length > 0)) break;
    const [key = '', ...value] = text.slice(space + 1, at + length - 1).split('=');
    attributes.set(key, value.join('='));
    at += length;
  }
  return attributes;
}
