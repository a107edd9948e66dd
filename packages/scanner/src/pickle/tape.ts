import type { ByteSource } from '../source.ts';
import { BEYOND, Broken } from './broken.ts';
import { OP } from './opcode.ts';

export const WINDOW: number = 2 ** 18;
/** Most walks of a search end within a few instructions. */
const FIRST_WINDOW = 4096;
const SHORT_LINE = 64;
const STRING_LIMIT = 4096;

/** The bytes a machine reads its instructions from, through a window that the machine moves along. Offsets are those of the source. */
export class Tape {
  readonly source: ByteSource;
  readonly limit: number;
  window: Buffer;
  base: number;

  constructor(source: ByteSource, start: number) {
    this.source = source;
    this.limit = source.size;
    this.base = start;
    this.window = source.read(start, FIRST_WINDOW);
  }

  move(position: number): Buffer {
    this.base = position;
    this.window = this.source.read(position, WINDOW);
    return this.window;
  }

  byte(offset: number): number {
    return this.window[offset - this.base] ?? 0;
  }

  within(end: number): number {
    if (end > this.limit) throw new Broken(BEYOND);
    return end;
  }

  /** Offset of the line feed that ends the line starting at `start`. */
  line(start: number): number {
    const bytes = this.window;
    const from = start - this.base;
    const short = Math.min(from + SHORT_LINE, bytes.length);
    for (let at = from; at < short; at += 1) if (bytes[at] === 10) return this.base + at;
    const near = bytes.indexOf(10, short);
    if (near >= 0) return this.base + near;
    for (let offset = Math.max(start, this.base + bytes.length); offset < this.limit; offset += WINDOW) {
      const found = this.source.read(offset, WINDOW).indexOf(10);
      if (found >= 0) return offset + found;
    }
    throw new Broken('a line has no end');
  }

  string(start: number, end: number): string {
    const length = Math.min(end - start, STRING_LIMIT);
    const at = start - this.base;
    return at + length <= this.window.length
      ? this.window.toString('utf8', at, at + length)
      : this.source.read(start, length).toString('utf8');
  }

  /** A number must look like one and a string must be quoted, as far as its first byte tells. */
  checkLine(op: number, position: number): void {
    const first = this.byte(position + 1);
    const digit = first >= 0x30 && first <= 0x39;
    // A sign, a point, a space, or the first letter of inf and nan.
    const number = digit || first === 0x2d || first === 0x2b || first === 0x2e || first === 0x20 || first === 0x69 || first === 0x6e;
    const quoted = first === 0x27 || first === 0x22 || first === 0x20;
    if (op === OP.STRING ? !quoted : op !== OP.UNICODE && !number) throw new Broken('an invalid literal');
  }

  /** The memo index on the line of the instruction at `position`. */
  index(position: number, next: number): number {
    const text = this.string(position + 1, next - 1);
    if (!/^\d{1,10}\r?$/.test(text)) throw new Broken('an invalid memo index');
    return Number.parseInt(text, 10);
  }
}
