import type { EndpointId } from './endpoint.ts';

/** An answer that Sallyport composes in the model's place. */
export interface ComposedReply {
  readonly contentType: 'application/json' | 'text/event-stream' | 'application/x-ndjson';
  readonly body: string;
}

/** What the assistant says where a request was blocked. It tells nothing of which rule or word did it. */
export const REFUSAL = 'This request was blocked by the content policy.';

interface Turn {
  readonly model: string;
  readonly id: string;
  /** Epoch seconds. */
  readonly created: number;
}

interface Composer {
  whole(turn: Turn): object;
  stream(turn: Turn): string;
  readonly streamType: ComposedReply['contentType'];
}

/**
 * A blocked request answered as a turn of the assistant that a content filter ended: agents loop on a 4xx and stop at this.
 * Null for endpoints that generate nothing. `created` is in epoch seconds, `id` the request's.
 */
export function contentFilterReply(
  endpoint: EndpointId,
  model: string,
  stream: boolean,
  id: string,
  created: number,
): ComposedReply | null {
  const composer = COMPOSERS[endpoint];
  if (composer === undefined) return null;
  const turn = { model, id, created };
  if (stream) return { contentType: composer.streamType, body: composer.stream(turn) };
  return { contentType: 'application/json', body: JSON.stringify(composer.whole(turn)) };
}

const data = (value: object): string => `data: ${JSON.stringify(value)}\n\n`;
const event = (value: { readonly type: string; readonly sequence_number?: number }): string => `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`;
const line = (value: object): string => `${JSON.stringify(value)}\n`;
const NO_TOKENS = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } as const;

const chat: Composer = {
  streamType: 'text/event-stream',
  whole: ({ model, id, created }) => ({
    id: `chatcmpl-${id}`,
    object: 'chat.completion',
    created,
    model,
    choices: [
      { index: 0, message: { role: 'assistant', content: REFUSAL, refusal: null }, logprobs: null, finish_reason: 'content_filter' },
    ],
    usage: NO_TOKENS,
  }),
  stream: ({ model, id, created }) => {
    const chunk = (delta: object, finish: string | null): string =>
      data({
        id: `chatcmpl-${id}`,
        object: 'chat.completion.chunk',
        created,
        model,
        choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
      });
    return `${chunk({ role: 'assistant', content: REFUSAL }, null)}${chunk({}, 'content_filter')}data: [DONE]\n\n`;
  },
};

const completions: Composer = {
  streamType: 'text/event-stream',
  whole: (turn) => ({ ...completion(turn, REFUSAL, 'content_filter'), usage: NO_TOKENS }),
  stream: (turn) => `${data(completion(turn, REFUSAL, null))}${data(completion(turn, '', 'content_filter'))}data: [DONE]\n\n`,
};

function completion({ model, id, created }: Turn, text: string, finish: string | null): object {
  return {
    id: `cmpl-${id}`,
    object: 'text_completion',
    created,
    model,
    choices: [{ index: 0, text, logprobs: null, finish_reason: finish }],
  };
}

const OUTPUT_TEXT = { type: 'output_text', text: REFUSAL, annotations: [] } as const;

function responseOf({ model, id, created }: Turn, status: 'in_progress' | 'incomplete', output: readonly object[]): object {
  return {
    id: `resp_${id}`,
    object: 'response',
    created_at: created,
    status,
    error: null,
    incomplete_details: status === 'incomplete' ? { reason: 'content_filter' } : null,
    instructions: null,
    max_output_tokens: null,
    metadata: {},
    model,
    output,
    parallel_tool_calls: true,
    previous_response_id: null,
    store: false,
    temperature: null,
    tool_choice: 'auto',
    tools: [],
    top_p: null,
    usage:
      status === 'incomplete'
        ? {
            input_tokens: 0,
            input_tokens_details: { cached_tokens: 0 },
            output_tokens: 0,
            output_tokens_details: { reasoning_tokens: 0 },
            total_tokens: 0,
          }
        : null,
  };
}

const responses: Composer = {
  streamType: 'text/event-stream',
  whole: (turn) => responseOf(turn, 'incomplete', [messageItem(turn, 'incomplete', [OUTPUT_TEXT])]),
  stream: (turn) => {
    const item = { item_id: `msg_${turn.id}`, output_index: 0 };
    const part = { ...item, content_index: 0 };
    const finished = messageItem(turn, 'incomplete', [OUTPUT_TEXT]);
    return [
      { type: 'response.created', response: responseOf(turn, 'in_progress', []) },
      { type: 'response.in_progress', response: responseOf(turn, 'in_progress', []) },
      { type: 'response.output_item.added', output_index: 0, item: messageItem(turn, 'in_progress', []) },
      { type: 'response.content_part.added', ...part, part: { ...OUTPUT_TEXT, text: '' } },
      { type: 'response.output_text.delta', ...part, delta: REFUSAL, logprobs: [] },
      { type: 'response.output_text.done', ...part, text: REFUSAL, logprobs: [] },
      { type: 'response.content_part.done', ...part, part: OUTPUT_TEXT },
      { type: 'response.output_item.done', output_index: 0, item: finished },
      { type: 'response.incomplete', response: responseOf(turn, 'incomplete', [finished]) },
    ]
      .map((value, index) => event({ ...value, sequence_number: index }))
      .join('');
  },
};

function messageItem({ id }: Turn, status: string, content: readonly object[]): object {
  return { id: `msg_${id}`, type: 'message', status, role: 'assistant', content };
}

function anthropicMessage({ model, id }: Turn, content: readonly object[], stop: 'refusal' | null): object {
  return {
    id: `msg_${id}`,
    type: 'message',
    role: 'assistant',
    model,
    content,
    stop_reason: stop,
    stop_sequence: null,
    usage: { input_tokens: 0, output_tokens: 0 },
  };
}

const messages: Composer = {
  streamType: 'text/event-stream',
  whole: (turn) => anthropicMessage(turn, [{ type: 'text', text: REFUSAL }], 'refusal'),
  stream: (turn) =>
    [
      { type: 'message_start', message: anthropicMessage(turn, [], null) },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: REFUSAL } },
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: 'refusal', stop_sequence: null }, usage: { output_tokens: 0 } },
      { type: 'message_stop' },
    ]
      .map(event)
      .join(''),
};

/** Ollama's last line carries the reason and the counts; in a stream the words come in a line before it. */
function ollama(words: (text: string) => object): Composer {
  const turnLine = ({ model, created }: Turn, text: string, done: boolean): object => ({
    model,
    created_at: new Date(created * 1000).toISOString(),
    ...words(text),
    done,
    ...(done
      ? {
          done_reason: 'content_filter',
          total_duration: 0,
          load_duration: 0,
          prompt_eval_count: 0,
          prompt_eval_duration: 0,
          eval_count: 0,
          eval_duration: 0,
        }
      : {}),
  });
  return {
    streamType: 'application/x-ndjson',
    whole: (turn) => turnLine(turn, REFUSAL, true),
    stream: (turn) => line(turnLine(turn, REFUSAL, false)) + line(turnLine(turn, '', true)),
  };
}

const COMPOSERS: Partial<Readonly<Record<EndpointId, Composer>>> = {
  'openai.chat': chat,
  'openai.completions': completions,
  'openai.responses': responses,
  'anthropic.messages': messages,
  'ollama.chat': ollama((content) => ({ message: { role: 'assistant', content } })),
  'ollama.generate': ollama((response) => ({ response })),
};
