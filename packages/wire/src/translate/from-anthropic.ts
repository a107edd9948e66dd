import type { JsonObject, JsonValue } from '../json/document.ts';
import { isObject } from '../request/check.ts';
import { ChatMessages, contentOf, filePart, functionCall, imagePart, textPart } from './chat-parts.ts';
import { defined, Members, refusal } from './members.ts';
import type { RequestContext } from './translation.ts';

/**
 * An Anthropic Messages request as chat completions (docs.anthropic.com/en/api/messages, platform.openai.com/docs/api-reference/chat).
 * What is ignored here and why is in docs/translation.md.
 */
export function chatFromMessages(value: JsonObject, { model, stream, extensions }: RequestContext): JsonObject {
  const body = new Members(value);
  body.ignore('model', 'stream', 'cache_control', 'context_management', 'service_tier', 'speed', 'thinking');
  const messages = new ChatMessages();
  const system = blocks(body.take('system'), body.pathOf('system')).map((block) => part(block));
  if (system.length > 0) messages.add({ role: 'system', content: contentOf(system) });
  for (const message of body.objects('messages')) addMessage(message, messages, extensions.has('reasoning_content'));
  messages.flush();
  const tools = body.objects('tools').map(tool);
  const choice = toolChoice(body.object('tool_choice'), tools.length > 0);
  const output = body.object('output_config');
  const format = responseFormat(output?.object('format') ?? body.object('output_format'));
  body.ignore('output_format');
  const metadata = body.object('metadata');
  const chat = defined({
    model,
    messages: messages.list,
    max_tokens: body.number('max_tokens'),
    temperature: body.number('temperature'),
    top_p: body.number('top_p'),
    top_k: body.hint('top_k', extensions.has('top_k')),
    stop: list(body.strings('stop_sequences')),
    tools: list(tools),
    ...choice,
    response_format: format,
    reasoning_effort: effort(output),
    user: metadata?.string('user_id'),
    stream,
    stream_options: stream ? { include_usage: true } : undefined,
  });
  metadata?.done();
  output?.done();
  body.done();
  return chat;
}

function list(items: JsonValue[]): JsonValue[] | undefined {
  return items.length === 0 ? undefined : items;
}

/** Content that is a string or a list of blocks, as blocks. */
function blocks(content: JsonValue | undefined, path: readonly (string | number)[]): Members[] {
  if (content === undefined || content === null || content === '') return [];
  if (typeof content === 'string') return [new Members({ type: 'text', text: content }, path)];
  if (!Array.isArray(content)) throw refusal(path, 'must be text or a list of blocks');
  return content.map((block, index) => {
    if (!isObject(block)) throw refusal([...path, index], 'must be an object');
    return new Members(block, [...path, index]);
  });
}

/** Who said it decides what the blocks become: an assistant's calls and thinking, a user's tool results; all others are parts. */
function addMessage(message: Members, messages: ChatMessages, keepsReasoning: boolean): void {
  const role = message.string('role') ?? '';
  const content = blocks(message.take('content'), message.pathOf('content'));
  message.done();
  if (role === 'assistant') addAssistant(content, messages, keepsReasoning);
  else addParts(role, content, messages);
}

function addAssistant(content: readonly Members[], messages: ChatMessages, keepsReasoning: boolean): void {
  const parts: JsonObject[] = [];
  const calls: JsonObject[] = [];
  let thinking = '';
  for (const block of content) {
    const type = block.string('type');
    if (type === 'tool_use') calls.push(toolUse(block));
    else if (type === 'thinking') thinking += block.ignore('signature').string('thinking') ?? '';
    else if (type === 'redacted_thinking') block.ignore('data');
    else parts.push(part(block, type));
    block.ignore('cache_control').done();
  }
  messages.add(
    defined({
      role: 'assistant',
      content: parts.length === 0 && calls.length > 0 ? null : contentOf(parts),
      reasoning_content: keepsReasoning && thinking !== '' ? thinking : undefined,
      tool_calls: list(calls),
    }),
  );
}

/** Results come first in Anthropic's messages; text beside them follows as the user's. */
function addParts(role: string, content: readonly Members[], messages: ChatMessages): void {
  const parts: JsonObject[] = [];
  let results = 0;
  for (const block of content) {
    const type = block.string('type');
    if (type !== 'tool_result') {
      parts.push(part(block, type));
      continue;
    }
    results += 1;
    block.ignore('is_error', 'cache_control');
    const inner = blocks(block.take('content'), block.pathOf('content')).map((one) => part(one));
    messages.addResult(block.string('tool_use_id') ?? '', inner);
    block.done();
  }
  if (parts.length > 0 || results === 0) messages.add({ role, content: contentOf(parts) });
}

function toolUse(block: Members): JsonObject {
  block.ignore('cache_control');
  const input = block.take('input') ?? {};
  const caller = block.object('caller');
  if (caller !== undefined && caller.string('type') !== 'direct') caller.refuse('type');
  const call = functionCall(block.string('id') ?? '', block.string('name') ?? '', JSON.stringify(input));
  block.done();
  return call;
}

function part(block: Members, known?: string): JsonObject {
  const type = known ?? block.string('type') ?? '';
  block.ignore('cache_control');
  const make = PARTS.get(type);
  if (make === undefined) return block.refuse('type', `(${type}) cannot be carried to this model's server, which speaks another API`);
  const made = make(block);
  block.done();
  return made;
}

const PARTS: ReadonlyMap<string, (block: Members) => JsonObject> = new Map([
  ['text', (block) => textPart(block.ignore('citations').string('text') ?? '')],
  ['image', image],
  ['document', document],
  ['search_result', searchResult],
]);

function image(block: Members): JsonObject {
  const source = block.object('source') ?? block.refuse('source', 'is required');
  const type = source.string('type');
  if (type === 'base64') {
    const mediaType = source.string('media_type') ?? source.refuse('media_type', 'is required');
    const made = imagePart(`data:${mediaType};base64,${source.string('data') ?? ''}`);
    source.done();
    return made;
  }
  if (type !== 'url') source.refuse('type');
  const made = imagePart(source.string('url') ?? '');
  source.done();
  return made;
}

/** A document of text is its text, under its title and context; an encoded one is a file. */
function document(block: Members): JsonObject {
  const title = block.string('title');
  const context = block.string('context');
  if (block.object('citations')?.boolean('enabled') === true) block.refuse('citations');
  const source = block.object('source') ?? block.refuse('source', 'is required');
  const type = source.string('type');
  const headed = (text: string): JsonObject => textPart([title, context, text].filter((line) => line !== undefined).join('\n'));
  if (type === 'text') {
    source.ignore('media_type');
    const made = headed(source.string('data') ?? '');
    source.done();
    return made;
  }
  if (type === 'content') {
    const inner = blocks(source.take('content'), source.pathOf('content')).map((one) => {
      const made = part(one);
      return made['type'] === 'text' && typeof made['text'] === 'string' ? made['text'] : one.refuse('type');
    });
    source.done();
    return headed(inner.join('\n'));
  }
  if (type !== 'base64') source.refuse('type');
  if (context !== undefined) block.refuse('context');
  const mediaType = source.string('media_type') ?? source.refuse('media_type', 'is required');
  const made = filePart(mediaType, source.string('data') ?? '', title ?? 'document');
  source.done();
  return made;
}

function searchResult(block: Members): JsonObject {
  if (block.object('citations')?.boolean('enabled') === true) block.refuse('citations');
  const texts = blocks(block.take('content'), block.pathOf('content')).map((one) => part(one)['text']);
  return textPart([block.string('title'), block.string('source'), ...texts].filter((line) => line !== undefined).join('\n'));
}

function tool(definition: Members): JsonObject {
  const type = definition.string('type') ?? 'custom';
  if (type !== 'custom') definition.refuse('type', 'is a tool that only its vendor runs; define it as a custom tool');
  definition.ignore('cache_control', 'eager_input_streaming');
  if (definition.boolean('defer_loading') === true) definition.refuse('defer_loading');
  const callers = definition.strings('allowed_callers');
  if (callers.some((caller) => caller !== 'direct')) definition.refuse('allowed_callers');
  const made = {
    type: 'function',
    function: defined({
      name: definition.string('name'),
      description: definition.string('description'),
      parameters: definition.take('input_schema'),
      strict: definition.boolean('strict'),
    }),
  };
  definition.done();
  return made;
}

const CHOICES: ReadonlyMap<string, string> = new Map([
  ['auto', 'auto'],
  ['any', 'required'],
  ['none', 'none'],
]);

function toolChoice(choice: Members | undefined, hasTools: boolean): { tool_choice?: JsonValue; parallel_tool_calls?: boolean } {
  if (choice === undefined) return {};
  const type = choice.string('type') ?? '';
  const name = choice.string('name');
  const forced = type === 'tool' && name !== undefined ? { type: 'function', function: { name } } : null;
  const tool_choice = forced ?? CHOICES.get(type) ?? choice.refuse('type', 'must be auto, any, tool or none');
  const single = choice.boolean('disable_parallel_tool_use') === true;
  choice.done();
  // Without tools it says nothing, and some servers refuse it then.
  if (!hasTools) return {};
  return single ? { tool_choice, parallel_tool_calls: false } : { tool_choice };
}

/** Chat completions want the schema to have a name, which Anthropic's format has not. */
function responseFormat(format: Members | undefined): JsonObject | undefined {
  if (format === undefined) return undefined;
  if (format.string('type') !== 'json_schema') format.refuse('type');
  const schema = format.take('schema') ?? format.refuse('schema', 'is required');
  format.done();
  return { type: 'json_schema', json_schema: { name: 'output', schema, strict: true } };
}

/** `max` and `xhigh` are above what chat completions know. */
const EFFORTS: ReadonlyMap<string, string> = new Map([
  ['low', 'low'],
  ['medium', 'medium'],
  ['high', 'high'],
  ['xhigh', 'high'],
  ['max', 'high'],
]);

function effort(output: Members | undefined): string | undefined {
  const asked = output?.string('effort');
  if (output === undefined || asked === undefined) return undefined;
  return EFFORTS.get(asked) ?? output.refuse('effort', 'must be low, medium, high or max');
}
