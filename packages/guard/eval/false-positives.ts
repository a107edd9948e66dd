import type { Guard } from '../src/guard.ts';
import { rate, table } from './figures.ts';
import type { Row } from './sets.ts';

interface Count {
  total: number;
  flagged: number;
  blocked: number;
  /** Texts by detector and category, each text once a category. */
  readonly by: Map<string, number>;
}

/** Benign texts that the guard does not pass, by set and kind of text, and what it saw in them. */
export function falsePositives(guard: Guard, rows: readonly Row[]): string {
  const counts = new Map<string, Count>();
  for (const row of rows) {
    if (row.attack) continue;
    const keys = [`${row.set} · ${row.context.provenance}`, `= all${quotes(row.set)} · ${row.context.provenance}`];
    for (const key of keys) {
      const count = counts.get(key) ?? { total: 0, flagged: 0, blocked: 0, by: new Map<string, number>() };
      counts.set(key, count);
      count.total++;
    }
    const verdict = guard.inspect(row.text, row.context);
    if (verdict.effect === 'pass') continue;
    const categories = new Set(verdict.findings.map(({ detector, category }) => `${detector}/${category}`));
    for (const key of keys) {
      const count = counts.get(key);
      if (count === undefined) continue;
      count.flagged++;
      if (verdict.effect === 'block') count.blocked++;
      for (const category of categories) count.by.set(category, (count.by.get(category) ?? 0) + 1);
    }
  }
  const lines = [...counts].map(([key, { total, flagged, blocked, by }]) => [
    key,
    rate(flagged, total),
    rate(blocked, total),
    [...by]
      .sort((a, b) => b[1] - a[1])
      .map(([category, count]) => `${category} ${count}`)
      .join(', '),
  ]);
  return table([['benign texts not passed', 'rate [95 %]', 'blocked', 'by'], ...lines]);
}

/** Texts that quote attacks are counted apart: to report them is right by half. */
function quotes(set: string): string {
  return set.includes('quotes attacks') ? ' that quote attacks' : '';
}
