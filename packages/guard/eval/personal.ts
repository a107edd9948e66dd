import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Guard } from '../src/guard.ts';
import { rate, table } from './figures.ts';
import { contextOf, isRecord } from './sets.ts';

/** Entity types of the data with a form of their own, and the categories that find them. */
const TYPES: Readonly<Record<string, readonly string[]>> = {
  EMAIL_ADDRESS: ['email'],
  PHONE_NUMBER: ['phone'],
  CREDIT_CARD: ['payment-card'],
  IBAN_CODE: ['iban'],
  IP_ADDRESS: ['ip-address'],
  US_SSN: ['us-ssn', 'us-itin'],
  US_DRIVER_LICENSE: ['driving-licence'],
};

interface Span {
  readonly start: number;
  readonly end: number;
  readonly type: string;
}

/** Overlap of two spans over their union. */
function overlap(a: { readonly start: number; readonly end: number }, b: { readonly start: number; readonly end: number }): number {
  const shared = Math.min(a.end, b.end) - Math.max(a.start, b.start);
  return shared <= 0 ? 0 : shared / (Math.max(a.end, b.end) - Math.min(a.start, b.start));
}

/**
 * Recall and precision by span (intersection over union at least 0.9, of the right type) on annotated sentences (`full_text`, `spans`), for the
 * structured types only: names, places and organisations are not looked for by any detector yet. F2 weighs recall four times.
 */
export function personalFigures(guard: Guard, folder: string): string | null {
  const base = join(folder, 'presidio-research');
  if (!existsSync(base)) return null;
  const counts = new Map<string, { gold: number; found: number; said: number; right: number }>();
  const of = (type: string): { gold: number; found: number; said: number; right: number } => {
    const known = counts.get(type) ?? { gold: 0, found: 0, said: 0, right: 0 };
    counts.set(type, known);
    return known;
  };
  for (const name of readdirSync(base).filter((file) => file.startsWith('generated') && file.endsWith('.json'))) {
    const rows: unknown = JSON.parse(readFileSync(join(base, name), 'utf8'));
    for (const row of Array.isArray(rows) ? rows : []) {
      if (!isRecord(row) || typeof row['full_text'] !== 'string' || !Array.isArray(row['spans'])) continue;
      const gold = row['spans'].filter(isRecord).map((span): Span => {
        return { start: Number(span['start_position']), end: Number(span['end_position']), type: String(span['entity_type']) };
      });
      const verdict = guard.inspect(row['full_text'], contextOf('user'));
      const found = verdict.effect === 'pass' ? [] : verdict.findings.filter(({ detector }) => detector === 'pii');
      for (const [type, categories] of Object.entries(TYPES)) {
        const count = of(type);
        const typed = gold.filter((span) => span.type === type);
        const said = found.filter(({ category }) => categories.includes(category));
        count.gold += typed.length;
        count.found += typed.filter((span) => said.some((finding) => overlap(span, finding) >= 0.9)).length;
        count.said += said.length;
        count.right += said.filter((finding) => typed.some((span) => overlap(span, finding) >= 0.9)).length;
      }
    }
  }
  const total = { gold: 0, found: 0, said: 0, right: 0 };
  for (const count of counts.values()) for (const key of ['gold', 'found', 'said', 'right'] as const) total[key] += count[key];
  const lines = [...counts, ['all structured', total] as const].map(([type, { gold, found, said, right }]) => {
    const [recall, precision] = [found / Math.max(1, gold), right / Math.max(1, said)];
    const f2 = recall + precision === 0 ? 0 : (5 * precision * recall) / (4 * precision + recall);
    return [type, rate(found, gold), rate(right, said), f2.toFixed(3)];
  });
  return table([['personal data', 'recall', 'precision', 'F2'], ...lines]);
}
