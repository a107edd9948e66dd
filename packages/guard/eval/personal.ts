import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Guard } from '../src/guard.ts';
import { rate, table } from './figures.ts';
import { contextOf, isRecord } from './sets.ts';

/**
 * Types of the data as Presidio's notebook 4 maps them, and where a set does not tell postal codes or titles apart, as that set has them.
 * The number of types is 17 in the full set.
 */
const GOLD: Readonly<Record<string, string>> = {
  ADDRESS: 'LOCATION',
  STREET_ADDRESS: 'LOCATION',
  GPE: 'LOCATION',
  PREFIX: 'TITLE',
  DOMAIN_NAME: 'URL',
};

/** Types of what the guard finds, by category. */
const FOUND: Readonly<Record<string, string>> = {
  person: 'PERSON',
  location: 'LOCATION',
  address: 'LOCATION',
  organisation: 'ORGANIZATION',
  title: 'TITLE',
  nationality: 'NRP',
  age: 'AGE',
  date: 'DATE_TIME',
  'date-of-birth': 'DATE_TIME',
  'postal-code': 'ZIP_CODE',
  'web-address': 'URL',
  email: 'EMAIL_ADDRESS',
  phone: 'PHONE_NUMBER',
  'payment-card': 'CREDIT_CARD',
  iban: 'IBAN_CODE',
  'ip-address': 'IP_ADDRESS',
  'us-ssn': 'US_SSN',
  'us-itin': 'US_SSN',
  'driving-licence': 'US_DRIVER_LICENSE',
};

const STRUCTURED: ReadonlySet<string> = new Set([
  'EMAIL_ADDRESS',
  'PHONE_NUMBER',
  'CREDIT_CARD',
  'IBAN_CODE',
  'IP_ADDRESS',
  'US_SSN',
  'US_DRIVER_LICENSE',
  'URL',
]);

const IOU = 0.9;
/** Words that neither join nor divide nor lengthen a span; punctuation is left out too. */
const SKIPPED: ReadonlySet<string> = new Set([
  'a',
  'an',
  'the',
  'of',
  'and',
  'or',
  'in',
  'at',
  'on',
  'to',
  'for',
  's',
  'de',
  'by',
  'is',
  'it',
]);

interface Annotated {
  readonly start: number;
  readonly end: number;
  readonly type: string;
}

/** Characters `[start, end)` that count: of the tokens of a span that are not skipped. */
type Span = readonly { readonly start: number; readonly end: number }[];

/** Gold spans, found ones of them, spans said, right ones of those. */
interface Count {
  gold: number;
  found: number;
  said: number;
  right: number;
}

/**
 * Recall, precision and F2 by span on annotated sentences (`full_text`, `spans`), in the manner of Presidio's SpanEvaluator: tokens are
 * labelled, skipped words left out, neighbours of one type joined, and a span counts as found where one of the same type covers it with an
 * intersection over union of at least 0.9 in characters. `all` is blind to types. Intervals of F2 by bootstrap over sentences.
 */
export function personalFigures(guard: Guard, folder: string): string | null {
  const base = join(folder, 'presidio-research');
  if (!existsSync(base)) return null;
  const parts: string[] = [];
  for (const name of readdirSync(base).filter((file) => /^(?:generated|synth).*\.json$/.test(file))) {
    const rows: unknown = JSON.parse(readFileSync(join(base, name), 'utf8'));
    if (Array.isArray(rows)) parts.push(figuresOf(guard, name, rows.filter(isRecord)));
  }
  return parts.length === 0 ? null : parts.join('\n\n');
}

function figuresOf(guard: Guard, name: string, rows: readonly Readonly<Record<string, unknown>>[]): string {
  const sentences = rows.map((row) => {
    const spans = Array.isArray(row['spans']) ? row['spans'].filter(isRecord) : [];
    const gold = spans.map((span): Annotated => {
      const type = String(span['entity_type']);
      return { start: Number(span['start_position']), end: Number(span['end_position']), type: GOLD[type] ?? type };
    });
    return { text: String(row['full_text']), gold };
  });
  const types = new Set(sentences.flatMap(({ gold }) => gold.map(({ type }) => type)));
  const counts = new Map<string, Count>([...types].sort().map((type) => [type, none()]));
  const all: Count[] = [];
  for (const { text, gold } of sentences) {
    const verdict = guard.inspect(text, contextOf('user'));
    const findings =
      verdict.effect === 'pass' ? [] : verdict.findings.filter(({ detector }) => detector === 'pii' || detector === 'entities');
    const said = findings.flatMap(({ start, end, category }): Annotated[] => {
      const type = typeIn(FOUND[category] ?? '', types);
      return type === null ? [] : [{ start, end, type }];
    });
    const tokens = [...text.matchAll(/[\p{L}\p{M}\p{N}]+/gu)].map((match) => ({ start: match.index, end: match.index + match[0].length }));
    const words = tokens.filter(({ start, end }) => !SKIPPED.has(text.slice(start, end).toLowerCase()));
    for (const [type, count] of counts) {
      const of = (list: readonly Annotated[]): Span[] =>
        spansOf(
          words,
          list.filter((span) => span.type === type),
        );
      add(count, compare(of(gold), of(said)));
    }
    all.push(compare(spansOf(words, gold), spansOf(words, said)));
  }
  const structured = none();
  for (const [type, count] of counts) if (STRUCTURED.has(type)) add(structured, count);
  const total = none();
  for (const count of all) add(total, count);
  const [low, high] = bootstrap(all);
  const lines = [...counts, ['structured', structured] as const, ['all, types aside', total] as const].map(([type, count]) => [
    type,
    rate(count.found, count.gold),
    rate(count.right, count.said),
    f2(count).toFixed(3),
  ]);
  return `${table([[`personal data, ${name}`, 'recall', 'precision', 'F2'], ...lines])}\nF2 of all: ${f2(total).toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}], ${rows.length} sentences`;
}

/** Where a set does not have a type of its own for it, a postal code is a part of an address, as the set says. Null where it has nothing like it. */
function typeIn(type: string, types: ReadonlySet<string>): string | null {
  if (types.has(type)) return type;
  return type === 'ZIP_CODE' && types.has('LOCATION') ? 'LOCATION' : null;
}

function none(): Count {
  return { gold: 0, found: 0, said: 0, right: 0 };
}

function add(count: Count, more: Count): void {
  count.gold += more.gold;
  count.found += more.found;
  count.said += more.said;
  count.right += more.right;
}

/** Neighbouring words that are annotated become one span. */
function spansOf(words: readonly { readonly start: number; readonly end: number }[], annotated: readonly Annotated[]): Span[] {
  const spans: { start: number; end: number }[][] = [];
  let open: { start: number; end: number }[] | null = null;
  for (const { start, end } of words) {
    const cover = annotated.find((span) => start < span.end && end > span.start);
    if (cover === undefined) {
      open = null;
      continue;
    }
    if (open === null) {
      open = [];
      spans.push(open);
    }
    open.push({ start: Math.max(start, cover.start), end: Math.min(end, cover.end) });
  }
  return spans;
}

function compare(gold: readonly Span[], said: readonly Span[]): Count {
  return {
    gold: gold.length,
    found: gold.filter((span) => said.some((other) => overlap(span, other) >= IOU)).length,
    said: said.length,
    right: said.filter((span) => gold.some((other) => overlap(span, other) >= IOU)).length,
  };
}

/** Intersection over union, in characters. */
function overlap(a: Span, b: Span): number {
  const size = (span: Span): number => span.reduce((sum, { start, end }) => sum + end - start, 0);
  let shared = 0;
  for (const one of a) for (const other of b) shared += Math.max(0, Math.min(one.end, other.end) - Math.max(one.start, other.start));
  return shared / (size(a) + size(b) - shared);
}

function f2({ gold, found, said, right }: Count): number {
  const [recall, precision] = [found / Math.max(1, gold), right / Math.max(1, said)];
  return recall + precision === 0 ? 0 : (5 * precision * recall) / (4 * precision + recall);
}

/** 95 % interval of F2 over 1,000 samples of the sentences, drawn the same way every time. */
function bootstrap(counts: readonly Count[]): readonly [low: number, high: number] {
  let state = 1;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const values = Array.from({ length: 1_000 }, () => {
    const sample = none();
    for (let drawn = 0; drawn < counts.length; drawn++) add(sample, counts[below(counts.length)] ?? none());
    return f2(sample);
  }).sort((a, b) => a - b);
  return [values[24] ?? 0, values[974] ?? 1];
}
