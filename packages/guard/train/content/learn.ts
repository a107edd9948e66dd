import { ANCHOR_SETS, CONTENT_CLASSES, type ContentClass } from '../../src/content/classes.ts';
import { ROWS, rowsOf, wordsOf } from '../../src/content/features.ts';
import type { ContentModel } from '../../src/content/model.ts';
import { quantise } from '../learn.ts';

/** A text and what it is. */
export interface ContentExample {
  readonly text: string;
  readonly classes: ReadonlySet<ContentClass>;
  readonly weight: number;
}

const COUNT = CONTENT_CLASSES.length;
const EPOCHS = 6;
const RATE = 0.1;
const EPSILON = 1e-4;
const DECAY = 1e-5;
const FIRST_BIAS = -4;

/**
 * Logistic regression for each class by AdaGrad (Duchi et al., 2011), one example at a time in the order given. A class learns from the
 * examples that hold an anchor of it, for it judges no others.
 */
export function learnContent(examples: readonly ContentExample[]): Omit<ContentModel, 'thresholds'> {
  const weights = new Float32Array(ROWS * COUNT);
  const squares = new Float32Array(ROWS * COUNT);
  const biases = CONTENT_CLASSES.map(() => FIRST_BIAS);
  const read = examples.map(({ text, classes, weight }) => {
    const words = wordsOf(text);
    return { rows: rowsOf(words), set: words.set, weight, wanted: CONTENT_CLASSES.map((name) => (classes.has(name) ? 1 : 0)) };
  });
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    for (const { rows, set, weight, wanted } of read) {
      const norm = 1 / Math.sqrt(rows.length);
      for (let index = 0; index < COUNT; index++) {
        if ((set & (ANCHOR_SETS[index] ?? 0)) === 0) continue;
        let sum = 0;
        for (const row of rows) sum += weights[row * COUNT + index] ?? 0;
        const bias = biases[index] ?? 0;
        const gradient = (1 / (1 + Math.exp(-(bias + sum * norm))) - (wanted[index] ?? 0)) * weight;
        biases[index] = bias - 0.002 * gradient;
        if (Math.abs(gradient) < 1e-3) continue;
        const step = gradient * norm;
        for (const row of rows) {
          const at = row * COUNT + index;
          const total = (squares[at] ?? 0) + step * step;
          squares[at] = total;
          const old = weights[at] ?? 0;
          weights[at] = old - (RATE * (step + DECAY * old)) / Math.sqrt(total + EPSILON);
        }
      }
    }
  }
  const { bytes, scale } = quantise({ weights, bias: 0 });
  return { weights: bytes, scale, biases };
}
