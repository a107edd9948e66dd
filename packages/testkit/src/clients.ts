import { aisdkCalls } from './clients/aisdk.ts';
import { anthropicCalls } from './clients/anthropic.ts';
import { curlCalls } from './clients/curl.ts';
import { langchainCalls } from './clients/langchain.ts';
import { ollamaCalls } from './clients/ollama.ts';
import { openaiCalls } from './clients/openai.ts';
import type { ClientCall } from './clients/reply.ts';

export { anthropicClient, anthropicCountTokens } from './clients/anthropic.ts';
export { failureOf } from './clients/failure.ts';
export { ollamaClient, ollamaEmbed, ollamaModels, ollamaShow } from './clients/ollama.ts';
export { openaiClient, openaiEmbeddings, openaiModels } from './clients/openai.ts';
export type { ClientCall, ClientFailure, ClientName, ClientReply, ClientTarget, TextRequest } from './clients/reply.ts';

/** Every text-generating call of every client: the rows of the client matrix. */
export const CLIENT_CALLS: readonly ClientCall[] = [
  ...openaiCalls,
  ...anthropicCalls,
  ...ollamaCalls,
  ...aisdkCalls,
  ...langchainCalls,
  ...curlCalls,
];
