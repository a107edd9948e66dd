import type { GuardSettings } from '@sallyport/core';
import type { Action, Detector, Hit, Label, Scanner } from '../detect/detector.ts';
import type { Treatment } from '../detect/pattern-detector.ts';
import type { TextContext } from '../guard.ts';
import { treatment } from '../personal/settings.ts';
import type { Piece } from '../window/piece.ts';
import type { Placeholders } from '../window/placeholders.ts';
import { featuresOf } from './features.ts';
import { Segmenter } from './segmenter.ts';
import { decode, type EntityLabel, LABELS, type TaggerWeights, unpack } from './tagger.ts';
import { type Tokens, tokenise } from './tokens.ts';
import { WEIGHTS } from './weights.ts';

/** The word in the placeholder of each class. */
export const ENTITY_LABELS: Readonly<Record<Exclude<EntityLabel, 'none'>, string>> = {
  person: 'PERSON',
  location: 'LOCATION',
  address: 'ADDRESS',
  organisation: 'ORGANISATION',
  title: 'TITLE',
  nationality: 'NATIONALITY',
  age: 'AGE',
  date: 'DATE',
  'postal-code': 'POSTAL_CODE',
};

/** Unpacked when first needed: few configurations look for names. */
let weights: TaggerWeights | null = null;

/**
 * People, places, organisations and what else only the words around it show, by a trained tagger. Opt-in: a text about Napoleon names a
 * person too.
 */
export class EntityDetector implements Detector {
  readonly #treat: (category: string, label: string) => Treatment | null;
  readonly #flagCalls: boolean;

  constructor(action: Action | null, form: Label['form'], { pii, mode }: Pick<GuardSettings, 'pii' | 'mode'>) {
    weights ??= unpack(WEIGHTS);
    this.#treat = treatment(pii, mode === 'observe', { action: action ?? 'redact', form, isDefault: true });
    this.#flagCalls = action === null;
  }

  open(_tape: unknown, context: TextContext): Scanner {
    return new EntityScanner(context, this.#flagCalls, this.#treat);
  }
}

class EntityScanner implements Scanner {
  readonly #segmenter = new Segmenter();
  readonly #treat: (category: string, label: string) => Treatment | null;
  readonly #flagOnly: boolean;
  #own: Placeholders | null;

  constructor(context: TextContext, flagCalls: boolean, treat: (category: string, label: string) => Treatment | null) {
    this.#treat = treat;
    this.#flagOnly = flagCalls && context.stage === 'output' && context.kind === 'tool-arguments';
    this.#own = ownOf(context);
  }

  get pending(): number {
    return this.#segmenter.pending;
  }

  push({ text }: Piece, hits: Hit[]): void {
    this.#segmenter.push(text, (segment, start) => this.#judge(segment, start, start + segment.length + 1, hits));
  }

  end(hits: Hit[]): void {
    this.#segmenter.end((segment, start) => this.#judge(segment, start, start + segment.length + 1, hits));
  }

  reset(context: TextContext): void {
    this.#segmenter.reset();
    this.#own = ownOf(context);
  }

  mark(): void {
    this.#segmenter.mark();
  }

  rewind(): void {
    this.#segmenter.rewind();
  }

  #judge(text: string, offset: number, at: number, hits: Hit[]): void {
    for (const { start, end, category } of entitiesIn(text)) {
      const label = ENTITY_LABELS[category];
      const treated = this.#treat(category, label);
      if (treated === null || this.#own?.owns(text.slice(start, end)) === true) continue;
      const action = this.#flagOnly && treated.isDefault ? 'flag' : treated.action;
      const replacement = { label, form: treated.form };
      hits.push({ start: offset + start, end: offset + end, at, detector: 'entities', category, severity: 'low', action, replacement });
    }
  }
}

function ownOf({ stage, placeholders }: TextContext): Placeholders | null {
  return stage === 'output' && placeholders?.restores === true ? placeholders : null;
}

export interface Entity {
  readonly start: number;
  readonly end: number;
  readonly category: Exclude<EntityLabel, 'none'>;
}

/** The entities of a stretch of text, in order. */
export function entitiesIn(text: string): Entity[] {
  const tokens = tokenise(text);
  if (tokens.count === 0 || weights === null) return [];
  return entitiesOf(tokens, decode(weights, featuresOf(tokens)));
}

/** Runs of tokens of one class, without the punctuation at their ends. */
export function entitiesOf(tokens: Tokens, labels: Uint8Array): Entity[] {
  const entities: Entity[] = [];
  for (let first = 0; first < tokens.count; ) {
    const category = LABELS[labels[first] ?? 0] ?? 'none';
    let next = first + 1;
    while (next < tokens.count && labels[next] === labels[first]) next++;
    if (category !== 'none') {
      let from = first;
      let to = next - 1;
      while (from <= to && !isWord(tokens.words[from])) from++;
      while (to > from && !isWord(tokens.words[to]) && !isAbbreviation(category, tokens.words[to])) to--;
      if (from <= to) entities.push({ start: tokens.starts[from] ?? 0, end: tokens.ends[to] ?? 0, category });
    }
    first = next;
  }
  return entities;
}

const WORD = /[\p{L}\p{N}]/u;

function isWord(word: string | undefined): boolean {
  return word !== undefined && WORD.test(word);
}

/** `Mr.`: the full stop is part of a title. */
function isAbbreviation(category: EntityLabel, word: string | undefined): boolean {
  return category === 'title' && word === '.';
}
