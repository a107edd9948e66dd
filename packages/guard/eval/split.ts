import type { Guard } from '../src/guard.ts';
import { seamVerdicts } from '../src/seams.ts';
import { Random } from '../train/random.ts';
import { parts } from './disguises.ts';
import { rate, table } from './figures.ts';
import { HARMFUL } from './other-sets.ts';
import type { Row } from './sets.ts';

/** Parts that an attack is cut into, and ordinary texts that make a dialogue. */
const PARTS = [2, 3, 4, 8] as const;
const DIALOGUE = 6;
/** Units of a document between two parts of an attack at least, and of the whole document at most. */
const APART = 1500;
const LONGEST = 16_000;

/**
 * Attacks in parts: over messages that follow each other, with and without what is read over their seams, and over a long document. Beside them
 * what the seams of ordinary texts are taken for: six of one set in a row, none of which is found by itself, as a dialogue or as documents
 * of one request.
 */
export function splitFigures(guard: Guard, seams: Guard, rows: readonly Row[]): string | null {
  const attacks = rows.filter(({ attack, set, text }) => attack && set !== HARMFUL && set !== 'asb instructions' && text.length <= 4000);
  const ordinary = rows.filter(({ attack, set, context: { provenance } }) => {
    return !attack && !set.includes('quotes') && (provenance === 'user' || provenance === 'untrusted');
  });
  const hosts = ordinary.filter(({ context, text }) => context.provenance === 'untrusted' && text.length > 2 * APART);
  if (attacks.length === 0 || hosts.length === 0) return null;
  const lines: string[][] = [];
  for (const count of PARTS) {
    const split = attacks.map(({ text, context }) => ({ texts: parts(text, count), context }));
    const alone = split.filter(({ texts, context }) => texts.some((text) => isFound(guard, text, context)));
    const sewn = split.filter((item) => !alone.includes(item) && hasSeam(seams, item.texts, item.context));
    const [total, found] = [split.length, alone.length];
    lines.push(
      [`attacks in ${count} messages, each by itself`, rate(found, total)],
      ['  and at the seams', rate(found + sewn.length, total)],
    );
  }
  const random = new Random(1);
  for (const count of PARTS) {
    const long = hosts.filter(({ text }) => text.length >= count * APART);
    if (long.length === 0) continue;
    const spread = attacks.map(({ text }) => spreadOver(random.pick(long).text.slice(0, LONGEST), parts(text, count)));
    const context = hosts[0]?.context;
    if (context === undefined) continue;
    const found = spread.filter((text) => isFound(guard, text, context));
    const near = found.filter((text) => isFound(guard, text, context, 'split-injection'));
    lines.push([`attacks in ${count} places of a long document, without pairs`, rate(near.length, spread.length)]);
    lines.push(['  and with them', rate(found.length, spread.length)]);
  }
  for (const provenance of ['user', 'untrusted'] as const) {
    const passed = ordinary.filter((row) => row.context.provenance === provenance && !isFound(guard, row.text, row.context));
    const dialogues = dialoguesOf(passed);
    const flagged = dialogues.filter(
      (texts) =>
        texts[0] !== undefined &&
        hasSeam(
          seams,
          texts.map(({ text }) => text),
          texts[0].context,
        ),
    ).length;
    lines.push([
      `ordinary ${provenance === 'user' ? 'dialogues' : 'requests with documents'}, flagged at a seam`,
      rate(flagged, dialogues.length),
    ]);
  }
  return table([['split over texts', 'rate [95 %]'], ...lines]);
}

/** Whether anything but a category is found. */
function isFound(guard: Guard, text: string, context: Row['context'], but = ''): boolean {
  const verdict = guard.inspect(text, context);
  return verdict.effect !== 'pass' && verdict.findings.some(({ detector, category }) => detector === 'injection' && category !== but);
}

function hasSeam(guard: Guard, texts: readonly string[], context: Row['context']): boolean {
  return seamVerdicts(guard, texts, context).some((verdict) => verdict !== null);
}

/** Texts of one set in a row. */
function dialoguesOf(rows: readonly Row[]): Row[][] {
  const bySet = Map.groupBy(rows, ({ set }) => set);
  return [...bySet.values()].flatMap((own) =>
    Array.from({ length: Math.floor(own.length / DIALOGUE) }, (_, index) => own.slice(index * DIALOGUE, (index + 1) * DIALOGUE)),
  );
}

/** A document with one part in the middle of each of its equal stretches. */
function spreadOver(host: string, pieces: readonly string[]): string {
  const size = Math.floor(host.length / pieces.length);
  return pieces
    .map((piece, index) => {
      const stretch = host.slice(index * size, index === pieces.length - 1 ? host.length : (index + 1) * size);
      const at = Math.max(0, stretch.indexOf(' ', stretch.length >> 1));
      return `${stretch.slice(0, at)} ${piece} ${stretch.slice(at)}`;
    })
    .join('');
}
