import { createHash } from 'node:crypto';
import { chatPrompt, contentText, EngineError, type Exchange, type Fields, MODELS } from './exchange.ts';
import type { FinishReason, GenerationEnd } from './llama.ts';
import type { Route } from './route.ts';

/** Anthropic framing: messages and count_tokens (docs.anthropic.com/en/api/messages). */
export const anthropicRoutes: readonly Route[] = [
  { method: 'POST', path: '/v1/messages', handle: messages },
  { method: 'POST', path: '/v1/messages/count_tokens', handle: countTokens },
];

const ERROR_TYPES: Readonly<Record<number, string>> = { 400: 'invalid_request_error', 404: 'not_found_error', 413: 'request_too_large' };

export function anthropicError(error: EngineError): unknown {
  return { type: 'error', error: { type: ERROR_TYPES[error.status] ?? 'api_error', message: error.message } };
}

const STOP_REASON: Readonly<Record<FinishReason, string>> = {
  end: 'end_turn',
  stop: 'stop_sequence',
  length: 'max_tokens',
  aborted: 'end_turn',
};

function promptOf(body: Fields): string {
  const system = contentText(body.raw('system'));
  return `${system.length > 0 ? `system: ${system}\n` : ''}${chatPrompt(body.objects('messages'))}`;
}

async function messages(exchange: Exchange): Promise<void> {
  const body = await exchange.readJson();
  const model = body.string('model');
  const prompt = promptOf(body);
  const sampling = {
    maxTokens: body.number('max_tokens', 0),
    temperature: body.number('temperature', 0),
    seed: 1,
    stop: body.strings('stop_sequences'),
  };
  if (sampling.maxTokens < 1) throw new EngineError(400, 'body.max_tokens must be at least 1');
  if (!MODELS.has(model)) throw new EngineError(404, `model: ${model}`);
  const digest = createHash('sha256')
    .update(JSON.stringify([model, prompt]))
    .digest('hex');
  const message = (content: object[], end: GenerationEnd | null, inputTokens: number): object => ({
    id: `msg_${digest.slice(0, 24)}`,
    type: 'message',
    role: 'assistant',
    model,
    content,
    stop_reason: end === null ? null : STOP_REASON[end.reason],
    stop_sequence: end?.stopSequence ?? null,
    usage: { input_tokens: inputTokens, output_tokens: end?.outputTokens ?? 1 },
  });
  if (!body.boolean('stream', false)) {
    const { text, end } = await exchange.complete(model, prompt, sampling);
    if (!exchange.clientLeft) exchange.sendJson(200, message([{ type: 'text', text }], end, end.promptTokens));
    return;
  }
  exchange.openStream('text/event-stream');
  const emit = (type: string, fields: object): Promise<void> => exchange.writeEvent({ type, ...fields }, type);
  await emit('message_start', { message: message([], null, exchange.llama.count(prompt)) });
  await emit('content_block_start', { index: 0, content_block: { type: 'text', text: '' } });
  await emit('ping', {});
  const generation = exchange.generate(model, prompt, sampling);
  for (;;) {
    const step = await generation.next();
    if (step.done === true) {
      const { reason, stopSequence, outputTokens } = step.value;
      await emit('content_block_stop', { index: 0 });
      await emit('message_delta', {
        delta: { stop_reason: STOP_REASON[reason], stop_sequence: stopSequence },
        usage: { output_tokens: outputTokens },
      });
      await emit('message_stop', {});
      break;
    }
    await emit('content_block_delta', { index: 0, delta: { type: 'text_delta', text: step.value } });
  }
  exchange.response.end();
}

async function countTokens(exchange: Exchange): Promise<void> {
  const body = await exchange.readJson();
  exchange.sendJson(200, { input_tokens: exchange.llama.count(promptOf(body)) });
}
