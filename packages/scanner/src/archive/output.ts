import { COST, LimitReached } from '../limits.ts';
import type { Piece } from '../piece.ts';
import { type ByteSource, Spool } from '../source.ts';

/** A compressed stream that breaks its own format. What came out before is still scanned. */
export class Damaged extends Error {
  override readonly name: string = 'Damaged';
}

/** Where a decompressor writes: counts against the limits of the file, so that a bomb ends within a few mebibytes. */
export class Output implements Disposable {
  readonly #spool: Spool;
  readonly #piece: Piece;
  readonly #compressed: number;
  /** Left for this output by what wraps it, where the wrapper says how much there is. */
  readonly limit: number;

  constructor(piece: Piece, compressed: number, limit: number = Number.POSITIVE_INFINITY) {
    this.#piece = piece;
    this.#compressed = Math.max(1, compressed);
    this.#spool = new Spool(piece.limits.memory);
    this.limit = limit;
  }

  /** Call for each of the streams that one input may hold one after another. Throws `LimitReached`. */
  startStream(): void {
    this.#piece.run.spend(COST.stream);
    this.#piece.run.checkTime();
  }

  get size(): number {
    return this.#spool.size;
  }

  /** Takes `chunk` over. Throws `LimitReached`, or `Damaged` where more comes out than was announced. */
  write(chunk: Buffer): void {
    this.#piece.run.expand(chunk.length);
    const { ratio, ratioFloor } = this.#piece.limits;
    if (this.size + chunk.length > ratio * this.#compressed) this.#piece.run.swell(chunk.length);
    this.#spool.write(chunk);
    if (this.size > this.limit) throw new Damaged('decompresses to more than it says');
    if (this.size > ratioFloor && this.size > ratio * this.#compressed)
      throw new LimitReached('limit-ratio', `decompresses to more than ${ratio} times its size`);
  }

  source(): ByteSource {
    return this.#spool.source();
  }

  /** Another one, for what is not yet what the input holds. Both count against the limits. */
  beside(): Output {
    return new Output(this.#piece, this.#compressed);
  }

  /** All of it, for a filter that works on it in place. Throws `LimitReached` where that is more than is held in memory. */
  whole(): Buffer {
    if (this.size > this.#piece.limits.memory) throw new LimitReached('limit-expanded', 'a filtered stream is larger than is looked at');
    return Buffer.from(this.source().read(0, this.size));
  }

  [Symbol.dispose](): void {
    this.#spool[Symbol.dispose]();
  }
}

/** Reads a source byte by byte, through a window. Beyond the end it throws `Damaged`. */
export class Input {
  readonly source: ByteSource;
  #window: Buffer = Buffer.alloc(0);
  #base: number;
  #at: number = 0;

  constructor(source: ByteSource, start: number = 0) {
    this.source = source;
    this.#base = start;
  }

  get position(): number {
    return this.#base + this.#at;
  }

  set position(offset: number) {
    const at = offset - this.#base;
    if (at >= 0 && at <= this.#window.length) {
      this.#at = at;
      return;
    }
    this.#base = offset;
    this.#at = 0;
    this.#window = Buffer.alloc(0);
  }

  byte(): number {
    if (this.#at === this.#window.length) this.#refill();
    const byte = this.#window[this.#at];
    if (byte === undefined) throw new Damaged('the stream is cut off');
    this.#at += 1;
    return byte;
  }

  #refill(): void {
    this.#base += this.#at;
    this.#at = 0;
    this.#window = this.source.read(this.#base, 65_536);
  }

  /** Exactly `length` bytes. */
  bytes(length: number): Buffer {
    const end = this.#at + length;
    if (end <= this.#window.length) {
      const held = this.#window.subarray(this.#at, end);
      this.#at = end;
      return held;
    }
    const position = this.position;
    const bytes = this.source.read(position, length);
    if (bytes.length < length) throw new Damaged('the stream is cut off');
    this.position = position + length;
    return bytes;
  }
}
