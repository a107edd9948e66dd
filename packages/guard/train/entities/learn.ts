import { CONTEXT_FEATURES, FEATURES, featuresOf, ROWS, WORD_FEATURES } from '../../src/entities/features.ts';
import { decode, LABEL_COUNT, MOST, type PackedWeights, pack } from '../../src/entities/tagger.ts';
import type { Tokens } from '../../src/entities/tokens.ts';
import type { Random } from '../random.ts';

export interface Sentence {
  readonly tokens: Tokens;
  readonly labels: Uint8Array;
}

/** Weights with what averaging needs: the sum over time, kept up to date only where a weight changes. */
class Averaged {
  readonly now: Float64Array;
  readonly #sum: Float64Array;

  constructor(size: number) {
    this.now = new Float64Array(size);
    this.#sum = new Float64Array(size);
  }

  add(index: number, change: number, time: number): void {
    this.now[index] = (this.now[index] ?? 0) + change;
    this.#sum[index] = (this.#sum[index] ?? 0) + change * time;
  }

  average(time: number): Float64Array {
    return this.now.map((value, index) => value - (this.#sum[index] ?? 0) / time);
  }
}

/** How often the words around a token are hidden in training: what stands around a name in one sentence pattern does not in another. */
const CONTEXT_HIDDEN = 0.3;

/** A row that no feature of any word has, for features that are hidden: it is cleared after the training. */
const HIDDEN = 0;

/**
 * The averaged structured perceptron (Collins 2002): where the best sequence is not the right one, the right one's features gain and the
 * other's lose.
 */
export function learnTagger(
  sentences: readonly Sentence[],
  epochs: number,
  random: Random,
  report: (line: string) => void,
): { readonly rows: Float64Array; readonly transitions: Float64Array } {
  const rows = new Averaged(ROWS * LABEL_COUNT);
  const transitions = new Averaged(LABEL_COUNT * LABEL_COUNT);
  const order = sentences.map((_, index) => index);
  let time = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    random.shuffle(order);
    let wrong = 0;
    let total = 0;
    for (const index of order) {
      const sentence = sentences[index];
      if (sentence === undefined) continue;
      time++;
      const features = featuresOf(sentence.tokens);
      for (let at = 0; at < sentence.tokens.count; at++) {
        if (random.next() < 0.25) for (const feature of WORD_FEATURES) features[at * FEATURES + feature] = HIDDEN;
        if (random.next() < CONTEXT_HIDDEN) for (const feature of CONTEXT_FEATURES) features[at * FEATURES + feature] = HIDDEN;
      }
      const guess = decode({ rows: rows.now, transitions: transitions.now }, features);
      for (let at = 0; at < guess.length; at++) {
        const right = sentence.labels[at] ?? 0;
        const said = guess[at] ?? 0;
        total++;
        if (right !== said) {
          wrong++;
          for (let feature = at * FEATURES; feature < (at + 1) * FEATURES; feature++) {
            const row = features[feature] ?? HIDDEN;
            if (row === HIDDEN) continue;
            rows.add(row * LABEL_COUNT + right, 1, time);
            rows.add(row * LABEL_COUNT + said, -1, time);
          }
        }
        if (at === 0) continue;
        const rightPair = (sentence.labels[at - 1] ?? 0) * LABEL_COUNT + right;
        const saidPair = (guess[at - 1] ?? 0) * LABEL_COUNT + said;
        if (rightPair !== saidPair) {
          transitions.add(rightPair, 1, time);
          transitions.add(saidPair, -1, time);
        }
      }
    }
    report(`tagger, round ${epoch + 1}: ${((100 * wrong) / total).toFixed(2)} % of ${total} tokens wrong`);
  }
  return { rows: rows.average(time), transitions: transitions.average(time) };
}

/** Four bits a weight, all by the same scale; a few large ones are cut, so that the many small ones keep their differences. */
export function packTagger({ rows, transitions }: { readonly rows: Float64Array; readonly transitions: Float64Array }): PackedWeights {
  const sizes = rows.map(Math.abs).sort();
  const scale = MOST / (sizes[Math.floor(sizes.length * 0.9995)] ?? 1);
  const whole = Int8Array.from(rows, (value) => Math.max(-MOST, Math.min(MOST, Math.round(value * scale))));
  return {
    rows: Buffer.from(pack(whole)).toString('base64'),
    transitions: Array.from(transitions, (value) => Math.round(value * scale * 100) / 100).join(),
  };
}
