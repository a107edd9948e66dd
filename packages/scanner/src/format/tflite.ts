import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';
import type { ByteSource } from '../source.ts';

const FLEX = /Flex[A-Z]\w{2,60}/g;
const CUSTOM_CODE = 1;
const OPERATOR_CODES = 1;
const CODE_LIMIT = 4096;
const WINDOW = 2 ** 20;
/** Custom operators that ship with the runtime. */
const KNOWN: ReadonlySet<string> = new Set([
  'TFLite_Detection_PostProcess',
  'Mfcc',
  'AudioSpectrogram',
  'RandomStandardNormal',
  'RandomUniform',
  'Multinomial',
  'HashtableFindV2',
]);

/** A TensorFlow Lite model (schema.fbs): its custom operators. FlatBuffers are read where they lie, every offset checked. */
export function scanTflite(piece: Piece): void {
  for (const code of customCodes(piece.source)) {
    if (KNOWN.has(code)) continue;
    piece.report('tflite-custom-operator', `needs the custom operator ${quote(code)}`);
  }
  for (let base = 0; base < piece.source.size; base += WINDOW) {
    piece.run.checkTime();
    const text = piece.source.read(base, WINDOW + 64).toString('latin1');
    for (const match of text.matchAll(FLEX))
      piece.report('tflite-custom-operator', `needs the TensorFlow operator ${quote(match[0])}`, base + match.index);
  }
}

function customCodes(source: ByteSource): string[] {
  const u32 = (at: number): number => (at >= 0 && at + 4 <= source.size ? source.read(at, 4).readUInt32LE(0) : 0);
  const u16 = (at: number): number => (at >= 0 && at + 2 <= source.size ? source.read(at, 2).readUInt16LE(0) : 0);
  /** Where a field of a table is, or 0: a table points back to its vtable of 16-bit offsets. */
  const field = (table: number, index: number): number => {
    if (table + 4 > source.size) return 0;
    const vtable = table - source.read(table, 4).readInt32LE(0);
    const slot = 4 + 2 * index;
    const offset = slot + 2 <= u16(vtable) ? u16(vtable + slot) : 0;
    return offset === 0 ? 0 : table + offset;
  };
  const codes: string[] = [];
  const vector = field(u32(0), OPERATOR_CODES);
  if (vector === 0) return codes;
  const start = vector + u32(vector);
  const count = Math.min(u32(start), CODE_LIMIT);
  for (let index = 0; index < count; index += 1) {
    const entry = start + 4 + 4 * index;
    const place = field(entry + u32(entry), CUSTOM_CODE);
    if (place === 0) continue;
    const text = place + u32(place);
    if (text + 4 < source.size) codes.push(source.read(text + 4, Math.min(u32(text), 256)).toString('utf8'));
  }
  return codes;
}
