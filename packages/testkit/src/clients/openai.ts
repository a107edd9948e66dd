import OpenAI from 'openai';
import { type ClientCall, type ClientReply, type ClientTarget, Gathered, type TextRequest, whole } from './reply.ts';

export const openaiCalls: readonly ClientCall[] = [
  { client: 'openai', call: 'chat', stream: false, run: openaiChat },
  { client: 'openai', call: 'chat', stream: true, run: openaiChatStream },
  { client: 'openai', call: 'completions', stream: false, run: openaiCompletions },
  { client: 'openai', call: 'completions', stream: true, run: openaiCompletionsStream },
  { client: 'openai', call: 'responses', stream: false, run: openaiResponses },
  { client: 'openai', call: 'responses', stream: true, run: openaiResponsesStream },
];

export function openaiClient(target: ClientTarget): OpenAI {
  return new OpenAI({ baseURL: `${target.baseUrl}/v1`, apiKey: target.key, maxRetries: 0 });
}

async function openaiChat(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const reply = await openaiClient(target).chat.completions.create({
    model: target.model,
    messages: [{ role: 'user', content: request.prompt }],
    max_tokens: request.maxTokens,
  });
  const choice = reply.choices[0];
  const { prompt_tokens, completion_tokens } = reply.usage ?? {};
  return whole(choice?.message.content ?? '', choice?.finish_reason ?? null, reply.model, prompt_tokens, completion_tokens);
}

async function openaiChatStream(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const gathered = new Gathered(request);
  const stream = await openaiClient(target).chat.completions.create({
    model: target.model,
    messages: [{ role: 'user', content: request.prompt }],
    max_tokens: request.maxTokens,
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    gathered.model = chunk.model;
    gathered.add(chunk.choices[0]?.delta.content ?? '');
    gathered.finish = chunk.choices[0]?.finish_reason ?? gathered.finish;
    gathered.inputTokens = chunk.usage?.prompt_tokens ?? gathered.inputTokens;
    gathered.outputTokens = chunk.usage?.completion_tokens ?? gathered.outputTokens;
    if (gathered.enough) break;
  }
  return gathered.reply();
}

async function openaiCompletions(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const reply = await openaiClient(target).completions.create({
    model: target.model,
    prompt: request.prompt,
    max_tokens: request.maxTokens,
  });
  const choice = reply.choices[0];
  const { prompt_tokens, completion_tokens } = reply.usage ?? {};
  return whole(choice?.text ?? '', choice?.finish_reason ?? null, reply.model, prompt_tokens, completion_tokens);
}

async function openaiCompletionsStream(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const gathered = new Gathered(request);
  const stream = await openaiClient(target).completions.create({
    model: target.model,
    prompt: request.prompt,
    max_tokens: request.maxTokens,
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    gathered.model = chunk.model;
    gathered.add(chunk.choices[0]?.text ?? '');
    gathered.finish = chunk.choices[0]?.finish_reason ?? gathered.finish;
    gathered.inputTokens = chunk.usage?.prompt_tokens ?? gathered.inputTokens;
    gathered.outputTokens = chunk.usage?.completion_tokens ?? gathered.outputTokens;
    if (gathered.enough) break;
  }
  return gathered.reply();
}

async function openaiResponses(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const reply = await openaiClient(target).responses.create({
    model: target.model,
    input: request.prompt,
    max_output_tokens: request.maxTokens,
    store: false,
  });
  return whole(reply.output_text, reply.status ?? null, reply.model, reply.usage?.input_tokens, reply.usage?.output_tokens);
}

async function openaiResponsesStream(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const gathered = new Gathered(request);
  const stream = await openaiClient(target).responses.create({
    model: target.model,
    input: request.prompt,
    max_output_tokens: request.maxTokens,
    store: false,
    stream: true,
  });
  for await (const event of stream) {
    if (event.type === 'response.output_text.delta') gathered.add(event.delta);
    if (event.type === 'response.completed' || event.type === 'response.incomplete') {
      gathered.finish = event.response.status ?? null;
      gathered.model = event.response.model;
      gathered.inputTokens = event.response.usage?.input_tokens ?? null;
      gathered.outputTokens = event.response.usage?.output_tokens ?? null;
    }
    if (gathered.enough) break;
  }
  return gathered.reply();
}

/** Vectors for `inputs`, in order. The client asks for base64 and decodes it, as it does by default. */
export async function openaiEmbeddings(target: ClientTarget, inputs: readonly string[]): Promise<readonly (readonly number[])[]> {
  const reply = await openaiClient(target).embeddings.create({ model: target.model, input: [...inputs] });
  return reply.data.map((item) => item.embedding);
}

export async function openaiModels(target: ClientTarget): Promise<readonly string[]> {
  const models: string[] = [];
  for await (const model of openaiClient(target).models.list()) models.push(model.id);
  return models;
}
