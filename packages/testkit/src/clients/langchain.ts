import type { UsageMetadata } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import { type ClientCall, type ClientReply, type ClientTarget, Gathered, type TextRequest, textOrNull, whole } from './reply.ts';

export const langchainCalls: readonly ClientCall[] = [
  { client: 'langchain', call: 'invoke', stream: false, run: langchainInvoke },
  { client: 'langchain', call: 'stream', stream: true, run: langchainStream },
];

function langchainModel(target: ClientTarget, request: TextRequest): ChatOpenAI {
  return new ChatOpenAI({
    model: target.model,
    apiKey: target.key,
    maxTokens: request.maxTokens,
    maxRetries: 0,
    configuration: { baseURL: `${target.baseUrl}/v1` },
  });
}

async function langchainInvoke(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const reply = await langchainModel(target, request).invoke(request.prompt);
  return whole(
    reply.text,
    textOrNull(reply.response_metadata['finish_reason']),
    textOrNull(reply.response_metadata['model_name']),
    ...tokensOf(reply.usage_metadata),
  );
}

async function langchainStream(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const gathered = new Gathered(request);
  for await (const chunk of await langchainModel(target, request).stream(request.prompt)) {
    gathered.add(chunk.text);
    gathered.finish = textOrNull(chunk.response_metadata['finish_reason']) ?? gathered.finish;
    gathered.model = textOrNull(chunk.response_metadata['model_name']) ?? gathered.model;
    const [input, output] = tokensOf(chunk.usage_metadata);
    gathered.inputTokens = input ?? gathered.inputTokens;
    gathered.outputTokens = output ?? gathered.outputTokens;
    if (gathered.enough) break;
  }
  return gathered.reply();
}

/** The declared type of `usage_metadata` depends on the model's output version and comes out empty here; the value is this. */
function tokensOf(usage: UsageMetadata | undefined): [input: number | undefined, output: number | undefined] {
  return [usage?.input_tokens, usage?.output_tokens];
}
