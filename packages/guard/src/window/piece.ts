import { endianness } from 'node:os';

/** Most units a scanner is given at once: they and the tables of one scanner fit the processor's nearest cache. */
export const MAX_PIECE = 4096;

/**
 * A stretch of a text, read once for all scanners. The object and its `units` are used again for the next stretch: a scanner may keep
 * `text` only. No surrogate pair is cut between two pieces.
 */
export interface Piece {
  readonly text: string;
  /** The code units of `text`; what lies beyond `length` is left over from others. */
  readonly units: Uint16Array;
  readonly length: number;
  /** Printable ASCII, tabs and line ends throughout: nothing is disguised, nothing hidden. */
  readonly plain: boolean;
}

/** As `Piece`, filled by its owner. */
export interface MutablePiece extends Piece {
  text: string;
  units: Uint16Array;
  length: number;
  plain: boolean;
}

/** The same memory by single units, by pairs of them, and as a buffer, which copies a whole text at once. */
export class UnitBuffer {
  readonly units: Uint16Array;
  readonly #pairs: Uint32Array;
  readonly #bytes: Buffer;

  constructor(capacity: number) {
    const memory = new ArrayBuffer(4 * Math.ceil(capacity / 2));
    this.units = new Uint16Array(memory);
    this.#pairs = new Uint32Array(memory);
    this.#bytes = Buffer.from(memory);
  }

  /** Fills `piece` with `text`, which may be no longer than the capacity. */
  fill(piece: MutablePiece, text: string): void {
    const { length } = text;
    this.#bytes.write(text, 'utf16le');
    piece.text = text;
    piece.units = this.units;
    piece.length = length;
    piece.plain = this.#isPlain(length);
  }

  #isPlain(length: number): boolean {
    if (length % 2 === 1) this.units[length] = SPACE;
    const pairs = this.#pairs;
    const count = (length + 1) >> 1;
    for (let index = 0; index < count; index++) {
      const pair = pairs[index] ?? 0;
      // Above ASCII; below the space, where nothing carries into bit 7; DEL, where 1 more does.
      if ((pair & 0xff80ff80) !== 0 || ((pair + 0x00010001) & 0x00800080) !== 0) return false;
      if (((pair + 0x00600060) & 0x00800080) !== 0x00800080 && !(isText(pair & 0xffff) && isText(pair >>> 16))) return false;
    }
    return true;
  }
}

const SPACE = 0x20;

function isText(unit: number): boolean {
  return unit >= SPACE || unit === 0x0a || unit === 0x0d || unit === 0x09;
}

/** A text of any length on a piece of its own. */
export function pieceOf(text: string): Piece {
  const piece: MutablePiece = { text, units: NO_UNITS, length: 0, plain: false };
  new UnitBuffer(text.length).fill(piece, text);
  return piece;
}

export const NO_UNITS: Uint16Array = new Uint16Array(0);

const free: UnitBuffer[] = [];

/** Units for one piece, to be given back: only windows that are reading need any. */
export function takeUnits(): UnitBuffer {
  return free.pop() ?? new UnitBuffer(MAX_PIECE);
}

export function giveUnits(buffer: UnitBuffer): void {
  if (free.length < 8) free.push(buffer);
}

if (endianness() !== 'LE') throw new Error('the guard needs a little-endian processor');

/** The first `length` units as a string; a call with every unit as an argument takes several times as long. */
export function textOf(units: Uint16Array, length: number): string {
  return Buffer.from(units.buffer, units.byteOffset, 2 * length).toString('utf16le');
}
