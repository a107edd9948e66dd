import type { JsonValue } from '../json/document.ts';
import { boolean, type Check, either, integer, LARGEST, label, list, modelName, number, string } from './check.ts';
import { type Members, object, required } from './object.ts';
import { chatMessage, content } from './openai-content.ts';
import { chatTools, functionDefinition, responseFormat, toolChoice } from './openai-tools.ts';
import { choiceCount, outputCap, type RequestParser, requestParser } from './parser.ts';
import type { Reading } from './reading.ts';
import { rulesFor } from './restricted.ts';
import { anything } from './walk.ts';

/** Where generation stops: a string, or a list of them. They are compared with the answer and may end up in it. */
export const stop: Check = either({ string: string('metadata'), array: list(string('metadata'), { max: 64 }) });

/** Sampling parameters of every OpenAI-style endpoint that generates. -1 as a cap is LM Studio's and llama.cpp's `no cap`. */
export const sampling: Members = {
  temperature: number(0, 2),
  top_p: number(0, 1),
  top_k: integer(-1, 1_000_000),
  min_p: number(0, 1),
  presence_penalty: number(-2, 2),
  frequency_penalty: number(-2, 2),
  repetition_penalty: number(0, 10),
  length_penalty: number(-10, 10),
  seed: integer(-LARGEST, LARGEST),
  n: integer(1, 128),
  max_tokens: integer(-1, LARGEST),
  n_predict: integer(-2, LARGEST),
  stop,
  stream: boolean,
  stream_options: object({ include_usage: boolean, include_obfuscation: boolean, continuous_usage_stats: boolean }),
  logit_bias: logitBias,
};

/** What identifies the caller's own user or groups requests: not shown to the model by contract. */
export const identification: Members = {
  user: string('metadata', 4096),
  safety_identifier: string('metadata', 4096),
  prompt_cache_key: string('metadata', 4096),
  prompt_cache_retention: label,
  prompt_cache_options: anything('metadata'),
  metadata: anything('metadata'),
  service_tier: label,
};

function logitBias(value: JsonValue, at: Reading): void {
  anything('metadata')(value, at);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) at.refuse('must be an object from token to bias');
  for (const [token, bias] of Object.entries(value)) {
    if (!/^\d{1,9}$/.test(token) || typeof bias !== 'number' || bias < -100 || bias > 100) {
      at.refuse('must map token numbers to biases from -100 to 100');
    }
  }
}

const body = object(
  {
    ...sampling,
    ...identification,
    model: required(modelName),
    messages: required(list(chatMessage, { min: 1 })),
    max_completion_tokens: integer(-1, LARGEST),
    logprobs: boolean,
    top_logprobs: integer(0, 128),
    tools: chatTools,
    tool_choice: toolChoice,
    parallel_tool_calls: boolean,
    functions: list(functionDefinition, { max: 1024 }),
    function_call: either({ string: label, object: object({ name: required(string('definition', 256)) }) }),
    response_format: responseFormat,
    prediction: object({ type: label, content: required(content('assistant')) }),
    reasoning_effort: label,
    reasoning: anything('metadata'),
    thinking: anything('metadata'),
    thinking_token_budget: integer(-1, LARGEST),
    include_reasoning: boolean,
    verbosity: label,
    modalities: list(label, { max: 16 }),
    audio: anything('metadata'),
    web_search_options: anything('metadata'),
    store: boolean,
  },
  { rules: rulesFor('openai.chat') },
);

/** `POST /v1/chat/completions`. */
export const parseChat: RequestParser = requestParser({
  body,
  streams: false,
  bounds: (request) => ({
    maxOutputTokens: outputCap(request, ['max_completion_tokens', 'max_tokens'], 'n_predict'),
    choices: choiceCount(request, ['n', 'best_of']),
  }),
});
