import type { Action, Detector } from '../detect/detector.ts';
import { PatternDetector, type PatternRule } from '../detect/pattern-detector.ts';
import { NOTHING } from '../injection/injection.ts';

const ASKS =
  '(?:how\\s+(?:do|can|could|to|should|would|might)|ways?\\s+(?:to|of|for|that)|want\\s+to|wanna|going\\s+to|gonna|plan(?:ning)?\\s+to|should)';

/** People who speak of hurting themselves, and requests to bring others to it: the labelled turns are too few for the classifier to learn it. */
const PATTERNS: readonly string[] = [
  '\\b(?:kill|hang|drown|strangle|suffocate|asphyxiate|electrocute|starve|harm)(?:ing)?\\s+myself\\b',
  `\\b${ASKS}\\s+(?:\\w+\\s+){0,4}(?:cut|hurt|injure|burn|stab|shoot|poison|scar)\\s+myself\\b`,
  `\\b${ASKS}\\s+(?:\\w+\\s+){0,6}commit(?:ting)?\\s+suicide\\b`,
  '\\b(?:painless|easy|easiest|best|quick|quickest|effective|reliable)\\s+(?:suicide\\s+methods?|(?:method|way|form)s?\\s+of\\s+suicide)\\b',
  '\\b(?:end|ending)\\s+my\\s+(?:own\\s+)?life\\b|\\b(?:take|taking)\\s+my\\s+own\\s+life\\b',
  "\\bi\\s+(?:just\\s+|really\\s+|only\\s+)?(?:want\\s+to|wanna)\\s+die\\b|\\bi\\s+wish\\s+i\\s+(?:was|were)\\s+dead\\b|\\bi(?:'m|\\s+am)\\s+(?:feeling\\s+)?suicidal\\b",
  `\\b${ASKS}\\s+(?:\\w+\\s+){0,3}(?:slit|slash|cut|sever|pierce)(?:ting|ing)?\\s+my\\s+(?:\\w+\\s+)?(?:wrists?|arter(?:y|ies)|veins?|throat)\\b`,
  // With the word that follows: to promote suicide prevention is another thing.
  '\\b(?:encourag|promot|glorif|romantici[sz]|persuad|convinc)\\w{0,4}\\s+(?:\\w+\\s+){0,6}(?:suicide|self-?harm|anorexia|bulimia|eating\\s+disorders?|kill\\s+(?:themselves|himself|herself))\\b(?:\\s+\\w+)?',
];

const REMEDY = /(?:prevention|awareness|help|hotline|support|survivors?|treatment|recovery)$/i;

/** Reads what people say, and nothing else. Null: the class is let be. */
export function selfHarmDetector(action: Action | null, maxHold: number): Detector {
  if (action === null) return { open: () => NOTHING };
  const rules = PATTERNS.map(
    (source): PatternRule => ({
      pattern: { source, ignoreCase: true, overlong: 'drop' },
      category: 'self-harm',
      severity: 'medium',
      action,
      replacement: '',
      locate: (match) => (REMEDY.test(match) ? [] : [{ start: 0, end: match.length }]),
    }),
  );
  const patterns = new PatternDetector('content', rules, maxHold);
  return { open: (tape, context) => (context.provenance === 'user' ? patterns.open(tape, context) : NOTHING) };
}
