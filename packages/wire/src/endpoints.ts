import type { Action } from '@sallyport/core';
import type { Dialect, Endpoint, EndpointId } from './endpoint.ts';
import { REPLY_FORMATS } from './reply/formats.ts';
import { parseCountTokens, parseMessages } from './request/anthropic-messages.ts';
import { modelNameFault } from './request/check.ts';
import { parseOllamaChat, parseOllamaGenerate } from './request/ollama-chat.ts';
import { parseOllamaEmbed, parseOllamaEmbeddings } from './request/ollama-embed.ts';
import { parseCopy, parseCreate, parseDelete, parsePull, parsePush, parseShow } from './request/ollama-models.ts';
import { parseChat } from './request/openai-chat.ts';
import { parseCompletions } from './request/openai-completions.ts';
import { parseEmbeddings, parseRerank } from './request/openai-embeddings.ts';
import { parseResponses } from './request/openai-responses.ts';
import type { RequestParser } from './request/parser.ts';

function row(id: EndpointId, method: Endpoint['method'], path: string, action: Action, parse: RequestParser | null): Endpoint {
  const dialect = id.slice(0, id.indexOf('.')) as Dialect;
  return Object.freeze({ id, dialect, method, path, action, parse, reply: REPLY_FORMATS[id] });
}

/** Everything the data plane serves. */
export const ENDPOINTS: readonly Endpoint[] = Object.freeze([
  row('openai.chat', 'POST', '/v1/chat/completions', 'model.infer', parseChat),
  row('openai.completions', 'POST', '/v1/completions', 'model.infer', parseCompletions),
  row('openai.responses', 'POST', '/v1/responses', 'model.infer', parseResponses),
  row('openai.embeddings', 'POST', '/v1/embeddings', 'model.embed', parseEmbeddings),
  row('openai.rerank', 'POST', '/v1/rerank', 'model.rerank', parseRerank),
  row('openai.models', 'GET', '/v1/models', 'model.list', null),
  row('openai.model', 'GET', '/v1/models/', 'model.show', null),
  row('anthropic.messages', 'POST', '/v1/messages', 'model.infer', parseMessages),
  row('anthropic.count-tokens', 'POST', '/v1/messages/count_tokens', 'model.infer', parseCountTokens),
  row('ollama.chat', 'POST', '/api/chat', 'model.infer', parseOllamaChat),
  row('ollama.generate', 'POST', '/api/generate', 'model.infer', parseOllamaGenerate),
  row('ollama.embed', 'POST', '/api/embed', 'model.embed', parseOllamaEmbed),
  row('ollama.embeddings', 'POST', '/api/embeddings', 'model.embed', parseOllamaEmbeddings),
  row('ollama.tags', 'GET', '/api/tags', 'model.list', null),
  row('ollama.version', 'GET', '/api/version', 'model.list', null),
  row('ollama.show', 'POST', '/api/show', 'model.show', parseShow),
  row('ollama.ps', 'GET', '/api/ps', 'model.list', null),
  row('ollama.pull', 'POST', '/api/pull', 'model.manage', parsePull),
  row('ollama.push', 'POST', '/api/push', 'model.manage', parsePush),
  row('ollama.create', 'POST', '/api/create', 'model.manage', parseCreate),
  row('ollama.copy', 'POST', '/api/copy', 'model.manage', parseCopy),
  row('ollama.delete', 'DELETE', '/api/delete', 'model.manage', parseDelete),
]);

/** An endpoint that was asked for; `model` where the path names one. */
export interface EndpointMatch {
  readonly endpoint: Endpoint;
  readonly model?: string;
}

const MODEL_PATH = '/v1/models/';
const BY_PATH: ReadonlyMap<string, EndpointMatch> = new Map(
  ENDPOINTS.filter((endpoint) => endpoint.path !== MODEL_PATH).map((endpoint) => [endpoint.path, Object.freeze({ endpoint })]),
);
const MODEL_ENDPOINT = ENDPOINTS.find((endpoint) => endpoint.path === MODEL_PATH);

/**
 * The endpoint for a method and a path (the request target before `?`), by exact bytes: nothing is decoded, resolved or trimmed, so
 * `//v1/models`, `/v1/models/../x` and `/V1/models` are null (404). HEAD is served where GET is. Only the model's name at the end of
 * `/v1/models/{model}` is percent-decoded, once, as clients encode the `:` and `/` in it; it is looked up, never forwarded as a path.
 */
export function findEndpoint(method: string, path: string): EndpointMatch | 'method-not-allowed' | null {
  const match = BY_PATH.get(path) ?? modelMatch(path);
  if (match === null) return null;
  const allowed = match.endpoint.method;
  return method === allowed || (method === 'HEAD' && allowed === 'GET') ? match : 'method-not-allowed';
}

function modelMatch(path: string): EndpointMatch | null {
  if (MODEL_ENDPOINT === undefined || !path.startsWith(MODEL_PATH)) return null;
  let model: string;
  try {
    model = decodeURIComponent(path.slice(MODEL_PATH.length));
  } catch {
    return null; // malformed percent-encoding names no model
  }
  return modelNameFault(model) === null ? { endpoint: MODEL_ENDPOINT, model } : null;
}
