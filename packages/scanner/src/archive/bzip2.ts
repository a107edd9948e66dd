import { Damaged, type Input, type Output } from './output.ts';

/**
 * bzip2 decoder after the format of bzip2 1.0 (J. Seward). Own code for the reason given in lzma.ts: bounded memory (3.6 MB per 900 kB
 * block) and limits while the output is produced.
 */
const BLOCK = 0x314159265359n;
const END = 0x177245385090n;
const RUN_A = 0;
const RUN_B = 1;
const GROUP = 50;
const MAX_LENGTH = 20;

class Bits {
  readonly input: Input;
  #held: number = 0;
  #count: number = 0;

  constructor(input: Input) {
    this.input = input;
  }

  read(count: number): number {
    let value = 0;
    for (let left = count; left > 0; ) {
      if (this.#count === 0) {
        this.#held = this.input.byte();
        this.#count = 8;
      }
      const taken = Math.min(left, this.#count);
      this.#count -= taken;
      value = value * 2 ** taken + ((this.#held >> this.#count) & ((1 << taken) - 1));
      left -= taken;
    }
    return value;
  }

  /** Streams end at a whole byte. */
  align(): void {
    this.#count = 0;
  }
}

interface Code {
  readonly limit: Int32Array;
  readonly base: Int32Array;
  readonly symbols: Uint16Array;
  readonly shortest: number;
}

export function decodeBzip2(input: Input, output: Output): void {
  do {
    output.startStream();
    const bits = new Bits(input);
    const head = input.bytes(4);
    const level = (head[3] ?? 0) - 0x30;
    if (head.toString('latin1', 0, 3) !== 'BZh' || level < 1 || level > 9) throw new Damaged('no bzip2 stream');
    for (;;) {
      const magic = BigInt(bits.read(24)) * 2n ** 24n + BigInt(bits.read(24));
      bits.read(32);
      if (magic === END) break;
      if (magic !== BLOCK) throw new Damaged('no bzip2 block');
      output.write(block(bits, level * 100_000));
    }
    bits.align();
  } while (input.source.read(input.position, 3).toString('latin1') === 'BZh');
}

function block(bits: Bits, size: number): Buffer {
  if (bits.read(1) === 1) throw new Damaged('randomised bzip2 blocks are not supported');
  const origin = bits.read(24);
  const used = readUsed(bits);
  const codes = readCodes(bits, used.length + 2);
  const { tables, selectors } = codes;
  const counts = new Uint32Array(256);
  const text = new Uint32Array(size);
  let length = 0;
  const move = used.slice();
  let table = tables[0];
  let left = 0;
  let selector = 0;
  let run = 0;
  let weight = 1;
  for (;;) {
    if (left === 0) {
      table = tables[selectors[selector] ?? 99];
      selector += 1;
      left = GROUP;
    }
    left -= 1;
    if (table === undefined) throw new Damaged('bzip2 selectors run out');
    const symbol = decode(bits, table);
    if (symbol <= RUN_B) {
      run += symbol === RUN_A ? weight : 2 * weight;
      weight *= 2;
      if (run > size) throw new Damaged('a bzip2 run too long');
      continue;
    }
    if (run > 0) {
      const byte = move[0] ?? 0;
      if (length + run > size) throw new Damaged('a bzip2 block too long');
      text.fill(byte, length, length + run);
      counts[byte] = (counts[byte] ?? 0) + run;
      length += run;
      run = 0;
      weight = 1;
    }
    if (symbol === used.length + 1) break;
    const byte = move[symbol - 1] ?? 0;
    move.copyWithin(1, 0, symbol - 1);
    move[0] = byte;
    if (length >= size) throw new Damaged('a bzip2 block too long');
    text[length] = byte;
    counts[byte] = (counts[byte] ?? 0) + 1;
    length += 1;
  }
  if (origin >= length) throw new Damaged('an invalid bzip2 origin');
  return expandRuns(invert(text, length, counts, origin));
}

function readUsed(bits: Bits): Uint8Array {
  const groups = bits.read(16);
  const used: number[] = [];
  for (let group = 0; group < 16; group += 1) {
    if ((groups & (0x8000 >> group)) === 0) continue;
    const members = bits.read(16);
    for (let index = 0; index < 16; index += 1) if ((members & (0x8000 >> index)) !== 0) used.push(group * 16 + index);
  }
  if (used.length === 0) throw new Damaged('a bzip2 block without symbols');
  return Uint8Array.from(used);
}

function readCodes(bits: Bits, symbols: number): { readonly tables: readonly Code[]; readonly selectors: Uint8Array } {
  const groups = bits.read(3);
  const count = bits.read(15);
  if (groups < 2 || groups > 6 || count < 1) throw new Damaged('invalid bzip2 tables');
  const order = [0, 1, 2, 3, 4, 5];
  const selectors = new Uint8Array(count);
  for (let index = 0; index < count; index += 1) {
    let place = 0;
    while (bits.read(1) === 1) {
      place += 1;
      if (place >= groups) throw new Damaged('an invalid bzip2 selector');
    }
    const [chosen = 0] = order.splice(place, 1);
    order.unshift(chosen);
    selectors[index] = chosen;
  }
  const tables: Code[] = [];
  for (let group = 0; group < groups; group += 1) {
    const lengths = new Uint8Array(symbols);
    let length = bits.read(5);
    for (let symbol = 0; symbol < symbols; symbol += 1) {
      while (bits.read(1) === 1) length += bits.read(1) === 0 ? 1 : -1;
      if (length < 1 || length > MAX_LENGTH) throw new Damaged('an invalid bzip2 code length');
      lengths[symbol] = length;
    }
    tables.push(canonical(lengths));
  }
  return { tables, selectors };
}

function canonical(lengths: Uint8Array): Code {
  const counts = new Int32Array(MAX_LENGTH + 2);
  for (const length of lengths) counts[length] = (counts[length] ?? 0) + 1;
  const limit = new Int32Array(MAX_LENGTH + 2).fill(-1);
  const base = new Int32Array(MAX_LENGTH + 2);
  const symbols = new Uint16Array(lengths.length);
  let code = 0;
  let index = 0;
  for (let length = 1; length <= MAX_LENGTH; length += 1) {
    base[length] = index - code;
    for (let symbol = 0; symbol < lengths.length; symbol += 1) {
      if (lengths[symbol] !== length) continue;
      symbols[index] = symbol;
      index += 1;
    }
    code += counts[length] ?? 0;
    limit[length] = code - 1;
    code *= 2;
  }
  return { limit, base, symbols, shortest: Math.min(...lengths) };
}

function decode(bits: Bits, { limit, base, symbols, shortest }: Code): number {
  let code = bits.read(shortest);
  for (let length = shortest; length <= MAX_LENGTH; length += 1) {
    if (code <= (limit[length] ?? -1)) return symbols[code + (base[length] ?? 0)] ?? 0xffff;
    code = code * 2 + bits.read(1);
  }
  throw new Damaged('an invalid bzip2 code');
}

/** Undoes the Burrows-Wheeler transform: the low byte of a word is the text, the rest the chain. */
function invert(text: Uint32Array, length: number, counts: Uint32Array, origin: number): Buffer {
  const starts = new Uint32Array(256);
  for (let byte = 1, sum = 0; byte < 256; byte += 1) {
    sum += counts[byte - 1] ?? 0;
    starts[byte] = sum;
  }
  for (let index = 0; index < length; index += 1) {
    const byte = (text[index] ?? 0) & 0xff;
    const place = starts[byte] ?? 0;
    starts[byte] = place + 1;
    text[place] = (text[place] ?? 0) | (index << 8);
  }
  const bytes = Buffer.allocUnsafe(length);
  for (let index = 0, at = (text[origin] ?? 0) >>> 8; index < length; index += 1) {
    const word = text[at] ?? 0;
    bytes[index] = word & 0xff;
    at = word >>> 8;
  }
  return bytes;
}

/** Four equal bytes are followed by the number of further ones. */
function expandRuns(bytes: Buffer): Buffer {
  let size = 0;
  const walk = (emit: (byte: number, count: number) => void): void => {
    let same = 0;
    let last = -1;
    for (const byte of bytes) {
      if (same === 4) {
        emit(last, byte);
        same = 0;
        last = -1;
        continue;
      }
      same = byte === last ? same + 1 : 1;
      last = byte;
      emit(byte, 1);
    }
  };
  walk((_, count) => {
    size += count;
  });
  const expanded = Buffer.allocUnsafe(size);
  let at = 0;
  walk((byte, count) => {
    expanded.fill(byte, at, at + count);
    at += count;
  });
  return expanded;
}
