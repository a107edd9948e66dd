import type { GuardSettings } from '@sallyport/core';
import type { Action, FoldableDetector, Label } from '../detect/detector.ts';
import { PatternDetector, type PatternRule } from '../detect/pattern-detector.ts';
import { recogniserRule } from './recogniser.ts';
import { PERSONAL_RULES, type PersonalRule, WEB_ADDRESS } from './rules.ts';
import { treatment } from './settings.ts';

const compiled = new Map<string, FoldableDetector>();

/**
 * Personal data with a form of its own: addresses, numbers and identifiers, by check digits and by the words before them. Without
 * an action it masks, except in the arguments of a tool call: a call with a placeholder for an address would only fail.
 */
export function personalDetector(
  action: Action | null,
  form: Label['form'],
  settings: Pick<GuardSettings, 'pii' | 'mode'>,
  maxHold: number,
): FoldableDetector {
  if (settings.pii !== undefined) return compilePersonal(action, form, settings, maxHold);
  // Compiled once for both sides and every reload where the rules do not depend on the configuration.
  const key = `${action} ${form} ${maxHold}`;
  const detector = compiled.get(key) ?? compilePersonal(action, form, settings, maxHold);
  compiled.set(key, detector);
  return detector;
}

/** Web addresses and domain names, for those who look for `entities`: most name nobody. */
export function webAddressDetector(
  action: Action | null,
  form: Label['form'],
  settings: Pick<GuardSettings, 'pii' | 'mode'>,
  maxHold: number,
): FoldableDetector {
  return compileRules('entities', [WEB_ADDRESS], action, form, settings, maxHold);
}

function compilePersonal(
  action: Action | null,
  form: Label['form'],
  settings: Pick<GuardSettings, 'pii' | 'mode'>,
  maxHold: number,
): FoldableDetector {
  const own = settings.pii?.recognisers ?? [];
  return compileRules('pii', [...PERSONAL_RULES, ...own.map(recogniserRule)], action, form, settings, maxHold);
}

function compileRules(
  name: string,
  rules: readonly PersonalRule[],
  action: Action | null,
  form: Label['form'],
  { pii, mode }: Pick<GuardSettings, 'pii' | 'mode'>,
  maxHold: number,
): FoldableDetector {
  const treat = treatment(pii, mode === 'observe', { action: action ?? 'redact', form, isDefault: true });
  const patterns = rules.map(
    ({ category, label, pattern, ignoreCase, locate, shortest }): PatternRule => ({
      // `locate` judges what has reached the cap as it judges everything else.
      pattern: { source: pattern, ignoreCase: ignoreCase ?? false, overlong: 'match' },
      category,
      severity: 'medium',
      action: action ?? 'redact',
      replacement: { label, form },
      treat,
      locate,
      ...(shortest === undefined ? {} : { shortest }),
    }),
  );
  return new PatternDetector(name, patterns, maxHold, action === null ? ['tool-arguments'] : []);
}
