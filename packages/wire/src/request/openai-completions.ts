import type { JsonObject } from '../json/document.ts';
import { boolean, type Check, either, integer, modelName, string } from './check.ts';
import { object, required } from './object.ts';
import { identification, sampling } from './openai-chat.ts';
import { responseFormat } from './openai-tools.ts';
import { choiceCount, outputCap, type RequestParser, requestParser } from './parser.ts';
import type { Reading } from './reading.ts';
import { rulesFor, TOKEN_IDS } from './restricted.ts';

/**
 * Texts to complete or embed: a string, a list of strings, or the same as token numbers. Token numbers cannot be read, so they need
 * a permission. Objects are refused: what engines make of them differs.
 */
export const prompts: Check = either({
  string: string('user'),
  array: (value, at) => {
    if (!Array.isArray(value)) return;
    if (value.length === 0) return at.refuse('must not be empty');
    const first = value[0];
    if (typeof first === 'number') return tokenIds(value, at);
    if (value.length > at.limits.maxMessages) return at.refuseTooLarge(`has more than ${at.limits.maxMessages} items`);
    for (const [index, item] of value.entries()) {
      at.path.push(index);
      if (typeof item === 'string') at.addText(item, 'user');
      else if (Array.isArray(item)) tokenIds(item, at);
      else at.refuse('must be a string or a list of token numbers');
      at.path.pop();
    }
  },
});

function tokenIds(value: readonly unknown[], at: Reading): void {
  for (const item of value) if (typeof item !== 'number' || !Number.isInteger(item) || item < 0) at.refuse('must hold only token numbers');
  at.restrict(TOKEN_IDS);
}

const body = object(
  {
    ...sampling,
    ...identification,
    model: required(modelName),
    prompt: required(prompts),
    suffix: string('user'),
    best_of: integer(1, 128),
    logprobs: either({ number: integer(0, 128), boolean }),
    response_format: responseFormat,
    echo: boolean,
  },
  { rules: rulesFor('openai.completions') },
);

/** `POST /v1/completions`. */
export const parseCompletions: RequestParser = requestParser({
  body,
  streams: false,
  bounds: (request) => ({
    maxOutputTokens: outputCap(request, ['max_tokens'], 'n_predict'),
    choices: choiceCount(request, ['n', 'best_of']) * promptCount(request),
  }),
});

/** One list of numbers is one prompt; a list of strings or of lists is as many as it holds. */
function promptCount(request: JsonObject): number {
  const prompt = request['prompt'];
  return Array.isArray(prompt) && typeof prompt[0] !== 'number' ? prompt.length : 1;
}
