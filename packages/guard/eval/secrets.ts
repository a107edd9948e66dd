import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Guard } from '../src/guard.ts';
import { rate, table } from './figures.ts';
import { contextOf, jsonLines } from './sets.ts';

/** Rows that are only the name of a file: nothing a text guard could see. */
const FILE_NAME = /^[\w./ -]+\.(?:php|hcl|ya?ml|config|p12|pfx|js|html?|xml|json|sh)$/i;

/**
 * Texts with and without a credential in them (`rule`, `label`: secret | not_secret, `text`): precision and recall by text. The labels are
 * by rule: a text that one rule's author calls a secret and another's does not is a secret.
 */
export function secretFigures(guard: Guard, folder: string, verbose: boolean): string | null {
  const file = join(folder, 'secrets-gitleaks', 'rule_examples.jsonl');
  if (!existsSync(file)) return null;
  const wrong = new Map<string, number>();
  const counts = { found: 0, secret: 0, falseAlarms: 0, not: 0, skipped: 0, twice: 0 };
  const rows = [...jsonLines(file)];
  const secrets = new Set(rows.filter(({ label }) => label === 'secret').map(({ text }) => text));
  for (const { rule, label, text } of rows) {
    if (typeof text !== 'string' || typeof rule !== 'string') continue;
    if (FILE_NAME.test(text.trim())) {
      counts.skipped++;
      continue;
    }
    if (label !== 'secret' && secrets.has(text)) {
      counts.twice++;
      continue;
    }
    const verdict = guard.inspect(text, contextOf('user'));
    const categories =
      verdict.effect === 'pass' ? [] : verdict.findings.filter(({ detector }) => detector === 'secrets').map(({ category }) => category);
    const secret = label === 'secret';
    counts[secret ? 'secret' : 'not']++;
    if (categories.length > 0) counts[secret ? 'found' : 'falseAlarms']++;
    if (categories.length > 0 === secret) continue;
    const key = secret ? `missed ${rule}` : `false alarm ${rule} (${categories.join()})`;
    wrong.set(key, (wrong.get(key) ?? 0) + 1);
  }
  const { found, secret, falseAlarms, not, skipped, twice } = counts;
  const lines = [
    ['secrets', 'precision', rate(found, found + falseAlarms)],
    ['', 'recall', rate(found, secret)],
    ['', 'false alarms', rate(falseAlarms, not)],
    ['', 'file names left out', String(skipped)],
    ['', 'labelled both ways, counted once', String(twice)],
  ];
  const details = verbose ? [...wrong].sort((a, b) => b[1] - a[1]).map(([key, count]) => ['', key, String(count)]) : [];
  return table([...lines, ...details]);
}
