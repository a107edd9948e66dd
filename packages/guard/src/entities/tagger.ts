import { FEATURES, ROWS } from './features.ts';

/** What a token belongs to. */
export const LABELS = [
  'none',
  'person',
  'location',
  'address',
  'organisation',
  'title',
  'nationality',
  'age',
  'date',
  'postal-code',
] as const;
export type EntityLabel = (typeof LABELS)[number];

export const LABEL_COUNT: 10 = LABELS.length;

/** Weights by feature row and label, and of one label after another. */
export interface TaggerWeights {
  /** `ROWS * LABEL_COUNT` */
  readonly rows: ArrayLike<number>;
  /** `LABEL_COUNT * LABEL_COUNT`, by the label before. */
  readonly transitions: ArrayLike<number>;
}

/** The best sequence of labels (Viterbi) for tokens whose feature rows are given. */
export function decode({ rows: weights, transitions }: TaggerWeights, rows: Int32Array): Uint8Array {
  const count = rows.length / FEATURES;
  const labels = new Uint8Array(count);
  if (count === 0) return labels;
  const back = new Uint8Array(count * LABEL_COUNT);
  let before = new Float64Array(LABEL_COUNT);
  let scores = new Float64Array(LABEL_COUNT);
  for (let at = 0; at < count; at++) {
    // Ten sums in registers: this is most of the time a text takes.
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    let e = 0;
    let f = 0;
    let g = 0;
    let h = 0;
    let i = 0;
    let j = 0;
    for (let feature = at * FEATURES; feature < (at + 1) * FEATURES; feature++) {
      const row = (rows[feature] ?? 0) * LABEL_COUNT;
      a += weights[row] ?? 0;
      b += weights[row + 1] ?? 0;
      c += weights[row + 2] ?? 0;
      d += weights[row + 3] ?? 0;
      e += weights[row + 4] ?? 0;
      f += weights[row + 5] ?? 0;
      g += weights[row + 6] ?? 0;
      h += weights[row + 7] ?? 0;
      i += weights[row + 8] ?? 0;
      j += weights[row + 9] ?? 0;
    }
    scores[0] = a;
    scores[1] = b;
    scores[2] = c;
    scores[3] = d;
    scores[4] = e;
    scores[5] = f;
    scores[6] = g;
    scores[7] = h;
    scores[8] = i;
    scores[9] = j;
    if (at > 0) {
      for (let label = 0; label < LABEL_COUNT; label++) {
        let best = 0;
        let most = Number.NEGATIVE_INFINITY;
        for (let previous = 0; previous < LABEL_COUNT; previous++) {
          const score = (before[previous] ?? 0) + (transitions[previous * LABEL_COUNT + label] ?? 0);
          if (score > most) {
            most = score;
            best = previous;
          }
        }
        scores[label] = (scores[label] ?? 0) + most;
        back[at * LABEL_COUNT + label] = best;
      }
    }
    [before, scores] = [scores, before];
  }
  let label = 0;
  for (let candidate = 1; candidate < LABEL_COUNT; candidate++) if ((before[candidate] ?? 0) > (before[label] ?? 0)) label = candidate;
  for (let at = count - 1; at >= 0; at--) {
    labels[at] = label;
    label = back[at * LABEL_COUNT + label] ?? 0;
  }
  return labels;
}

/** Weights as they are shipped: four bits each, two in a byte, the first in the lower half, moved up by 8. */
export interface PackedWeights {
  /** Base64 of `ROWS * LABEL_COUNT / 2` bytes. */
  readonly rows: string;
  /** Decimal numbers with commas between them. */
  readonly transitions: string;
}

/** The largest weight either way. */
export const MOST = 7;
const ZERO = 8;

/** @param weights whole numbers from `-MOST` to `MOST` */
export function pack(weights: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(weights.length / 2);
  for (let at = 0; at < bytes.length; at++) bytes[at] = ((weights[2 * at] ?? 0) + ZERO) | (((weights[2 * at + 1] ?? 0) + ZERO) << 4);
  return bytes;
}

/** @throws RangeError where the weights are of another size */
export function unpack({ rows, transitions }: PackedWeights): TaggerWeights {
  const bytes = Buffer.from(rows, 'base64');
  const pairs = transitions.split(',').map(Number);
  if (bytes.length * 2 !== ROWS * LABEL_COUNT || pairs.length !== LABEL_COUNT * LABEL_COUNT) {
    throw new RangeError('weights of another tagger');
  }
  const weights = new Int8Array(bytes.length * 2);
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    weights[2 * at] = (byte & 15) - ZERO;
    weights[2 * at + 1] = (byte >> 4) - ZERO;
  }
  return { rows: weights, transitions: pairs };
}
