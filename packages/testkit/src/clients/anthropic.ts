import Anthropic from '@anthropic-ai/sdk';
import { type ClientCall, type ClientReply, type ClientTarget, Gathered, type TextRequest, whole } from './reply.ts';

export const anthropicCalls: readonly ClientCall[] = [
  { client: 'anthropic', call: 'messages', stream: false, run: anthropicMessages },
  { client: 'anthropic', call: 'messages', stream: true, run: anthropicMessagesStream },
];

export function anthropicClient(target: ClientTarget): Anthropic {
  return new Anthropic({ baseURL: target.baseUrl, apiKey: target.key, maxRetries: 0 });
}

async function anthropicMessages(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const reply = await anthropicClient(target).messages.create({
    model: target.model,
    max_tokens: request.maxTokens,
    messages: [{ role: 'user', content: request.prompt }],
  });
  const text = reply.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  return whole(text, reply.stop_reason, reply.model, reply.usage.input_tokens, reply.usage.output_tokens);
}

async function anthropicMessagesStream(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const gathered = new Gathered(request);
  const stream = anthropicClient(target).messages.stream({
    model: target.model,
    max_tokens: request.maxTokens,
    messages: [{ role: 'user', content: request.prompt }],
  });
  for await (const event of stream) {
    if (event.type === 'message_start') {
      gathered.model = event.message.model;
      gathered.inputTokens = event.message.usage.input_tokens;
    }
    if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') gathered.add(event.delta.text);
    if (event.type === 'message_delta') {
      gathered.finish = event.delta.stop_reason;
      gathered.outputTokens = event.usage.output_tokens;
    }
    if (gathered.enough) break;
  }
  return gathered.reply();
}

export async function anthropicCountTokens(target: ClientTarget, prompt: string): Promise<number> {
  const count = await anthropicClient(target).messages.countTokens({
    model: target.model,
    messages: [{ role: 'user', content: prompt }],
  });
  return count.input_tokens;
}
