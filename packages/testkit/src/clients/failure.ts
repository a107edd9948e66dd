import { APIError as AnthropicError } from '@anthropic-ai/sdk';
import { APICallError } from 'ai';
import { APIError as OpenAIError } from 'openai';
import { CurlStatusError } from './curl.ts';
import { type ClientFailure, textOrNull } from './reply.ts';

/** What the user of a client sees of an error it threw. Rethrows what is no client error. */
export function failureOf(error: unknown): ClientFailure {
  if (error instanceof OpenAIError) {
    return { status: error.status ?? null, code: error.code ?? null, message: error.message };
  }
  if (error instanceof AnthropicError) {
    return { status: error.status ?? null, code: codeIn(error.error), message: error.message };
  }
  if (APICallError.isInstance(error)) {
    return { status: error.statusCode ?? null, code: codeIn(error.responseBody), message: error.message };
  }
  if (error instanceof CurlStatusError) {
    return { status: error.reply.status, code: codeIn(error.reply.body), message: error.reply.body };
  }
  // Ollama's client does not export its error class.
  if (error instanceof Error && error.name === 'ResponseError' && 'status_code' in error && typeof error.status_code === 'number') {
    return { status: error.status_code, code: null, message: error.message };
  }
  // LangChain wraps the OpenAI client's error or copies its members.
  if (error instanceof Error && 'status' in error && typeof error.status === 'number') {
    return { status: error.status, code: 'code' in error ? textOrNull(error.code) : null, message: error.message };
  }
  throw error;
}

/** `error.code` of an envelope given as JSON text or as a value. */
function codeIn(envelope: unknown): string | null {
  let value = envelope;
  if (typeof value === 'string') {
    try {
      value = JSON.parse(value);
    } catch {
      return null; // not an envelope, so there is no code in it
    }
  }
  if (typeof value !== 'object' || value === null || !('error' in value)) return null;
  const { error } = value;
  return typeof error === 'object' && error !== null && 'code' in error ? textOrNull(error.code) : null;
}
