import { posix } from 'node:path';
import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';

/** True for a path that leaves the directory it is relative to, on any system: absolute, a drive, a scheme, NUL, or too many `..`. */
export function leaves(path: string): boolean {
  if (path.includes('\0') || /^[A-Za-z][A-Za-z0-9+.-]*:/.test(path)) return true;
  const plain = posix.normalize(path.replaceAll('\\', '/'));
  return plain.startsWith('/') || plain === '..' || plain.startsWith('../');
}

/** Reports a member that would be unpacked outside. */
export function checkName(piece: Piece, name: string, offset: number): void {
  if (leaves(name)) piece.report('archive-traversal', `a member is called ${quote(name)}`, offset);
}

/** Reports a link whose target, seen from where it lies, is outside. */
export function checkLink(piece: Piece, name: string, target: string, offset: number): void {
  const from = posix.dirname(name.replaceAll('\\', '/'));
  if (leaves(target) || leaves(posix.join(from, target.replaceAll('\\', '/'))))
    piece.report('archive-link', `${quote(name)} links to ${quote(target)}`, offset);
}
