import { COST } from '../limits.ts';
import type { Piece } from '../piece.ts';
import { isZero } from '../source.ts';
import { carvePickles } from './carve.ts';
import { type Inner, type Sink, walk } from './judge.ts';
import type { StreamEnd } from './listener.ts';

/** The first stream of a legacy PyTorch file is this number (torch.serialization.MAGIC_NUMBER), as LONG1 of ten bytes. */
const TORCH_MAGIC: Buffer = Buffer.from('8a0a6cfc9c46f9206aa8501900', 'hex').subarray(0, 12);
const LEGACY_STREAMS = 5;
/** A message about an import whose module and name are identifiers. */
const IMPORT = /^imports (?:[\w.]|\\u\{[0-9a-f]+\})+$/;
/** Words come to fewer instructions than this by chance. */
const CHANCE_WALK = 12;
const MARK = 0x28;
/** Thrown out of a walk that has seen enough. */
const CERTAIN = Symbol('certain');

/**
 * Scans every pickle of a piece from `start` on: one after another as loaders read them, then whatever follows the last. The bytes behind
 * a legacy PyTorch file are tensors; behind anything else they are reported unless they are zero.
 */
export async function scanPickle(piece: Piece, start: number = 0): Promise<void> {
  const { source } = piece;
  const legacy = isLegacyTorch(piece, start);
  const torch = legacy || piece.surrounding === 'torch';
  const inner: Inner[] = [];
  const sink: Sink = (rule, message, offset, advisory) => piece.report(rule, message, offset, advisory);
  let position = start;
  for (let streams = 0; position < source.size; streams += 1) {
    piece.run.spend(COST.pickle);
    piece.run.checkTime();
    if (streams > 0 && !isPickle(piece, position)) {
      await scanTail(piece, position, legacy && streams >= LEGACY_STREAMS);
      break;
    }
    const { stopped, end, reason } = walk(piece, source, position, { torch, depth: 0 }, sink, inner);
    if (!stopped) {
      piece.report('pickle-broken', `the pickle breaks off: ${reason}`, end);
      carvePickles(piece, Math.min(end + 1, source.size), source.size, 'the bytes behind the break');
      break;
    }
    position = end;
  }
  for (const { start: from, length } of inner)
    await piece.inside(piece.part(from, from + length).source, `${piece.name}!bytes`, from, 'torch').scan();
}

async function scanTail(piece: Piece, start: number, tensors: boolean): Promise<void> {
  const { source } = piece;
  if (isZero(source, start, source.size) || /^[ \t\r\n]{0,16}$/.test(source.read(start, 17).toString('latin1'))) return;
  carvePickles(piece, start, source.size, 'the bytes behind the last pickle');
  if (tensors) return;
  piece.report('pickle-trailing', `${source.size - start} bytes behind the last pickle`, start);
  await piece.inside(piece.part(start, source.size).source, `${piece.name}!tail`, start, 'hidden').scan();
}

function isLegacyTorch(piece: Piece, start: number): boolean {
  const head = piece.source.read(start, 16);
  return head.includes(TORCH_MAGIC.subarray(0, 11));
}

/** Does a whole pickle start here, or one that calls something before it breaks off? Reports nothing. */
export function isPickle(piece: Piece, start: number): boolean {
  const { source } = piece;
  const head = source.read(start, 2);
  if (head.length < 2) return false;
  let misnamed = false;
  let calls = false;
  let ended: StreamEnd;
  try {
    ended = walk(
      piece,
      source,
      start,
      { torch: true, depth: 5 },
      (rule, message) => {
        if (rule.startsWith('pickle-dangerous') || rule === 'pickle-computed-name' || rule === 'pickle-dunder-attribute') throw CERTAIN;
        calls ||= rule === 'pickle-unknown-call';
        misnamed ||= rule.endsWith('-import') || rule === 'pickle-dotted-name' ? !IMPORT.test(message) : false;
      },
      [],
    );
  } catch (error) {
    if (error === CERTAIN) return true;
    throw error;
  }
  const { stopped, end, instructions } = ended;
  if (calls && !misnamed) return true;
  if (!stopped || instructions <= 1) return false;
  if (head[0] === 0x80) return true;
  // Letters of a text can come to a few instructions and a STOP; it goes on as text then, or imports what is no name.
  const rest = source.read(end, 64);
  return !misnamed && (instructions > CHANCE_WALK || rest.every((byte) => byte <= 0x20 || byte >= 0x80 || byte === MARK));
}
