import { CONTENT_CLASSES } from './classes.ts';
import { ROWS } from './features.ts';

const COUNT = CONTENT_CLASSES.length;

/** What people ask, and what models and documents say. */
export type ContentHead = 'request' | 'statement';

/** A linear classifier for each class over the same rows. */
export interface ContentModel {
  /** By row, then by class. */
  readonly weights: Int8Array;
  /** What a weight of 1 adds. */
  readonly scale: number;
  /** By class, as `thresholds`: log odds from which on a passage is of it. */
  readonly biases: readonly number[];
  readonly thresholds: readonly number[];
}

/** What `npm run train` writes: `weights` in base64. */
export interface ContentModelData extends Omit<ContentModel, 'weights'> {
  readonly weights: string;
}

/** @throws RangeError where the weights are not of this build's size */
export function decodeModel({ weights, ...rest }: ContentModelData): ContentModel {
  const bytes = Buffer.from(weights, 'base64');
  if (bytes.length !== ROWS * COUNT) throw new RangeError('the weights are of another size');
  return { ...rest, weights: Int8Array.from(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length)) };
}

/** Sums of weights by class. */
export function sumsOf({ weights }: Pick<ContentModel, 'weights'>, rows: readonly number[]): Int32Array {
  const sums = new Int32Array(COUNT);
  for (const row of rows) {
    for (let index = 0; index < COUNT; index++) sums[index] = (sums[index] ?? 0) + (weights[row * COUNT + index] ?? 0);
  }
  return sums;
}

/** Log odds that what has `count` rows with this sum is of a class. */
export function scoreOf({ scale, biases }: Pick<ContentModel, 'scale' | 'biases'>, index: number, sum: number, count: number): number {
  return (biases[index] ?? 0) + (count === 0 ? 0 : (sum * scale) / Math.sqrt(count));
}
