import type { JsonObject, JsonValue } from '../json/document.ts';
import { isObject } from '../request/check.ts';
import { dataUrl } from './chat-parts.ts';
import { parseObject } from './exact.ts';
import { defined, Members, refusal } from './members.ts';
import type { RequestContext } from './translation.ts';

/** Anthropic wants a limit; this is the most that all models since Claude 3.5 write. */
const DEFAULT_MAX_TOKENS = 8192;

/** Sampling hints that Anthropic's API has not. */
const OTHER_SAMPLING = [
  'presence_penalty',
  'frequency_penalty',
  'repetition_penalty',
  'repeat_penalty',
  'length_penalty',
  'min_p',
  'typical_p',
  'seed',
] as const;

/** What groups and bills requests at OpenAI, or makes them faster there; `include_reasoning` is what is done anyway. */
const OTHER_SETTINGS = [
  'metadata',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_retention',
  'prompt_cache_options',
  'service_tier',
  'prediction',
  'include_reasoning',
] as const;

/**
 * A chat completions request as Anthropic's Messages (platform.openai.com/docs/api-reference/chat,
 * docs.anthropic.com/en/api/messages). What is ignored here and why is in docs/translation.md.
 */
export function messagesFromChat(value: JsonObject, { model, stream }: RequestContext): JsonObject {
  const body = new Members(value);
  body.ignore('model', 'stream', 'stream_options', ...OTHER_SAMPLING, ...OTHER_SETTINGS);
  refuseUnlike(body);
  const temperature = body.number('temperature');
  if (temperature !== undefined && temperature > 1) body.refuse('temperature', "must be at most 1 for this model's server");
  const conversation = new Conversation();
  for (const message of body.objects('messages')) conversation.add(message);
  const stop = body.take('stop') ?? [];
  const limits = [body.number('max_completion_tokens'), body.number('max_tokens')].filter((limit) => limit !== undefined && limit > 0);
  const tools = body.objects('tools').map(tool);
  const user = body.string('user');
  const effort = effortOf(body);
  const format = outputFormat(body.object('response_format'));
  const request = defined({
    model,
    max_tokens: limits[0] ?? DEFAULT_MAX_TOKENS,
    system: conversation.system.length === 0 ? undefined : conversation.system,
    messages: conversation.finish(body),
    temperature,
    top_p: body.number('top_p'),
    top_k: body.number('top_k'),
    stop_sequences: Array.isArray(stop) ? (stop.length === 0 ? undefined : stop) : [stop],
    tools: tools.length === 0 ? undefined : tools,
    tool_choice: toolChoice(body, tools.length > 0),
    thinking: body.take('thinking'),
    output_config: effort === undefined && format === undefined ? undefined : defined({ effort, format }),
    metadata: user === undefined ? undefined : { user_id: user },
    stream,
  });
  body.done();
  return request;
}

/** What would change the answer, unless it has the value that changes nothing. */
function refuseUnlike(body: Members): void {
  if ((body.number('n') ?? 1) > 1) body.refuse('n', "must be 1 for this model's server");
  if (body.boolean('logprobs') === true) body.refuse('logprobs');
  if ((body.number('top_logprobs') ?? 0) > 0) body.refuse('top_logprobs');
  if (body.boolean('store') === true) body.refuse('store');
  if (body.strings('modalities').some((modality) => modality !== 'text')) body.refuse('modalities');
  const bias = body.take('logit_bias');
  if (isObject(bias) && Object.keys(bias).length > 0) body.refuse('logit_bias');
}

/** Levels that only OpenAI has become the nearest; `none` is Anthropic's own default. */
const EFFORTS: ReadonlyMap<string, string | undefined> = new Map([
  ['none', undefined],
  ['minimal', 'low'],
  ['low', 'low'],
  ['medium', 'medium'],
  ['high', 'high'],
  ['xhigh', 'high'],
]);

function effortOf(body: Members): string | undefined {
  const effort = body.string('reasoning_effort');
  if (effort === undefined) return undefined;
  return EFFORTS.has(effort) ? EFFORTS.get(effort) : body.refuse('reasoning_effort', 'must be none, minimal, low, medium or high');
}

function outputFormat(format: Members | undefined): JsonObject | undefined {
  const type = format?.string('type') ?? 'text';
  if (format === undefined || type === 'text') return undefined;
  if (type !== 'json_schema') return format.refuse('type', "must be text or json_schema for this model's server");
  const described = format.object('json_schema') ?? format.refuse('json_schema', 'is required');
  const schema = described.ignore('name', 'description', 'strict').take('schema') ?? described.refuse('schema', 'is required');
  described.done();
  format.done();
  return { type, schema };
}

function tool(definition: Members): JsonObject {
  if (definition.string('type') !== 'function') definition.refuse('type', "is no function, and this model's server takes no other tool");
  const described = definition.object('function') ?? definition.refuse('function', 'is required');
  const made = defined({
    name: described.string('name'),
    description: described.string('description'),
    input_schema: described.take('parameters') ?? { type: 'object', properties: {} },
    strict: described.boolean('strict'),
  });
  described.done();
  definition.done();
  return made;
}

const CHOICES: ReadonlyMap<JsonValue, string> = new Map<JsonValue, string>([
  ['auto', 'auto'],
  ['required', 'any'],
  ['none', 'none'],
]);

function toolChoice(body: Members, hasTools: boolean): JsonObject | undefined {
  const single = body.boolean('parallel_tool_calls') === false;
  const choice = body.take('tool_choice');
  if (!hasTools) return undefined;
  if (choice === undefined) return single ? { type: 'auto', disable_parallel_tool_use: true } : undefined;
  const type = CHOICES.get(choice);
  const parallel = single && type !== 'none' ? { disable_parallel_tool_use: true } : {};
  if (type !== undefined) return { type, ...parallel };
  if (!isObject(choice)) return body.refuse('tool_choice', 'must be auto, none, required or a function');
  const named = new Members(choice, body.pathOf('tool_choice'));
  const name = named.ignore('type').object('function')?.string('name') ?? named.refuse('function', 'is required');
  named.done();
  return { type: 'tool', name, ...parallel };
}

/** Anthropic's turns alternate, results of tools are a user's, and instructions stand before all of them. */
class Conversation {
  readonly system: JsonObject[] = [];
  readonly #messages: { readonly role: string; readonly content: JsonObject[] }[] = [];
  readonly #ids = new Map<string, string>();

  add(message: Members): void {
    const role = message.string('role') ?? '';
    if ((message.take('name') ?? null) !== null && role !== 'tool') message.refuse('name');
    const content = parts(message.take('content'), message.pathOf('content'));
    switch (role) {
      case 'system':
      case 'developer':
        if (this.#messages.length > 0) message.refuse('role', "must come before all other messages for this model's server");
        this.system.push(...content);
        break;
      case 'user':
        this.#push('user', content);
        break;
      case 'assistant':
        // Reasoning counts for Anthropic only with its signature, which chat completions cannot hold.
        message.ignore('reasoning', 'reasoning_content', 'reasoning_details', 'thinking', 'annotations');
        content.push(...parts(message.take('refusal'), message.pathOf('refusal')));
        for (const call of message.objects('tool_calls')) content.push(this.#toolUse(call));
        this.#push('assistant', content);
        break;
      case 'tool':
        this.#push('user', [{ type: 'tool_result', tool_use_id: this.#id(message.string('tool_call_id') ?? ''), content }]);
        break;
      default:
        message.refuse('role', "must be system, developer, user, assistant or tool for this model's server");
    }
    message.done();
  }

  finish(body: Members): JsonObject[] {
    if (this.#messages.length === 0) body.refuse('messages', "must hold more than instructions for this model's server");
    return this.#messages.map(({ role, content }) => ({ role, content }));
  }

  #push(role: string, content: readonly JsonObject[]): void {
    const last = this.#messages.at(-1);
    if (content.length === 0) return;
    if (last?.role === role) last.content.push(...content);
    else this.#messages.push({ role, content: [...content] });
  }

  #toolUse(call: Members): JsonObject {
    if ((call.string('type') ?? 'function') !== 'function') call.refuse('type');
    const described = call.ignore('index').object('function') ?? call.refuse('function', 'is required');
    const args = described.take('arguments') ?? '';
    const input = typeof args === 'string' ? parseObject(args) : args;
    if (input === null) described.refuse('arguments', 'must be a JSON object');
    const made = { type: 'tool_use', id: this.#id(call.string('id') ?? ''), name: described.string('name') ?? '', input };
    described.done();
    call.done();
    return made;
  }

  /** Anthropic's ids are of letters, digits, `_` and `-`. */
  #id(id: string): string {
    let known = this.#ids.get(id);
    if (known === undefined) {
      const plain = id.replace(/[^A-Za-z0-9_-]/g, '_') || 'call';
      const isTaken = [...this.#ids.values()].includes(plain);
      known = isTaken ? `${plain}_${this.#ids.size}` : plain;
      this.#ids.set(id, known);
    }
    return known;
  }
}

/** Content that is a string or a list of parts. Anthropic refuses empty texts, which say nothing. */
function parts(content: JsonValue | undefined, path: readonly (string | number)[]): JsonObject[] {
  if (content === undefined || content === null || content === '') return [];
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  if (!Array.isArray(content)) throw refusal(path, 'must be text or a list of parts');
  return content.flatMap((item, index) => {
    if (!isObject(item)) throw refusal([...path, index], 'must be an object');
    const part = new Members(item, [...path, index]).ignore('cache_control', 'annotations');
    const type = part.string('type') ?? '';
    const make = PARTS.get(type);
    if (make === undefined) return part.refuse('type', `(${type}) cannot be carried to this model's server, which speaks another API`);
    const made = make(part);
    part.done();
    return made['text'] === '' ? [] : [made];
  });
}

const text = (part: Members): JsonObject => ({ type: 'text', text: part.string('text') ?? '' });

const PARTS: ReadonlyMap<string, (part: Members) => JsonObject> = new Map([
  ['text', text],
  ['input_text', text],
  ['output_text', text],
  ['refusal', (part) => ({ type: 'text', text: part.string('refusal') ?? '' })],
  ['image_url', image],
  ['file', file],
]);

/** The detail asked for is a hint for OpenAI's own models. */
function image(part: Members): JsonObject {
  part.ignore('detail');
  const given = part.take('image_url');
  const holder = isObject(given) ? new Members(given, part.pathOf('image_url')).ignore('detail', 'format') : null;
  const url = holder === null ? given : holder.string('url');
  holder?.done();
  if (typeof url !== 'string') return part.refuse('image_url', 'must be a URL');
  const inline = dataUrl(url);
  return {
    type: 'image',
    source: inline === null ? { type: 'url', url } : { type: 'base64', media_type: inline.mediaType, data: inline.data },
  };
}

function file(part: Members): JsonObject {
  const held = part.object('file') ?? part.refuse('file', 'is required');
  const data = held.string('file_data') ?? held.refuse('file_id');
  const inline = dataUrl(data);
  const made = defined({
    type: 'document',
    title: held.string('filename'),
    source: { type: 'base64', media_type: inline?.mediaType || 'application/pdf', data: inline?.data ?? data },
  });
  held.done();
  return made;
}
