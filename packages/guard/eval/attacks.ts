import type { Guard } from '../src/guard.ts';
import { rate, table } from './figures.ts';
import { HARMFUL } from './other-sets.ts';
import type { Row } from './sets.ts';

interface Count {
  total: number;
  found: number;
  blocked: number;
  /** Found as a request for the prompt. */
  extraction: number;
}

/** Attacks that the guard finds (the detector reports something) and blocks, by set and by kind of text. */
export function recall(guard: Guard, rows: readonly Row[]): string | null {
  const counts = new Map<string, Count>();
  for (const { set, text, attack, context } of rows) {
    if (!attack) continue;
    const verdict = guard.inspect(text, context);
    const found = verdict.effect !== 'pass' && verdict.findings.some(({ detector }) => detector === 'injection');
    const keys = [`${set} · ${context.provenance}`, ...(set === HARMFUL ? [] : [`= all · ${context.provenance}`])];
    for (const key of keys) {
      const count = counts.get(key) ?? { total: 0, found: 0, blocked: 0, extraction: 0 };
      counts.set(key, count);
      count.total++;
      if (found) count.found++;
      if (verdict.effect !== 'pass' && verdict.findings.some(({ category }) => category === 'prompt-extraction')) count.extraction++;
      if (verdict.effect === 'block') count.blocked++;
    }
  }
  if (counts.size === 0) return null;
  const lines = [...counts].map(([key, { total, found, blocked, extraction }]) => [
    key,
    rate(found, total),
    rate(blocked, total),
    `${extraction}`,
  ]);
  return table([['attacks', 'found [95 %]', 'blocked [95 %]', 'as prompt-extraction'], ...lines]);
}
