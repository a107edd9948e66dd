/** Replies of a model that have to be known before one can be unusual. */
const KNOWN = 100;
/** Share of a new reply in what is expected of the next: those of the last few hundred count. */
const SHARE = 1 / 256;
/** Deviations beyond which a length is unusual, and by which one reply may move what is expected. */
const UNUSUAL = 4;
const MOST_WEIGHT = 3;
/** Least deviation, in natural logarithms: a model that always answers with one word must not make two words unusual. */
const LEAST_DEVIATION = 0.35;
/** Models that are watched at most. */
const MODELS = 2_000;

interface Lengths {
  count: number;
  mean: number;
  variance: number;
}

/**
 * Whether a reply is far longer or shorter than those of its model are: output tokens, by the logarithm, since lengths of replies spread by
 * factors. Keeps an exponentially weighted mean and variance for each model, which a single reply moves by a bounded step, so that a
 * few strange replies do not make themselves the rule. Of this process alone, and forgotten with it.
 */
export class OutputLengths {
  readonly #models = new Map<string, Lengths>();

  /** `model` is a public name of the configuration. Takes the reply into account and says whether it was unusual. */
  isUnusual(model: string, outputTokens: number): boolean {
    const length = Math.log1p(outputTokens);
    const known = this.#models.get(model);
    if (known === undefined) {
      if (this.#models.size < MODELS) this.#models.set(model, { count: 1, mean: length, variance: 0 });
      return false;
    }
    const deviation = Math.max(LEAST_DEVIATION, Math.sqrt(known.variance));
    const away = (length - known.mean) / deviation;
    const isUnusual = known.count >= KNOWN && Math.abs(away) > UNUSUAL;
    // The first replies count alike; later ones by their share.
    const share = Math.max(SHARE, 1 / ++known.count);
    const step = (known.count > KNOWN ? Math.max(-MOST_WEIGHT, Math.min(MOST_WEIGHT, away)) : away) * deviation;
    known.mean += share * step;
    known.variance = (1 - share) * (known.variance + share * step * step);
    return isUnusual;
  }
}
