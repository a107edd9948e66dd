import type { Action, Provenance } from '@sallyport/core';
import type { EndpointId } from '../endpoint.ts';
import type { JsonValue } from '../json/document.ts';
import { FIELD_ROWS, UNKNOWN_FIELD_ROWS } from './restricted-fields.ts';
import type { FieldRow } from './restricted-row.ts';

/** One field, or one kind of value, that needs a permission of its own because it can carry an instruction past a policy. */
export interface RestrictedRule {
  readonly action: Action;
  readonly reason: string;
  /** Who wrote the text in a field that Sallyport does not otherwise read. */
  readonly provenance?: Provenance;
  applies(name: string, value: JsonValue): boolean;
}

/** The rules for one object of a body. */
export interface RuleSet {
  readonly fields: ReadonlyMap<string, RestrictedRule>;
  /** For names without a rule of their own that the endpoint does not know either. */
  readonly otherwise: RestrictedRule | null;
}

/** Rules for the fields of an endpoint's body, or of the object `options` in it. */
export function rulesFor(endpoint: EndpointId, within: 'body' | 'options' = 'body'): RuleSet {
  const fields = new Map<string, RestrictedRule>();
  for (const row of FIELD_ROWS) {
    if (row.within !== within || !row.endpoints.includes(endpoint)) continue;
    const rule = ruleOf(row);
    for (const name of row.names) fields.set(name, rule);
  }
  const unknown = UNKNOWN_FIELD_ROWS.find((row) => row.within === within && row.endpoints.includes(endpoint));
  const otherwise =
    unknown === undefined
      ? null
      : { action: unknown.action, reason: unknown.reason, applies: (name: string): boolean => unknown.pattern.test(name) };
  return { fields, otherwise };
}

function ruleOf(row: FieldRow): RestrictedRule {
  const { action, reason, unless } = row;
  const applies = unless === undefined ? always : (_name: string, value: JsonValue): boolean => !unless.test(value);
  return { action, reason, applies, ...(row.provenance === undefined ? {} : { provenance: row.provenance }) };
}

const always = (): boolean => true;

function value(action: Action, reason: string): RestrictedRule {
  return { action, reason, applies: always };
}

/** Values that need a permission wherever they stand; the checks of each format note them. `docs/restricted-fields.md` says where. */
export const HOSTED_TOOL: RestrictedRule = value(
  'feature.server-tools',
  'a tool that the upstream runs itself (search, code, computer, remote MCP) acts outside every check on tool calls',
);
export const HOSTED_ITEM: RestrictedRule = value(
  'feature.server-tools',
  'an item of a tool that the upstream runs itself can approve, forge or continue its calls',
);
export const ITEM_REFERENCE: RestrictedRule = value(
  'feature.stored-state',
  'text the upstream has stored reaches the model unseen, and may be another caller’s',
);
export const STORED_FILE: RestrictedRule = value(
  'feature.stored-state',
  'a file the upstream has stored reaches the model unseen, and may be another caller’s',
);
export const CACHED_MEDIA: RestrictedRule = value(
  'feature.stored-state',
  'names media in the upstream’s cache, which may be another caller’s, instead of sending it',
);
export const EMBEDDED_PART: RestrictedRule = value(
  'feature.template',
  'tensors cannot be inspected, and engines have run code while loading them (CVE-2025-62164)',
);
export const TOKEN_IDS: RestrictedRule = value('feature.template', 'text given as token numbers cannot be inspected');
export const CONSTRAINED_FORMAT: RestrictedRule = value(
  'feature.decoding',
  'a grammar or pattern dictates the answer word for word, refusals included',
);
export const INSECURE_TRANSFER: RestrictedRule = value(
  'feature.private-references',
  'the model would travel without TLS, open to exchange on the way',
);

/** Where the values above are looked for, for the documentation. */
export const VALUE_ROWS: readonly { readonly field: string; readonly endpoints: string; readonly rule: RestrictedRule }[] = [
  { field: '`tools[].type` other than `function` or `custom`', endpoints: 'chat, responses, messages, Ollama chat', rule: HOSTED_TOOL },
  { field: '`input[].type` of a hosted tool’s call, output or approval', endpoints: 'responses', rule: HOSTED_ITEM },
  { field: '`content[].type` of a server tool’s use or result', endpoints: 'messages', rule: HOSTED_ITEM },
  { field: '`input[].type: item_reference`', endpoints: 'responses', rule: ITEM_REFERENCE },
  {
    field: '`file_id` and `container_upload` in content; `audio.id` of an earlier reply',
    endpoints: 'chat, responses, messages',
    rule: STORED_FILE,
  },
  { field: '`uuid` of a content part', endpoints: 'chat', rule: CACHED_MEDIA },
  { field: '`content[].type: image_embeds`, `audio_embeds`', endpoints: 'chat', rule: EMBEDDED_PART },
  { field: '`prompt`, `input` as lists of token numbers', endpoints: 'completions, embeddings', rule: TOKEN_IDS },
  { field: '`response_format.type`: `regex`, `grammar`, `structural_tag`', endpoints: 'chat, completions', rule: CONSTRAINED_FORMAT },
  { field: '`insecure: true`', endpoints: 'Ollama pull, push', rule: INSECURE_TRANSFER },
];
