import { DROPPED, foldPair, LONG_FOLDS, LOOK_UP, UNIT_FOLD } from './fold-table.ts';

/**
 * Folds a text that arrives in pieces to what it looks like in plain letters, and keeps where every unit came from. Context-free, code point
 * by code point, so the result does not depend on the pieces as long as no surrogate pair is cut.
 *
 * The map is a list of segments. From `folded[i]` on, folded offset `folded[i] + n` comes from original offset `original[i] + n`, until the
 * next segment; but where `spread[i]` is above 0, all units of the segment come from the same `spread[i]` original units.
 */
export class Folder {
  #map: SegmentMap = { folded: [0], original: [0], spread: [0] };
  #folded = 0;
  #original = 0;
  #mark: { readonly map: SegmentMap; readonly folded: number; readonly original: number } = { map: this.#map, folded: 0, original: 0 };

  /** Units read. */
  get original(): number {
    return this.#original;
  }

  push(piece: string): string {
    let out = '';
    let index = 0;
    while (index < piece.length) {
      const from = index;
      while (index < piece.length && UNIT_FOLD[piece.charCodeAt(index)] === piece.charCodeAt(index)) index++;
      if (index > from) this.#advance(index - from);
      if (index - from === piece.length) return piece;
      out += piece.slice(from, index);
      if (index === piece.length) break;
      const codePoint = piece.codePointAt(index) ?? 0;
      const width = codePoint > 0xffff ? 2 : 1;
      const folded = foldOne(codePoint);
      if (codePoint === folded.codePointAt(0) && folded.length === width) this.#advance(width);
      else this.#replace(folded.length, width);
      out += folded;
      index += width;
    }
    return out;
  }

  /** Original offset where the folded unit at `offset` begins. */
  startOf(offset: number): number {
    const at = this.#segmentAt(offset);
    const original = this.#map.original[at] ?? 0;
    return (this.#map.spread[at] ?? 0) > 0 ? original : original + offset - (this.#map.folded[at] ?? 0);
  }

  /** Original offset just after the folded unit before `offset`. */
  endOf(offset: number): number {
    if (offset === 0) return 0;
    const at = this.#segmentAt(offset - 1);
    const original = this.#map.original[at] ?? 0;
    const spread = this.#map.spread[at] ?? 0;
    return spread > 0 ? original + spread : original + offset - (this.#map.folded[at] ?? 0);
  }

  /** Whether anything in a folded span was changed, or dropped inside of it. */
  isChanged(start: number, end: number): boolean {
    if (this.endOf(end) - this.startOf(start) !== end - start) return true;
    const { folded, spread } = this.#map;
    for (let at = this.#segmentAt(start); at < folded.length && (folded[at] ?? 0) < end; at++) if ((spread[at] ?? 0) > 0) return true;
    return false;
  }

  /** Forgets what only concerns folded text before `offset`. */
  discard(offset: number): void {
    const first = this.#segmentAt(offset);
    if (first > 0) this.#map = sliceMap(this.#map, first);
  }

  mark(): void {
    this.#mark = { map: sliceMap(this.#map, 0), folded: this.#folded, original: this.#original };
  }

  rewind(): void {
    this.#map = sliceMap(this.#mark.map, 0);
    this.#folded = this.#mark.folded;
    this.#original = this.#mark.original;
  }

  #advance(count: number): void {
    const { folded, original, spread } = this.#map;
    const last = folded.length - 1;
    const continues = spread[last] === 0 && (original[last] ?? 0) - (folded[last] ?? 0) === this.#original - this.#folded;
    if (!continues) this.#add(0);
    this.#folded += count;
    this.#original += count;
  }

  #replace(foldedUnits: number, originalUnits: number): void {
    if (foldedUnits > 0) this.#add(originalUnits);
    this.#folded += foldedUnits;
    this.#original += originalUnits;
  }

  #add(spread: number): void {
    this.#map.folded.push(this.#folded);
    this.#map.original.push(this.#original);
    this.#map.spread.push(spread);
  }

  /** The last segment that begins at or before `offset`. */
  #segmentAt(offset: number): number {
    const { folded } = this.#map;
    let low = 0;
    let high = folded.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((folded[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

interface SegmentMap {
  readonly folded: number[];
  readonly original: number[];
  readonly spread: number[];
}

function sliceMap({ folded, original, spread }: SegmentMap, first: number): SegmentMap {
  return { folded: folded.slice(first), original: original.slice(first), spread: spread.slice(first) };
}

function foldOne(codePoint: number): string {
  if (codePoint > 0xffff) return foldPair(codePoint);
  const unit = UNIT_FOLD[codePoint] ?? codePoint;
  if (unit === DROPPED) return '';
  return unit === LOOK_UP ? (LONG_FOLDS.get(codePoint) ?? String.fromCharCode(codePoint)) : String.fromCharCode(unit);
}
