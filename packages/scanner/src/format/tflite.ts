import type { Piece } from '../piece.ts';
import { quote } from '../report.ts';

const FLEX = /Flex[A-Z]\w{2,60}/g;
const CUSTOM_CODE = 1;
const OPERATOR_CODES = 1;
const CODE_LIMIT = 4096;
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
  const bytes = piece.source.read(0, Math.min(piece.source.size, piece.limits.memory));
  for (const code of customCodes(bytes)) {
    if (KNOWN.has(code)) continue;
    piece.report('tflite-custom-operator', `needs the custom operator ${quote(code)}`);
  }
  for (const match of bytes.toString('latin1').matchAll(FLEX))
    piece.report('tflite-custom-operator', `needs the TensorFlow operator ${quote(match[0])}`, match.index);
}

function customCodes(bytes: Buffer): string[] {
  const u32 = (at: number): number => (at >= 0 && at + 4 <= bytes.length ? bytes.readUInt32LE(at) : 0);
  const u16 = (at: number): number => (at >= 0 && at + 2 <= bytes.length ? bytes.readUInt16LE(at) : 0);
  /** Where a field of a table is, or 0: a table points back to its vtable of 16-bit offsets. */
  const field = (table: number, index: number): number => {
    if (table + 4 > bytes.length) return 0;
    const vtable = table - bytes.readInt32LE(table);
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
    codes.push(bytes.toString('utf8', Math.min(text + 4, bytes.length), Math.min(text + 4 + Math.min(u32(text), 256), bytes.length)));
  }
  return codes;
}
