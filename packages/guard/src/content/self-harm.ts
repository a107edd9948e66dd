import type { Action, Detector } from '../detect/detector.ts';
import { PatternDetector, type PatternRule } from '../detect/pattern-detector.ts';
import { NOTHING } from '../injection/injection.ts';
import { MOST_LOOK_BEHIND } from '../window/tape.ts';

/**
 * What people say who speak of hurting themselves, and what they ask for who would bring others to it: the labelled turns are too few for the
 * classifier to learn it.
 *
 * A pattern holds no run of any words: candidates that wait for their end in all of them at once give the automaton more states than it can
 * keep. Which words stand before a match is looked at when there is one.
 */
interface Saying {
  readonly source: string;
  /** What has to be said before it, and how many other words may stand between. */
  readonly after?: { readonly said: (word: string, before: string) => boolean; readonly between: number };
}

const SAYINGS: readonly Saying[] = [
  { source: '\\b(?:kill|hang|drown|strangle|suffocate|asphyxiate|electrocute|starve|harm)(?:ing)?\\s+myself\\b' },
  { source: '\\b(?:cut|hurt|injure|burn|stab|shoot|poison|scar)\\s+myself\\b', after: { said: asks, between: 4 } },
  { source: '\\bcommit(?:ting)?\\s+suicide\\b', after: { said: asks, between: 6 } },
  {
    source:
      '\\b(?:painless|easy|easiest|best|quick|quickest|effective|reliable)\\s+(?:suicide\\s+methods?|(?:method|way|form)s?\\s+of\\s+suicide)\\b',
  },
  { source: '\\b(?:end|ending)\\s+my\\s+(?:own\\s+)?life\\b|\\b(?:take|taking)\\s+my\\s+own\\s+life\\b' },
  {
    source:
      "\\bi\\s+(?:just\\s+|really\\s+|only\\s+)?(?:want\\s+to|wanna)\\s+die\\b|\\bi\\s+wish\\s+i\\s+(?:was|were)\\s+dead\\b|\\bi(?:'m|\\s+am)\\s+(?:feeling\\s+)?suicidal\\b",
  },
  {
    source: '\\b(?:slit|slash|cut|sever|pierce)(?:ting|ing)?\\s+my\\s+(?:\\w+\\s+)?(?:wrists?|arter(?:y|ies)|veins?|throat)\\b',
    after: { said: asks, between: 3 },
  },
  {
    // With the word that follows: to promote suicide prevention is another thing.
    source:
      '\\b(?:suicide|self-?harm|anorexia|bulimia|eating\\s+disorders?|kill\\s+(?:themselves|himself|herself))\\b(?:\\s{1,4}\\w{1,16})?',
    after: { said: urges, between: 6 },
  },
];

const REMEDY = /(?:prevention|awareness|help|hotline|support|survivors?|treatment|recovery)$/i;

/** By the last word of a way of asking, the words it may follow. */
const ASKS: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ...['do', 'can', 'could', 'should', 'would', 'might'].map((word) => [word, new Set(['how'])] as const),
  ...['of', 'for', 'that'].map((word) => [word, new Set(['way', 'ways'])] as const),
  ['to', new Set(['how', 'way', 'ways', 'want', 'going', 'plan', 'planning'])],
]);

const ALONE: ReadonlySet<string> = new Set(['wanna', 'gonna', 'should']);

function asks(word: string, before: string): boolean {
  return ALONE.has(word) || ASKS.get(word)?.has(before) === true;
}

function urges(word: string): boolean {
  return /^(?:encourag|promot|glorif|romantici[sz]|persuad|convinc)[\p{L}\p{N}_]{0,4}$/u.test(word);
}

/**
 * Whether it is said in `before`, where nothing but white space stands between its words and after them. Goes back word by word, each unit once.
 */
function isSaid({ said, between }: NonNullable<Saying['after']>, before: string): boolean {
  let later = '';
  let end = before.length;
  for (let count = 0; count <= between + 1; count++) {
    const to = runStart(before, end, isSpace);
    const from = to === end ? end : runStart(before, to, isWord);
    // What the look-behind cuts off may be the end of a longer word.
    const word = from === 0 && before.length === MOST_LOOK_BEHIND ? '' : before.slice(from, to).toLowerCase();
    if (count > 0 && said(later, word)) return true;
    if (word === '') return false;
    later = word;
    end = from;
  }
  return false;
}

/** Where the run of units of a kind that ends at `end` begins. */
function runStart(text: string, end: number, isOfKind: (unit: number) => boolean): number {
  let at = end;
  while (at > 0 && isOfKind(text.charCodeAt(at - 1))) at--;
  return at;
}

function isSpace(unit: number): boolean {
  return unit > 0x7f ? /\s/.test(String.fromCharCode(unit)) : unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);
}

function isWord(unit: number): boolean {
  const lower = unit | 0x20;
  return unit > 0x7f
    ? /[\p{L}\p{M}\p{Nd}]/u.test(String.fromCharCode(unit))
    : (lower >= 0x61 && lower <= 0x7a) || (unit >= 0x30 && unit <= 0x39) || unit === 0x5f;
}

/** One for each saying. */
export function selfHarmRules(action: Action): PatternRule[] {
  return SAYINGS.map(({ source, after }) => ({
    pattern: { source, ignoreCase: true, overlong: 'drop' },
    category: 'self-harm',
    severity: 'medium',
    action,
    replacement: '',
    lookBehind: MOST_LOOK_BEHIND,
    locate: (match, before) =>
      REMEDY.test(match) || (after !== undefined && !isSaid(after, before)) ? [] : [{ start: 0, end: match.length }],
  }));
}

/** Reads what people say, and nothing else. Null: the class is let be. */
export function selfHarmDetector(action: Action | null, maxHold: number): Detector {
  if (action === null) return { open: () => NOTHING };
  const patterns = new PatternDetector('content', selfHarmRules(action), maxHold);
  return { open: (tape, context) => (context.provenance === 'user' ? patterns.open(tape, context) : NOTHING) };
}
