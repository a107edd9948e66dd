import type { GuardConfigIssue } from './error.ts';

/** What is wrong with actions that a section gives by name: names it does not know, and actions there are not. */
export function actionIssues(
  path: string,
  given: Readonly<Record<string, string>>,
  names: readonly string[],
  actions: readonly string[],
): GuardConfigIssue[] {
  const issues: GuardConfigIssue[] = [];
  for (const [name, action] of Object.entries(given)) {
    const at = `${path}.${name}`;
    if (!names.includes(name)) issues.push({ path: at, expected: `one of ${names.join(', ')}`, got: JSON.stringify(name.slice(0, 60)) });
    if (!actions.includes(action)) issues.push({ path: at, expected: `one of ${actions.join(', ')}`, got: JSON.stringify(action) });
  }
  return issues;
}
