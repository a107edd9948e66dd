import { writeFileSync } from 'node:fs';
import { Random } from '../random.ts';
import { taggerSentences } from './generate.ts';
import { learnTagger, packTagger } from './learn.ts';

const EPOCHS = 4;

/** Trains the tagger of the `entities` detector on the training split in `folder` and writes its weights, the same bytes every time. */
export function writeTagger(folder: string, out: string, report: (line: string) => void): void {
  const sentences = taggerSentences(folder);
  report(`tagger: ${sentences.length} sentences`);
  const { rows, transitions } = packTagger(learnTagger(sentences, EPOCHS, new Random(5), report));
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
