import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText } from 'ai';
import { type ClientCall, type ClientReply, type ClientTarget, Gathered, type TextRequest, whole } from './reply.ts';

export const aisdkCalls: readonly ClientCall[] = [
  { client: 'ai-sdk', call: 'generateText', stream: false, run: aiGenerate },
  { client: 'ai-sdk', call: 'streamText', stream: true, run: aiStream },
];

function aiModel(target: ClientTarget): ReturnType<ReturnType<typeof createOpenAICompatible>['chatModel']> {
  const provider = createOpenAICompatible({ name: 'testkit', baseURL: `${target.baseUrl}/v1`, apiKey: target.key, includeUsage: true });
  return provider.chatModel(target.model);
}

async function aiGenerate(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const reply = await generateText({
    model: aiModel(target),
    prompt: request.prompt,
    maxOutputTokens: request.maxTokens,
    maxRetries: 0,
  });
  return whole(reply.text, reply.finishReason, reply.response.modelId, reply.usage.inputTokens, reply.usage.outputTokens);
}

async function aiStream(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const gathered = new Gathered(request);
  const leave = new AbortController();
  let failure: unknown = null;
  const reply = streamText({
    model: aiModel(target),
    prompt: request.prompt,
    maxOutputTokens: request.maxTokens,
    maxRetries: 0,
    abortSignal: leave.signal,
    onError: ({ error }) => {
      failure = error;
    },
  });
  for await (const text of reply.textStream) {
    gathered.add(text);
    if (gathered.enough) {
      leave.abort();
      return gathered.reply();
    }
  }
  if (failure !== null) throw failure;
  const usage = await reply.usage;
  gathered.finish = await reply.finishReason;
  gathered.inputTokens = usage.inputTokens ?? null;
  gathered.outputTokens = usage.outputTokens ?? null;
  gathered.model = (await reply.response).modelId;
  return gathered.reply();
}
