import type { GuardSettings, PersonalAction, PersonalSettings } from '@sallyport/core';
import { actionIssues } from '../action-issues.ts';
import type { Action, Label } from '../detect/detector.ts';
import type { Treatment } from '../detect/pattern-detector.ts';
import type { GuardConfigIssue } from '../error.ts';
import { patternProblem } from '../pattern/pattern-set.ts';
import { IDENTIFIERS } from './identifiers.ts';
import { PERSONAL_RULES, WEB_ADDRESS } from './rules.ts';

const NAME = /^[a-z][a-z0-9-]{0,30}$/;
const PERSONAL_ACTIONS: readonly PersonalAction[] = ['block', 'mask', 'tokenise', 'hash', 'flag', 'pass'];

/** Classes of categories by the word in their placeholder: `id` for every national identifier. */
function classOf(label: string): string {
  return label.toLowerCase().replaceAll('_', '-');
}

/** Categories and classes that exist without the configuration. */
const KNOWN: ReadonlySet<string> = new Set([
  ...[...PERSONAL_RULES, WEB_ADDRESS].flatMap(({ category, label }) => (category === 'number' ? [] : [category, classOf(label)])),
  ...IDENTIFIERS.map(({ category }) => category),
  // What the tagger of `entities` finds.
  'person',
  'location',
  'address',
  'organisation',
  'title',
  'nationality',
  'age',
  'date',
  'postal-code',
  // What the rule for numbers finds.
  'payment-card',
  'card',
  'phone',
]);

/** Everything that is wrong with `guards.pii`. */
export function personalProblems(settings: PersonalSettings | undefined): GuardConfigIssue[] {
  const issues: GuardConfigIssue[] = [];
  if (settings === undefined) return issues;
  const own = new Set<string>();
  settings.recognisers.forEach(({ name, pattern, ignoreCase, context }, index) => {
    const path = `guards.pii.recognisers[${index}]`;
    if (!NAME.test(name) || KNOWN.has(name) || own.has(name)) {
      const expected = 'a name of its own: lower case letters, digits and `-`, at most 31';
      issues.push({ path: `${path}.name`, expected, got: JSON.stringify(name.slice(0, 60)) });
    }
    own.add(name);
    const problem = patternProblem(pattern, ignoreCase);
    if (problem !== null) {
      const got = `${problem.message} (at character ${problem.position + 1})`;
      issues.push({ path: `${path}.pattern`, expected: 'a linear-time pattern', got });
    }
    context.forEach((word, at) => {
      if (word.trim() !== '') return;
      issues.push({ path: `${path}.context[${at}]`, expected: 'a word', got: JSON.stringify(word) });
    });
  });
  const names = [...KNOWN, ...own].sort();
  return [...issues, ...actionIssues('guards.pii.actions', settings.actions, names, PERSONAL_ACTIONS)];
}

/** Whether an entry of a list looks for personal data. */
export function isPersonal(item: string): boolean {
  return /^(?:pii|entities)(?::|$)/.test(item);
}

/** Whether requests may have values replaced that their replies get back. */
export function tokenises({ input, pii, mode }: GuardSettings): boolean {
  if (mode === 'observe' || !input.some(isPersonal)) return false;
  return input.some((item) => isPersonal(item) && item.endsWith(':tokenise')) || Object.values(pii?.actions ?? {}).includes('tokenise');
}

const TREATMENTS: Readonly<Record<Exclude<PersonalAction, 'pass'>, readonly [Action, Label['form']]>> = {
  block: ['block', 'mask'],
  mask: ['redact', 'mask'],
  tokenise: ['redact', 'token'],
  hash: ['redact', 'hash'],
  flag: ['flag', 'mask'],
};

/** What is done about a category; null where it is let be. `otherwise` is what the list says. */
export function treatment(
  settings: PersonalSettings | undefined,
  observe: boolean,
  otherwise: Treatment,
): (category: string, label: string) => Treatment | null {
  const actions = new Map(Object.entries(settings?.actions ?? {}));
  return (category, label) => {
    const named = actions.get(category) ?? actions.get(classOf(label));
    if (named === undefined) return otherwise;
    if (named === 'pass') return null;
    const [action, form] = TREATMENTS[named];
    return { action: observe ? 'flag' : action, form, isDefault: false };
  };
}
