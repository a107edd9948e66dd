/**
 * Trains the tagger of `entities`, the classifiers of `content` and those of `injection`: `npm run train -- --data DIR`, where DIR holds `train` and `dev`. Learns
 * from the first, chooses thresholds on the second, and writes their `weights.ts`, the same bytes every time.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readOtherRows } from '../eval/other-sets.ts';
import { readRows } from '../eval/sets.ts';
import type { HeadData, HeadName } from '../src/injection/model.ts';
import { writeContent } from './content/write.ts';
import { writeTagger } from './entities/write.ts';
import { type Example, extractionExamples, untrustedExamples, userExamples } from './examples.ts';
import { learn, quantise } from './learn.ts';
import { Random } from './random.ts';
import { readSources } from './sources.ts';
import { type Limits, scoreBenign, thresholds } from './thresholds.ts';
import { letterPairsOf, ordinaryOf, vocabularyOf } from './vocabulary.ts';

const { values } = parseArgs({ options: { data: { type: 'string' }, out: { type: 'string' }, only: { type: 'string' } } });
if (values.data === undefined) {
  process.stderr.write('usage: npm run train -- --data DIR [--only injection|entities|content] [--out FILE]\n');
  process.exit(2);
}
const report = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
const source = (...path: string[]): string => fileURLToPath(new URL(['..', 'src', ...path].join('/'), import.meta.url));
/** What `--out` names is for the part that `--only` names. */
const given = values.only === undefined ? undefined : values.out;
if (values.only === undefined || values.only === 'entities') {
  writeTagger(join(values.data, 'train'), given ?? source('entities', 'weights.ts'), report);
}
if (values.only === 'entities') process.exit(0);
const out = values.out ?? source('injection', 'weights.ts');

interface Plan {
  readonly examples: (random: Random) => Example[];
  readonly epochs: number;
  readonly flag: Limits;
  readonly block: Limits;
}

const sources = readSources(join(values.data, 'train'));
const plans: Readonly<Record<HeadName, Plan>> = {
  user: {
    examples: (random) => userExamples(sources, random),
    epochs: 8,
    flag: { all: 0.005, set: 0.01, hard: 0.03, floors: [0, 0.8, 0.5, 2, 2, 5] },
    block: { all: 0.002, set: 0.005, hard: 0.01, floors: [1.5, 1.5, 2, 2.5, 2.5, 7] },
  },
  untrusted: {
    examples: (random) => untrustedExamples(sources, random),
    epochs: 8,
    flag: { all: 0.012, set: 0.01, hard: 0.01, floors: [0, 0, 0, 0, 8, 6] },
    block: { all: 0.004, set: 0.01, hard: 0.01, floors: [3.5, 3.5, 3.5, 3.5, 3.5, 8] },
  },
  extraction: {
    examples: (random) => extractionExamples(sources, random),
    epochs: 6,
    flag: { all: 0.001, set: 0.004, hard: 0.004, floors: [0, 0, 0, 8, 8, 20] },
    block: { all: 0.0003, set: 0.003, hard: 0.003, floors: [2.5, 2.5, 2.5, 9, 9, 20] },
  },
};

const dev = [...readRows(join(values.data, 'dev')), ...readOtherRows(join(values.data, 'dev'))];

if (values.only === undefined || values.only === 'content') {
  writeContent(join(values.data, 'train'), sources, dev, given ?? source('content', 'content-weights.ts'), report);
}
if (values.only === 'content') process.exit(0);

function train(name: HeadName, { examples, epochs, flag, block }: Plan): HeadData {
  const list = examples(new Random(name.length));
  const attacks = list.filter(({ attack }) => attack).length;
  report(`${name}: ${attacks} attacks, ${list.length - attacks} others`);
  const learned = learn(list, epochs);
  const { bytes, scale } = quantise(learned);
  const head = { scale, bias: learned.bias, weights: bytes };
  const chosen = thresholds(scoreBenign(head, name, dev), flag, block);
  return { scale, bias: learned.bias, thresholds: chosen, weights: Buffer.from(bytes.buffer).toString('base64') };
}

function code({ scale, bias, thresholds: { flag, block }, weights }: HeadData): string {
  return `{
    scale: ${scale},
    bias: ${bias},
    thresholds: {
      flag: [${flag.join(', ')}],
      block: [${block.join(', ')}],
    },
    weights:
      '${weights}',
  }`;
}

const vocabulary = vocabularyOf(sources);
writeFileSync(
  fileURLToPath(new URL('../src/views/vocabulary.ts', import.meta.url)),
  `/** Written by \`npm run train\`: words of instructions to a model. */\nexport const VOCABULARY: string =\n  '${vocabulary}';
/** Written by \`npm run train\`: other words that are near one of them, and right. */
export const ORDINARY: string =\n  '${ordinaryOf(sources, vocabulary)}';
/** Written by \`npm run train\`: how unlikely letters are one after the other, see letters.ts. */
export const LETTER_PAIRS: string =
  '${letterPairsOf(sources)}';\n`,
);
const user = train('user', plans.user);
const untrusted = train('untrusted', plans.untrusted);
const extraction = train('extraction', plans.extraction);
writeFileSync(
  out,
  `import type { HeadData, HeadName } from './model.ts';

/** Written by \`npm run train\`; see docs/model-card.md. */
export const HEADS: Readonly<Record<HeadName, HeadData>> = {
  user: ${code(user)},
  untrusted: ${code(untrusted)},
  extraction: ${code(extraction)},
};
`,
);
report(`wrote ${out}`);
