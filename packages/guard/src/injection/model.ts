import { BUCKETS } from './features.ts';

/** Units of folded text a block of sums covers. */
export const BLOCK = 128;
/** Window lengths, in blocks, ascending. */
export const WINDOWS: readonly number[] = [2, 4, 8];
/** Upper edges, in units, of the length classes that have thresholds of their own. */
export const LENGTH_CLASSES: readonly number[] = [64, 128, 256, 512, 1024];
/** The class of two blocks that are far from each other, after those of lengths. */
export const PAIR: number = LENGTH_CLASSES.length;

/** What a user says, what comes from elsewhere, and what asks for the prompt. */
export type HeadName = 'user' | 'untrusted' | 'extraction';

/** Above `flag` a window is suspicious, above `block` it is taken for an attack. By class (`classOf`); scores as `scoreOf` gives them. */
export interface Thresholds {
  readonly flag: readonly number[];
  readonly block: readonly number[];
}

/** A linear classifier over hashed features: what a text of one provenance scores. */
export interface Head {
  readonly weights: Int8Array;
  /** What a weight of 1 adds. */
  readonly scale: number;
  readonly bias: number;
  readonly thresholds: Thresholds;
}

/** What `npm run train` writes: `weights` in base64, one signed byte a bucket. */
export interface HeadData extends Omit<Head, 'weights'> {
  readonly weights: string;
}

/** @throws RangeError where the weights are not of this build's size */
export function decodeHead({ weights, ...head }: HeadData): Head {
  const bytes = Buffer.from(weights, 'base64');
  if (bytes.length !== BUCKETS) throw new RangeError('the weights are of another size');
  return { ...head, weights: Int8Array.from(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length)) };
}

/** Log odds that a window is an attack; `sum` is the sum of the weights of its `count` features. */
export function scoreOf(head: Pick<Head, 'scale' | 'bias'>, sum: number, count: number): number {
  return head.bias + (count === 0 ? 0 : (sum * head.scale) / Math.sqrt(count));
}

/** The class of a window or pair: what its thresholds depend on. */
export function classOf(units: number, isPair: boolean): number {
  if (isPair) return PAIR;
  let index = 0;
  while (index < LENGTH_CLASSES.length - 1 && units > (LENGTH_CLASSES[index] ?? 0)) index++;
  return index;
}
