import type { Piece } from '../piece.ts';
import { searchOpaque } from './opaque.ts';

const HEADER = 8;

/**
 * A CatBoost model: `CBM1`, the size of its core, a FlatBuffer of trees, and parts behind it. It has no place for code; what it could be a
 * shell for is searched for.
 */
export async function scanCatBoost(piece: Piece): Promise<void> {
  const { source } = piece;
  const head = source.read(4, 4);
  if (head.length < 4 || HEADER + head.readUInt32LE(0) > source.size) piece.report('catboost-broken', 'the core is cut off', 4);
  await searchOpaque(piece);
}
