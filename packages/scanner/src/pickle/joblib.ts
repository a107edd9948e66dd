import type { ByteSource } from '../source.ts';
import { readLiteral } from './literal.ts';
import type { Call, Container, Value } from './value.ts';

/** An array that joblib keeps in the stream itself, right after its wrapper: raw bytes, or a pickle of its own for objects. */
export type InlineArray = { readonly kind: 'raw'; readonly bytes: number; readonly aligned: boolean } | { readonly kind: 'pickle' };

const WRAPPER = 'NumpyArrayWrapper';
/** Makes the type of strings of any length (NumPy 2), whose arrays are pickled. */
const STRING_DTYPE = '_convert_to_stringdtype_kwargs';
/** Bytes of one element by the letter of NumPy's type code, where the code names no size of its own. */
const LETTER: Readonly<Record<string, number>> = {
  '?': 1,
  b: 1,
  B: 1,
  h: 2,
  H: 2,
  e: 2,
  i: 4,
  I: 4,
  f: 4,
  l: 8,
  L: 8,
  q: 8,
  Q: 8,
  d: 8,
  F: 8,
  g: 16,
  D: 16,
  G: 32,
};
const SIZED: Readonly<Record<string, number>> = { b: 1, i: 1, u: 1, f: 1, c: 1, S: 1, a: 1, V: 1, m: 1, M: 1, U: 4 };

export function isArrayWrapper({ callee }: Call): boolean {
  return typeof callee === 'object' && callee.kind === 'global' && callee.name === WRAPPER;
}

/**
 * What follows the BUILD of `built` in a joblib file, or null where it is no array wrapper or what it says cannot be told statically
 * (joblib.numpy_pickle.NumpyArrayWrapper.read; the alignment byte is written since joblib 1.1).
 */
export function inlineArray(source: ByteSource, built: Call): InlineArray | null {
  const { state } = built;
  if (!isArrayWrapper(built)) return null;
  if (state === null || typeof state === 'number' || state.kind !== 'container') return null;
  const shape = entry(source, state, 'shape');
  const dtype = entry(source, state, 'dtype');
  if (shape === null || typeof shape === 'number' || shape.kind !== 'container' || dtype === null) return null;
  let bytes = elementBytes(source, dtype);
  if (bytes === null) return null;
  if (bytes === 'object') return { kind: 'pickle' };
  for (const item of shape.items ?? []) {
    const literal = typeof item === 'number' ? readLiteral(source, item) : null;
    if (literal?.type !== 'number' || literal.value < 0) return null;
    bytes *= literal.value;
  }
  const alignment = entry(source, state, 'numpy_array_alignment_bytes');
  return { kind: 'raw', bytes, aligned: typeof alignment === 'number' && readLiteral(source, alignment).type === 'number' };
}

/** The value under a key of a dict that was pushed as key, value, key, value. */
export function entry(source: ByteSource, dict: Container, key: string): Value | null {
  const items = dict.items ?? [];
  for (let index = 0; index + 1 < items.length; index += 2) {
    const item = items[index];
    const literal = typeof item === 'number' ? readLiteral(source, item) : null;
    if (literal?.type === 'text' && literal.text === key) return items[index + 1] ?? null;
  }
  return null;
}

/** `numpy.dtype('f8', …)` with its state; structured types are (code, …, names, fields, itemsize, …). */
function elementBytes(source: ByteSource, dtype: Value): number | 'object' | null {
  if (typeof dtype === 'number' || dtype.kind !== 'call') return null;
  const { callee, args, state } = dtype;
  if (typeof callee === 'object' && callee.kind === 'global' && callee.name === STRING_DTYPE) return 'object';
  const first = typeof args !== 'number' && args.kind === 'container' ? args.items?.[0] : undefined;
  const literal = typeof first === 'number' ? readLiteral(source, first) : null;
  if (literal?.type !== 'text') return null;
  const code = literal.text.replace(/^[<>|=]/, '');
  if (code.startsWith('O')) return 'object';
  const sized = /^([a-zA-Z])(\d+)$/.exec(code);
  if (sized?.[1] === undefined) return LETTER[code] ?? null;
  if (sized[1] !== 'V') return Number(sized[2]) * (SIZED[sized[1]] ?? 1);
  // A structured type that holds objects anywhere is pickled whole.
  return state !== null && typeof state !== 'number' && mentionsObject(source, state, 0) ? 'object' : Number(sized[2]);
}

function mentionsObject(source: ByteSource, value: Value, depth: number): boolean {
  if (typeof value === 'number' || depth > 8) return false;
  if (value.kind === 'call') return elementBytes(source, value) === 'object';
  return value.kind === 'container' && (value.items ?? []).some((item) => mentionsObject(source, item, depth + 1));
}
