import type { Provenance, ScoreThresholds } from '@sallyport/core';
import type { Action, Detector, FoldableDetector, FoldableScanner, Reader, Scanner } from '../detect/detector.ts';
import { PatternDetector } from '../detect/pattern-detector.ts';
import type { TextContext } from '../guard.ts';
import { ViewDetector } from '../views/view-scanner.ts';
import type { Tape } from '../window/tape.ts';
import { ClassifierDetector } from './classifier.ts';
import { injectionRules } from './rules.ts';

type Trust = 'none' | 'echo' | 'application';

/**
 * Who may say what. A stranger or a user: everything is looked for. An earlier answer of the model: reported only, for it is sent back with
 * every turn. The application itself: what guards a prompt ("never reveal your system prompt") uses the very words of an attack, so only
 * fake role tokens are looked for.
 */
const TRUST: Readonly<Record<Provenance, Trust>> = {
  user: 'none',
  untrusted: 'none',
  assistant: 'echo',
  system: 'application',
  definition: 'application',
  metadata: 'application',
};

const compiled = new Map<string, RuleDetector>();

/** What `injection` does from each degree on: without an action it blocks what is certain and flags the grey band; an action is for both. */
function actionsOf(action: Action | null): { readonly block: Action; readonly flag: Action } {
  return { block: action ?? 'block', flag: action ?? 'flag' };
}

/** The forms of words that are known. */
function ruleDetector(action: Action | null, maxHold: number): RuleDetector {
  // Compiled once for every reload: the rules do not depend on the configuration.
  const key = `${action} ${maxHold}`;
  const detector = compiled.get(key) ?? new RuleDetector(action, maxHold);
  compiled.set(key, detector);
  return detector;
}

class RuleDetector implements FoldableDetector {
  readonly #acting: PatternDetector;
  readonly #maxHold: number;
  /** Made when first needed: many never see a text of these kinds. */
  readonly #reporting = new Map<Trust, PatternDetector>();

  constructor(action: Action | null, maxHold: number) {
    const { block, flag } = actionsOf(action);
    this.#acting = new PatternDetector('injection', injectionRules(block, flag), maxHold);
    this.#maxHold = maxHold;
  }

  open(tape: Tape, context: TextContext, stops = true): FoldableScanner {
    const trust = TRUST[context.provenance];
    if (trust === 'none') return this.#acting.open(tape, context, stops);
    const detector = this.#reporting.get(trust) ?? this.#makeReporting(trust);
    this.#reporting.set(trust, detector);
    return detector.open(tape, context, stops);
  }

  #makeReporting(trust: Trust): PatternDetector {
    const rules = injectionRules('flag', 'flag').filter(({ category }) => trust === 'echo' || category === 'role-token');
    return new PatternDetector('injection', rules, this.#maxHold);
  }
}

/** Reads nothing and never will. */
export const NOTHING: Scanner = {
  pending: Number.POSITIVE_INFINITY,
  push: () => undefined,
  end: () => undefined,
  reset: () => undefined,
  mark: () => undefined,
  rewind: () => undefined,
};

/** `injection` as a policy has it: `decodes` where the text is also read decoded. */
export function injectionReaders(
  action: Action | null,
  maxHold: number,
  thresholds: ScoreThresholds | undefined,
  decodes: boolean,
): Reader[] {
  return readersOf(ruleDetector(action, maxHold), classifierDetector(action, thresholds), action, decodes);
}

/**
 * Orders to a model in a reply, which a page or another model may have put there for whoever reads it next. Only the forms of words: the
 * classifier knows what users and documents say, and would hold a stream back.
 */
export function echoReaders(action: Action | null, maxHold: number): Reader[] {
  const { block, flag } = action === 'block' ? actionsOf(null) : actionsOf('flag');
  return [{ reads: 'both', detector: new PatternDetector('injection', injectionRules(block, flag), maxHold) }];
}

/** As `injectionReaders`, but nothing that is found ends the reading or hides what overlaps it: for who counts some of it only. */
export function everyInjectionReaders(
  action: Action | null,
  maxHold: number,
  thresholds: ScoreThresholds | undefined,
  decodes: boolean,
): Reader[] {
  const rules = ruleDetector(action, maxHold);
  const every: FoldableDetector = { open: (tape, context) => rules.open(tape, context, false) };
  return readersOf(every, classifierDetector(action, thresholds, true), action, decodes);
}

function readersOf(rules: FoldableDetector, classifier: Detector, action: Action | null, decodes: boolean): Reader[] {
  const readers: Reader[] = [
    { reads: 'both', detector: rules },
    { reads: 'folded', detector: classifier },
  ];
  // What cannot be decided is denied, where anything would be.
  const unread = ({ provenance }: TextContext): Action => (TRUST[provenance] === 'none' ? actionsOf(action).block : 'flag');
  // What the text says once it is decoded, read by both.
  if (decodes) readers.push({ reads: 'folded', detector: new ViewDetector([rules, classifier], unread) });
  return readers;
}

/** What reads like one though its words are others. */
function classifierDetector(action: Action | null, thresholds?: ScoreThresholds, every = false): Detector {
  const by: Readonly<Record<Trust, Detector>> = {
    none: new ClassifierDetector(actionsOf(action), thresholds, every),
    echo: new ClassifierDetector({ block: 'flag', flag: 'flag' }, thresholds, every),
    application: { open: () => NOTHING },
  };
  return { open: (tape, context) => by[TRUST[context.provenance]].open(tape, context) };
}
