import type { Action, FoldableDetector } from '../detect/detector.ts';
import { PatternDetector, type PatternRule } from '../detect/pattern-detector.ts';
import { PERSONAL_RULES } from './rules.ts';

const compiled = new Map<string, FoldableDetector>();

/**
 * Personal data with a form of its own: addresses, numbers and identifiers, by check digits and by the words before them. Without
 * an action it masks, except in the arguments of a tool call: a call with a placeholder for an address would only fail.
 */
export function personalDetector(action: Action | null, maxHold: number): FoldableDetector {
  // Compiled once for both sides and every reload: the rules do not depend on the configuration.
  const key = `${action} ${maxHold}`;
  const detector = compiled.get(key) ?? compilePersonal(action, maxHold);
  compiled.set(key, detector);
  return detector;
}

function compilePersonal(action: Action | null, maxHold: number): FoldableDetector {
  // `locate` judges what has reached the cap as it judges everything else.
  const rules = PERSONAL_RULES.map(
    ({ category, label, pattern, ignoreCase, locate }): PatternRule => ({
      pattern: { source: pattern, ignoreCase: ignoreCase ?? false, overlong: 'match' },
      category,
      severity: 'medium',
      action: action ?? 'redact',
      replacement: { label },
      locate,
    }),
  );
  return new PatternDetector('pii', rules, maxHold, action === null ? ['tool-arguments'] : []);
}
