import type { EndpointId } from '../endpoint.ts';
import { readMessage, readMessageEvent, readTokenCount } from './anthropic.ts';
import { publicDescription } from './description.ts';
import { anthropicErrorEvent, ollamaErrorEvent, openAiErrorEvent, responsesErrorEvent } from './error-event.ts';
import { type ReadObject, readJson, readSse } from './event.ts';
import type { ReplyFormat } from './format.ts';
import { EmptyLineBoundary, Framer, LineBoundary } from './framer.ts';
import { readAnswer, readDescription, readProgress, readVectors } from './ollama.ts';
import { readCompletion, readEmbeddings, readRerank } from './openai-chat.ts';
import { readResponse, readResponsesEvent } from './openai-responses.ts';
import { Session } from './reading.ts';
import { FramedStream, wholeEvent } from './stream.ts';

interface Dialect {
  readonly whole: ReadObject;
  readonly errorEvent: ReplyFormat['errorEvent'];
}

function eventStream(dialect: Dialect & { readonly event: ReadObject; readonly isNamed: boolean }): ReplyFormat {
  return {
    streamType: 'text/event-stream',
    openStream: ({ maxEventBytes, secret = false }) =>
      new FramedStream(
        new Framer(new EmptyLineBoundary(), maxEventBytes),
        (raw, isFirst, session) => readSse(raw, isFirst, session, dialect.event, dialect.isNamed),
        secret,
      ),
    ...whole(dialect),
  };
}

function lines(dialect: Dialect): ReplyFormat {
  return {
    streamType: 'application/x-ndjson',
    openStream: ({ maxEventBytes, secret = false }) => lineStream(dialect, maxEventBytes, secret),
    ...whole(dialect),
  };
}

/** An endpoint that does not stream; were a stream opened all the same, it would be read as lines of JSON. */
function wholeOnly(dialect: Dialect): ReplyFormat {
  return {
    streamType: null,
    openStream: ({ maxEventBytes, secret = false }) => lineStream(dialect, maxEventBytes, secret),
    ...whole(dialect),
  };
}

function lineStream(dialect: Dialect, maxEventBytes: number, secret: boolean): FramedStream {
  return new FramedStream(
    new Framer(new LineBoundary(), maxEventBytes),
    (raw, isFirst, session) => readJson(raw, isFirst, session, true, dialect.whole),
    secret,
  );
}

function whole(dialect: Dialect): Pick<ReplyFormat, 'readWhole' | 'errorEvent'> {
  return {
    readWhole: (body, secret = false) => wholeEvent(body, readJson(body, true, new Session(secret), false, dialect.whole)),
    errorEvent: dialect.errorEvent,
  };
}

const completion = eventStream({ whole: readCompletion, event: readCompletion, isNamed: false, errorEvent: openAiErrorEvent });
const answer = lines({ whole: readAnswer, errorEvent: ollamaErrorEvent });
const vectors = wholeOnly({ whole: readVectors, errorEvent: ollamaErrorEvent });
const progress = lines({ whole: readProgress, errorEvent: ollamaErrorEvent });

/** How each endpoint's reply is read; null where Sallyport composes the answer itself (compose.ts). */
export const REPLY_FORMATS: Readonly<Record<EndpointId, ReplyFormat | null>> = {
  'openai.chat': completion,
  'openai.completions': completion,
  'openai.responses': eventStream({ whole: readResponse, event: readResponsesEvent, isNamed: true, errorEvent: responsesErrorEvent }),
  'openai.embeddings': wholeOnly({ whole: readEmbeddings, errorEvent: openAiErrorEvent }),
  'openai.rerank': wholeOnly({ whole: readRerank, errorEvent: openAiErrorEvent }),
  'openai.models': null,
  'openai.model': null,
  'anthropic.messages': eventStream({ whole: readMessage, event: readMessageEvent, isNamed: true, errorEvent: anthropicErrorEvent }),
  'anthropic.count-tokens': wholeOnly({ whole: readTokenCount, errorEvent: anthropicErrorEvent }),
  'ollama.chat': answer,
  'ollama.generate': answer,
  'ollama.embed': vectors,
  'ollama.embeddings': vectors,
  'ollama.tags': null,
  'ollama.version': null,
  'ollama.show': { ...wholeOnly({ whole: readDescription, errorEvent: ollamaErrorEvent }), rebuild: publicDescription },
  'ollama.ps': null,
  'ollama.pull': progress,
  'ollama.push': progress,
  'ollama.create': progress,
  'ollama.copy': wholeOnly({ whole: readProgress, errorEvent: ollamaErrorEvent }),
  'ollama.delete': wholeOnly({ whole: readProgress, errorEvent: ollamaErrorEvent }),
};
