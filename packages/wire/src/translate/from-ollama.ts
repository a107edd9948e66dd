import type { JsonObject, JsonValue } from '../json/document.ts';
import { ChatMessages, contentOf, functionCall, imageDataUrl, imagePart, textPart } from './chat-parts.ts';
import { defined, Members } from './members.ts';
import type { Extension, RequestContext } from './translation.ts';

/**
 * Ollama's chat and generate requests as chat completions (github.com/ollama/ollama docs/api.md). What is ignored here and why is in
 * docs/translation.md.
 */

/** `POST /api/chat`. */
export function chatFromOllamaChat(value: JsonObject, context: RequestContext): JsonObject {
  const body = new Members(value);
  const history = new History(context.extensions.has('reasoning_content'));
  const messages = body.objects('messages');
  if (messages.length === 0) body.refuse('messages', NOTHING_TO_LOAD);
  for (const message of messages) history.add(message);
  const tools = body.objects('tools').map(tool);
  return chat(body, history.finish(), tools, context);
}

/**
 * `POST /api/generate`, as a conversation of one question: the server's template takes the place of the model's own, which Ollama would
 * use for the same purpose.
 */
export function chatFromOllamaGenerate(value: JsonObject, context: RequestContext): JsonObject {
  const body = new Members(value);
  if (body.boolean('raw') === true) body.refuse('raw');
  if ((body.string('template') ?? '') !== '') body.refuse('template');
  if (body.list('context').length > 0) body.refuse('context');
  if ((body.string('suffix') ?? '') !== '') body.refuse('suffix');
  const messages: JsonObject[] = [];
  const system = body.string('system') ?? '';
  if (system !== '') messages.push({ role: 'system', content: system });
  const prompt = body.string('prompt') ?? '';
  const parts = images(body);
  if (prompt === '' && parts.length === 0) body.refuse('prompt', NOTHING_TO_LOAD);
  messages.push({ role: 'user', content: contentOf([...(prompt === '' ? [] : [textPart(prompt)]), ...parts]) });
  return chat(body, messages, [], context);
}

/** Ollama loads a model where it is asked nothing. */
const NOTHING_TO_LOAD = "must not be empty: this model's server loads its models itself";

/** Settings of Ollama's runner: how it uses the machine, not what it answers. */
const RUNNER_OPTIONS = [
  'num_ctx',
  'num_batch',
  'num_gpu',
  'main_gpu',
  'num_thread',
  'numa',
  'low_vram',
  'use_mmap',
  'use_mlock',
  'f16_kv',
  'vocab_only',
  'logits_all',
] as const;

/** Sampling that no chat completions server knows. */
const OTHER_SAMPLING = ['tfs_z', 'repeat_last_n', 'mirostat', 'mirostat_tau', 'mirostat_eta', 'penalize_newline'] as const;

/** What chat and generate have in common. */
function chat(body: Members, messages: JsonObject[], tools: JsonObject[], context: RequestContext): JsonObject {
  const { model, stream, extensions } = context;
  body.ignore('model', 'stream', 'keep_alive', 'truncate', 'shift');
  if (body.boolean('logprobs') === true) body.refuse('logprobs');
  if ((body.number('top_logprobs') ?? 0) > 0) body.refuse('top_logprobs');
  const options = body.object('options') ?? new Members({});
  const request = defined({
    model,
    messages,
    ...sampling(options, extensions),
    tools: tools.length === 0 ? undefined : tools,
    response_format: format(body),
    ...thinking(body, extensions),
    stream,
    stream_options: stream ? { include_usage: true } : undefined,
  });
  options.done();
  body.done();
  return request;
}

function sampling(options: Members, extensions: ReadonlySet<Extension>): Record<string, JsonValue | undefined> {
  options.ignore(...RUNNER_OPTIONS, ...OTHER_SAMPLING);
  const limit = options.number('num_predict') ?? -1;
  const penalty = options.number('repeat_penalty');
  return {
    max_tokens: limit > 0 ? limit : undefined,
    temperature: options.number('temperature'),
    top_p: options.number('top_p'),
    seed: options.number('seed'),
    presence_penalty: options.number('presence_penalty'),
    frequency_penalty: options.number('frequency_penalty'),
    stop: stopSequences(options),
    top_k: options.hint('top_k', extensions.has('top_k')),
    min_p: options.hint('min_p', extensions.has('min_p')),
    typical_p: options.hint('typical_p', extensions.has('typical_p')),
    repeat_penalty: extensions.has('repeat_penalty') ? penalty : undefined,
    repetition_penalty: extensions.has('repetition_penalty') ? penalty : undefined,
  };
}

function stopSequences(options: Members): JsonValue | undefined {
  const stop = options.take('stop');
  return Array.isArray(stop) && stop.length === 0 ? undefined : stop;
}

/** `json`, or a JSON Schema, which chat completions want to have a name. */
function format(body: Members): JsonObject | undefined {
  const asked = body.take('format');
  if (asked === undefined || asked === '') return undefined;
  if (asked === 'json') return { type: 'json_object' };
  if (typeof asked === 'string') return body.refuse('format', 'must be json or a JSON Schema');
  return { type: 'json_schema', json_schema: { name: 'output', schema: asked, strict: true } };
}

/** Levels are an effort; on and off is a switch of the template, where the server has one. */
function thinking(body: Members, extensions: ReadonlySet<Extension>): Record<string, JsonValue | undefined> {
  const think = body.take('think');
  if (typeof think === 'string') return { reasoning_effort: think };
  if (typeof think !== 'boolean' || !extensions.has('chat_template_kwargs')) return {};
  return { chat_template_kwargs: { enable_thinking: think } };
}

function images(body: Members): JsonObject[] {
  return body.strings('images').map((data, index) => imagePart(imageDataUrl(data, [...body.pathOf('images'), index])));
}

function tool(definition: Members): JsonObject {
  if ((definition.string('type') ?? 'function') !== 'function') definition.refuse('type');
  const described = definition.object('function') ?? definition.refuse('function', 'is required');
  const made = {
    type: 'function',
    function: defined({
      name: described.string('name'),
      description: described.string('description'),
      parameters: described.take('parameters'),
      strict: described.boolean('strict'),
    }),
  };
  described.done();
  definition.done();
  return made;
}

/** Ollama's conversations need no ids for calls; chat completions do. A result belongs to the first call of its tool without one. */
class History {
  readonly #messages = new ChatMessages();
  readonly #keepsReasoning: boolean;
  #unanswered: { readonly id: string; readonly name: string }[] = [];
  #calls = 0;

  constructor(keepsReasoning: boolean) {
    this.#keepsReasoning = keepsReasoning;
  }

  add(message: Members): void {
    const role = message.string('role') ?? '';
    const text = message.string('content') ?? '';
    const parts = [...(text === '' ? [] : [textPart(text)]), ...images(message)];
    if (role === 'tool') {
      this.#messages.addResult(this.#answered(message), parts);
      message.done();
      return;
    }
    const thinking = message.string('thinking') ?? '';
    const calls = message.objects('tool_calls').map((call) => this.#call(call));
    this.#messages.add(
      defined({
        role,
        content: parts.length === 0 && calls.length > 0 ? null : contentOf(parts),
        name: message.string('name'),
        reasoning_content: this.#keepsReasoning && thinking !== '' ? thinking : undefined,
        tool_calls: calls.length === 0 ? undefined : calls,
      }),
    );
    message.done();
  }

  finish(): JsonObject[] {
    this.#messages.flush();
    return this.#messages.list;
  }

  #call(call: Members): JsonObject {
    const described = call.object('function') ?? call.refuse('function', 'is required');
    const name = described.string('name') ?? '';
    const args = described.take('arguments') ?? {};
    const id = call.string('id') || `call_${this.#calls}`;
    this.#calls += 1;
    this.#unanswered.push({ id, name });
    described.ignore('index', 'description').done();
    call.ignore('type').done();
    // Ollama's own servers take the arguments as JSON text as well.
    return functionCall(id, name, typeof args === 'string' ? args : JSON.stringify(args));
  }

  #answered(message: Members): string {
    const name = message.string('tool_name') ?? message.string('name') ?? '';
    message.ignore('name');
    const stated = message.string('tool_call_id') ?? '';
    const call = stated === '' ? this.#unanswered.find((one) => name === '' || one.name === name) : { id: stated, name };
    if (call === undefined) return message.refuse('', 'answers no tool call; give the tool_name of a call before it');
    this.#unanswered = this.#unanswered.filter((one) => one.id !== call.id);
    return call.id;
  }
}
