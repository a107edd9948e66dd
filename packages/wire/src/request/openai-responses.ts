import type { Provenance } from '@sallyport/core';
import { boolean, type Check, either, integer, LARGEST, label, list, modelName, number, string } from './check.ts';
import { type Members, object, required, tag, variants } from './object.ts';
import { identification } from './openai-chat.ts';
import { restrictedBy } from './openai-content.ts';
import { responsesTools, textFormat, toolChoice } from './openai-tools.ts';
import { outputCap, type RequestParser, requestParser } from './parser.ts';
import { base64, media, storedFile } from './reference.ts';
import { HOSTED_ITEM, ITEM_REFERENCE, rulesFor } from './restricted.ts';
import { anything, anythingWithUrls } from './walk.ts';

const MEDIA_NAMES = ['image_url', 'input_audio', 'file_data', 'file_url', 'file_id', 'audio_url', 'video_url'] as const;

function part(members: Members): Check {
  return object({ type: tag, ...members }, { foreign: MEDIA_NAMES.filter((name) => members[name] === undefined) });
}

function parts(provenance: Provenance): Check {
  const text = part({ text: required(string(provenance)), annotations: anything('metadata'), logprobs: anything('metadata') });
  return list(
    variants('type', {
      input_text: text,
      output_text: text,
      text,
      summary_text: text,
      reasoning_text: text,
      refusal: part({ refusal: required(string(provenance)) }),
      input_image: part({ image_url: media('image'), file_id: storedFile('image'), detail: label }),
      computer_screenshot: part({ image_url: media('image'), file_id: storedFile('image') }),
      input_file: part({
        file_data: media('file', true),
        file_url: media('file'),
        file_id: storedFile('file'),
        filename: string('metadata', 1024),
      }),
      input_audio: part({ input_audio: required(object({ data: required(base64('audio')), format: label })) }),
    }),
  );
}

const contentOf = (provenance: Provenance): Check => either({ string: string(provenance), array: parts(provenance) });
const id = string('metadata', 1024);
/** What every item may carry back from an earlier answer. */
const item = { type: tag, id, status: label } as const;

function message(provenance: Provenance): Check {
  return object({ ...item, role: tag, content: required(contentOf(provenance)), phase: label });
}

const messages = variants('role', {
  user: message('user'),
  system: message('system'),
  developer: message('system'),
  assistant: message('assistant'),
});

const reasoningParts = parts('assistant');
const name = required(string('assistant', 256));
const output = required(contentOf('untrusted'));

/** Everything an input may be made of. Items of tools that run on the upstream need a permission and are read as strangers' text. */
const items = variants(
  'type',
  {
    message: messages,
    function_call: object({ ...item, call_id: id, name, arguments: required(string('assistant')) }),
    function_call_output: object({ ...item, call_id: required(id), output }),
    custom_tool_call: object({ ...item, call_id: id, name, input: required(string('assistant')) }),
    custom_tool_call_output: object({ ...item, call_id: required(id), output }),
    reasoning: object({ ...item, summary: reasoningParts, content: reasoningParts, encrypted_content: string('metadata') }),
    compaction: object({ ...item, encrypted_content: string('metadata') }),
    item_reference: restrictedBy(ITEM_REFERENCE, object({ type: tag, id: required(id) })),
  },
  { untagged: 'message', otherwise: restrictedBy(HOSTED_ITEM, anythingWithUrls('untrusted')) },
);

const variable = either({
  string: string('user'),
  object: variants('type', {
    input_text: part({ text: required(string('user')) }),
    input_image: part({ image_url: media('image'), file_id: storedFile('image'), detail: label }),
    input_file: part({
      file_data: media('file', true),
      file_url: media('file'),
      file_id: storedFile('file'),
      filename: string('metadata', 1024),
    }),
  }),
});

/** Variables of a stored prompt are put into it as they are; their names are the prompt's. */
const variables: Check = (value, at) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return at.refuse('must be an object');
  const names = Object.keys(value);
  for (const variableName of names) {
    at.path.push(variableName);
    variable(value[variableName] ?? null, at);
    at.path.pop();
  }
  at.addFixedText(names.join('\n'), 'metadata');
};

const body = object(
  {
    ...identification,
    model: required(modelName),
    input: either({ string: string('user'), array: list(items) }),
    instructions: string('system'),
    prompt: object({ id: required(id), version: id, variables }),
    temperature: number(0, 2),
    top_p: number(0, 1),
    top_k: integer(-1, 1_000_000),
    presence_penalty: number(-2, 2),
    frequency_penalty: number(-2, 2),
    top_logprobs: integer(0, 128),
    max_output_tokens: integer(-1, LARGEST),
    max_tool_calls: integer(0, 100_000),
    n_predict: integer(-2, LARGEST),
    stream: boolean,
    stream_options: object({ include_obfuscation: boolean }),
    store: boolean,
    background: boolean,
    parallel_tool_calls: boolean,
    tools: responsesTools,
    tool_choice: toolChoice,
    text: object({ format: textFormat, verbosity: label }),
    reasoning: object({ effort: label, summary: label, generate_summary: label, context: label }),
    truncation: label,
    include: list(label, { max: 64 }),
    context_management: anything('metadata'),
    previous_response_id: id,
    conversation: either({ string: id, object: object({ id: required(id) }) }),
  },
  { rules: rulesFor('openai.responses') },
);

/** `POST /v1/responses`. */
export const parseResponses: RequestParser = requestParser({
  body,
  streams: false,
  bounds: (request) => ({ maxOutputTokens: outputCap(request, ['max_output_tokens'], 'n_predict'), choices: 1 }),
});
