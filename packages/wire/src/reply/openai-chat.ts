import type { ReadObject } from './event.ts';
import type { ReplyTextKind } from './format.ts';
import { logprobs } from './logprobs.ts';
import {
  authored,
  blob,
  each,
  echo,
  error,
  finish,
  id,
  isObject,
  listOf,
  members,
  model,
  nested,
  object,
  type Rule,
  shaped,
  text,
  unknown,
  unknownDelta,
  word,
} from './rules.ts';
import { llamaCppTimings, openAiUsage } from './usage.ts';

/** A string, or content parts that a client joins: all parts are one growing text, so that nothing hides in the seam between two. */
function content(kind: ReplyTextKind, suffix: string): Rule {
  const string = text(kind, suffix);
  const part = text(kind, suffix, 'delta');
  const parts = listOf((r, value, at, key, base) =>
    isObject(value) ? partObject(r, value, at, key, base) : part(r, value, at, key, base),
  );
  const partObject = object(
    members({
      type: word,
      text: part,
      refusal: text('refusal', 'refusal', 'delta'),
      thinking: (r, value, at, key, base) => reasoningParts(r, value, at, key, base),
    }),
  );
  return (r, value, at, key, base) => (Array.isArray(value) ? parts : string)(r, value, at, key, base);
}
const reasoningParts: Rule = content('reasoning', 'thinking');

/** A name is complete once arguments follow; a client that joins names cannot be fed more of it later. */
const functionCall = members({ name: text('tool-name', 'name'), arguments: authored('tool-arguments', 'arguments') });
const namedCall: Rule = (r, value, at, key, base) => {
  object(functionCall)(r, value, at, key, base);
  if (isObject(value) && typeof value['arguments'] === 'string' && value['arguments'] !== '') r.closes.push(`${base}/name`);
};

const toolCalls = each(
  'tool',
  members({
    id,
    type: word,
    function: namedCall,
    custom: object(members({ name: text('tool-name', 'name'), input: authored('tool-arguments', 'arguments') })),
  }),
);

/** `delta` of a chunk and `message` of a whole reply. Reasoning has a name of its own with each server, and some send two at once. */
const message = object(
  members(
    {
      role: word,
      content: content('text', 'text'),
      reasoning: content('reasoning', 'reasoning'),
      reasoning_content: content('reasoning', 'reasoning_content'),
      refusal: text('refusal', 'refusal'),
      tool_calls: toolCalls,
      function_call: (r, value, at, key, base) => namedCall(r, value, at, key, `${base}/function`),
      audio: object(members({ id, transcript: text('transcript', 'audio/transcript'), data: blob })),
      annotations: nested('annotation', 'annotations', { type: word }),
    },
    unknownDelta,
  ),
);

const choiceFields = members({
  delta: message,
  message,
  text: text('text', 'text'),
  finish_reason: finish,
  logprobs,
  token_ids: echo,
  tokens: echo,
  content_filter_results: nested('annotation', 'content_filter_results', { severity: word }),
});

const choices = each('choice', (r, choice, place, base) => {
  choiceFields(r, choice, place, base);
  const reason = choice['finish_reason'];
  if (r.streamed && typeof reason === 'string' && reason !== '') r.closes.push(base);
});

const padding = shaped(/^[A-Za-z0-9]{0,64}$/);

/** What every OpenAI object has at its top. */
const envelope = { id, object: word, model, system_fingerprint: id, service_tier: word, error, usage: openAiUsage, obfuscation: padding };

const completion = members({ ...envelope, choices, timings: llamaCppTimings, prompt_token_ids: echo });

/** Chat completions and completions: chunks and whole replies. Some servers report an error as an object of its own. */
export const readCompletion: ReadObject = (r, root) => {
  completion(r, root, null, '');
  if (root['object'] === 'error' || root['type'] === 'error') r.isError = true;
};

const embeddings = members({ ...envelope, data: each('embedding', members({ object: word, embedding: listOf(blob) })) });

/** Vectors carry no text: numbers, or base64. */
export const readEmbeddings: ReadObject = (r, root) => {
  embeddings(r, root, null, '');
  if (root['object'] === 'error') r.isError = true;
};

const document = nested('tool-result', 'document');
const ranked = each('result', members({ document, text: text('tool-result', 'document') }));
const rerank = members({ ...envelope, results: ranked, data: ranked, meta: unknown });

/** Rerankers repeat the documents where they were asked to. */
export const readRerank: ReadObject = (r, root) => {
  rerank(r, root, null, '');
  if (root['object'] === 'error') r.isError = true;
};
