import type { Usage } from '@sallyport/core';
import type { JsonObject, JsonValue } from '../json/document.ts';
import { ID, isObject, members, object, type Rule, shaped, word } from './rules.ts';

/** Counts beyond this are not believed: no reply has a billion tokens. */
const MAX_TOKENS = 1_000_000_000;

/** A token count as an upstream states it, or null where it is none. */
export function count(value: JsonValue | undefined): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_TOKENS ? value : null;
}

export function exactUsage(input: number | null, output: number | null, cached: number | null): Usage | null {
  return input === null && output === null ? null : { input: input ?? 0, output: output ?? 0, cached: cached ?? 0, exact: true };
}

/** The rest of a usage object: numbers, and words such as the service tier. */
const remainder = object(
  members({ service_tier: word, inference_geo: word, speed: word, iterations: object(members({})), model: shaped(ID) }),
);

function usageRule(read: (usage: JsonObject) => Usage | null, sumsUp: (before: Usage | null, now: Usage) => Usage = (_, now) => now): Rule {
  return (r, value, at, key, base) => {
    if (isObject(value)) {
      const now = read(value);
      if (now !== null) {
        r.usage = sumsUp(r.session.usage, now);
        r.session.usage = r.usage;
      }
    }
    remainder(r, value, at, key, base);
  };
}

function detail(usage: JsonObject, group: string, name: string): number | null {
  const details = usage[group];
  return isObject(details) ? count(details[name]) : null;
}

/** OpenAI chat, completions, embeddings; `total_tokens` alone is what rerankers state. */
export const openAiUsage: Rule = usageRule((usage) =>
  exactUsage(
    count(usage['prompt_tokens']) ?? (usage['completion_tokens'] === undefined ? count(usage['total_tokens']) : null),
    count(usage['completion_tokens']),
    detail(usage, 'prompt_tokens_details', 'cached_tokens'),
  ),
);

export const responsesUsage: Rule = usageRule((usage) =>
  exactUsage(count(usage['input_tokens']), count(usage['output_tokens']), detail(usage, 'input_tokens_details', 'cached_tokens')),
);

/** llama.cpp states its timings where the client did not ask for usage. */
export const llamaCppTimings: Rule = (r, value, at, key, base) => {
  if (isObject(value) && r.usage === null) {
    const fresh = count(value['prompt_n']);
    const cached = count(value['cache_n']) ?? 0;
    r.usage = exactUsage(fresh === null ? null : fresh + cached, count(value['predicted_n']), cached);
  }
  remainder(r, value, at, key, base);
};

/**
 * Anthropic counts input that came from or went to the cache apart, and states input at the start and output, so far, at the end:
 * each event's figures replace those before, and what an event leaves out stays.
 */
export const anthropicUsage: Rule = usageRule(
  (usage) => {
    const fresh = count(usage['input_tokens']);
    const cached = count(usage['cache_read_input_tokens']) ?? 0;
    const input = fresh === null ? null : fresh + cached + (count(usage['cache_creation_input_tokens']) ?? 0);
    return exactUsage(input, count(usage['output_tokens']), cached);
  },
  (before, now) => ({
    input: now.input === 0 ? (before?.input ?? 0) : now.input,
    output: Math.max(now.output, before?.output ?? 0),
    cached: now.input === 0 ? (before?.cached ?? 0) : now.cached,
    exact: true,
  }),
);
