import type { Action } from '@sallyport/core';
import type { EndpointId } from '../endpoint.ts';
import { ENGINE_ROWS } from './restricted-engine.ts';
import { PROMPT_ROWS } from './restricted-prompt.ts';
import { type FieldRow, INFERENCE, OLLAMA } from './restricted-row.ts';

/** Fields that need a permission, by name. */
export const FIELD_ROWS: readonly FieldRow[] = [...PROMPT_ROWS, ...ENGINE_ROWS];

/** Names without a row above that still say what the field is for. Engines add such fields with every release. */
export const UNKNOWN_FIELD_ROWS: readonly {
  readonly label: string;
  readonly within: 'body' | 'options';
  readonly endpoints: readonly EndpointId[];
  readonly pattern: RegExp;
  readonly action: Action;
  readonly reason: string;
}[] = [
  {
    label:
      'an unknown field whose name starts with `_` or contains `template`, `prompt`, `guided`, `grammar`, `lora`, `adapter`, `kwargs`, `logits`, `token_ids`, `embeds` or `transfer`',
    within: 'body',
    endpoints: INFERENCE,
    pattern: /^_|template|prompt|guided|grammar|lora|adapter|kwargs|logits|token_ids|embeds|transfer/i,
    action: 'feature.template',
    reason: 'by its name a newer extension of the kinds in this table; denied until somebody decides',
  },
  {
    label:
      'every `options` field that is not a sampling parameter: `num_ctx`, `num_batch`, `num_gpu`, `main_gpu`, `num_thread`, `numa`, `low_vram`, `use_mmap`, `use_mlock`, `f16_kv`, …',
    within: 'options',
    endpoints: OLLAMA,
    pattern: /(?:)/,
    action: 'feature.residency',
    reason: 'settings of the runner: a changed one reloads the model for everybody, and a large context takes the memory of the machine',
  },
];
