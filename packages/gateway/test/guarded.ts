import { chatStream, messagesStream, ollamaStream } from '@sallyport/testkit';
import { DIALECTS, type DialectCase, errorCodeAtEnd } from './dialects.ts';

/** A dialect with what a client reads out of it. */
export interface GuardedCase extends DialectCase {
  /** The text of a streamed answer, or of any piece of one; events after a cut are no text. */
  textOf(body: string): string;
  wholeText(body: string): string;
  /** The code of the error a stream ends with. */
  errorOf(body: string): string;
  /** How an answer says that a content filter ended it. */
  readonly filtered: RegExp;
  /** Streams whose text is somewhere else: reasoning, arguments of tool calls. */
  readonly others: Readonly<Record<string, (texts: readonly string[]) => Buffer[]>>;
}

/** The JSON payloads of a stream, whatever its framing. */
function payloads(body: string): Record<string, unknown>[] {
  return body
    .split('\n')
    .map((line) => (line.startsWith('data: ') ? line.slice(6) : line))
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

function sse(data: object, name: string | null = null): Buffer {
  return Buffer.from(`${name === null ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`);
}

interface ChatEvent {
  choices?: { delta?: { content?: string }; message?: { content: string } }[];
}

const chatDelta = (delta: object): Buffer =>
  sse({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'chat', choices: [{ index: 0, delta, finish_reason: null }] });
const [chatRole = Buffer.alloc(0)] = chatStream([], 'chat');
const chatEnd = chatStream([], 'chat').slice(1);

const chat: Omit<GuardedCase, keyof DialectCase> = {
  textOf: (body) =>
    payloads(body)
      .flatMap((event) => (event as ChatEvent).choices ?? [])
      .map((choice) => choice.delta?.content ?? '')
      .join(''),
  wholeText: (body) => (JSON.parse(body) as ChatEvent).choices?.[0]?.message?.content ?? '',
  errorOf: (body) => errorCodeAtEnd(find('OpenAI chat'), body),
  filtered: /"finish_reason":"content_filter"/,
  others: {
    reasoning: (texts) => [chatRole, ...texts.map((reasoning_content) => chatDelta({ reasoning_content })), ...chatEnd],
    'arguments of tool calls': (texts) => [
      chatRole,
      chatDelta({ tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'send', arguments: '' } }] }),
      ...texts.map((part) => chatDelta({ tool_calls: [{ index: 0, function: { arguments: part } }] })),
      ...chatEnd,
    ],
    refusals: (texts) => [chatRole, ...texts.map((refusal) => chatDelta({ refusal })), ...chatEnd],
  },
};

interface MessagesEvent {
  delta?: { text?: string };
  content?: { text: string }[];
}

const messagesParts = (type: string, block: object, field: string, texts: readonly string[]): Buffer[] => [
  ...messagesStream([], 'chat').slice(0, 1),
  sse({ type: 'content_block_start', index: 0, content_block: block }, 'content_block_start'),
  ...texts.map((text) => sse({ type: 'content_block_delta', index: 0, delta: { type, [field]: text } }, 'content_block_delta')),
  ...messagesStream([], 'chat').slice(2),
];

const messages: Omit<GuardedCase, keyof DialectCase> = {
  textOf: (body) =>
    payloads(body)
      .map((event) => (event as MessagesEvent).delta?.text ?? '')
      .join(''),
  wholeText: (body) => (JSON.parse(body) as MessagesEvent).content?.[0]?.text ?? '',
  errorOf: (body) => errorCodeAtEnd(find('Anthropic messages'), body),
  filtered: /"stop_reason":"refusal"/,
  others: {
    thinking: (texts) => messagesParts('thinking_delta', { type: 'thinking', thinking: '', signature: '' }, 'thinking', texts),
    'arguments of tool calls': (texts) =>
      messagesParts('input_json_delta', { type: 'tool_use', id: 'toolu_1', name: 'send', input: {} }, 'partial_json', texts),
  },
};

interface OllamaEvent {
  message?: { content?: string };
}

const ollamaLine = (message: object): Buffer =>
  Buffer.from(`${JSON.stringify({ model: 'llama', created_at: '2026-01-01T00:00:00Z', message, done: false })}\n`);

const ollama: Omit<GuardedCase, keyof DialectCase> = {
  textOf: (body) =>
    payloads(body)
      .map((event) => (event as OllamaEvent).message?.content ?? '')
      .join(''),
  wholeText: (body) => (JSON.parse(body) as OllamaEvent).message?.content ?? '',
  errorOf: (body) => errorCodeAtEnd(find('Ollama chat'), body),
  filtered: /"done_reason":"content_filter"/,
  others: {
    thinking: (texts) => [
      ...texts.map((thinking) => ollamaLine({ role: 'assistant', content: '', thinking })),
      ...ollamaStream('chat', [], 'llama'),
    ],
  },
};

interface ResponsesEvent {
  type?: string;
  delta?: string;
  output?: { content: { text: string }[] }[];
}

const response = (status: string, output: object[]): object => ({
  id: 'resp_1',
  object: 'response',
  created_at: 1,
  status,
  model: 'chat',
  output,
  usage: { input_tokens: 5, output_tokens: 2, total_tokens: 7 },
});
const part = (text: string): object => ({ type: 'output_text', text, annotations: [] });
const message = (text: string): object => ({ id: 'msg_1', type: 'message', status: 'completed', role: 'assistant', content: [part(text)] });
const typed = (type: string, rest: object): Buffer => sse({ type, ...rest }, type);
const place = { item_id: 'msg_1', output_index: 0, content_index: 0 };

/** The typed events of OpenAI's Responses API, which repeats every text whole at its end, twice more around it. */
const responses: GuardedCase = {
  name: 'OpenAI responses',
  path: '/v1/responses',
  streamType: 'text/event-stream',
  body: (stream) => JSON.stringify({ model: 'chat', input: 'Hello', stream }),
  reply: (text) => response('completed', [message(text)]),
  events: (texts) => {
    const whole = texts.join('');
    return [
      typed('response.created', { response: response('in_progress', []) }),
      typed('response.output_item.added', { output_index: 0, item: { id: 'msg_1', type: 'message', role: 'assistant', content: [] } }),
      typed('response.content_part.added', { ...place, part: part('') }),
      ...texts.map((delta) => typed('response.output_text.delta', { ...place, delta })),
      typed('response.output_text.done', { ...place, text: whole }),
      typed('response.content_part.done', { ...place, part: part(whole) }),
      typed('response.output_item.done', { output_index: 0, item: message(whole) }),
      typed('response.completed', { response: response('completed', [message(whole)]) }),
    ];
  },
  endMarker: 'response.completed',
  codeOf: (body) => JSON.parse(body).error.code,
  textOf: (body) =>
    payloads(body)
      .map((event) => event as ResponsesEvent)
      .map((event) => (event.type === 'response.output_text.delta' ? (event.delta ?? '') : ''))
      .join(''),
  wholeText: (body) => (JSON.parse(body) as ResponsesEvent).output?.[0]?.content[0]?.text ?? '',
  errorOf: (body) => String(payloads(body).at(-1)?.['code']),
  filtered: /"content_filter"/,
  others: {
    'arguments of tool calls': (texts) => {
      const item = (args: string): object => ({ id: 'fc_1', type: 'function_call', call_id: 'c1', name: 'send', arguments: args });
      const whole = texts.join('');
      return [
        typed('response.created', { response: response('in_progress', []) }),
        typed('response.output_item.added', { output_index: 0, item: item('') }),
        ...texts.map((delta) => typed('response.function_call_arguments.delta', { item_id: 'fc_1', output_index: 0, delta })),
        typed('response.function_call_arguments.done', { item_id: 'fc_1', output_index: 0, name: 'send', arguments: whole }),
        typed('response.output_item.done', { output_index: 0, item: item(whole) }),
        typed('response.completed', { response: response('completed', [item(whole)]) }),
      ];
    },
  },
};

function find(name: string): DialectCase {
  const found = DIALECTS.find((dialect) => dialect.name === name);
  if (found === undefined) throw new TypeError(`no dialect ${name}`);
  return found;
}

export const GUARDED: readonly GuardedCase[] = [
  { ...find('OpenAI chat'), ...chat },
  responses,
  { ...find('Anthropic messages'), ...messages },
  { ...find('Ollama chat'), ...ollama },
];
