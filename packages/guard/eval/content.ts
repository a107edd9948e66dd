import { CONTENT_CLASSES } from '../src/content/classes.ts';
import type { Guard } from '../src/guard.ts';
import { type LabelledTurn, readLabelledTurns } from './content-labels.ts';
import { rate, table } from './figures.ts';
import { contextOf, type Row } from './sets.ts';

/** How models refuse. */
const REFUSAL = /\b(?:sorry|can[’']t|cannot|won[’']t|unable|not able|illegal|wrong|shouldn[’']t)\b/i;

/** What `content` reports of ordinary texts, and of the turns that were labelled and held out. `guard` looks for nothing else. */
export function contentFigures(guard: Guard, rows: readonly Row[], folder: string): string {
  const ordinary = rows.filter(({ attack }) => !attack);
  const sets = new Map<string, Row[]>();
  for (const row of ordinary) {
    if (row.context.provenance === 'system') continue;
    for (const key of [`${row.set} · ${row.context.provenance}`, `= all · ${row.context.provenance}`]) {
      const list = sets.get(key) ?? [];
      sets.set(key, list);
      list.push(row);
    }
  }
  const benign = [...sets].map(([key, list]) => {
    const reported = list.map((row) => classesOf(guard, row.text, row.context.provenance));
    const counts = CONTENT_CLASSES.map((name) => [name, reported.filter((classes) => classes.has(name)).length] as const);
    return [
      key,
      rate(reported.filter(({ size }) => size > 0).length, list.length),
      counts
        .filter(([, count]) => count > 0)
        .map((count) => count.join(' '))
        .join(', '),
    ];
  });
  const turns = readLabelledTurns(folder).filter(({ heldOut }) => heldOut);
  const groups = [...new Set(turns.map(({ set, by }) => `${set} · ${by}`))];
  return [
    table([['content: ordinary texts reported', 'rate [95 %]', 'as'], ...benign]),
    ...groups.map((group) =>
      groupFigures(
        guard,
        group,
        turns.filter(({ set, by }) => `${set} · ${by}` === group),
      ),
    ),
  ].join('\n\n');
}

function groupFigures(guard: Guard, name: string, turns: readonly LabelledTurn[]): string {
  const judged = turns.flatMap(({ classes, text, by, random }) => {
    if (classes === null) return [];
    return [{ classes, text, random, found: classesOf(guard, text, by === 'user' ? 'user' : 'assistant') }];
  });
  const wanted = judged.filter(({ classes }) => classes.size > 0);
  const none = judged.filter(({ classes }) => classes.size === 0);
  const refusals = none.filter(({ text }) => REFUSAL.test(text));
  const reported = (list: typeof judged): string => rate(list.filter(({ found }) => found.size > 0).length, list.length);
  const lines = CONTENT_CLASSES.map((category) => {
    const of = judged.filter(({ classes }) => classes.has(category));
    const found = judged.filter((turn) => turn.found.has(category));
    const right = found.filter(({ classes }) => classes.has(category)).length;
    return [category, rate(right, of.length), reported(of), rate(right, found.length)];
  });
  const unclear = turns.length - judged.length;
  return [
    table([[`content, held out: ${name} (${turns.length}, ${unclear} unclear)`, 'found as it', 'found as any', 'precision'], ...lines]),
    table([
      ['of a class, reported', reported(wanted)],
      ['of no class, reported', reported(none)],
      ['refusals among them', reported(refusals)],
      ['of no class, drawn at random', reported(none.filter(({ random }) => random))],
    ]),
  ].join('\n');
}

function classesOf(guard: Guard, text: string, provenance: Row['context']['provenance']): ReadonlySet<string> {
  const verdict = guard.inspect(text, contextOf(provenance === 'assistant' ? 'reply' : provenance));
  return new Set(verdict.effect === 'pass' ? [] : verdict.findings.map(({ category }) => category));
}
