import { BUCKETS, FEATURES_PER_UNIT, FeatureReader } from '../src/injection/features.ts';
import type { Example } from './examples.ts';

export interface Learned {
  readonly weights: Float32Array;
  readonly bias: number;
}

const RATE = 0.2;
const EPSILON = 1e-4;
const DECAY = 2e-6;

/** Logistic regression by AdaGrad (Duchi et al., 2011), one example at a time in the order given. */
export function learn(examples: readonly Example[], epochs: number): Learned {
  const weights = new Float32Array(BUCKETS);
  const squares = new Float32Array(BUCKETS);
  const longest = examples.reduce((most, { text }) => Math.max(most, text.length), 0);
  const features = new Int32Array((longest + 1) * FEATURES_PER_UNIT);
  let bias = -2;
  const units = new Uint16Array(longest);
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const { text, attack, weight } of examples) {
      const reader = new FeatureReader();
      for (let index = 0; index < text.length; index++) units[index] = text.charCodeAt(index);
      let count = reader.read(units, 0, text.length, features);
      count += reader.end(features.subarray(count));
      if (count === 0) continue;
      const norm = 1 / Math.sqrt(count);
      let sum = 0;
      for (let index = 0; index < count; index++) sum += weights[features[index] ?? 0] ?? 0;
      const chance = 1 / (1 + Math.exp(-(bias + sum * norm)));
      const gradient = (chance - (attack ? 1 : 0)) * weight;
      bias -= 0.002 * gradient;
      if (Math.abs(gradient) < 1e-3) continue;
      const step = gradient * norm;
      const square = step * step;
      for (let index = 0; index < count; index++) {
        const bucket = features[index] ?? 0;
        const total = (squares[bucket] ?? 0) + square;
        squares[bucket] = total;
        const old = weights[bucket] ?? 0;
        weights[bucket] = old - (RATE * (step + DECAY * old)) / Math.sqrt(total + EPSILON);
      }
    }
  }
  return { weights, bias };
}

/** Weights as signed bytes, and what 1 of them is worth. */
export function quantise({ weights }: Learned): { readonly bytes: Int8Array; readonly scale: number } {
  const sizes = Float32Array.from(weights, Math.abs).sort();
  // The largest few are cut: a scale made for them would leave little precision to all the others.
  const most = sizes[Math.floor(sizes.length * 0.9995)] || sizes.at(-1) || 1;
  const scale = most / 127;
  return { bytes: Int8Array.from(weights, (weight) => Math.max(-127, Math.min(127, Math.round(weight / scale)))), scale };
}
