import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Provenance } from '@sallyport/core';
import type { Stage, TextContext } from '../src/guard.ts';

/** One text of a data set, with what a guard should make of it. */
export interface Row {
  readonly set: string;
  readonly text: string;
  readonly attack: boolean;
  readonly lang: string;
  readonly context: TextContext;
}

const STAGES: Readonly<Record<string, readonly [Stage, Provenance]>> = {
  user: ['input', 'user'],
  system: ['input', 'system'],
  untrusted: ['document', 'untrusted'],
  reply: ['output', 'assistant'],
};

export function contextOf(kind: string): TextContext {
  const [stage, provenance] = STAGES[kind] ?? ['input', 'user'];
  return { stage, provenance, kind: null };
}

export function* jsonLines(file: string): Generator<Readonly<Record<string, unknown>>> {
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line === '') continue;
    const row: unknown = JSON.parse(line);
    if (isRecord(row)) yield row;
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every labelled JSON Lines set below a folder (`text`, `label`, `kind`, `lang`), and model answers (`choices[].turns[].content`) as replies. */
export function readRows(folder: string): Row[] {
  const rows: Row[] = [];
  for (const set of readdirSync(folder).sort()) {
    for (const name of existsSync(join(folder, set)) ? readdirSync(join(folder, set)).sort() : []) {
      if (!name.endsWith('.jsonl')) continue;
      for (const row of jsonLines(join(folder, set, name))) rows.push(...toRows(set, name, row));
    }
  }
  return rows;
}

function toRows(set: string, file: string, row: Readonly<Record<string, unknown>>): Row[] {
  const { text, label, kind, lang, choices, task } = row;
  if (Array.isArray(choices)) {
    return answersOf(choices).map((answer) => ({ set, text: answer, attack: false, lang: 'en', context: contextOf('reply') }));
  }
  if (typeof text !== 'string' || (label !== 'benign' && label !== 'attack') || typeof kind !== 'string') return [];
  const part = typeof task === 'string' ? `${set} ${task}` : set;
  const name = file.includes('quotes') ? `${part} (quotes attacks)` : part;
  return [{ set: name, text, attack: label === 'attack', lang: typeof lang === 'string' ? lang : '?', context: contextOf(kind) }];
}

function answersOf(choices: readonly unknown[]): string[] {
  return choices.flatMap((choice) => {
    const turns = isRecord(choice) ? choice['turns'] : null;
    if (!Array.isArray(turns)) return [];
    return turns.flatMap((turn) => (isRecord(turn) && typeof turn['content'] === 'string' ? [turn['content']] : []));
  });
}
