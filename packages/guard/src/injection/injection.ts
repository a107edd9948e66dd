import type { Action, Detector, FoldableDetector } from '../detect/detector.ts';
import { PatternDetector } from '../detect/pattern-detector.ts';
import { ClassifierDetector } from './classifier.ts';
import { injectionRules } from './rules.ts';

const compiled = new Map<string, FoldableDetector>();

/** What `injection` does from each degree on: without an action it blocks what is certain and flags the grey band; an action is for both. */
function actionsOf(action: Action | null): { readonly block: Action; readonly flag: Action } {
  return { block: action ?? 'block', flag: action ?? 'flag' };
}

/** The forms of words that are known. */
export function ruleDetector(action: Action | null, maxHold: number): FoldableDetector {
  // Compiled once for every reload: the rules do not depend on the configuration.
  const key = `${action} ${maxHold}`;
  const { block, flag } = actionsOf(action);
  const detector = compiled.get(key) ?? new PatternDetector('injection', injectionRules(block, flag), maxHold);
  compiled.set(key, detector);
  return detector;
}

/** What reads like one though its words are others. */
export function classifierDetector(action: Action | null): Detector {
  return new ClassifierDetector(actionsOf(action));
}
