import { boolean, either, integer, list, modelName, string } from './check.ts';
import { object, required } from './object.ts';
import { options } from './ollama-chat.ts';
import { type RequestParser, requestParser } from './parser.ts';
import { rulesFor } from './restricted.ts';

const embed = object(
  {
    model: required(modelName),
    input: required(either({ string: string('user'), array: list(string('user')) })),
    truncate: boolean,
    dimensions: integer(0, 1_000_000),
    options: object(options, { rules: rulesFor('ollama.embed', 'options') }),
  },
  { rules: rulesFor('ollama.embed') },
);

/** `POST /api/embed`. */
export const parseOllamaEmbed: RequestParser = requestParser({ body: embed, streams: false });

const embeddings = object(
  {
    model: required(modelName),
    prompt: string('user'),
    options: object(options, { rules: rulesFor('ollama.embeddings', 'options') }),
  },
  { rules: rulesFor('ollama.embeddings') },
);

/** `POST /api/embeddings`, the older form with one prompt. */
export const parseOllamaEmbeddings: RequestParser = requestParser({ body: embeddings, streams: false });
