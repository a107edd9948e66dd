import { type CurlReply, curl, eventData } from '../curl.ts';
import { type ClientCall, type ClientReply, type ClientTarget, Gathered, type TextRequest, whole } from './reply.ts';

export const curlCalls: readonly ClientCall[] = [
  { client: 'curl', call: 'chat', stream: false, run: curlChat },
  { client: 'curl', call: 'chat', stream: true, run: curlChatStream },
];

function curlPost(target: ClientTarget, request: TextRequest, stream: boolean): Promise<CurlReply> {
  const body = { model: target.model, messages: [{ role: 'user', content: request.prompt }], max_tokens: request.maxTokens, stream };
  return curl([
    `${target.baseUrl}/v1/chat/completions`,
    ...['--header', `authorization: Bearer ${target.key}`],
    ...['--header', 'content-type: application/json'],
    ...['--no-buffer', '--data-binary', JSON.stringify(body)],
  ]);
}

/** The members of a chat completion or chunk that are read below. */
interface ChatShape {
  readonly model: string;
  readonly choices: readonly {
    readonly message?: { readonly content: string };
    readonly delta?: { readonly content?: string };
    readonly finish_reason: string | null;
  }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number };
}

async function curlChat(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const reply = await curlPost(target, request, false);
  if (reply.status !== 200) throw new CurlStatusError(reply);
  const chat: ChatShape = JSON.parse(reply.body);
  const choice = chat.choices[0];
  const { prompt_tokens, completion_tokens } = chat.usage ?? {};
  return whole(choice?.message?.content ?? '', choice?.finish_reason ?? null, chat.model, prompt_tokens, completion_tokens);
}

async function curlChatStream(target: ClientTarget, request: TextRequest): Promise<ClientReply> {
  const reply = await curlPost(target, request, true);
  if (reply.status !== 200) throw new CurlStatusError(reply);
  const gathered = new Gathered(request);
  for (const data of eventData(reply.body)) {
    if (data === '[DONE]') break;
    const chunk: ChatShape = JSON.parse(data);
    gathered.model = chunk.model;
    gathered.add(chunk.choices[0]?.delta?.content ?? '');
    gathered.finish = chunk.choices[0]?.finish_reason ?? gathered.finish;
  }
  return gathered.reply();
}

/** The status was not 200; `reply` has the rest. */
export class CurlStatusError extends Error {
  override readonly name: string = 'CurlStatusError';
  readonly reply: CurlReply;

  constructor(reply: CurlReply) {
    super(`curl got status ${reply.status}`);
    this.reply = reply;
  }
}
