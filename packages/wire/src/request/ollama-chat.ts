import type { JsonObject } from '../json/document.ts';
import { boolean, type Check, either, integer, isObject, LARGEST, label, list, modelName, number, string } from './check.ts';
import { type Members, object, required, tag, variants } from './object.ts';
import { restrictedBy, textOrNull } from './openai-content.ts';
import { functionDefinition } from './openai-tools.ts';
import { outputCap, type RequestParser, requestParser } from './parser.ts';
import { base64 } from './reference.ts';
import { HOSTED_TOOL, rulesFor } from './restricted.ts';
import { anything, anythingWithUrls, schema } from './walk.ts';

/** Sampling parameters of Ollama's `options`. Every other option belongs to the runner and needs a permission. */
export const options: Members = {
  num_predict: integer(-2, LARGEST),
  seed: integer(-LARGEST, LARGEST),
  temperature: number(0, 10),
  top_k: integer(-1, 1_000_000),
  top_p: number(0, 1),
  min_p: number(0, 1),
  typical_p: number(0, 1),
  tfs_z: number(0, 10),
  repeat_last_n: integer(-1, 1_000_000),
  repeat_penalty: number(0, 10),
  presence_penalty: number(-10, 10),
  frequency_penalty: number(-10, 10),
  mirostat: integer(0, 2),
  mirostat_tau: number(0, 100),
  mirostat_eta: number(0, 100),
  penalize_newline: boolean,
  stop: either({ string: string('metadata'), array: list(string('metadata'), { max: 64 }) }),
};

const images = list(base64('image'), { max: 256 });
const name = string('metadata', 256);

const toolCall = object({
  id: label,
  type: label,
  function: required(
    object({
      name: required(string('assistant', 256)),
      description: string('assistant'),
      index: anything('metadata'),
      arguments: anything('assistant'),
    }),
  ),
});

function message(provenance: 'system' | 'user' | 'assistant' | 'untrusted', more: Members = {}): Check {
  return object({ role: tag, content: textOrNull(provenance), images, name, ...more });
}

/** One message. Ollama's images are base64 data, never URLs. */
export const ollamaMessage: Check = variants('role', {
  system: message('system'),
  user: message('user'),
  assistant: message('assistant', { thinking: string('assistant'), tool_calls: list(toolCall, { max: 1024 }) }),
  tool: message('untrusted', { tool_name: name, tool_call_id: string('metadata', 1024) }),
});

const tools = list(
  variants(
    'type',
    { function: object({ type: tag, function: required(functionDefinition) }) },
    { untagged: 'function', otherwise: restrictedBy(HOSTED_TOOL, anythingWithUrls('definition')) },
  ),
  { max: 1024 },
);

/** What every generating endpoint takes. `format` is `json` or a JSON Schema. */
function generating(endpoint: 'ollama.chat' | 'ollama.generate'): Members {
  return {
    model: required(modelName),
    stream: boolean,
    format: either({ string: label, object: schema }),
    options: object(options, { rules: rulesFor(endpoint, 'options') }),
    think: either({ boolean, string: label }),
    truncate: boolean,
    shift: boolean,
    logprobs: boolean,
    top_logprobs: integer(0, 128),
  };
}

const chat = object({ ...generating('ollama.chat'), messages: list(ollamaMessage), tools }, { rules: rulesFor('ollama.chat') });

const generate = object(
  {
    ...generating('ollama.generate'),
    prompt: string('user'),
    suffix: string('user'),
    system: string('system'),
    images,
    width: integer(1, 65_536),
    height: integer(1, 65_536),
    steps: integer(1, 10_000),
  },
  { rules: rulesFor('ollama.generate') },
);

const bounds = (request: JsonObject): { maxOutputTokens: number | null; choices: number } => {
  const given = request['options'];
  return { maxOutputTokens: isObject(given) ? outputCap(given, ['num_predict']) : null, choices: 1 };
};

/** `POST /api/chat`. Streams unless told otherwise. */
export const parseOllamaChat: RequestParser = requestParser({ body: chat, streams: true, bounds });

/** `POST /api/generate`. Streams unless told otherwise. */
export const parseOllamaGenerate: RequestParser = requestParser({ body: generate, streams: true, bounds });
