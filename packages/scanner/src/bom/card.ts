import { parseDocument } from 'yaml';

/** What a model card claims (Hugging Face model card metadata). Every field is a publisher's word. */
export interface ModelCard {
  readonly license: readonly string[];
  readonly baseModels: readonly string[];
  readonly datasets: readonly string[];
  readonly languages: readonly string[];
  readonly tags: readonly string[];
  readonly library: string | null;
  readonly task: string | null;
  readonly name: string | null;
}

const FRONT_MATTER = /^\ufeff?---\r?\n([\s\S]{0,262144}?)\r?\n---(?:\r?\n|$)/;
const TEXT_LIMIT = 512;
const LIST_LIMIT = 1000;

/** The front matter of a README. Null where there is none or it is no mapping; the text is hostile: aliases are not followed. */
export function parseCard(text: string): ModelCard | null {
  const front = FRONT_MATTER.exec(text)?.[1];
  if (front === undefined) return null;
  let fields: unknown;
  try {
    const document = parseDocument(front, { merge: false, schema: 'core', logLevel: 'silent' });
    if (document.errors.length > 0) return null;
    fields = document.toJS({ maxAliasCount: 0, mapAsMap: true });
  } catch {
    // The library throws plain errors for aliases beyond their bound.
    return null;
  }
  if (!(fields instanceof Map)) return null;
  const map = fields as Map<unknown, unknown>;
  const list = (key: string): string[] => texts(map.get(key));
  const index = map.get('model-index');
  const named = Array.isArray(index) && index[0] instanceof Map ? texts((index[0] as Map<unknown, unknown>).get('name')) : [];
  return {
    license: list('license').map((license) => (license === 'other' ? (list('license_name')[0] ?? license) : license)),
    baseModels: list('base_model'),
    datasets: list('datasets'),
    languages: list('language'),
    tags: list('tags'),
    library: list('library_name')[0] ?? null,
    task: list('pipeline_tag')[0] ?? null,
    name: list('model_name')[0] ?? named[0] ?? null,
  };
}

function texts(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value])
    .filter((item) => typeof item === 'string' && item.trim() !== '')
    .slice(0, LIST_LIMIT)
    .map((item) => String(item).trim().slice(0, TEXT_LIMIT).toWellFormed());
}
