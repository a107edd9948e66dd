import { FeatureReader } from './features.ts';
import { BLOCK, WINDOWS } from './model.ts';

const AT_START = new FeatureReader();

const LONGEST: number = WINDOWS.at(-1) ?? 1;

/** Blocks after which the most suspicious one is forgotten: in a long text there is always one. */
const FARTHEST = 256;

/**
 * Told of each window once it is complete: `[start, end)` in units read. `isPair`: the block there and the one with the greatest sum among
 * those too far before it to be in one window with it.
 */
export type WindowSink = (start: number, end: number, sum: number, count: number, isPair: boolean) => void;

/**
 * Sums weights over windows of a text that is read in pieces. Windows start at multiples of `BLOCK` and are as long as `WINDOWS` says, but
 * at the end of the text, where they end with it. What is split over a long text is in no window: each block is also judged together with
 * the most suspicious one far before it. Which windows and pairs there are depends on nothing but the text.
 */
export class WindowScores {
  readonly #weights: Int8Array;
  readonly #reader = new FeatureReader();
  /** Sums and feature counts of the last blocks, the one under way among them, at the block number modulo `LONGEST`. */
  readonly #sums = new Float64Array(LONGEST);
  readonly #counts = new Int32Array(LONGEST);
  /** Blocks completed. */
  #blocks = 0;
  /** Units of the block under way. */
  #filled = 0;
  /** The block with the greatest sum of those `LONGEST` and more before the one under way; without features where there is none. */
  #farSum = Number.NEGATIVE_INFINITY;
  #farCount = 0;
  /** When it became that, in blocks. */
  #farAt = 0;

  /** What `rewind` goes back to. */
  readonly #marked = {
    reader: new FeatureReader(),
    sums: new Float64Array(LONGEST),
    counts: new Int32Array(LONGEST),
    blocks: 0,
    filled: 0,
    farSum: Number.NEGATIVE_INFINITY,
    farCount: 0,
    farAt: 0,
  };

  constructor(weights: Int8Array) {
    this.#weights = weights;
  }

  /** Begins anew with another text. */
  reset(): void {
    this.#reader.follow(AT_START);
    this.#sums.fill(0);
    this.#counts.fill(0);
    this.#blocks = 0;
    this.#filled = 0;
    this.#farSum = Number.NEGATIVE_INFINITY;
    this.#farCount = 0;
    this.#farAt = 0;
  }

  /** Remembers this moment for `rewind`. */
  mark(): void {
    const marked = this.#marked;
    marked.reader.follow(this.#reader);
    marked.sums.set(this.#sums);
    marked.counts.set(this.#counts);
    marked.blocks = this.#blocks;
    marked.filled = this.#filled;
    marked.farSum = this.#farSum;
    marked.farCount = this.#farCount;
    marked.farAt = this.#farAt;
  }

  rewind(): void {
    const { reader, sums, counts, blocks, filled, farSum, farCount, farAt } = this.#marked;
    this.#reader.follow(reader);
    this.#sums.set(sums);
    this.#counts.set(counts);
    this.#blocks = blocks;
    this.#filled = filled;
    this.#farSum = farSum;
    this.#farCount = farCount;
    this.#farAt = farAt;
  }

  /** No window that is still to come starts before this offset. */
  get pending(): number {
    return Math.max(0, this.#blocks + 1 - LONGEST) * BLOCK;
  }

  /** Reads the first `length` of `units`. */
  push(units: Uint16Array, length: number, sink: WindowSink): void {
    for (let from = 0; from < length; ) {
      const to = Math.min(length, from + BLOCK - this.#filled);
      this.#reader.sum(units, from, to, this.#weights);
      this.#add();
      this.#filled += to - from;
      from = to;
      if (this.#filled === BLOCK) this.#closeBlock(sink);
    }
  }

  end(sink: WindowSink): void {
    this.#reader.sumEnd(this.#weights);
    this.#add();
    const end = this.#blocks * BLOCK + this.#filled;
    let sum = 0;
    let count = 0;
    for (let back = 0; back < LONGEST; back++) {
      const block = this.#blocks - back;
      sum += this.#sums[block % LONGEST] ?? 0;
      count += this.#counts[block % LONGEST] ?? 0;
      if (block === 0 || WINDOWS.includes(back + 1)) sink(block * BLOCK, end, sum, count, false);
      if (block === 0) break;
    }
    if (this.#filled > 0) this.#pair(end, sink);
  }

  #add(): void {
    const { total, count } = this.#reader;
    const slot = this.#blocks % LONGEST;
    this.#sums[slot] = (this.#sums[slot] ?? 0) + total;
    this.#counts[slot] = (this.#counts[slot] ?? 0) + count;
  }

  #closeBlock(sink: WindowSink): void {
    const end = (this.#blocks + 1) * BLOCK;
    let sum = 0;
    let count = 0;
    for (let back = 0; back < LONGEST && back <= this.#blocks; back++) {
      const slot = (this.#blocks - back) % LONGEST;
      sum += this.#sums[slot] ?? 0;
      count += this.#counts[slot] ?? 0;
      if (WINDOWS.includes(back + 1)) sink(end - (back + 1) * BLOCK, end, sum, count, false);
    }
    this.#pair(end, sink);
    this.#blocks++;
    this.#filled = 0;
    const next = this.#blocks % LONGEST;
    const far = this.#sums[next] ?? 0;
    if (this.#blocks >= LONGEST && (far > this.#farSum || this.#blocks - this.#farAt > FARTHEST)) {
      this.#farSum = far;
      this.#farCount = this.#counts[next] ?? 0;
      this.#farAt = this.#blocks;
    }
    this.#sums[next] = 0;
    this.#counts[next] = 0;
  }

  /** The last block, which ends at `end`, with the one far before it. */
  #pair(end: number, sink: WindowSink): void {
    if (this.#farCount === 0) return;
    const slot = this.#blocks % LONGEST;
    sink(this.#blocks * BLOCK, end, this.#farSum + (this.#sums[slot] ?? 0), this.#farCount + (this.#counts[slot] ?? 0), true);
  }
}
