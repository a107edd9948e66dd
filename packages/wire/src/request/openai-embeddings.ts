import { boolean, either, integer, label, list, modelName, string } from './check.ts';
import { object, required } from './object.ts';
import { identification } from './openai-chat.ts';
import { prompts } from './openai-completions.ts';
import { chatMessage, content } from './openai-content.ts';
import { type RequestParser, requestParser } from './parser.ts';
import { rulesFor } from './restricted.ts';
import { anything } from './walk.ts';

const embeddings = object(
  {
    ...identification,
    model: required(modelName),
    input: prompts,
    /** vLLM embeds conversations, images included, in place of `input`. */
    messages: list(chatMessage, { min: 1 }),
    encoding_format: label,
    dimensions: integer(1, 1_000_000),
    truncate_prompt_tokens: integer(-1, 100_000_000),
    input_type: label,
    task: label,
  },
  { rules: rulesFor('openai.embeddings') },
);

/** `POST /v1/embeddings`. */
export const parseEmbeddings: RequestParser = requestParser({
  body: (value, at) => {
    embeddings(value, at);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
    if ((value['input'] ?? value['messages'] ?? null) === null) {
      at.path.push('input');
      return at.refuse('is required');
    }
  },
  streams: false,
});

/** A text to rank: Cohere and Jina take a string or `{text}`, vLLM also `{content: [parts]}` with images. Strangers wrote it. */
const rankedText = either({ string: string('untrusted'), object: object({ text: string('untrusted'), content: content('untrusted') }) });

const rerank = object(
  {
    model: required(modelName),
    query: required(either({ string: string('user'), object: object({ text: string('user'), content: content('user') }) })),
    documents: required(either({ array: list(rankedText, { min: 1 }), object: object({ content: content('untrusted') }) })),
    top_n: integer(0, 1_000_000),
    top_k: integer(0, 1_000_000),
    return_documents: boolean,
    max_chunks_per_doc: integer(1, 1_000_000),
    max_tokens_per_doc: integer(1, 100_000_000),
    truncate_prompt_tokens: integer(-1, 100_000_000),
    rank_fields: list(label, { max: 256 }),
    metadata: anything('metadata'),
    user: string('metadata', 4096),
  },
  { rules: rulesFor('openai.rerank') },
);

/** `POST /v1/rerank`. */
export const parseRerank: RequestParser = requestParser({ body: rerank, streams: false });
