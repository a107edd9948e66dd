import type { EndpointId } from '../endpoint.ts';
import type { JsonObject } from '../json/document.ts';
import { EMBED, EMBEDDINGS } from './embeddings.ts';
import { chatFromMessages } from './from-anthropic.ts';
import { chatFromOllamaChat, chatFromOllamaGenerate } from './from-ollama.ts';
import { chatFromResponses } from './from-responses.ts';
import { ChatReader } from './read-chat.ts';
import { MessagesReader } from './read-messages.ts';
import { type TurnReader, TurnTranslator, type TurnWriter } from './reply.ts';
import { messagesFromChat } from './to-anthropic.ts';
import type { ReplyContext, RequestContext, Translation } from './translation.ts';
import { AnthropicWriter } from './write-anthropic.ts';
import { ChatWriter } from './write-chat.ts';
import { OllamaWriter } from './write-ollama.ts';
import { ResponsesWriter } from './write-responses.ts';

/** A dialect a client may speak: its request as chat completions, and how a turn is written in it. */
interface Client {
  request(value: JsonObject, context: RequestContext): JsonObject;
  writer(context: ReplyContext): TurnWriter;
}

/** A dialect a server may speak: a chat completions request in its words, and how its turns are read. */
interface Server {
  request(chat: JsonObject, context: RequestContext): JsonObject;
  reader(): TurnReader;
}

const CLIENTS: Partial<Readonly<Record<EndpointId, Client>>> = {
  'openai.chat': { request: (value) => value, writer: (context) => new ChatWriter(context) },
  'openai.responses': { request: chatFromResponses, writer: (context) => new ResponsesWriter(context) },
  'anthropic.messages': { request: chatFromMessages, writer: (context) => new AnthropicWriter(context) },
  'ollama.chat': { request: chatFromOllamaChat, writer: (context) => new OllamaWriter(context, 'chat') },
  'ollama.generate': { request: chatFromOllamaGenerate, writer: (context) => new OllamaWriter(context, 'generate') },
};

/** In the order in which they are tried. */
const SERVERS: readonly (readonly [EndpointId, Server])[] = [
  ['openai.chat', { request: (chat) => chat, reader: () => new ChatReader() }],
  ['anthropic.messages', { request: messagesFromChat, reader: () => new MessagesReader() }],
];

function turnTranslation(from: EndpointId, client: Client, to: EndpointId, server: Server): Translation {
  return Object.freeze({
    from,
    to,
    streamType: 'text/event-stream',
    request: (value: JsonObject, context: RequestContext) =>
      Buffer.from(JSON.stringify(server.request(client.request(value, context), context))),
    openReply: (context: ReplyContext) => new TurnTranslator(server.reader(), client.writer(context), context.id),
  });
}

const TRANSLATIONS: readonly Translation[] = [
  ...Object.entries(CLIENTS).flatMap(([from, client]) =>
    SERVERS.filter(([to]) => to !== from).map(([to, server]) => turnTranslation(from as EndpointId, client, to, server)),
  ),
  EMBED,
  EMBEDDINGS,
];

/** How `from` can be served by a server that answers what `native` says. Null where no translation leads to any of it. */
export function findTranslation(from: EndpointId, native: (endpoint: EndpointId) => boolean): Translation | null {
  return TRANSLATIONS.find((translation) => translation.from === from && native(translation.to)) ?? null;
}
