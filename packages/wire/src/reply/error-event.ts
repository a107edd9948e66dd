import type { ReplyFormat } from './format.ts';

type ErrorEvent = ReplyFormat['errorEvent'];

function sse(name: string | null, data: object): Buffer {
  return Buffer.from(`${name === null ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`);
}

/** OpenAI chat and completions: an unnamed event with the error envelope. */
export const openAiErrorEvent: ErrorEvent = ({ message, code, type }) => sse(null, { error: { message, type, param: null, code } });

/** OpenAI responses: the typed `error` event. */
export const responsesErrorEvent: ErrorEvent = ({ message, code }) => sse('error', { type: 'error', code, message, param: null });

/** Anthropic messages. */
export const anthropicErrorEvent: ErrorEvent = ({ message, code, type }) => sse('error', { type: 'error', error: { type, message, code } });

/** Ollama: a line of its own. */
export const ollamaErrorEvent: ErrorEvent = ({ message, code }) => Buffer.from(`${JSON.stringify({ error: message, code })}\n`);
