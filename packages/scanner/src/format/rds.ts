import type { Piece } from '../piece.ts';
import { Cursor, OutOfBytes } from './cursor.ts';
import { searchOpaque } from './opaque.ts';

/** Types of R's serialisation (R Internals, 1.8 "Serialization formats"; the numbers above 237 are its pseudo-types). */
const TYPE = {
  symbol: 1,
  list: 2,
  closure: 3,
  environment: 4,
  promise: 5,
  language: 6,
  special: 7,
  builtin: 8,
  text: 9,
  logical: 10,
  integer: 13,
  real: 14,
  complex: 15,
  strings: 16,
  dots: 17,
  vector: 19,
  expressions: 20,
  byteCode: 21,
  pointer: 22,
  weak: 23,
  raw: 24,
  s4: 25,
  altrep: 238,
  attributeList: 239,
  attributeLanguage: 240,
  repeated: 243,
  repeatable: 244,
  persistent: 247,
  package: 246,
  namespace: 249,
  reference: 255,
} as const;
/** Values that are nothing but their type: base and global environments, missing and unbound values, NULL. */
const ALONE: ReadonlySet<number> = new Set([241, 242, 250, 251, 252, 253, 254]);
const ELEMENT: ReadonlyMap<number, number> = new Map([
  [TYPE.logical, 4],
  [TYPE.integer, 4],
  [TYPE.real, 8],
  [TYPE.complex, 16],
  [TYPE.raw, 1],
]);
const PAIRS: ReadonlySet<number> = new Set([
  TYPE.list,
  TYPE.closure,
  TYPE.promise,
  TYPE.language,
  TYPE.dots,
  TYPE.attributeList,
  TYPE.attributeLanguage,
]);
const HAS_ATTRIBUTES = 0x200;
const HAS_TAG = 0x400;
const DEPTH = 1000;
const STEPS = 4096;

class NotRds extends Error {
  override readonly name: string = 'NotRds';
}

/**
 * A file of `saveRDS` or `save`, in big or little endian bytes. Compressed ones are found inside what they are compressed by. R's reader takes
 * the byte after the letter unseen, so it need not be the newline that R writes.
 */
export function isRds(head: Buffer): boolean {
  return /^(?:RD[AXB][23]\n)?(?:X[\s\S]\0\0\0[\x02\x03]|B[\s\S][\x02\x03]\0\0\0)/.test(head.toString('latin1', 0, 16));
}

/** The same as text, which nothing here reads. R takes any space between its words, and a newline before them. */
export function isAsciiRds(head: Buffer): boolean {
  return /^(?:RDA[23]\n)?\n?A[\s\S]\s*[23]\s+(?:\d{5,7}\s+\d{5,7}|\d+\s*[\r\n]\s*\d+\s*[\r\n])/.test(head.toString('latin1', 0, 256));
}

/**
 * Values that R makes while it reads: a promise as a value runs its code as soon as somebody looks at it (CVE-2024-27322). Functions run when
 * they are called, which a model is for, and are no finding.
 */
export async function scanRds(piece: Piece): Promise<void> {
  const reader = new Reader(piece);
  try {
    reader.read();
    if (reader.position < piece.source.size) await searchOpaque(piece.part(reader.position, piece.source.size));
  } catch (error) {
    if (!(error instanceof NotRds || error instanceof OutOfBytes)) throw error;
    piece.report('rds-broken', error.message, Math.min(reader.position, piece.source.size));
  }
}

/** What a user gets in the hand, the object itself or a variable of the file; an environment's table and a variable in it; anything else. */
type Place = 'value' | 'frame' | 'binding' | 'inside';

/** Arguments that were not used yet are promises in the environments of functions, and `...` is a list of them. */
function placeOfPart(type: number, place: Place, depth: number): Place {
  if (type === TYPE.dots || (type === TYPE.list && place === 'frame')) return 'binding';
  return type === TYPE.list && place === 'value' && depth === 0 ? 'value' : 'inside';
}

class Reader {
  readonly #piece: Piece;
  readonly #cursor: Cursor;
  readonly #little: boolean;
  #steps: number = 0;

  constructor(piece: Piece) {
    const head = piece.source.read(0, 16).toString('latin1');
    const magic = head.startsWith('RD') ? 5 : 0;
    this.#piece = piece;
    this.#little = head[magic] === 'B';
    this.#cursor = new Cursor(piece.source, magic + 2);
  }

  get position(): number {
    return this.#cursor.position;
  }

  read(): void {
    const version = this.#int();
    this.#cursor.skip(8);
    if (version === 3) this.#cursor.skip(this.#length());
    this.#item(0, 'value');
  }

  #int(): number {
    const value = this.#cursor.u32();
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return this.#little ? bytes.readInt32LE(0) : bytes.readInt32BE(0);
  }

  #length(): number {
    const length = this.#int();
    if (length >= 0) return length;
    // NA of a string, or a length of two words.
    if (length !== -1) throw new NotRds('a negative length');
    return 0;
  }

  #longLength(): number {
    const length = this.#int();
    if (length >= 0) return length;
    if (length !== -1) throw new NotRds('a negative length');
    const high = this.#int();
    return (high >>> 0) * 2 ** 32 + (this.#int() >>> 0);
  }

  #item(depth: number, place: Place = 'inside'): void {
    this.#deeper(depth);
    // The rest of a list is read in the same turn: lists are long, not deep.
    for (;;) {
      this.#steps += 1;
      if (this.#steps % STEPS === 0) this.#piece.run.checkTime();
      const at = this.#cursor.position;
      const flags = this.#int();
      const type = flags & 0xff;
      if (!PAIRS.has(type)) {
        this.#plain(type, flags, depth, place);
        return;
      }
      if (type === TYPE.promise) {
        if (place === 'value') this.#piece.report('rds-promise', 'a promise as a value', at);
        else if (place === 'inside') this.#piece.report('rds-inner-promise', 'a promise inside an object', at);
      }
      if ((flags & HAS_ATTRIBUTES) !== 0) this.#item(depth + 1);
      if ((flags & HAS_TAG) !== 0) this.#item(depth + 1);
      this.#item(depth + 1, placeOfPart(type, place, depth));
    }
  }

  #plain(type: number, flags: number, depth: number, place: Place): void {
    const attributes = (flags & HAS_ATTRIBUTES) !== 0;
    const element = ELEMENT.get(type);
    if (ALONE.has(type)) return;
    if (type === TYPE.reference) {
      if (flags >>> 8 === 0) this.#cursor.skip(4);
      return;
    }
    if (type === TYPE.symbol) {
      this.#item(depth + 1);
      return;
    }
    if (type === TYPE.special || type === TYPE.builtin) {
      this.#cursor.skip(this.#length());
      return;
    }
    if (type === TYPE.environment) {
      this.#cursor.skip(4);
      // Enclosure, frame, hash table, attributes.
      for (const part of ['inside', 'frame', 'frame', 'inside'] as const) this.#item(depth + 1, part);
      return;
    }
    if (type === TYPE.namespace || type === TYPE.package || type === TYPE.persistent) {
      this.#cursor.skip(4);
      for (let left = this.#length(); left > 0; left -= 1) this.#item(depth + 1);
      return;
    }
    if (type === TYPE.altrep) {
      for (let part = 0; part < 3; part += 1) this.#item(depth + 1);
      return;
    }
    if (type === TYPE.text) this.#cursor.skip(this.#length());
    else if (element !== undefined) this.#skip(this.#longLength() * element);
    else if (type === TYPE.strings || type === TYPE.vector || type === TYPE.expressions) {
      const count = this.#longLength();
      // Each takes four bytes at least.
      if (count * 4 > this.#cursor.left) throw new NotRds('a vector is longer than the file');
      for (let left = count; left > 0; left -= 1) this.#item(depth + 1, place === 'frame' ? 'frame' : 'inside');
    } else if (type === TYPE.pointer) for (let part = 0; part < 2; part += 1) this.#item(depth + 1);
    else if (type === TYPE.byteCode) {
      this.#cursor.skip(4);
      this.#code(depth + 1);
    } else if (type !== TYPE.weak && type !== TYPE.s4) throw new NotRds(`an unknown type ${type}`);
    if (attributes) this.#item(depth + 1);
  }

  /** A compiled function: instructions, and constants of which some are calls in a form of their own. */
  #code(depth: number): void {
    this.#item(depth);
    for (let left = this.#length(); left > 0; left -= 1) {
      const type = this.#int();
      if (type === TYPE.byteCode) this.#code(this.#deeper(depth));
      else this.#constant(type, this.#deeper(depth));
    }
  }

  #constant(first: number, depth: number): void {
    for (let type = first; ; type = this.#int()) {
      if (type === TYPE.repeated) {
        this.#cursor.skip(4);
        return;
      }
      if (type === TYPE.repeatable) {
        this.#cursor.skip(4);
        type = this.#int();
      }
      const attributes = type === TYPE.attributeList || type === TYPE.attributeLanguage;
      if (!attributes && type !== TYPE.list && type !== TYPE.language) {
        this.#item(depth);
        return;
      }
      if (attributes) this.#item(depth);
      this.#item(depth);
      this.#constant(this.#int(), this.#deeper(depth));
    }
  }

  #deeper(depth: number): number {
    if (depth >= DEPTH) throw new NotRds(`objects nest deeper than ${DEPTH} levels`);
    return depth + 1;
  }

  #skip(bytes: number): void {
    if (bytes > this.#cursor.left) throw new NotRds('a vector is longer than the file');
    this.#cursor.skip(bytes);
  }
}
