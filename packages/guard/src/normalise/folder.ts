import { DROPPED, foldPair, LONG_FOLDS, LOOK_UP, UNIT_FOLD } from './fold-table.ts';

/** A unit other than those of ASCII that folding leaves alone. */
const UNPLAIN = /[^\t\n\r -~]/;

/**
 * Folds a text that arrives in pieces to what it looks like in plain letters, and keeps where every unit came from. Context-free, code point
 * by code point, so the result does not depend on the pieces as long as no surrogate pair is cut.
 *
 * The map is a list of segments. From `folded[i]` on, folded offset `folded[i] + n` comes from original offset `original[i] + n`, until the
 * next segment; but where `spread[i]` is above 0, all units of the segment come from the same `spread[i]` original units.
 */
export class Folder {
  #map = new SegmentMap();
  #folded = 0;
  #original = 0;
  #mark: { readonly map: SegmentMap; readonly folded: number; readonly original: number } = { map: this.#map, folded: 0, original: 0 };

  /** Units read. */
  get original(): number {
    return this.#original;
  }

  push(piece: string): string {
    // Most texts are plain throughout: asking for that first takes half the time of the loop.
    let index = UNPLAIN.test(piece) ? this.#unchanged(piece, 0) : piece.length;
    if (index === piece.length) {
      this.#advance(index);
      return piece;
    }
    // Text that folding changes is often changed throughout: units are collected in an array, which is faster than joining strings.
    const units: number[] = [];
    const chunks: string[] = [piece.slice(0, index)];
    this.#advance(index);
    while (index < piece.length) {
      const until = this.#unchanged(piece, index);
      if (until > index) {
        this.#advance(until - index);
        if (until - index < 64) for (; index < until; index++) units.push(piece.charCodeAt(index));
        else {
          chunks.push(String.fromCharCode(...units.splice(0)), piece.slice(index, until));
          index = until;
        }
      } else {
        const codePoint = piece.codePointAt(index) ?? 0;
        const width = codePoint > 0xffff ? 2 : 1;
        const folded = foldOne(codePoint);
        if (codePoint === folded.codePointAt(0) && folded.length === width) this.#advance(width);
        else this.#replace(folded.length, width);
        for (let unit = 0; unit < folded.length; unit++) units.push(folded.charCodeAt(unit));
        index += width;
      }
      if (units.length >= 4096) chunks.push(String.fromCharCode(...units.splice(0)));
    }
    chunks.push(String.fromCharCode(...units));
    return chunks.join('');
  }

  #unchanged(piece: string, from: number): number {
    let index = from;
    while (index < piece.length && UNIT_FOLD[piece.charCodeAt(index)] === piece.charCodeAt(index)) index++;
    return index;
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
    if (first > 0) this.#map = this.#map.from(first);
  }

  mark(): void {
    this.#mark = { map: this.#map.from(0), folded: this.#folded, original: this.#original };
  }

  rewind(): void {
    this.#map = this.#mark.map.from(0);
    this.#folded = this.#mark.folded;
    this.#original = this.#mark.original;
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
  #cells: Int32Array;
  #count: number;

  constructor(cells: Int32Array = Int32Array.of(0, 0, 0, 0, 0, 0), count = 1) {
    this.#cells = cells;
    this.#count = count;
  }

  get count(): number {
    return this.#count;
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
    const at = this.#count++ * 3;
    if (at === this.#cells.length) {
      const larger = new Int32Array(at * 2);
      larger.set(this.#cells);
      this.#cells = larger;
    }
    this.#cells[at] = folded;
    this.#cells[at + 1] = original;
    this.#cells[at + 2] = spread;
  }

  from(segment: number): SegmentMap {
    const count = this.#count - segment;
    return new SegmentMap(this.#cells.slice(segment * 3, (segment + count) * 3), count);
  }
}

function foldOne(codePoint: number): string {
  if (codePoint > 0xffff) return foldPair(codePoint);
  const unit = UNIT_FOLD[codePoint] ?? codePoint;
  if (unit === DROPPED) return '';
  return unit === LOOK_UP ? (LONG_FOLDS.get(codePoint) ?? String.fromCharCode(codePoint)) : String.fromCharCode(unit);
}
