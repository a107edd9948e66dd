import type { Usage } from '@sallyport/core';

/** Tokens a byte of text makes, until enough was learned: a request's on the high side, a reply's as English text has them. */
const INPUT_TOKENS_PER_BYTE = 1 / 3.5;
const OUTPUT_TOKENS_PER_BYTE = 1 / 4;
/** Output assumed where the client sets no bound, until enough was learned. */
const UNBOUNDED_OUTPUT = 1_024;
/** Replies with exact figures before what was learned is gone by. */
const ENOUGH = 32;
/** What a further reply weighs. One in a hundred: a model's text changes slowly, and no single caller moves it far. */
const WEIGHT = 0.01;
/**
 * What one reply may state, and with it what can be learned: texts of a caller who wants others to reserve too much or too little change
 * nothing beyond this. What they used is settled exactly all the same.
 */
const TOKENS_PER_BYTE = { least: 1 / 12, most: 1 } as const;
const OUTPUT = { least: 64, most: 8_192 } as const;
/** Bytes below which the frame of a request or reply outweighs its text. */
const TELLING_BYTES = 256;
/** Models kept; names are those of routes, so this is only reached by a configuration with more. */
const MAX_MODELS = 10_000;

/** A mean that follows, and how far values are from it on average. */
class Following {
  mean: number;
  deviation: number;
  seen = 0;

  constructor(mean: number) {
    this.mean = mean;
    this.deviation = mean / 4;
  }

  take(value: number): void {
    this.seen += 1;
    const weight = Math.max(WEIGHT, 1 / (this.seen + 1));
    this.deviation += (Math.abs(value - this.mean) - this.deviation) * weight;
    this.mean += (value - this.mean) * weight;
  }
}

interface Learned {
  readonly input: Following;
  readonly output: Following;
  readonly length: Following;
}

/**
 * Tokens by bytes for each model, learned from the figures its upstream reports. No tokenizer: the gateway does not have the model's, and
 * what it would cost a request is more than what the estimate is off by, which settlement puts right.
 */
export class Calibration {
  readonly #models = new Map<string, Learned>();

  /** Input tokens of a request of `bytes`, on the high side: two mean deviations above what was seen. Whole, at least 0. */
  inputTokens(model: string | null, bytes: number): number {
    const input = this.#trusted(model, 'input');
    if (input === null) return Math.ceil(bytes * INPUT_TOKENS_PER_BYTE);
    return Math.ceil(bytes * Math.min(TOKENS_PER_BYTE.most, input.mean + 2 * input.deviation));
  }

  /** Output tokens of a text of `bytes`. */
  outputTokens(model: string | null, bytes: number): number {
    return Math.ceil(bytes * (this.#trusted(model, 'output')?.mean ?? OUTPUT_TOKENS_PER_BYTE));
  }

  /** Output tokens to reserve for a reply without a bound. */
  unboundedOutput(model: string | null): number {
    const length = this.#trusted(model, 'length');
    if (length === null) return UNBOUNDED_OUTPUT;
    return Math.ceil(Math.min(OUTPUT.most, Math.max(OUTPUT.least, length.mean + 2 * length.deviation)));
  }

  /** Learns from a whole reply whose upstream counted. `inputBytes` is null where the request held more than text. */
  learn(model: string, usage: Usage, inputBytes: number | null, outputBytes: number): void {
    if (!usage.exact) return;
    let learned = this.#models.get(model);
    if (learned === undefined) {
      if (this.#models.size >= MAX_MODELS) return;
      learned = {
        input: new Following(INPUT_TOKENS_PER_BYTE),
        output: new Following(OUTPUT_TOKENS_PER_BYTE),
        length: new Following(UNBOUNDED_OUTPUT),
      };
      this.#models.set(model, learned);
    }
    if (inputBytes !== null && inputBytes >= TELLING_BYTES && usage.input > 0) learned.input.take(bounded(usage.input / inputBytes));
    // Reasoning that is counted and not shown would make text look dear: the bound holds it, and streams report their own figures.
    if (outputBytes >= TELLING_BYTES && usage.output > 0) learned.output.take(bounded(usage.output / outputBytes));
    if (usage.output > 0) learned.length.take(Math.min(OUTPUT.most, usage.output));
  }

  #trusted(model: string | null, kind: keyof Learned): Following | null {
    const following = model === null ? undefined : this.#models.get(model)?.[kind];
    return following === undefined || following.seen < ENOUGH ? null : following;
  }
}

function bounded(tokensPerByte: number): number {
  return Math.min(TOKENS_PER_BYTE.most, Math.max(TOKENS_PER_BYTE.least, tokensPerByte));
}
