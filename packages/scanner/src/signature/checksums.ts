import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { quote } from '../report.ts';
import { openFile } from '../source.ts';
import { byCodePoint, listFiles } from './manifest.ts';
import { SignatureInvalid } from './statement.ts';

/** What a list of checksums, or a pointer of the Hub's storage, promises of one file. */
export interface Checksum {
  /** Relative to where the list lies; empty for a pointer, which is of the file it stands for. */
  readonly name: string;
  readonly sha256: string;
  readonly size: number | null;
}

export interface ChecksumReport {
  readonly verified: boolean;
  readonly files: number;
  readonly problems: readonly { readonly problem: 'changed' | 'missing' | 'unlisted'; readonly file: string; readonly message: string }[];
}

const POINTER =
  /^version https:\/\/(?:git-lfs\.github\.com|hawser\.github\.com)\/spec\/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n?$/;
const GNU = /^\\?([0-9a-fA-F]{64}) [ *](.+)$/;
const BSD = /^SHA256 \((.+)\) = ([0-9a-fA-F]{64})$/;

/** `SHA256SUMS` as `sha256sum` and BSD write it, or a Git LFS pointer (Git LFS specification v1). Throws `SignatureInvalid`. */
export function parseChecksums(text: string): Checksum[] {
  const pointer = POINTER.exec(text);
  if (pointer?.[1] !== undefined) return [{ name: '', sha256: pointer[1], size: Number(pointer[2]) }];
  const list: Checksum[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const gnu = GNU.exec(line);
    const bsd = BSD.exec(line);
    const name = gnu?.[2] ?? bsd?.[1];
    const sha256 = gnu?.[1] ?? bsd?.[2];
    if (name === undefined || sha256 === undefined) throw new SignatureInvalid(`a line is no checksum: ${quote(line)}`);
    const plain = name.replace(/^\.\//, '');
    if (plain.includes('\0') || plain.startsWith('/') || plain.split('/').includes('..'))
      throw new SignatureInvalid(`a checksum is of a file outside: ${quote(name)}`);
    list.push({ name: plain, sha256: sha256.toLowerCase(), size: null });
  }
  if (list.length === 0) throw new SignatureInvalid('the file holds no checksum');
  return list;
}

/** Holds files against checksums. `model` is the directory the list is of, or the file itself. A file that no line names is a problem too. */
export function verifyChecksums(model: string, checksums: readonly Checksum[], listName: string = ''): ChecksumReport {
  const problems: ChecksumReport['problems'][number][] = [];
  const single = statSync(model).isFile();
  const [first] = checksums;
  const pointer = first?.name === '';
  const root = single ? dirname(model) : model;
  const wanted = single && !pointer ? checksums.filter(({ name }) => join(root, name) === join(model)) : checksums;
  if (wanted.length === 0) problems.push({ problem: 'unlisted', file: model, message: 'no checksum is of this file' });
  for (const { name, sha256, size } of wanted) {
    const path = name === '' ? model : join(root, name);
    const file = name === '' ? model : name;
    if (!existsSync(path)) {
      problems.push({ problem: 'missing', file, message: `${quote(file)} is listed and not there` });
      continue;
    }
    const actual = digestFile(path);
    if (actual.sha256 !== sha256 || (size !== null && actual.size !== size))
      problems.push({ problem: 'changed', file, message: `${quote(file)} has another checksum` });
  }
  if (!single) {
    const listed = new Set(checksums.map(({ name }) => name));
    const ignorePaths = ['.git', '.gitattributes', '.gitignore', '.github', ...(listName === '' ? [] : [listName])];
    for (const file of listFiles(model, { allowSymlinks: true, ignorePaths }).sort(byCodePoint))
      if (!listed.has(file)) problems.push({ problem: 'unlisted', file, message: `${quote(file)} is in no line of the list` });
  }
  return { verified: problems.length === 0, files: wanted.length, problems };
}

/** SHA-256 and size of a file. */
export function digestFile(path: string): { readonly sha256: string; readonly size: number } {
  using source = openFile(path);
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(4 * 2 ** 20);
  for (let offset = 0; offset < source.size; ) {
    const count = source.readInto(offset, buffer);
    if (count === 0) break;
    hash.update(buffer.subarray(0, count));
    offset += count;
  }
  return { sha256: hash.digest('hex'), size: source.size };
}
