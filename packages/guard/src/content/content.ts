import type { ContentAction, GuardSettings, Provenance } from '@sallyport/core';
import { actionIssues } from '../action-issues.ts';
import type { Action, Detector, Hit, Scanner } from '../detect/detector.ts';
import type { GuardConfigIssue } from '../error.ts';
import type { TextContext } from '../guard.ts';
import { NOTHING } from '../injection/injection.ts';
import type { Piece } from '../window/piece.ts';
import { CONTENT_CLASSES, type ContentClass } from './classes.ts';
import { contentModel } from './library.ts';
import type { ContentHead, ContentModel } from './model.ts';
import { Passages } from './passages.ts';
import { selfHarmDetector } from './self-harm.ts';

/** By whose words they are. What an application tells its model about such content is not content. */
const HEADS: Readonly<Record<Provenance, ContentHead | null>> = {
  user: 'request',
  untrusted: 'statement',
  assistant: 'statement',
  system: null,
  definition: null,
  metadata: null,
};

/** What may be said of a class. */
export const CONTENT_ACTIONS: readonly ContentAction[] = ['block', 'flag', 'pass'];

/** By class; null where it is let be. */
type Actions = readonly (Action | null)[];

function actionOf(name: ContentClass, action: Action | null, { content, mode }: Pick<GuardSettings, 'content' | 'mode'>): Action | null {
  const named = content?.actions[name] ?? action ?? 'flag';
  if (named === 'pass') return null;
  return mode === 'observe' ? 'flag' : named;
}

/** What is done about what the patterns and the classifier find. */
export function contentDetectors(
  action: Action | null,
  settings: Pick<GuardSettings, 'content' | 'mode'>,
  maxHold: number,
): readonly Detector[] {
  return [selfHarmDetector(actionOf('self-harm', action, settings), maxHold), new ContentDetector(action, settings)];
}

/** Self-harm, violence, sexual content, hate, weapons and crime: what asks for it, or is it. */
class ContentDetector implements Detector {
  readonly #actions: Actions;
  readonly #reporting: Actions;

  constructor(action: Action | null, settings: Pick<GuardSettings, 'content' | 'mode'>) {
    this.#actions = CONTENT_CLASSES.map((name) => actionOf(name, action, settings));
    this.#reporting = this.#actions.map((chosen) => (chosen === null ? null : 'flag'));
  }

  open(_tape: unknown, { provenance, stage }: TextContext): Scanner {
    const head = HEADS[provenance];
    if (head === null) return NOTHING;
    // An earlier answer is sent back with every turn: to block it would end the conversation for good.
    const actions = provenance === 'assistant' && stage !== 'output' ? this.#reporting : this.#actions;
    const model = contentModel(head);
    // A class that is not found in what is said holds nothing back.
    const isHeld = stage !== 'output' || actions.some((chosen, index) => chosen === 'block' && Number.isFinite(model.thresholds[index]));
    return new ContentScanner(model, actions, isHeld);
  }
}

class ContentScanner implements Scanner {
  readonly #model: ContentModel;
  readonly #actions: Actions;
  /**
   * Whether text waits until it was judged. In replies only where something blocks: what is reported alone must not delay a stream, and its
   * finding then marks the last unit of the passage.
   */
  readonly #isHeld: boolean;
  readonly #passages: Passages;
  #length = 0;
  /** By class, the end of the last finding: passages that overlap it say nothing new. */
  #ends: Int32Array = new Int32Array(CONTENT_CLASSES.length);
  #marked = { length: 0, ends: this.#ends };

  constructor(model: ContentModel, actions: Actions, isHeld: boolean) {
    this.#model = model;
    this.#actions = actions;
    this.#isHeld = isHeld;
    this.#passages = new Passages(model);
  }

  get pending(): number {
    return this.#isHeld ? this.#passages.pending : Math.max(0, this.#length - 1);
  }

  push({ text }: Piece, hits: Hit[]): void {
    this.#length += text.length;
    this.#passages.push(text, (index, score, start, end) => this.#report(index, score, start, end, hits));
  }

  end(hits: Hit[]): void {
    this.#passages.end((index, score, start, end) => this.#report(index, score, start, end, hits));
  }

  reset(): void {
    this.#passages.reset();
    this.#length = 0;
    this.#ends = new Int32Array(CONTENT_CLASSES.length);
    this.#marked = { length: 0, ends: this.#ends };
  }

  mark(): void {
    this.#passages.mark();
    this.#marked = { length: this.#length, ends: this.#ends };
  }

  rewind(): void {
    this.#passages.rewind();
    this.#length = this.#marked.length;
    this.#ends = this.#marked.ends;
  }

  #report(index: number, score: number, start: number, end: number, hits: Hit[]): void {
    const action = this.#actions[index] ?? null;
    const category = CONTENT_CLASSES[index];
    const threshold = this.#model.thresholds[index] ?? Number.POSITIVE_INFINITY;
    if (action === null || category === undefined || score < threshold || start < (this.#ends[index] ?? 0)) return;
    this.#ends = this.#ends.with(index, end);
    const from = this.#isHeld ? start : end - 1;
    const figures = { score: probability(score), threshold: probability(threshold) };
    hits.push({ start: from, end, at: end + 1, detector: 'content', category, severity: 'medium', action, replacement: '', ...figures });
  }
}

/** To three digits, from log odds. */
function probability(score: number): number {
  return Math.round(1000 / (1 + Math.exp(-score))) / 1000;
}

/** Classes that are to be blocked and that no reply is searched for. */
export function blindInReplies(settings: Pick<GuardSettings, 'content' | 'mode' | 'output'>): readonly ContentClass[] {
  const listed = settings.output.find((item) => /^content(?::|$)/.test(item));
  if (listed === undefined) return [];
  const { thresholds } = contentModel('statement');
  const action = listed === 'content:block' ? 'block' : null;
  return CONTENT_CLASSES.filter((name, index) => !Number.isFinite(thresholds[index]) && actionOf(name, action, settings) === 'block');
}

/** What is wrong with `guards.content`. */
export function contentProblems({ content, input, output }: Pick<GuardSettings, 'content' | 'input' | 'output'>): GuardConfigIssue[] {
  if (content === undefined) return [];
  const issues = actionIssues('guards.content.actions', content.actions, CONTENT_CLASSES, CONTENT_ACTIONS);
  if (![...input, ...output].some((item) => /^content(?::|$)/.test(item))) {
    issues.push({ path: 'guards.content', expected: '`content` in guards.input or guards.output', got: 'neither' });
  }
  return issues;
}
