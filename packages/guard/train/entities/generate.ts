import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { csvRows } from '../../eval/csv.ts';
import { readRows } from '../../eval/sets.ts';
import { type EntityLabel, LABELS } from '../../src/entities/tagger.ts';
import { tokenise } from '../../src/entities/tokens.ts';
import { Random } from '../random.ts';
import type { Sentence } from './learn.ts';
import { OWN_TEMPLATES } from './templates.ts';
import { type Part, Values } from './values.ts';

/** Benign sets that name hardly any person or place: what is not an entity. */
const PLAIN_SETS: ReadonlySet<string> = new Set([
  'h5bp-questions',
  'tldr-pages',
  'fastapi-docs',
  'polyai-banking77',
  'polyai-nlupp',
  'mcp-docs',
  'lobe-agents-user',
  'awesome-copilot',
  'trivy-checks',
  'gorilla-api-docs',
]);
const PLAIN_TEXTS = 20_000;
/** Ordinary texts with an entity put into them, and which placeholders stand for it. */
const INSERTED = 4_000;
const INSERTABLE = [
  'person',
  'person',
  'first_name',
  'city',
  'city',
  'country',
  'organization',
  'organization',
  'address',
  'street_name',
  'date',
] as const;
const ROUNDS = 100;
const SEED = 20_261;

const PLACEHOLDER = /\{\{?(\w+)\}?\}/g;

/** Sentences with labels: templates filled with made-up values, and ordinary text. `folder` is the training split. */
export function taggerSentences(folder: string): Sentence[] {
  const random = new Random(SEED);
  const base = join(folder, 'presidio-research');
  const values = new Values(
    random,
    {
      organisations: lines(join(base, 'companies_and_organizations.csv')),
      nationalities: csvRows(join(base, 'nationalities.csv')).map((row) => ({
        adjective: row['nationality'] ?? '',
        plural: row['plural'] ?? '',
        woman: row['woman'] ?? '',
      })),
      religions: lines(join(base, 'religions.csv')),
    },
    SEED,
  );
  const file = join(base, 'templates.txt');
  const templates = existsSync(file) ? readFileSync(file, 'utf8').split(/\r?\n/) : [];
  const all = [...templates, ...OWN_TEMPLATES].map((line) => line.replaceAll('\\n', '\n').trim()).filter(Boolean);
  const sentences: Sentence[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const template of all) {
      const parts = fill(template, values);
      if (parts !== null) sentences.push(toSentence(parts, random));
    }
  }
  const plain = readRows(folder).filter(({ set, attack }) => PLAIN_SETS.has(set) && !attack);
  for (let count = 0; count < PLAIN_TEXTS && plain.length > 0; count++) {
    sentences.push(toSentence([[stretch(random.pick(plain).text, random), 'none']], random));
  }
  for (let count = 0; count < INSERTED && plain.length > 0; count++) {
    const parts = inserted(stretch(random.pick(plain).text, random), values, random);
    if (parts !== null) sentences.push(toSentence(parts, random));
  }
  return sentences;
}

/** Ordinary text with an entity between two of its words: what is one by itself, whatever stands around it. */
function inserted(text: string, values: Values, random: Random): Part[] | null {
  const at = random.pick([...text.matchAll(/ /g)].map(({ index }) => index + 1).concat(text.length));
  const filled = values.of(random.pick(INSERTABLE));
  return filled === null ? null : [[text.slice(0, at), 'none'], ...filled, [` ${text.slice(at)}`, 'none']];
}

/** A piece of a text from anywhere in it. */
function stretch(text: string, random: Random): string {
  const start = random.below(Math.max(1, text.length - 240));
  return text.slice(start, start + 240);
}

/** The rows of a table of one column, without its head. */
function lines(file: string): string[] {
  const rows = readFileSync(file, 'utf8').split(/\r?\n/).slice(1);
  return rows.map((row) => row.replace(/^"|"$/g, '').replaceAll('""', '"').trim()).filter(Boolean);
}

/** The template in parts; null where it has a placeholder of another kind. */
function fill(template: string, values: Values): Part[] | null {
  const parts: Part[] = [];
  let from = 0;
  for (const found of template.matchAll(PLACEHOLDER)) {
    const filled = values.of(found[1] ?? '');
    if (filled === null) return null;
    parts.push([template.slice(from, found.index), 'none'], ...filled);
    from = found.index + found[0].length;
  }
  parts.push([template.slice(from), 'none']);
  return parts;
}

/** Tokens with the labels of the parts they lie in; now and then in small letters or capitals, as people write. */
function toSentence(parts: readonly Part[], random: Random): Sentence {
  const dice = random.next();
  const write = (text: string): string => (dice < 0.12 ? text.toLowerCase() : dice < 0.15 ? text.toUpperCase() : text);
  const written = parts.map(([text, label]): Part => [write(text), label]);
  const tokens = tokenise(written.map(([text]) => text).join(''));
  const labels = new Uint8Array(tokens.count);
  let part = 0;
  let end = written[0]?.[0].length ?? 0;
  for (let at = 0; at < tokens.count; at++) {
    while ((tokens.starts[at] ?? 0) >= end && part < written.length - 1) end += written[++part]?.[0].length ?? 0;
    const label: EntityLabel = written[part]?.[1] ?? 'none';
    labels[at] = LABELS.indexOf(label);
  }
  return { tokens, labels };
}
