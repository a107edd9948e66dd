import type { Action, Provenance } from '@sallyport/core';
import type { EndpointId } from '../endpoint.ts';
import type { JsonValue } from '../json/document.ts';
import { isObject } from './check.ts';

/** Values that a field may have without the permission; `text` is for the documentation. */
export interface Unless {
  readonly text: string;
  test(value: JsonValue): boolean;
}

/** One row of the tables of fields that need a permission. `docs/restricted-fields.md` is made from them. */
export interface FieldRow {
  readonly names: readonly string[];
  readonly within: 'body' | 'options';
  readonly endpoints: readonly EndpointId[];
  readonly action: Action;
  readonly reason: string;
  /** Values that change nothing and so need no permission; null never does. */
  readonly unless?: Unless;
  readonly provenance?: Provenance;
}

export const GENERATION: readonly EndpointId[] = [
  'openai.chat',
  'openai.completions',
  'openai.responses',
  'anthropic.messages',
  'anthropic.count-tokens',
  'ollama.chat',
  'ollama.generate',
];
export const INFERENCE: readonly EndpointId[] = [...GENERATION, 'openai.embeddings', 'openai.rerank', 'ollama.embed', 'ollama.embeddings'];
export const OLLAMA: readonly EndpointId[] = ['ollama.chat', 'ollama.generate', 'ollama.embed', 'ollama.embeddings'];

export const isFalse: Unless = { text: '`false`', test: (value) => value === false };
export const isTrue: Unless = { text: '`true`', test: (value) => value === true };
export const isZero: Unless = { text: '`0`', test: (value) => value === 0 };
export const isEmptyList: Unless = { text: 'an empty list', test: (value) => Array.isArray(value) && value.length === 0 };
/** The one everyday use of template variables: switching a model's thinking on or off. */
export const isThinkingSwitch: Unless = {
  text: 'only `enable_thinking` or `thinking` as true or false',
  test: (value) =>
    isObject(value) &&
    Object.entries(value).every(([name, flag]) => (name === 'enable_thinking' || name === 'thinking') && typeof flag === 'boolean'),
};
