import { Ollama } from 'ollama';
import { type ClientCall, type ClientReply, type ClientTarget, Gathered, type TextRequest, whole } from './reply.ts';

export const ollamaCalls: readonly ClientCall[] = [
  { client: 'ollama', call: 'chat', stream: false, run: ollamaChat },
  { client: 'ollama', call: 'chat', stream: true, run: ollamaChatStream },
  { client: 'ollama', call: 'generate', stream: false, run: ollamaGenerate },
  { client: 'ollama', call: 'generate', stream: true, run: ollamaGenerateStream },
];

export function ollamaClient(target: ClientTarget): Ollama {
  return new Ollama({ host: target.baseUrl, headers: { authorization: `Bearer ${target.key}` } });
}

async function ollamaChat(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const reply = await ollamaClient(target).chat({
    model: target.model,
    messages: [{ role: 'user', content: request.prompt }],
    options: { num_predict: request.maxTokens },
  });
  return whole(reply.message.content, reply.done_reason, reply.model, reply.prompt_eval_count, reply.eval_count);
}

async function ollamaChatStream(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const gathered = new Gathered(request);
  const stream = await ollamaClient(target).chat({
    model: target.model,
    messages: [{ role: 'user', content: request.prompt }],
    options: { num_predict: request.maxTokens },
    stream: true,
  });
  for await (const part of stream) {
    gatherOllama(gathered, part.message.content, part);
    if (gathered.enough) {
      stream.abort();
      break;
    }
  }
  return gathered.reply();
}

async function ollamaGenerate(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const reply = await ollamaClient(target).generate({
    model: target.model,
    prompt: request.prompt,
    options: { num_predict: request.maxTokens },
  });
  return whole(reply.response ?? '', reply.done_reason, reply.model, reply.prompt_eval_count, reply.eval_count);
}

async function ollamaGenerateStream(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const gathered = new Gathered(request);
  const stream = await ollamaClient(target).generate({
    model: target.model,
    prompt: request.prompt,
    options: { num_predict: request.maxTokens },
    stream: true,
  });
  for await (const part of stream) {
    gatherOllama(gathered, part.response ?? '', part);
    if (gathered.enough) {
      stream.abort();
      break;
    }
  }
  return gathered.reply();
}

function gatherOllama(
  gathered: Gathered,
  text: string,
  part: {
    readonly model: string;
    readonly done: boolean;
    readonly done_reason?: string;
    readonly prompt_eval_count: number;
    readonly eval_count: number;
  },
): void {
  gathered.model = part.model;
  gathered.add(text);
  if (!part.done) return;
  gathered.finish = part.done_reason ?? null;
  gathered.inputTokens = part.prompt_eval_count;
  gathered.outputTokens = part.eval_count;
}

export async function ollamaEmbed(target: ClientTarget, inputs: readonly string[]): Promise<readonly (readonly number[])[]> {
  const reply = await ollamaClient(target).embed({ model: target.model, input: [...inputs] });
  return reply.embeddings;
}

export async function ollamaModels(target: ClientTarget): Promise<readonly string[]> {
  const reply = await ollamaClient(target).list();
  return reply.models.map((model) => model.name);
}

/** The quantisation and family that `show` reports. */
export async function ollamaShow(target: ClientTarget): Promise<{ readonly family: string; readonly quantization: string }> {
  const reply = await ollamaClient(target).show({ model: target.model });
  return { family: reply.details.family, quantization: reply.details.quantization_level };
}
