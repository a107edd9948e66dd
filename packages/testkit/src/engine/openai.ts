import { createHash } from 'node:crypto';
import { chatPrompt, contentText, EngineError, type Exchange, Fields, MODELS, NOMINAL_TIME } from './exchange.ts';
import type { FinishReason, GenerationEnd } from './llama.ts';
import type { Route } from './route.ts';

/** OpenAI framing: chat completions, completions, responses, embeddings, models (platform.openai.com/docs/api-reference). */
export const openaiRoutes: readonly Route[] = [
  { method: 'GET', path: '/v1/models', handle: listModels },
  { method: 'POST', path: '/v1/chat/completions', handle: chatCompletions },
  { method: 'POST', path: '/v1/completions', handle: completions },
  { method: 'POST', path: '/v1/responses', handle: responses },
  { method: 'POST', path: '/v1/embeddings', handle: embeddings },
];

export function openaiError(error: EngineError): unknown {
  const type = error.status >= 500 ? 'server_error' : 'invalid_request_error';
  return { error: { message: error.message, type, param: null, code: error.status === 404 ? 'model_not_found' : null } };
}

const FINISH: Readonly<Record<FinishReason, string>> = { end: 'stop', stop: 'stop', length: 'length', aborted: 'stop' };
const DEFAULT_MAX_TOKENS = 16;
const MAX_CHOICES = 8;

/** An id that depends on the request alone, so that equal requests get equal bytes. */
function idOf(prefix: string, ...parts: readonly string[]): string {
  return `${prefix}${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24)}`;
}

function usageOf(ends: readonly GenerationEnd[]): { prompt_tokens: number; completion_tokens: number; total_tokens: number } {
  const prompt_tokens = ends[0]?.promptTokens ?? 0;
  const completion_tokens = ends.reduce((sum, end) => sum + end.outputTokens, 0);
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}

function samplingOf(
  body: Fields,
  maxTokensField: string,
): { maxTokens: number; temperature: number; seed: number; stop: readonly string[] } {
  return {
    maxTokens: body.number(maxTokensField, body.number('max_tokens', DEFAULT_MAX_TOKENS)),
    temperature: body.number('temperature', 0),
    seed: body.number('seed', 1),
    stop: body.strings('stop'),
  };
}

function choicesOf(body: Fields): number[] {
  const n = body.number('n', 1);
  if (!Number.isInteger(n) || n < 1 || n > MAX_CHOICES) throw new EngineError(400, `body.n must be an integer from 1 to ${MAX_CHOICES}`);
  return Array.from({ length: n }, (_, index) => index);
}

async function listModels(exchange: Exchange): Promise<void> {
  const data = [...MODELS.keys()].map((id) => ({ id, object: 'model', created: NOMINAL_TIME, owned_by: 'testkit' }));
  exchange.sendJson(200, { object: 'list', data });
}

async function chatCompletions(exchange: Exchange): Promise<void> {
  const body = await exchange.readJson();
  const model = body.string('model');
  const prompt = chatPrompt(body.objects('messages'));
  await answer(exchange, body, model, prompt, samplingOf(body, 'max_completion_tokens'), {
    id: idOf('chatcmpl-', model, prompt),
    object: 'chat.completion',
    chunkObject: 'chat.completion.chunk',
    opening: { delta: { role: 'assistant', content: '', refusal: null }, logprobs: null },
    whole: (text) => ({ message: { role: 'assistant', content: text, refusal: null }, logprobs: null }),
    piece: (text) => ({ delta: { content: text }, logprobs: null }),
    closing: { delta: {}, logprobs: null },
  });
}

async function completions(exchange: Exchange): Promise<void> {
  const body = await exchange.readJson();
  const model = body.string('model');
  const prompt = body.strings('prompt').join('\n');
  const text = (value: string): object => ({ text: value, logprobs: null });
  await answer(exchange, body, model, prompt, samplingOf(body, 'max_tokens'), {
    id: idOf('cmpl-', model, prompt),
    object: 'text_completion',
    chunkObject: 'text_completion',
    opening: null,
    whole: text,
    piece: text,
    closing: text(''),
  });
}

/** What differs between the two completion endpoints. */
interface Framing {
  readonly id: string;
  readonly object: string;
  readonly chunkObject: string;
  readonly opening: object | null;
  readonly whole: (text: string) => object;
  readonly piece: (text: string) => object;
  readonly closing: object;
}

async function answer(
  exchange: Exchange,
  body: Fields,
  model: string,
  prompt: string,
  sampling: ReturnType<typeof samplingOf>,
  framing: Framing,
): Promise<void> {
  const choices = choicesOf(body);
  const samplingFor = (index: number): typeof sampling => ({ ...sampling, seed: sampling.seed + index });
  const base = { id: framing.id, created: NOMINAL_TIME, model, system_fingerprint: 'fp_testkit' };
  if (!body.boolean('stream', false)) {
    const replies = await Promise.all(choices.map((index) => exchange.complete(model, prompt, samplingFor(index))));
    if (exchange.clientLeft) return;
    exchange.sendJson(200, {
      ...base,
      object: framing.object,
      choices: replies.map(({ text, end }, index) => ({ index, ...framing.whole(text), finish_reason: FINISH[end.reason] })),
      usage: usageOf(replies.map(({ end }) => end)),
    });
    return;
  }
  const includeUsage = body.object('stream_options').boolean('include_usage', false);
  const chunk = (choice: object[], usage: object | null = null): object => ({
    ...base,
    object: framing.chunkObject,
    choices: choice,
    ...(includeUsage ? { usage } : {}),
  });
  if (!MODELS.has(model)) throw new EngineError(404, `model '${model}' not found`);
  exchange.openStream('text/event-stream');
  const streamOne = async (index: number): Promise<GenerationEnd> => {
    if (framing.opening !== null) await exchange.writeEvent(chunk([{ index, ...framing.opening, finish_reason: null }]));
    const generation = exchange.generate(model, prompt, samplingFor(index));
    for (;;) {
      const step = await generation.next();
      if (step.done === true) {
        await exchange.writeEvent(chunk([{ index, ...framing.closing, finish_reason: FINISH[step.value.reason] }]));
        return step.value;
      }
      await exchange.writeEvent(chunk([{ index, ...framing.piece(step.value), finish_reason: null }]));
    }
  };
  const ends = await Promise.all(choices.map(streamOne));
  if (includeUsage) await exchange.writeEvent(chunk([], usageOf(ends)));
  await exchange.write('data: [DONE]\n\n');
  exchange.response.end();
}

async function responses(exchange: Exchange): Promise<void> {
  const body = await exchange.readJson();
  const model = body.string('model');
  const input = body.raw('input');
  const instructions = body.string('instructions', '');
  const turns = typeof input === 'string' ? [new Fields({ role: 'user', content: input }, 'input')] : body.objects('input');
  const prompt = `${instructions.length > 0 ? `system: ${instructions}\n` : ''}${chatPrompt(turns)}`;
  const sampling = {
    maxTokens: body.number('max_output_tokens', DEFAULT_MAX_TOKENS),
    temperature: body.number('temperature', 0),
    seed: 1,
    stop: [],
  };
  const id = idOf('resp_', model, prompt);
  const itemId = idOf('msg_', model, prompt);
  const part = (text: string): object => ({ type: 'output_text', text, annotations: [], logprobs: [] });
  const item = (status: string, content: object[]): object => ({ type: 'message', id: itemId, status, role: 'assistant', content });
  const envelope = (status: string, output: object[], usage: object | null, incomplete: boolean): object => ({
    id,
    object: 'response',
    created_at: NOMINAL_TIME,
    status,
    error: null,
    incomplete_details: incomplete ? { reason: 'max_output_tokens' } : null,
    instructions: instructions.length > 0 ? instructions : null,
    max_output_tokens: sampling.maxTokens,
    model,
    output,
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: false,
    temperature: sampling.temperature,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    truncation: 'disabled',
    usage,
    user: null,
    metadata: {},
  });
  const conclude = (text: string, end: GenerationEnd): object => {
    const cut = end.reason === 'length';
    const usage = {
      input_tokens: end.promptTokens,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: end.outputTokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: end.promptTokens + end.outputTokens,
    };
    const status = cut ? 'incomplete' : 'completed';
    return envelope(status, [item(status, [part(text)])], usage, cut);
  };
  if (!body.boolean('stream', false)) {
    const { text, end } = await exchange.complete(model, prompt, sampling);
    if (!exchange.clientLeft) exchange.sendJson(200, conclude(text, end));
    return;
  }
  if (!MODELS.has(model)) throw new EngineError(404, `model '${model}' not found`);
  exchange.openStream('text/event-stream');
  let sequence_number = 0;
  const emit = (type: string, fields: object): Promise<void> =>
    exchange.writeEvent({ type, sequence_number: sequence_number++, ...fields }, type);
  const place = { item_id: itemId, output_index: 0, content_index: 0 };
  await emit('response.created', { response: envelope('in_progress', [], null, false) });
  await emit('response.in_progress', { response: envelope('in_progress', [], null, false) });
  await emit('response.output_item.added', { output_index: 0, item: item('in_progress', []) });
  await emit('response.content_part.added', { ...place, part: part('') });
  const generation = exchange.generate(model, prompt, sampling);
  let text = '';
  for (;;) {
    const step = await generation.next();
    if (step.done === true) {
      const response = conclude(text, step.value);
      const cut = step.value.reason === 'length';
      await emit('response.output_text.done', { ...place, text, logprobs: [] });
      await emit('response.content_part.done', { ...place, part: part(text) });
      await emit('response.output_item.done', { output_index: 0, item: item(cut ? 'incomplete' : 'completed', [part(text)]) });
      await emit(cut ? 'response.incomplete' : 'response.completed', { response });
      break;
    }
    text += step.value;
    await emit('response.output_text.delta', { ...place, delta: step.value, logprobs: [] });
  }
  exchange.response.end();
}

async function embeddings(exchange: Exchange): Promise<void> {
  const body = await exchange.readJson();
  const model = body.string('model');
  if (!MODELS.has(model)) throw new EngineError(404, `model '${model}' not found`);
  const inputs = body.strings('input');
  const asBase64 = body.string('encoding_format', 'float') === 'base64';
  const data: object[] = [];
  for (const [index, input] of inputs.entries()) {
    const vector = await exchange.llama.embed(input);
    const embedding = asBase64 ? Buffer.from(Float32Array.from(vector).buffer).toString('base64') : vector;
    data.push({ object: 'embedding', index, embedding });
  }
  const prompt_tokens = inputs.reduce((sum, input) => sum + exchange.llama.count(contentText(input)), 0);
  exchange.sendJson(200, { object: 'list', data, model, usage: { prompt_tokens, total_tokens: prompt_tokens } });
}
