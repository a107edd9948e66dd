import { type MutablePiece, NO_UNITS, type Piece, textOf } from '../window/piece.ts';
import { codePointAt } from '../window/tape.ts';
import { DROPPED, foldPair, LONG_FOLDS, LOOK_UP, UNIT_FOLD } from './fold-table.ts';

/**
 * Folds a text that arrives in pieces to what it looks like in plain letters, and keeps where every unit came from. Context-free, code point
 * by code point, so the result does not depend on the pieces as long as no surrogate pair is cut.
 *
 * The map is a list of segments. From `folded[i]` on, folded offset `folded[i] + n` comes from original offset `original[i] + n`, until the
 * next segment; but where `spread[i]` is above 0, all units of the segment come from the same `spread[i]` original units.
 */
export class Folder {
  readonly #map = new SegmentMap();
  #folded = 0;
  #original = 0;
  #marked = { count: 1, folded: 0, original: 0 };
  /** What a piece folds to, where that is another. Its units are made when first needed. */
  readonly #piece: MutablePiece = { text: '', units: NO_UNITS, length: 0, plain: false };

  /** Units read. */
  get original(): number {
    return this.#original;
  }

  /** Units given out. */
  get folded(): number {
    return this.#folded;
  }

  reset(): void {
    this.#map.reset();
    this.#piece.text = '';
    this.#folded = 0;
    this.#original = 0;
  }

  /** The piece itself where folding leaves it alone; otherwise one that lasts until the next call. */
  push(piece: Piece): Piece {
    const { units, length } = piece;
    let index = piece.plain ? length : unchanged(units, 0, length);
    this.#advance(index);
    if (index === length) return piece;
    this.#reserve(index + 64);
    let out = this.#piece.units;
    out.set(units.subarray(0, index));
    let count = index;
    while (index < length) {
      const unit = units[index] ?? 0;
      const one = UNIT_FOLD[unit] ?? unit;
      if (count + LONGEST_FOLD > out.length) out = this.#reserve(count * 2);
      if (one === unit && one !== DROPPED && one !== LOOK_UP) {
        const until = Math.min(unchanged(units, index, length), index + out.length - count);
        for (let from = index; from < until; from++) out[count++] = units[from] ?? 0;
        this.#advance(until - index);
        index = until;
        continue;
      }
      const codePoint = codePointAt(units, index, length);
      const width = codePoint > 0xffff ? 2 : 1;
      if (width === 1 && isSurrogate(unit)) {
        out[count++] = unit;
        this.#advance(1);
        index++;
        continue;
      }
      if (one !== LOOK_UP) {
        if (one !== DROPPED) out[count++] = one;
        this.#replace(one === DROPPED ? 0 : 1, 1);
      } else {
        const folded = codePoint > 0xffff ? foldPair(codePoint) : (LONG_FOLDS.get(codePoint) ?? String.fromCharCode(codePoint));
        if (codePoint === folded.codePointAt(0) && folded.length === width) this.#advance(width);
        else this.#replace(folded.length, width);
        for (let at = 0; at < folded.length; at++) out[count++] = folded.charCodeAt(at);
      }
      index += width;
    }
    this.#piece.length = count;
    this.#piece.text = textOf(out, count);
    return this.#piece;
  }

  /** Room for `count` units and the longest fold. Keeps what is there. */
  #reserve(count: number): Uint16Array {
    const old = this.#piece.units;
    if (old.length < count + LONGEST_FOLD) {
      this.#piece.units = new Uint16Array(2 * (count + LONGEST_FOLD));
      this.#piece.units.set(old);
    }
    return this.#piece.units;
  }

  /** Original offset where the folded unit at `offset` begins. */
  startOf(offset: number): number {
    const at = this.#segmentAt(offset);
    const original = this.#map.original(at);
    return this.#map.spread(at) > 0 ? original : original + offset - this.#map.folded(at);
  }

  /** Original offset just after the folded unit before `offset`. */
  endOf(offset: number): number {
    if (offset === 0) return 0;
    const at = this.#segmentAt(offset - 1);
    const original = this.#map.original(at);
    const spread = this.#map.spread(at);
    return spread > 0 ? original + spread : original + offset - this.#map.folded(at);
  }

  /** Forgets what only concerns folded text before `offset`. */
  discard(offset: number): void {
    const first = this.#segmentAt(offset);
    if (first > 0) this.#map.drop(first);
  }

  mark(): void {
    this.#marked.count = this.#map.count;
    this.#marked.folded = this.#folded;
    this.#marked.original = this.#original;
  }

  rewind(): void {
    this.#map.count = this.#marked.count;
    this.#folded = this.#marked.folded;
    this.#original = this.#marked.original;
  }

  #advance(count: number): void {
    if (count === 0) return;
    const map = this.#map;
    const last = map.count - 1;
    const continues = map.spread(last) === 0 && map.original(last) - map.folded(last) === this.#original - this.#folded;
    if (!continues) map.add(this.#folded, this.#original, 0);
    this.#folded += count;
    this.#original += count;
  }

  #replace(foldedUnits: number, originalUnits: number): void {
    if (foldedUnits > 0) this.#map.add(this.#folded, this.#original, originalUnits);
    this.#folded += foldedUnits;
    this.#original += originalUnits;
  }

  /** The last segment that begins at or before `offset`. */
  #segmentAt(offset: number): number {
    const map = this.#map;
    let low = 0;
    let high = map.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (map.folded(middle) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Segments in one growing array, three numbers each. */
class SegmentMap {
  #cells: Int32Array = new Int32Array(6);
  count = 1;

  reset(): void {
    this.#cells.fill(0, 0, 3);
    this.count = 1;
  }

  folded(segment: number): number {
    return this.#cells[segment * 3] ?? 0;
  }

  original(segment: number): number {
    return this.#cells[segment * 3 + 1] ?? 0;
  }

  spread(segment: number): number {
    return this.#cells[segment * 3 + 2] ?? 0;
  }

  add(folded: number, original: number, spread: number): void {
    const at = this.count++ * 3;
    if (at === this.#cells.length) {
      const larger = new Int32Array(at * 2);
      larger.set(this.#cells);
      this.#cells = larger;
    }
    this.#cells[at] = folded;
    this.#cells[at + 1] = original;
    this.#cells[at + 2] = spread;
  }

  /** Forgets the first segments. */
  drop(segments: number): void {
    this.#cells.copyWithin(0, segments * 3, this.count * 3);
    this.count -= segments;
  }
}

/** More than the 18 units of U+FDFA, the longest compatibility decomposition of Unicode. */
const LONGEST_FOLD = 24;

/** Of one that stands alone: it stays as it is. */
function isSurrogate(unit: number): boolean {
  return (unit & 0xf800) === 0xd800;
}

/** Offset of the first unit from `from` on that folding may change. */
function unchanged(units: Uint16Array, from: number, length: number): number {
  let index = from;
  for (; index < length; index++) {
    const unit = units[index] ?? 0;
    if (UNIT_FOLD[unit] !== unit || unit === DROPPED || unit === LOOK_UP) break;
  }
  return index;
}
