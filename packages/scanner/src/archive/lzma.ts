import { Damaged, type Input, type Output } from './output.ts';

/**
 * LZMA decoder after the LZMA specification (7-Zip, Igor Pavlov, 2015). Own code because every byte it reads is hostile: its memory is the
 * dictionary, bounded below, and its output goes through the scan's limits while it is produced. No maintained package does both.
 */
const PROBABILITY_INIT = 1024;
const TOP = 2 ** 24;
/** A larger dictionary is refused: real files use 64 MiB at most (xz -9). */
export const MAX_DICTIONARY: number = 128 * 2 ** 20;
const FLUSH = 2 ** 18;
const FIRST_CAPACITY = 2 ** 12;

function probabilities(count: number): Uint16Array {
  return new Uint16Array(count).fill(PROBABILITY_INIT);
}

class LengthDecoder {
  readonly choice: Uint16Array = probabilities(2);
  readonly low: Uint16Array = probabilities(16 * 8);
  readonly middle: Uint16Array = probabilities(16 * 8);
  readonly high: Uint16Array = probabilities(256);

  reset(): void {
    for (const table of [this.choice, this.low, this.middle, this.high]) table.fill(PROBABILITY_INIT);
  }
}

/** One LZMA state: dictionary, repeated distances, probabilities. LZMA2 resets parts of it between chunks. */
export class LzmaDecoder {
  #output: Output;
  /** Grows up to its size with what comes out: a stream of a few bytes may announce a dictionary of mebibytes. */
  #dictionary: Buffer;
  #capacity: number;
  readonly #size: number;
  #position: number = 0;
  #flushed: number = 0;
  #filled: boolean = false;
  produced: number = 0;
  /** Bytes since the dictionary was last reset. */
  #since: number = 0;
  #lc: number = 0;
  #literalMask: number = 0;
  #positionMask: number = 0;
  #literals: Uint16Array = probabilities(0);
  readonly #isMatch: Uint16Array = probabilities(12 << 4);
  readonly #isRep: Uint16Array = probabilities(12);
  readonly #isRepG0: Uint16Array = probabilities(12);
  readonly #isRepG1: Uint16Array = probabilities(12);
  readonly #isRepG2: Uint16Array = probabilities(12);
  readonly #isRep0Long: Uint16Array = probabilities(12 << 4);
  readonly #slots: Uint16Array = probabilities(4 * 64);
  readonly #special: Uint16Array = probabilities(128);
  readonly #align: Uint16Array = probabilities(16);
  readonly #matchLength: LengthDecoder = new LengthDecoder();
  readonly #repLength: LengthDecoder = new LengthDecoder();
  readonly #tables: readonly Uint16Array[] = [
    this.#isMatch,
    this.#isRep,
    this.#isRepG0,
    this.#isRepG1,
    this.#isRepG2,
    this.#isRep0Long,
    this.#slots,
    this.#special,
    this.#align,
  ];
  #state: number = 0;
  #rep0: number = 0;
  #rep1: number = 0;
  #rep2: number = 0;
  #rep3: number = 0;
  #input: Input;
  #range: number = 0;
  #code: number = 0;

  constructor(input: Input, output: Output, dictionary: number) {
    if (dictionary > MAX_DICTIONARY) throw new Damaged(`needs a dictionary of ${dictionary} bytes`);
    this.#input = input;
    this.#output = output;
    this.#size = Math.max(4096, dictionary);
    this.#capacity = Math.min(this.#size, FIRST_CAPACITY);
    this.#dictionary = Buffer.allocUnsafe(this.#capacity);
  }

  /** Begins anew, with the memory of the stream before. */
  restart(output: Output): void {
    this.#output = output;
    this.#position = 0;
    this.#flushed = 0;
    this.#filled = false;
    this.produced = 0;
    this.#since = 0;
  }

  /** Sets literal and position bits from the properties byte, and forgets what was learnt. */
  reset(properties: number): void {
    if (properties >= 225) throw new Damaged('invalid LZMA properties');
    this.#lc = properties % 9;
    const rest = Math.floor(properties / 9);
    const lp = rest % 5;
    this.#literalMask = (1 << lp) - 1;
    this.#positionMask = (1 << Math.floor(rest / 5)) - 1;
    const literals = 0x300 << (this.#lc + lp);
    if (this.#literals.length !== literals) this.#literals = probabilities(literals);
    this.resetState();
  }

  resetState(): void {
    this.#literals.fill(PROBABILITY_INIT);
    for (const table of this.#tables) table.fill(PROBABILITY_INIT);
    this.#matchLength.reset();
    this.#repLength.reset();
    this.#state = 0;
    this.#rep0 = 0;
    this.#rep1 = 0;
    this.#rep2 = 0;
    this.#rep3 = 0;
  }

  resetDictionary(): void {
    this.flush();
    this.#position = 0;
    this.#flushed = 0;
    this.#filled = false;
    this.#since = 0;
  }

  startRange(): void {
    if (this.#input.byte() !== 0) throw new Damaged('invalid LZMA range coder');
    this.#range = 0xffffffff;
    this.#code = this.#input.bytes(4).readUInt32BE(0);
  }

  #put(byte: number): void {
    this.#dictionary[this.#position] = byte;
    this.#position += 1;
    this.produced += 1;
    this.#since += 1;
    if (this.#position === this.#capacity) this.#turn();
    else if (this.#position - this.#flushed >= FLUSH) this.flush();
  }

  /** At the end of the dictionary: makes it longer, or goes on at its front. */
  #turn(): void {
    this.flush();
    if (this.#capacity < this.#size) {
      const shorter = this.#dictionary;
      this.#capacity = Math.min(this.#size, 4 * this.#capacity);
      this.#dictionary = Buffer.allocUnsafe(this.#capacity);
      shorter.copy(this.#dictionary);
      return;
    }
    this.#position = 0;
    this.#flushed = 0;
    this.#filled = true;
  }

  /** A stored byte of LZMA2. */
  literal(byte: number): void {
    this.#put(byte);
  }

  #back(distance: number): number {
    const at = this.#position - distance;
    return this.#dictionary[at < 0 ? at + this.#size : at] ?? 0;
  }

  flush(): void {
    if (this.#position > this.#flushed) this.#output.write(Buffer.from(this.#dictionary.subarray(this.#flushed, this.#position)));
    this.#flushed = this.#position;
  }

  #bit(table: Uint16Array, index: number): number {
    const probability = table[index] ?? PROBABILITY_INIT;
    const bound = (this.#range >>> 11) * probability;
    let bit: number;
    if (this.#code < bound) {
      this.#range = bound;
      table[index] = probability + ((2048 - probability) >> 5);
      bit = 0;
    } else {
      this.#range -= bound;
      this.#code -= bound;
      table[index] = probability - (probability >> 5);
      bit = 1;
    }
    if (this.#range < TOP) {
      this.#range = (this.#range << 8) >>> 0;
      this.#code = ((this.#code << 8) | this.#input.byte()) >>> 0;
    }
    return bit;
  }

  #direct(count: number): number {
    let value = 0;
    for (let left = count; left > 0; left -= 1) {
      this.#range = this.#range >>> 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit === 1) this.#code -= this.#range;
      if (this.#range < TOP) {
        this.#range = (this.#range << 8) >>> 0;
        this.#code = ((this.#code << 8) | this.#input.byte()) >>> 0;
      }
      value = (value << 1) | bit;
    }
    return value >>> 0;
  }

  #tree(table: Uint16Array, offset: number, bits: number): number {
    let node = 1;
    for (let left = bits; left > 0; left -= 1) node = (node << 1) | this.#bit(table, offset + node);
    return node - (1 << bits);
  }

  #reverse(table: Uint16Array, offset: number, bits: number): number {
    let node = 1;
    let value = 0;
    for (let index = 0; index < bits; index += 1) {
      const bit = this.#bit(table, offset + node);
      node = (node << 1) | bit;
      value |= bit << index;
    }
    return value;
  }

  #length(decoder: LengthDecoder, positionState: number): number {
    if (this.#bit(decoder.choice, 0) === 0) return this.#tree(decoder.low, positionState << 3, 3);
    if (this.#bit(decoder.choice, 1) === 0) return 8 + this.#tree(decoder.middle, positionState << 3, 3);
    return 16 + this.#tree(decoder.high, 0, 8);
  }

  #distance(length: number): number {
    const slot = this.#tree(this.#slots, Math.min(length, 3) << 6, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const distance = ((2 | (slot & 1)) << bits) >>> 0;
    if (slot < 14) return distance + this.#reverse(this.#special, (2 | (slot & 1)) * 2 ** bits - slot, bits);
    return (distance + this.#direct(bits - 4) * 16 + this.#reverse(this.#align, 0, 4)) >>> 0;
  }

  #literalByte(): void {
    const previous = this.#since > 0 ? this.#back(1) : 0;
    const context = ((this.#since & this.#literalMask) << this.#lc) + (previous >> (8 - this.#lc));
    const offset = 0x300 * context;
    let symbol = 1;
    if (this.#state >= 7) {
      let match = this.#back(this.#rep0 + 1);
      do {
        const matchBit = (match >> 7) & 1;
        match = (match << 1) & 0xff;
        const bit = this.#bit(this.#literals, offset + ((1 + matchBit) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (matchBit !== bit) break;
      } while (symbol < 0x100);
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(this.#literals, offset + symbol);
    this.#put(symbol & 0xff);
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6;
  }

  /** Decodes until `limit` bytes were produced in all, or to the end marker. True where the marker ended it. */
  decode(limit: number): boolean {
    while (this.produced < limit) {
      const positionState = this.#since & this.#positionMask;
      if (this.#bit(this.#isMatch, (this.#state << 4) + positionState) === 0) {
        this.#literalByte();
        continue;
      }
      let length: number;
      if (this.#bit(this.#isRep, this.#state) === 0) {
        this.#rep3 = this.#rep2;
        this.#rep2 = this.#rep1;
        this.#rep1 = this.#rep0;
        length = this.#length(this.#matchLength, positionState);
        this.#state = this.#state < 7 ? 7 : 10;
        this.#rep0 = this.#distance(length);
        if (this.#rep0 === 0xffffffff) {
          this.flush();
          return true;
        }
      } else {
        if (this.#bit(this.#isRepG0, this.#state) === 0) {
          if (this.#bit(this.#isRep0Long, (this.#state << 4) + positionState) === 0) {
            this.#state = this.#state < 7 ? 9 : 11;
            this.#checkDistance();
            this.#put(this.#back(this.#rep0 + 1));
            continue;
          }
        } else {
          let distance = this.#rep1;
          if (this.#bit(this.#isRepG1, this.#state) === 1) {
            distance = this.#rep2;
            if (this.#bit(this.#isRepG2, this.#state) === 1) {
              distance = this.#rep3;
              this.#rep3 = this.#rep2;
            }
            this.#rep2 = this.#rep1;
          }
          this.#rep1 = this.#rep0;
          this.#rep0 = distance;
        }
        length = this.#length(this.#repLength, positionState);
        this.#state = this.#state < 7 ? 8 : 11;
      }
      this.#checkDistance();
      const end = Math.min(this.produced + length + 2, limit);
      while (this.produced < end) this.#put(this.#back(this.#rep0 + 1));
    }
    this.flush();
    return false;
  }

  #checkDistance(): void {
    if (this.#rep0 >= this.#size || (!this.#filled && this.#rep0 >= this.#position)) throw new Damaged('a match reaches before the start');
  }
}

/** Streams of LZMA2 out of one input, of which a file may have many of a few bytes: they share their memory. */
export class Lzma2 {
  readonly #input: Input;
  #decoder: LzmaDecoder | null = null;
  #dictionary: number = 0;

  constructor(input: Input) {
    this.#input = input;
  }

  /** Chunks up to the end chunk. */
  decode(output: Output, dictionary: number): void {
    if (this.#decoder === null || this.#dictionary !== dictionary) this.#decoder = new LzmaDecoder(this.#input, output, dictionary);
    else this.#decoder.restart(output);
    this.#dictionary = dictionary;
    decodeChunks(this.#input, this.#decoder);
  }
}

/** LZMA2 as 7z has it: one stream. */
export function decodeLzma2(input: Input, output: Output, dictionary: number): void {
  new Lzma2(input).decode(output, dictionary);
}

function decodeChunks(input: Input, decoder: LzmaDecoder): void {
  let ready = false;
  for (;;) {
    const control = input.byte();
    if (control === 0) break;
    if (control === 1 || control >= 0xe0) decoder.resetDictionary();
    if (control < 0x80) {
      if (control > 2) throw new Damaged('invalid LZMA2 chunk');
      for (let left = input.bytes(2).readUInt16BE(0) + 1; left > 0; left -= 1) decoder.literal(input.byte());
      continue;
    }
    const sizes = input.bytes(4);
    const unpacked = ((control & 0x1f) << 16) + sizes.readUInt16BE(0) + 1;
    const end = input.position + sizes.readUInt16BE(2) + 1 + (control >= 0xc0 ? 1 : 0);
    if (control >= 0xc0) {
      decoder.reset(input.byte());
      ready = true;
    } else if (control >= 0xa0) decoder.resetState();
    if (!ready) throw new Damaged('LZMA2 without properties');
    decoder.startRange();
    decoder.decode(decoder.produced + unpacked);
    input.position = end;
  }
  decoder.flush();
}

/** The `.lzma` format: properties, dictionary size, size (all ones: unknown), stream. */
export function decodeLzmaAlone(input: Input, output: Output): void {
  const head = input.bytes(13);
  const size = head.readBigUInt64LE(5);
  const decoder = new LzmaDecoder(
    input,
    output,
    Math.min(head.readUInt32LE(1), size > 2n ** 40n ? Number.POSITIVE_INFINITY : Math.max(4096, Number(size))),
  );
  decoder.reset(head[0] ?? 0);
  decoder.startRange();
  decoder.decode(size === 2n ** 64n - 1n ? Number.POSITIVE_INFINITY : Number(size));
}

/** LZMA inside zip (APPNOTE 5.8.8): version, length of the properties, properties, stream with an end marker or to the end of the member. */
export function decodeLzmaZip(input: Input, output: Output): void {
  const head = input.bytes(9);
  const decoder = new LzmaDecoder(input, output, head.readUInt32LE(5));
  decoder.reset(head[4] ?? 0);
  decoder.startRange();
  decoder.decode(output.limit);
}
