import fc from 'fast-check';
import { bytes } from './writers.ts';

/** One piece of damage, somewhere in a file. */
export interface Mutation {
  readonly kind: 'flip' | 'set' | 'cut' | 'insert' | 'copy' | 'number';
  readonly at: number;
  readonly value: number;
}

export const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('flip', 'set', 'cut', 'insert', 'copy', 'number'),
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  value: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 0x28, 0x2e, 0x52, 0x62, 0x81, 0x93, 0x95, 0x0a),
});

export function mutate(seed: Buffer, mutations: readonly Mutation[]): Buffer {
  let file: Buffer = Buffer.from(seed);
  for (const { kind, at, value } of mutations) {
    const place = Math.floor(at * file.length);
    if (kind === 'cut') file = file.subarray(0, place);
    else if (kind === 'insert') file = bytes(file.subarray(0, place), value, file.subarray(place));
    else if (kind === 'copy') file = bytes(file.subarray(0, place), file.subarray(Math.floor(place / 2), place), file.subarray(place));
    else if (place < file.length) {
      if (kind === 'flip') file[place] = (file[place] ?? 0) ^ (1 << (value & 7));
      else if (kind === 'set') file[place] = value;
      else file.fill(value === 1 ? 0x7f : 0xff, place, Math.min(place + 8, file.length));
    }
  }
  return file;
}
