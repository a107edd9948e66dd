import type { JsonObject, JsonValue } from '../json/document.ts';
import { isObject } from '../request/check.ts';
import { ChatMessages, contentOf, dataUrl, filePart, functionCall, imagePart, textPart } from './chat-parts.ts';
import { defined, Members, refusal } from './members.ts';
import type { RequestContext } from './translation.ts';

/**
 * A request of OpenAI's Responses API as chat completions, as far as it keeps nothing on the server and calls nothing there
 * (platform.openai.com/docs/api-reference/responses). What is ignored here and why is in docs/translation.md.
 */
export function chatFromResponses(value: JsonObject, { model, stream, extensions }: RequestContext): JsonObject {
  const body = new Members(value);
  body.ignore('model', 'stream', 'stream_options', 'metadata', 'max_tool_calls', ...IDENTIFICATION);
  for (const name of ['store', 'background']) if (body.boolean(name) === true) body.refuse(name);
  if ((body.string('truncation') ?? 'disabled') !== 'disabled') body.refuse('truncation');
  for (const [index, extra] of body.strings('include').entries()) {
    if (extra !== 'reasoning.encrypted_content') throw refusal(body.pathOf('include').concat(index));
  }
  if ((body.number('top_logprobs') ?? 0) > 0) body.refuse('top_logprobs');
  const messages = new ChatMessages();
  const instructions = body.string('instructions') ?? '';
  if (instructions !== '') messages.add({ role: 'system', content: instructions });
  addInput(body, messages, extensions.has('reasoning_content'));
  messages.flush();
  const tools = body.objects('tools').map(tool);
  const text = body.object('text');
  const reasoning = body.object('reasoning')?.ignore('summary', 'generate_summary');
  const limit = body.number('max_output_tokens') ?? -1;
  const chat = defined({
    model,
    messages: messages.list,
    max_tokens: limit >= 0 ? limit : undefined,
    temperature: body.number('temperature'),
    top_p: body.number('top_p'),
    top_k: body.hint('top_k', extensions.has('top_k')),
    presence_penalty: body.number('presence_penalty'),
    frequency_penalty: body.number('frequency_penalty'),
    tools: tools.length === 0 ? undefined : tools,
    tool_choice: toolChoice(body, tools.length > 0),
    parallel_tool_calls: parallel(body, tools.length > 0),
    response_format: responseFormat(text),
    verbosity: text?.string('verbosity'),
    reasoning_effort: reasoning?.string('effort'),
    user: body.string('user'),
    stream,
    stream_options: stream ? { include_usage: true } : undefined,
  });
  text?.done();
  reasoning?.done();
  body.done();
  return chat;
}

/** What groups and bills requests at OpenAI. */
const IDENTIFICATION = ['safety_identifier', 'prompt_cache_key', 'prompt_cache_retention', 'prompt_cache_options', 'service_tier'] as const;

function addInput(body: Members, messages: ChatMessages, keepsReasoning: boolean): void {
  const input = body.take('input');
  if (typeof input === 'string') {
    messages.add({ role: 'user', content: input });
    return;
  }
  if (!Array.isArray(input) || input.length === 0) body.refuse('input', 'is required');
  const thoughts = new Thoughts(keepsReasoning);
  for (const [index, item] of input.entries()) {
    const path = body.pathOf('input').concat(index);
    if (!isObject(item)) throw refusal(path, 'must be an object');
    addItem(new Members(item, path), messages, thoughts);
  }
}

/** Reasoning is an item of its own; a server that takes it back wants it in the message it led to. */
class Thoughts {
  readonly #keeps: boolean;
  #text = '';

  constructor(keeps: boolean) {
    this.#keeps = keeps;
  }

  add(text: string): void {
    if (this.#keeps) this.#text += text;
  }

  take(): string | undefined {
    const text = this.#text;
    this.#text = '';
    return text === '' ? undefined : text;
  }
}

function addItem(item: Members, messages: ChatMessages, thoughts: Thoughts): void {
  const type = item.string('type') ?? 'message';
  // Ids and states of items mean something to a server that keeps them.
  item.ignore('id', 'status');
  switch (type) {
    case 'message': {
      item.ignore('phase');
      const role = item.string('role') ?? '';
      const content = contentOf(parts(item.take('content'), item.pathOf('content')));
      messages.add(defined({ role, content, reasoning_content: role === 'assistant' ? thoughts.take() : undefined }));
      break;
    }
    case 'function_call': {
      const call = functionCall(item.string('call_id') ?? '', item.string('name') ?? '', item.string('arguments') ?? '');
      messages.addCall(call, thoughts.take());
      break;
    }
    case 'function_call_output':
      messages.addResult(item.string('call_id') ?? '', parts(item.take('output'), item.pathOf('output')));
      break;
    case 'reasoning':
      item.ignore('encrypted_content');
      for (const part of item.objects('content')) {
        thoughts.add(part.ignore('type').string('text') ?? '');
        part.done();
      }
      item.ignore('summary');
      break;
    default:
      item.refuse('type', `(${type}) cannot be carried to this model's server, which speaks another API`);
  }
  item.done();
}

/** Content that is a string or a list of parts. */
function parts(content: JsonValue | undefined, path: readonly (string | number)[]): JsonObject[] {
  if (typeof content === 'string') return [textPart(content)];
  if (!Array.isArray(content)) throw refusal(path, 'must be text or a list of parts');
  return content.map((item, index) => {
    if (!isObject(item)) throw refusal([...path, index], 'must be an object');
    const part = new Members(item, [...path, index]);
    const type = part.string('type') ?? '';
    const make = PARTS.get(type);
    if (make === undefined) return part.refuse('type', `(${type}) cannot be carried to this model's server, which speaks another API`);
    const made = make(part);
    part.done();
    return made;
  });
}

const text = (part: Members): JsonObject => textPart(part.ignore('annotations', 'logprobs').string('text') ?? '');

const PARTS: ReadonlyMap<string, (part: Members) => JsonObject> = new Map([
  ['input_text', text],
  ['output_text', text],
  ['text', text],
  ['refusal', (part) => textPart(part.string('refusal') ?? '')],
  ['input_image', (part) => imagePart(part.string('image_url') ?? part.refuse('image_url', 'is required'), part.string('detail'))],
  ['input_file', file],
  ['input_audio', (part) => ({ type: 'input_audio', input_audio: part.take('input_audio') ?? {} })],
]);

/** Files come as data URLs here as there, or as bare base64 of a PDF. */
function file(part: Members): JsonObject {
  const data = part.string('file_data') ?? part.refuse(part.take('file_url') === undefined ? 'file_id' : 'file_url');
  const url = dataUrl(data);
  return filePart(url?.mediaType || 'application/pdf', url?.data ?? data, part.string('filename') ?? 'document');
}

function tool(definition: Members): JsonObject {
  if (definition.string('type') !== 'function') {
    definition.refuse('type', "is a tool that this model's server cannot run; define it as a function");
  }
  if (definition.boolean('defer_loading') === true) definition.refuse('defer_loading');
  const made = {
    type: 'function',
    function: defined({
      name: definition.string('name'),
      description: definition.string('description'),
      parameters: definition.take('parameters'),
      strict: definition.boolean('strict'),
    }),
  };
  definition.done();
  return made;
}

/** Without tools it says nothing, and some servers refuse it then. */
function parallel(body: Members, hasTools: boolean): boolean | undefined {
  const value = body.boolean('parallel_tool_calls');
  return hasTools ? value : undefined;
}

function toolChoice(body: Members, hasTools: boolean): JsonValue | undefined {
  const choice = body.take('tool_choice');
  if (!isObject(choice)) return hasTools ? choice : undefined;
  const named = new Members(choice, body.pathOf('tool_choice'));
  if (named.string('type') !== 'function') named.refuse('type');
  const name = named.string('name') ?? named.refuse('name', 'is required');
  named.done();
  return hasTools ? { type: 'function', function: { name } } : undefined;
}

/** The same formats, written flat in one API and nested in the other. */
function responseFormat(output: Members | undefined): JsonObject | undefined {
  const format = output?.object('format');
  const type = format?.string('type') ?? 'text';
  if (format === undefined || type === 'text') return undefined;
  if (type === 'json_object') return { type };
  if (type !== 'json_schema') return format.refuse('type');
  const json_schema = defined({
    name: format.string('name'),
    description: format.string('description'),
    schema: format.take('schema'),
    strict: format.boolean('strict'),
  });
  format.done();
  return { type, json_schema };
}
