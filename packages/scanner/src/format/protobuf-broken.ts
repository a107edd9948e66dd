import type { Piece } from '../piece.ts';
import { WIRE } from './protobuf.ts';

const TOP_FIELDS = 8;

/** A first field whose length takes ten bytes, as no encoder writes it: a message made to break a parser. Chance does not look like that. */
export function isOverlong(_: Piece, head: Buffer): boolean {
  const tag = head[0] ?? 0;
  if (head.length < 10 || (tag & 7) !== WIRE.bytes || tag >> 3 === 0 || tag >> 3 > TOP_FIELDS) return false;
  return head.subarray(1, 9).every((byte) => byte >= 0x80);
}

export function scanBroken(piece: Piece): void {
  piece.report('protobuf-broken', 'a field of more than 2^56 bytes');
}
