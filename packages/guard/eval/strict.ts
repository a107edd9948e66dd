import type { Guard } from '../src/guard.ts';
import { headOf } from '../src/injection/classifier.ts';
import { classOf, scoreOf } from '../src/injection/model.ts';
import { WindowScores } from '../src/injection/window-scores.ts';
import { pieceOf } from '../src/window/piece.ts';
import { fold } from '../train/examples.ts';
import { rate, table } from './figures.ts';
import { HARMFUL } from './other-sets.ts';
import type { Row } from './sets.ts';

/** What a form of words that is known counts for, in log odds above the threshold. */
const RULE = 10;

/** How far a text is above (or below) the thresholds of its provenance, in log odds. */
function suspicion(guard: Guard, { text, context }: Row): number {
  const head = headOf(context.provenance === 'untrusted' ? 'untrusted' : 'user');
  let highest = Number.NEGATIVE_INFINITY;
  const sink = (start: number, end: number, sum: number, count: number, isPair: boolean): void => {
    const threshold = head.thresholds.flag[classOf(end - start, isPair)] ?? 0;
    if (end > start) highest = Math.max(highest, scoreOf(head, sum, count) - threshold);
  };
  const scores = new WindowScores(head.weights);
  const { units, length } = pieceOf(fold(text));
  scores.push(units, length, sink);
  scores.end(sink);
  const verdict = guard.inspect(text, context);
  const known =
    verdict.effect !== 'pass' && verdict.findings.some(({ detector, score }) => detector === 'injection' && score === undefined);
  return known ? Math.max(highest, RULE) : highest;
}

/** Attacks found where the threshold is moved until so many of the ordinary texts are flagged: users' texts and documents, and both together. */
export function atStrictRates(guard: Guard, rows: readonly Row[]): string | null {
  const judged = rows
    .filter(({ set, attack, context: { provenance } }) => {
      return (provenance === 'user' || provenance === 'untrusted') && !set.includes('quotes') && !(attack && set === HARMFUL);
    })
    .map((row) => ({ provenance: row.context.provenance, attack: row.attack, score: suspicion(guard, row) }));
  if (!judged.some(({ attack }) => attack)) return null;
  const lines = (['user', 'untrusted', null] as const).map((wanted) => {
    const group = judged.filter(({ provenance }) => wanted === null || provenance === wanted);
    const attacks = group.filter(({ attack }) => attack);
    const ordinary = group.filter(({ attack }) => !attack).map(({ score }) => score);
    ordinary.sort((a, b) => b - a);
    return [
      wanted ?? 'both',
      ...[0.01, 0.005, 0.001].map((allowed) => {
        const threshold = ordinary[Math.floor(ordinary.length * allowed)] ?? Number.NEGATIVE_INFINITY;
        return rate(attacks.filter(({ score }) => score > threshold).length, attacks.length);
      }),
    ];
  });
  return table([['attacks found at so many false alarms', '1 %', '0.5 %', '0.1 %'], ...lines]);
}

/** The parts of the PIGuard paper's table (Li et al., ACL 2025), by the names of its sets. */
const PARTS: readonly (readonly [part: string, attack: boolean, sets: RegExp])[] = [
  ['over-defence', false, /notinject/i],
  ['benign', false, /wildguard|pint/i],
  ['malicious', true, /bipia|pint/i],
];

/** Accuracy in that table's manner, a mean of the sets in each part; null where its sets are not among the data, which nobody may republish here. */
export function paperTable(guard: Guard, rows: readonly Row[]): string | null {
  const means: number[] = [];
  const lines: string[][] = [];
  for (const [part, attack, names] of PARTS) {
    const sets = new Map<string, { right: number; total: number }>();
    for (const row of rows) {
      if (row.attack !== attack || !names.test(row.set)) continue;
      const count = sets.get(row.set) ?? { right: 0, total: 0 };
      sets.set(row.set, count);
      count.total++;
      if ((guard.inspect(row.text, row.context).effect !== 'pass') === attack) count.right++;
    }
    if (sets.size === 0) return null;
    for (const [set, { right, total }] of sets) lines.push([set, rate(right, total)]);
    means.push([...sets.values()].reduce((sum, { right, total }) => sum + right / total, 0) / sets.size);
    lines.push([`= ${part}`, `${(100 * (means.at(-1) ?? 0)).toFixed(1)} %`]);
  }
  lines.push(['= average', `${((100 * means.reduce((sum, mean) => sum + mean, 0)) / means.length).toFixed(1)} %`]);
  return table([['as in the table of the PIGuard paper', 'right [95 %]'], ...lines]);
}
