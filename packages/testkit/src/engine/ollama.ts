import { chatPrompt, EngineError, type Exchange, type Fields, MODELS, NOMINAL_TIME } from './exchange.ts';
import type { FinishReason, GenerationEnd, GenerationOptions } from './llama.ts';
import type { Route } from './route.ts';

/** Ollama framing: newline-delimited JSON (github.com/ollama/ollama docs/api.md). */
export const ollamaRoutes: readonly Route[] = [
  { method: 'POST', path: '/api/chat', handle: chat },
  { method: 'POST', path: '/api/generate', handle: generate },
  { method: 'POST', path: '/api/embed', handle: embed },
  { method: 'GET', path: '/api/tags', handle: tags },
  { method: 'GET', path: '/api/ps', handle: (exchange) => Promise.resolve(exchange.sendJson(200, { models: [] })) },
  { method: 'GET', path: '/api/version', handle: (exchange) => Promise.resolve(exchange.sendJson(200, { version: '0.12.0' })) },
  { method: 'POST', path: '/api/show', handle: show },
];

export function ollamaError(error: EngineError): unknown {
  return { error: error.message };
}

const DONE_REASON: Readonly<Record<FinishReason, string>> = { end: 'stop', stop: 'stop', length: 'length', aborted: 'stop' };
const CREATED_AT = new Date(NOMINAL_TIME * 1000).toISOString();
/** Durations are nominal, one millisecond a token, so that equal requests get equal bytes. Nanoseconds. */
const NANOSECONDS_PER_TOKEN = 1_000_000;
const DEFAULT_MAX_TOKENS = 16;
const DETAILS = {
  parent_model: '',
  format: 'gguf',
  family: 'llama',
  families: ['llama'],
  parameter_size: '218K',
  quantization_level: 'F32',
};

/** Ollama names carry a tag; without one it is `latest`. */
function modelOf(body: Fields): string {
  const name = body.string('model', body.string('name', ''));
  const bare = name.replace(/:latest$/, '');
  if (!MODELS.has(bare)) throw new EngineError(404, `model '${name}' not found`);
  return bare;
}

function samplingOf(body: Fields): Omit<GenerationOptions, 'paceMs'> {
  const options = body.object('options');
  const requested = options.number('num_predict', DEFAULT_MAX_TOKENS);
  return {
    maxTokens: requested > 0 ? requested : DEFAULT_MAX_TOKENS,
    temperature: options.number('temperature', 0),
    seed: options.number('seed', 1),
    stop: options.strings('stop'),
  };
}

function chat(exchange: Exchange): Promise<void> {
  return answer(
    exchange,
    (body) => chatPrompt(body.objects('messages')),
    (content) => ({ message: { role: 'assistant', content } }),
  );
}

function generate(exchange: Exchange): Promise<void> {
  return answer(
    exchange,
    (body) => `${body.string('system', '')}${body.string('prompt', '')}`,
    (response) => ({ response }),
  );
}

async function answer(exchange: Exchange, promptOf: (body: Fields) => string, piece: (text: string) => object): Promise<void> {
  const body = await exchange.readJson();
  const model = modelOf(body);
  const prompt = promptOf(body);
  const base = { model: body.string('model'), created_at: CREATED_AT };
  const last = (text: string, end: GenerationEnd): object => ({
    ...base,
    ...piece(text),
    done: true,
    done_reason: DONE_REASON[end.reason],
    total_duration: (end.promptTokens + end.outputTokens) * NANOSECONDS_PER_TOKEN,
    load_duration: NANOSECONDS_PER_TOKEN,
    prompt_eval_count: end.promptTokens,
    prompt_eval_duration: end.promptTokens * NANOSECONDS_PER_TOKEN,
    eval_count: end.outputTokens,
    eval_duration: end.outputTokens * NANOSECONDS_PER_TOKEN,
  });
  if (!body.boolean('stream', true)) {
    const { text, end } = await exchange.complete(model, prompt, samplingOf(body));
    if (!exchange.clientLeft) exchange.sendJson(200, last(text, end));
    return;
  }
  exchange.openStream('application/x-ndjson');
  const generation = exchange.generate(model, prompt, samplingOf(body));
  for (;;) {
    const step = await generation.next();
    if (step.done === true) {
      await exchange.write(`${JSON.stringify(last('', step.value))}\n`);
      break;
    }
    await exchange.write(`${JSON.stringify({ ...base, ...piece(step.value), done: false })}\n`);
  }
  exchange.response.end();
}

async function embed(exchange: Exchange): Promise<void> {
  const body = await exchange.readJson();
  modelOf(body);
  const embeddings: (readonly number[])[] = [];
  let tokens = 0;
  for (const input of body.strings('input')) {
    embeddings.push(await exchange.llama.embed(input));
    tokens += exchange.llama.count(input);
  }
  exchange.sendJson(200, {
    model: body.string('model'),
    embeddings,
    total_duration: tokens * NANOSECONDS_PER_TOKEN,
    load_duration: NANOSECONDS_PER_TOKEN,
    prompt_eval_count: tokens,
  });
}

async function tags(exchange: Exchange): Promise<void> {
  const models = [...MODELS.keys()].map((name) => ({
    name: `${name}:latest`,
    model: `${name}:latest`,
    modified_at: CREATED_AT,
    size: 871_680,
    digest: Buffer.from(name).toString('hex').padEnd(64, '0'),
    details: DETAILS,
  }));
  exchange.sendJson(200, { models });
}

async function show(exchange: Exchange): Promise<void> {
  const body = await exchange.readJson();
  const model = modelOf(body);
  exchange.sendJson(200, {
    license: '',
    modelfile: `FROM ${model}`,
    parameters: '',
    template: '{{ .Prompt }}',
    details: DETAILS,
    model_info: { 'general.architecture': 'llama', 'llama.context_length': 2048 },
    capabilities: ['completion'],
    modified_at: CREATED_AT,
  });
}
