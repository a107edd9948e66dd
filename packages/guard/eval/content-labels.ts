import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { CONTENT_CLASSES, type ContentClass } from '../src/content/classes.ts';
import { csvRows } from './csv.ts';
import { isRecord } from './sets.ts';

/** A turn that was read and labelled. */
export interface LabelledTurn {
  readonly set: string;
  readonly text: string;
  /** What a person said, or a model. */
  readonly by: 'user' | 'model';
  readonly heldOut: boolean;
  /** Drawn at random, not for the words in it. */
  readonly random: boolean;
  /** None of them; null where two readers could disagree. */
  readonly classes: ReadonlySet<ContentClass> | null;
}

const LABELS = new URL('../train/content/labels.tsv', import.meta.url);

/** What is labelled of the sets that lie in a folder. */
export function readLabelledTurns(folder: string): LabelledTurn[] {
  const texts = new Map<string, string>();
  for (const [key, text] of turnsIn(folder)) texts.set(key, text);
  const lines = readFileSync(LABELS, 'utf8').split('\n').slice(1).filter(Boolean);
  return lines.flatMap((line) => {
    const [set = '', row = '', part = '', split = '', stratum = '', labels = ''] = line.split('\t');
    const text = texts.get(`${set} ${row} ${part}`);
    if (text === undefined) return [];
    const by = part === 'chosen' || part === 'rejected' ? 'model' : 'user';
    const classes = labels === 'unclear' ? null : new Set(CONTENT_CLASSES.filter((name) => labels.split('+').includes(name)));
    return [{ set, text, by, heldOut: split === 'held', random: stratum === 'random', classes }];
  });
}

/** What people say first in the dialogues of the labelled set, read or not: much of it is of a class. */
export function openingsIn(folder: string): ReadonlySet<string> {
  return new Set([...turnsIn(folder)].filter(([key]) => key.endsWith(' open')).map(([, text]) => text));
}

/** By set, row and part, as the label file names them. */
function* turnsIn(folder: string): Generator<readonly [key: string, text: string]> {
  const path = (...names: string[]): string | null => (existsSync(join(folder, ...names)) ? join(folder, ...names) : null);
  const dialogues = path('hh-rlhf-harmless', 'test.jsonl.gz');
  if (dialogues !== null) {
    const lines = gunzipSync(readFileSync(dialogues)).toString('utf8').split('\n').filter(Boolean);
    for (const [row, line] of lines.entries()) {
      const dialogue: unknown = JSON.parse(line);
      if (!isRecord(dialogue)) continue;
      for (const part of ['chosen', 'rejected']) {
        const turns = turnsOf(dialogue[part]);
        if (part === 'chosen') yield [`hh-rlhf-harmless ${row} open`, turns[0] ?? ''];
        yield [`hh-rlhf-harmless ${row} ${part}`, turns.at(-1) ?? ''];
      }
    }
  }
  const behaviours = path('harmful-behaviours', 'advbench_behaviors.csv');
  if (behaviours !== null) {
    for (const [row, { Behavior: text = '' }] of csvRows(behaviours).entries()) yield [`harmful-behaviours ${row} advbench`, text];
  }
  for (const [name, part] of [
    ['harmful_train.json', 'harmful_train'],
    ['harmful_val.json', 'instruction'],
  ] as const) {
    const instructions = path('harmful-behaviours', name);
    if (instructions === null) continue;
    const list: unknown = JSON.parse(readFileSync(instructions, 'utf8'));
    for (const [row, item] of Array.isArray(list) ? list.entries() : []) {
      if (isRecord(item) && typeof item['instruction'] === 'string') yield [`harmful-behaviours ${row} ${part}`, item['instruction']];
    }
  }
  const xstest = path('xstest', 'xstest_prompts.csv');
  if (xstest !== null) {
    for (const row of csvRows(xstest)) yield [`xstest ${(Object.values(row)[0] ?? '').trim()} prompt`, row['prompt'] ?? ''];
  }
}

/** The turns of a dialogue, `Human:` and `Assistant:` before each. */
function turnsOf(dialogue: unknown): string[] {
  if (typeof dialogue !== 'string') return [];
  return dialogue
    .trim()
    .split(/\n\n(?=Human:|Assistant:)/)
    .map((turn) => turn.slice(turn.indexOf(':') + 1).trim());
}
