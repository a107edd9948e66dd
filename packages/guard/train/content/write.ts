import { writeFileSync } from 'node:fs';
import { type LabelledTurn, openingsIn, readLabelledTurns } from '../../eval/content-labels.ts';
import { wilson } from '../../eval/figures.ts';
import type { Row } from '../../eval/sets.ts';
import { CONTENT_CLASSES } from '../../src/content/classes.ts';
import type { ContentHead, ContentModel, ContentModelData } from '../../src/content/model.ts';
import { Passages } from '../../src/content/passages.ts';
import { fold } from '../examples.ts';
import { Random } from '../random.ts';
import type { Sources } from '../sources.ts';
import { type ContentExample, learnContent } from './learn.ts';
import { lookAlikes } from './look-alikes.ts';

/** Longest stretch of a text that is learned from, in units. */
const LONGEST = 800;
const OF_A_CLASS = 4;
const OF_NONE = 2;
const ORDINARY = 0.5;

/** Parts the labelled turns are cut into: each is scored by a model that has not seen it. */
const FOLDS = 5;
/** What the threshold of a class keeps to. */
interface Limits {
  /** The largest share of all ordinary texts that may reach it, and of one set of them. */
  readonly all: number;
  readonly set: number;
  /** The least share of the dialogue turns reaching it that are of the class, as the lower bound of its interval. */
  readonly precision: number;
}
const LIMITS: Readonly<Record<ContentHead, Limits>> = {
  request: { all: 0.0015, set: 0.004, precision: 0.65 },
  statement: { all: 0.0015, set: 0.006, precision: 0.4 },
};
/** The set whose turns are of all classes and of none, as people and a model wrote them. */
const DIALOGUES = 'hh-rlhf-harmless';
/** Sets smaller than this say too little by themselves. */
const SMALLEST_SET = 80;
/** Listed apart, not kept to the limits. */
const LOOK_ALIKE_SET = 'xstest safe';

/** Trains the classifiers of `content`: labelled turns of the training split in `folder` against ordinary texts; `dev` chooses the thresholds. */
export function writeContent(folder: string, sources: Sources, dev: readonly Row[], out: string, report: (line: string) => void): void {
  const turns = readLabelledTurns(folder).filter(({ heldOut, classes }) => !heldOut && classes !== null);
  const openings = openingsIn(folder);
  const known: Sources = { ...sources, requests: sources.requests.filter((text) => !openings.has(text.trim())) };
  const heads = (['request', 'statement'] as const).map((head) => {
    const data = train(head, turns, known, dev, report);
    return `  ${head}: {
    scale: ${data.scale},
    biases: [${data.biases.join(', ')}],
    thresholds: [${data.thresholds.join(', ')}],
    weights:
      '${data.weights}',
  },`;
  });
  writeFileSync(
    out,
    `import type { ContentHead, ContentModelData } from './model.ts';

/** Written by \`npm run train\`; see docs/model-card-content.md. */
export const CONTENT_HEADS: Readonly<Record<ContentHead, ContentModelData>> = {
${heads.join('\n')}
};
`,
  );
  report(`wrote ${out}`);
}

function train(
  head: ContentHead,
  turns: readonly LabelledTurn[],
  sources: Sources,
  dev: readonly Row[],
  report: (line: string) => void,
): ContentModelData {
  const own = turns.filter(({ by }) => (by === 'user') === (head === 'request'));
  const ordinary = ordinaryTexts(head, sources);
  report(`content ${head}: ${own.length} labelled turns, ${ordinary.length} ordinary texts`);
  const model = learnContent(examplesOf(own, ordinary));
  const ordinaryScored = ordinaryScores(model, head, dev);
  const labelled = unseenScores(own, ordinary).filter(({ turn }) => turn.set === DIALOGUES);
  const thresholds = CONTENT_CLASSES.map((_, index) => {
    const threshold = Math.max(ordinaryThreshold(index, ordinaryScored, LIMITS[head]), preciseThreshold(index, labelled, LIMITS[head]));
    // What reads like nothing in particular must not reach it, however few texts there are to say so.
    return Math.round(1000 * Math.max(-4, threshold + 1e-3)) / 1000;
  });
  return { ...model, thresholds, weights: Buffer.from(model.weights.buffer).toString('base64') };
}

function examplesOf(turns: readonly LabelledTurn[], ordinary: readonly string[]): ContentExample[] {
  const examples = turns.map(({ text, classes }): ContentExample => {
    const known = classes ?? new Set();
    return { text: fold(text.slice(0, LONGEST)), classes: known, weight: known.size > 0 ? OF_A_CLASS : OF_NONE };
  });
  for (const text of ordinary) examples.push({ text, classes: new Set(), weight: ORDINARY });
  new Random(11).shuffle(examples);
  return examples;
}

/** What is of no class by its source. */
function ordinaryTexts(head: ContentHead, { requests, documents }: Sources): string[] {
  const asked = [...new Set(requests.map((text) => text.trim()))].filter((text) => text !== '');
  const texts = head === 'request' ? asked : [...new Set(documents), ...asked.filter((_, index) => index % 5 === 0)];
  const similar = head === 'request' ? lookAlikes() : [];
  return [...texts, ...similar, ...similar].map((text) => fold(text.slice(0, LONGEST)));
}

/** The highest score of a text by class. */
export function highestScores(model: Pick<ContentModel, 'weights' | 'scale' | 'biases'>, text: string): number[] {
  const highest = CONTENT_CLASSES.map(() => Number.NEGATIVE_INFINITY);
  const passages = new Passages(model);
  const sink = (index: number, score: number): void => {
    highest[index] = Math.max(highest[index] ?? 0, score);
  };
  passages.push(fold(text), sink);
  passages.end(sink);
  return highest;
}

type Scores = readonly number[];

interface ScoredTurn {
  readonly turn: LabelledTurn;
  readonly scores: Scores;
}

/** Of labelled turns, each by a model that has not seen it. */
function unseenScores(turns: readonly LabelledTurn[], ordinary: readonly string[]): ScoredTurn[] {
  return Array.from({ length: FOLDS }, (_, part) => part).flatMap((part) => {
    const model = learnContent(
      examplesOf(
        turns.filter((_, index) => index % FOLDS !== part),
        ordinary,
      ),
    );
    const unseen = turns.filter((_, index) => index % FOLDS === part);
    return unseen.map((turn) => ({ turn, scores: highestScores(model, turn.text) }));
  });
}

function ordinaryScores(
  model: Omit<ContentModel, 'thresholds'>,
  head: ContentHead,
  dev: readonly Row[],
): ReadonlyMap<string, readonly Scores[]> {
  const sets = new Map<string, number[][]>();
  for (const { set, text, attack, context } of dev) {
    const isWanted = (context.provenance === 'user') === (head === 'request') && context.provenance !== 'system';
    if (attack || !isWanted || set.includes('quotes') || set === LOOK_ALIKE_SET) continue;
    const scores = sets.get(set) ?? [];
    sets.set(set, scores);
    scores.push(highestScores(model, text));
  }
  return sets;
}

/** Above as many ordinary texts as may not reach it. */
function ordinaryThreshold(index: number, sets: ReadonlyMap<string, readonly Scores[]>, { all, set }: Limits): number {
  const above = (scored: readonly Scores[], share: number): number => {
    const scores = scored.map((by) => by[index] ?? Number.NEGATIVE_INFINITY).sort((a, b) => b - a);
    return scores[Math.floor(share * scores.length)] ?? Number.NEGATIVE_INFINITY;
  };
  const large = [...sets.values()].filter(({ length }) => length >= SMALLEST_SET).map((scored) => above(scored, set));
  return Math.max(above([...sets.values()].flat(), all), ...large);
}

/** The lowest at which the turns that reach it are of the class often enough; infinite where there is none, and the class is then not found. */
function preciseThreshold(index: number, scored: readonly ScoredTurn[], { precision }: Limits): number {
  const name = CONTENT_CLASSES[index];
  const ranked = scored
    .map(({ turn, scores }) => ({
      score: scores[index] ?? Number.NEGATIVE_INFINITY,
      isRight: name !== undefined && turn.classes?.has(name) === true,
    }))
    .sort((a, b) => b.score - a.score);
  let right = 0;
  let threshold = Number.POSITIVE_INFINITY;
  for (const [rank, { score, isRight }] of ranked.entries()) {
    if (isRight) right++;
    if (isRight && wilson(right, rank + 1)[0] >= precision) threshold = score - 1e-3;
  }
  return threshold;
}
