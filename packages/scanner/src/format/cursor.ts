import type { ByteSource } from '../source.ts';

/** Reading beyond the end of what there is. */
export class OutOfBytes extends Error {
  override readonly name: string = 'OutOfBytes';
}

const WINDOW = 2 ** 20;

/** Reads little-endian fields one after another through a window, so that a header of any length costs one mebibyte. */
export class Cursor {
  readonly source: ByteSource;
  readonly end: number;
  #window: Buffer = Buffer.alloc(0);
  #base: number;
  #at: number = 0;

  constructor(source: ByteSource, start: number = 0, end: number = source.size) {
    this.source = source;
    this.end = Math.min(end, source.size);
    this.#base = start;
  }

  get position(): number {
    return this.#base + this.#at;
  }

  get left(): number {
    return this.end - this.position;
  }

  #need(length: number): number {
    if (length > this.left) throw new OutOfBytes(`needs ${length} bytes at ${this.position} and has ${this.left}`);
    if (this.#at + length > this.#window.length) {
      this.#base = this.position;
      this.#at = 0;
      // A message inside another is read up to its own end, not a mebibyte for each.
      this.#window = this.source.read(this.#base, Math.max(Math.min(WINDOW, this.left), length));
      if (this.#window.length < length) throw new OutOfBytes('the file became shorter');
    }
    const at = this.#at;
    this.#at += length;
    return at;
  }

  u8(): number {
    const byte = this.#window[this.#at];
    if (byte !== undefined) {
      this.#at += 1;
      return byte;
    }
    const at = this.#need(1);
    return this.#window[at] ?? 0;
  }

  u16(): number {
    const at = this.#need(2);
    return this.#window.readUInt16LE(at);
  }

  u32(): number {
    const at = this.#need(4);
    return this.#window.readUInt32LE(at);
  }

  /** As a bigint: lengths of 2^63 are what attackers write. */
  u64(): bigint {
    const at = this.#need(8);
    return this.#window.readBigUInt64LE(at);
  }

  text(length: number): string {
    const at = this.#need(length);
    return this.#window.toString('utf8', at, at + length);
  }

  skip(length: number): void {
    if (length > this.left) throw new OutOfBytes(`needs ${length} bytes at ${this.position} and has ${this.left}`);
    if (this.#at + length <= this.#window.length) this.#at += length;
    else {
      this.#base = this.position + length;
      this.#at = 0;
      this.#window = Buffer.alloc(0);
    }
  }
}
