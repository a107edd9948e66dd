import type { Action, FoldableDetector } from '../detect/detector.ts';
import { type Part, PatternDetector, type PatternRule } from '../detect/pattern-detector.ts';
import { ASSIGNMENTS } from './assignments.ts';
import { isPublished } from './published.ts';
import { locateToken, TOKENS } from './tokens.ts';

const REPLACEMENT = '[SECRET]';

function partOf(match: string, span: readonly [start: number, end: number] | null): readonly Part[] {
  return span === null || isPublished(match.slice(...span)) ? [] : [{ start: span[0], end: span[1] }];
}

const compiled = new Map<string, FoldableDetector>();

/** Credentials: provider tokens by form and entropy; private keys; passwords by what they are assigned to. */
export function secretsDetector(action: Action, maxHold: number): FoldableDetector {
  // Compiled once for both sides and every reload: the rules do not depend on the configuration.
  const key = `${action} ${maxHold}`;
  const detector = compiled.get(key) ?? compileSecrets(action, maxHold);
  compiled.set(key, detector);
  return detector;
}

function compileSecrets(action: Action, maxHold: number): FoldableDetector {
  const tokens = TOKENS.map(
    (rule): PatternRule => ({
      pattern: { source: rule.pattern, overlong: 'drop' },
      category: rule.id,
      severity: 'high',
      action,
      replacement: REPLACEMENT,
      locate: (match, before) => partOf(match, locateToken(rule, match, before)),
    }),
  );
  const assignments = ASSIGNMENTS.map(
    ({ id, pattern, ignoreCase, locate }): PatternRule => ({
      pattern: { source: pattern, ignoreCase, overlong: id === 'private-key' ? 'match' : 'drop' },
      category: id,
      severity: 'high',
      action,
      replacement: REPLACEMENT,
      locate: (match, before) => partOf(match, locate(match, before)),
    }),
  );
  return new PatternDetector('secrets', [...tokens, ...assignments], maxHold);
}
