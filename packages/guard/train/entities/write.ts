import { writeFileSync } from 'node:fs';
import { Random } from '../random.ts';
import { taggerSentences } from './generate.ts';
import { learnTagger, packTagger } from './learn.ts';

const EPOCHS = 4;
/** Orders of the sentences that are learnt from: one alone decides by chance what is said of patterns that none of them has. */
const SEEDS: readonly number[] = [5, 11, 23];

/** Trains the tagger of the `entities` detector on the training split in `folder` and writes its weights, the same bytes every time. */
export function writeTagger(folder: string, out: string, report: (line: string) => void): void {
  const sentences = taggerSentences(folder);
  report(`tagger: ${sentences.length} sentences`);
  const { rows, transitions } = packTagger(sumOf(SEEDS.map((seed) => learnTagger(sentences, EPOCHS, new Random(seed), report))));
  writeFileSync(
    out,
    `import type { PackedWeights } from './tagger.ts';

/** Written by \`npm run train\`; see docs/model-card-entities.md. */
export const WEIGHTS: PackedWeights = {
  transitions:
    '${transitions}',
  rows: '${rows}',
};
`,
  );
  report(`wrote ${out}`);
}

type Learnt = ReturnType<typeof learnTagger>;

/** Weights that decide as all of them do together; the scale of a tagger does not matter. */
function sumOf(learnt: readonly Learnt[]): Learnt {
  const sum = (of: (one: Learnt) => Float64Array): Float64Array => {
    const [first = new Float64Array(0), ...others] = learnt.map(of);
    return first.map((value, index) => others.reduce((total, other) => total + (other[index] ?? 0), value));
  };
  return { rows: sum(({ rows }) => rows), transitions: sum(({ transitions }) => transitions) };
}
