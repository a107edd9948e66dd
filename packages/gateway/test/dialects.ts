import assert from 'node:assert/strict';
import {
  answerJson,
  type Behaviour,
  chatReply,
  chatStream,
  messagesReply,
  messagesStream,
  ollamaReply,
  ollamaStream,
  ScriptedUpstream,
} from '@sallyport/testkit';
import { type Harness, post, route, startHarness, upstream } from './harness.ts';

/** One way of talking to a model, with replies as its servers write them. Everything is about the model `chat`. */
export interface DialectCase {
  readonly name: string;
  readonly path: string;
  readonly streamType: string;
  body(stream: boolean): string;
  reply(text: string): object;
  /** One buffer an event. */
  events(texts: readonly string[]): Buffer[];
  /** What a stream that came to its end holds, and a cut one does not. */
  readonly endMarker: string;
  /** The stable code of an error answer's body. */
  codeOf(body: string): string;
}

const messages = [{ role: 'user', content: 'Hello' }];

export const DIALECTS: readonly DialectCase[] = [
  {
    name: 'OpenAI chat',
    path: '/v1/chat/completions',
    streamType: 'text/event-stream',
    body: (stream) => JSON.stringify({ model: 'chat', messages, stream }),
    reply: (text) => chatReply(text, 'chat'),
    events: (texts) => chatStream(texts, 'chat'),
    endMarker: '[DONE]',
    codeOf: (body) => JSON.parse(body).error.code,
  },
  {
    name: 'Anthropic messages',
    path: '/v1/messages',
    streamType: 'text/event-stream',
    body: (stream) => JSON.stringify({ model: 'chat', max_tokens: 50, messages, stream }),
    reply: (text) => messagesReply(text, 'chat'),
    events: (texts) => messagesStream(texts, 'chat'),
    endMarker: 'message_stop',
    codeOf: (body) => JSON.parse(body).error.code,
  },
  {
    name: 'Ollama chat',
    path: '/api/chat',
    streamType: 'application/x-ndjson',
    body: (stream) => JSON.stringify({ model: 'llama', messages, stream }),
    reply: (text) => ollamaReply('chat', text, 'llama'),
    events: (texts) => ollamaStream('chat', texts, 'llama'),
    endMarker: '"done":true',
    codeOf: (body) => JSON.parse(body).code,
  },
];

/** The code in the error event a cut stream ends with. Fails where there is none, or where something follows it. */
export function errorCodeAtEnd(dialect: DialectCase, body: string): string {
  assert.ok(!body.includes(dialect.endMarker), `${dialect.name}: a cut stream has an end marker: ${body.slice(-300)}`);
  const last = body.trimEnd().split('\n').at(-1) ?? '';
  const data = last.startsWith('data: ') ? last.slice('data: '.length) : last;
  const event = JSON.parse(data);
  return typeof event.error === 'string' ? (event.code ?? 'none') : event.error.code;
}

export interface Outcome {
  readonly status: number;
  readonly body: string;
  readonly headers: Headers;
  /** True where the connection broke inside the body. */
  readonly cut: boolean;
}

/** Words that only somebody behind the gateway knows; put in upstreams' answers, they must not come out. */
export const SECRET = 'gpu-7.internal:8000/srv/models/weights.gguf my private prompt';
const LEAKS = ['gpu-7', 'weights.gguf', 'private prompt', '127.0.0.1', 'ECONN', 'UND_ERR', 'HPE_', 'undici'];

/** A gateway before a scripted engine that serves every dialect, with short timeouts, and a server nobody must be sent to. */
export class Bench implements AsyncDisposable {
  readonly engine: ScriptedUpstream;
  readonly elsewhere: ScriptedUpstream;
  readonly harness: Harness;

  private constructor(engine: ScriptedUpstream, elsewhere: ScriptedUpstream, harness: Harness) {
    this.engine = engine;
    this.elsewhere = elsewhere;
    this.harness = harness;
  }

  /** `patience`: milliseconds an engine may be silent for, also between two events. A machine under load is silent for longer than one thinks. */
  static async start(patience: number = 3_000): Promise<Bench> {
    const engine = await ScriptedUpstream.start();
    const elsewhere = await ScriptedUpstream.start({ behaviour: answerJson(chatReply('stolen', 'chat')) });
    const timeouts = { connect: patience, firstByte: patience, idle: patience, total: patience * 4 };
    const harness = await startHarness({
      upstreams: [upstream(engine.url, { timeouts }), upstream(engine.url, { name: 'ollama', kind: 'ollama', timeouts })],
      routes: [route('chat'), route('llama', { upstream: 'ollama' })],
    });
    return new Bench(engine, elsewhere, harness);
  }

  /** One request, answered by the engine with `behaviour`. Fails where the client is told what only somebody inside knows. */
  async ask(dialect: DialectCase, behaviour: Behaviour, streaming: boolean): Promise<Outcome> {
    this.engine.once(behaviour);
    const reply = await post(this.harness, dialect.path, dialect.body(streaming));
    const chunks: Uint8Array[] = [];
    let cut = false;
    try {
      for await (const chunk of reply.body ?? []) chunks.push(chunk);
    } catch {
      cut = true; // judged by the test
    }
    const body = Buffer.concat(chunks).toString();
    for (const leak of LEAKS) assert.ok(!body.includes(leak), `${dialect.name}: the client was told ${leak}: ${body.slice(0, 300)}`);
    return { status: reply.status, body, headers: reply.headers, cut };
  }

  /** Asks for a whole reply and for a stream; both must be refused. Returns the headers of the last. */
  async assertRefused(dialect: DialectCase, behaviour: Behaviour, status: number, code: string, what: string): Promise<Headers> {
    let headers = new Headers();
    for (const streaming of [false, true]) {
      const outcome = await this.ask(dialect, behaviour, streaming);
      assert.equal(outcome.status, status, `${dialect.name}, ${what}: ${outcome.body}`);
      assert.equal(dialect.codeOf(outcome.body), code, what);
      assert.equal(outcome.headers.get('content-type'), 'application/json');
      headers = outcome.headers;
    }
    return headers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.harness[Symbol.asyncDispose]();
    await this.elsewhere[Symbol.asyncDispose]();
    await this.engine[Symbol.asyncDispose]();
  }
}
